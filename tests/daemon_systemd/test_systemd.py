"""systemd's side is a real datagram socket, by path and by abstract name (sd_notify(3))."""

import os
import secrets
import socket
from datetime import timedelta

import pytest

from guard.daemon.systemd import notify, watchdog_interval


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    name = f"@guard-test-{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.settimeout(5)
        yield name, listener


def test_a_state_arrives_as_one_datagram(systemd):
    name, listener = systemd
    assert notify("READY=1\nSTATUS=2 accounts, nearest BTC long 21.3 %", {"NOTIFY_SOCKET": name})
    assert listener.recv(4096).decode() == "READY=1\nSTATUS=2 accounts, nearest BTC long 21.3 %"


@pytest.mark.parametrize(
    "environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"NOTIFY_SOCKET": "@"}]
)
def test_without_systemd_nothing_happens(environ):
    assert notify("READY=1", environ) is False


def test_a_socket_that_is_gone_does_not_stop_the_guard(tmp_path):
    assert notify("WATCHDOG=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")}) is False


def test_a_systemd_that_does_not_read_does_not_block_the_guard(systemd):
    name, _ = systemd
    sent = [notify("STATUS=" + "x" * 4000, {"NOTIFY_SOCKET": name}) for _ in range(2000)]
    assert sent[0] is True
    assert sent[-1] is False


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "60000000"}, timedelta(seconds=60)),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, timedelta(seconds=60)),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_only_when_systemd_means_this_process(environ, interval):
    assert watchdog_interval(environ, pid=os.getpid()) == interval
