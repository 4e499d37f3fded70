"""The unit under a real systemd, with the real daemon: on an exchange that nobody can reach, and on the demo exchange."""

import json
import shutil
import time
import tomllib
from pathlib import Path

import machine as machines
import pytest

ROOT = Path(__file__).parents[2]
CREDENTIALS = """\
LoadCredential=accounts__main__api_key:/etc/guard/main.key
LoadCredential=accounts__main__secret:/etc/guard/main.secret
"""
KEY = "a-key-that-must-not-show"

pytestmark = pytest.mark.timeout(900)  # The first build makes a Debian tree.


@pytest.fixture(scope="module")
def installed(built_image):
    """Install guard into a machine as docs/install.md says, with an exchange that cannot be reached, and boot it."""
    root = machines.copied(built_image / "trixie", built_image / "machine")
    shutil.copytree(built_image / "opt-guard", root / "opt/guard", symlinks=True)
    shutil.copy(ROOT / "systemd/guard.service", root / "etc/systemd/system/guard.service")
    settings = root / "etc/guard"
    settings.mkdir()
    shutil.copy(Path(__file__).parent / "unreachable.toml", settings / "config.toml")
    for name in ("main.key", "main.secret"):
        (settings / name).write_text(KEY)
        (settings / name).chmod(0o600)
    with machines.booted(root) as machine:
        yield machine


@pytest.fixture
def guarded(installed):
    """A running guard, with a watchdog that barks after 6 s (a cycle is due every 2 s); stopped afterwards."""
    shutil.copy(Path(__file__).parent / "unreachable.toml", installed.root / "etc/guard/config.toml")
    installed.override(f"[Service]\n{CREDENTIALS}WatchdogSec=6\nRestartSec=1\n")
    started = installed.run("systemctl", "start", "guard")
    assert started.returncode == 0, installed.journal()
    yield installed
    installed.run("systemctl", "stop", "guard")
    installed.run("systemctl", "reset-failed", "guard")


def main_pid(machine):
    return machine.show("MainPID")["MainPID"]


def test_a_guard_that_reaches_no_exchange_is_up_says_so_and_is_not_restarted(guarded):
    time.sleep(12)  # Twice the watchdog.
    shown = guarded.show("ActiveState", "NRestarts", "StatusText")

    assert (shown["ActiveState"], shown["NRestarts"]) == ("active", "0")
    assert "not read: main" in shown["StatusText"]


def test_the_sandbox_holds_and_the_daemon_lives_in_it(guarded):
    status = guarded.run("cat", f"/proc/{main_pid(guarded)}/status").stdout
    limits = guarded.run("cat", f"/proc/{main_pid(guarded)}/limits").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert int(facts["Uid"].split()[0]) > 60000  # A dynamic user.
    assert int(facts["CapBnd"], 16) == int(facts["CapEff"], 16) == 0
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert [line.split()[4:6] for line in limits.splitlines() if "core file" in line] == [["0", "0"]]
    assert guarded.run("stat", "-c", "%a", "/var/lib/private/guard").stdout.strip() == "700"
    assert guarded.run("stat", "-c", "%a", "/var/lib/guard/journal.db").stdout.strip() == "600"


def test_this_systemd_too_finds_the_sandbox_tight(installed):
    judged = installed.run("systemd-analyze", "security", "--threshold=15", "guard")

    assert judged.returncode == 0, judged.stdout


def test_no_key_shows_where_others_can_look(guarded):
    environment = guarded.run("cat", f"/proc/{main_pid(guarded)}/environ").stdout
    arguments = guarded.run("cat", f"/proc/{main_pid(guarded)}/cmdline").stdout

    assert KEY not in environment + arguments + guarded.journal() + guarded.run("systemctl", "show", "guard").stdout
    assert guarded.run("grep", "-rla", KEY, "/var/lib/private/guard").stdout == ""


def test_a_guard_that_hangs_says_where_and_is_started_again(guarded):
    hung = main_pid(guarded)
    guarded.run("kill", "-STOP", hung)
    ends_at = time.monotonic() + 20
    while "Watchdog timeout" not in guarded.journal() and time.monotonic() < ends_at:
        time.sleep(0.2)
    guarded.run("kill", "-CONT", hung)  # Now the waiting SIGABRT arrives.

    expected = {"ActiveState": "active", "NRestarts": "1"}
    assert guarded.wait_until(expected, within_s=20) == expected
    assert main_pid(guarded) != hung
    assert "Fatal Python error: Aborted" in guarded.journal()


def test_a_guard_that_is_killed_is_started_again(guarded):
    guarded.run("kill", "-KILL", main_pid(guarded))

    expected = {"ActiveState": "active", "NRestarts": "1"}
    assert guarded.wait_until(expected, within_s=20) == expected


def test_a_wrong_config_is_said_once_and_not_tried_again(installed):
    (installed.root / "etc/guard/config.toml").write_text('mode = "look"\n')
    installed.run("systemctl", "start", "guard")
    time.sleep(3)
    shown = installed.show("ActiveState", "NRestarts", "ExecMainStatus")
    installed.run("systemctl", "reset-failed", "guard")

    assert shown == {"ActiveState": "failed", "NRestarts": "0", "ExecMainStatus": "78"}
    assert "config.toml:1: mode" in installed.journal()


def test_a_stop_is_clean_and_quick(guarded):
    began = time.monotonic()
    guarded.run("systemctl", "stop", "guard")
    took = time.monotonic() - began

    assert guarded.show("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert took < 10


def test_a_person_asks_as_the_service_would(guarded):
    """The command of docs/install.md: the service's user, its journal and its credentials; 69: no exchange answered."""
    asked = guarded.run(
        *("systemd-run", "--quiet", "--pipe", "--wait", "-p", "DynamicUser=yes", "-p", "User=guard"),
        *("-p", "StateDirectory=guard", "-p", "LoadCredential=accounts__main__api_key:/etc/guard/main.key"),
        *("-p", "LoadCredential=accounts__main__secret:/etc/guard/main.secret"),
        *("/opt/guard/bin/guard", "status", "--json", "--config", "/etc/guard/config.toml"),
    )

    assert asked.returncode == 69, asked.stderr
    assert json.loads(asked.stdout)["accounts"][0]["state"] == "blind"
    assert guarded.show("ActiveState") == {"ActiveState": "active"}


def demo_config(machine):
    """Serve the demo exchange inside the machine; return its config without keys and journal, and the keys by name."""
    machine.run("systemctl", "stop", "demo")
    machine.run("rm", "-f", "/run/demo.toml")
    machine.run("systemd-run", "--unit=demo", "/opt/guard/bin/guard", "demo", "--serve", "--config", "/run/demo.toml")
    ends_at = time.monotonic() + 20
    while not (text := machine.run("cat", "/run/demo.toml").stdout) and time.monotonic() < ends_at:
        time.sleep(0.2)
    keys = {
        f"accounts__{account}__{key}": value
        for account, table in tomllib.loads(text)["accounts"].items()
        for key, value in table.items()
        if key in {"api_key", "secret"}
    }
    kept = [line for line in text.splitlines() if not line.startswith(("api_key =", "secret =", "[journal]", "path ="))]
    return "\n".join(kept) + '\n[web]\nlisten = "127.0.0.1:9464"\n', keys


def test_the_service_sees_every_account_of_the_demo_exchange_and_again_after_a_kill(installed):
    config, keys = demo_config(installed)
    (installed.root / "etc/guard/config.toml").write_text(config)
    for name, value in keys.items():
        (installed.root / "etc/guard" / name).write_text(value)
        (installed.root / "etc/guard" / name).chmod(0o600)
    loaded = "".join(f"LoadCredential={name}:/etc/guard/{name}\n" for name in keys)
    installed.override(f"[Service]\n{loaded}RestartSec=1\n")
    installed.run("systemctl", "start", "guard")
    assert "3 accounts" in installed.show("StatusText")["StatusText"]

    installed.run("kill", "-KILL", main_pid(installed))
    expected = {"ActiveState": "active", "NRestarts": "1"}
    assert installed.wait_until(expected, within_s=20) == expected
    asked = installed.run(
        *("/opt/guard/bin/python", "-c"),
        "from http.client import HTTPConnection as C; c = C('127.0.0.1', 9464); c.request('GET', '/status'); "
        "print(c.getresponse().read().decode())",
    )
    accounts = {account["account"]: account["state"] for account in json.loads(asked.stdout)["accounts"]}
    installed.run("systemctl", "stop", "guard", "demo")

    assert set(accounts.values()) == {"fresh"}
    assert len(accounts) == 3
