"""The status server over real sockets."""

import asyncio
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest

from guard.errors import GuardError
from guard.web.server import is_our_host, serve_web

DOCUMENT = {"schema_version": 1, "accounts": []}


@asynccontextmanager
async def served(accounts: dict[str, bool], *, listen=("127.0.0.1", 0)):
    async with (
        serve_web(listen, status=lambda: DOCUMENT, ready=lambda: accounts) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as session,
    ):
        yield session


async def test_a_live_process_is_healthy_whatever_its_accounts_do():
    async with served({"main": False}) as session, session.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"alive": True})


@pytest.mark.parametrize(
    ("accounts", "status", "answer"),
    [
        ({"main": True, "alt": True}, 200, {"ready": True, "not_ready": []}),
        ({"main": True, "blind": False, "alt": False}, 503, {"ready": False, "not_ready": ["alt", "blind"]}),
        ({}, 503, {"ready": False, "not_ready": []}),
    ],
)
async def test_it_is_ready_only_when_every_account_had_a_fresh_cycle(accounts, status, answer):
    async with served(accounts) as session, session.get("/readyz") as response:
        assert (response.status, await response.json()) == (status, answer)


async def test_status_is_the_document_of_the_command_and_is_not_kept_by_anybody():
    async with served({}) as session, session.get("/status") as response:
        assert await response.json() == DOCUMENT
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Server"] == "guard"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/status", "/nothing"])
async def test_a_page_whose_name_was_rebound_to_us_learns_nothing(path):
    async with served({}) as session, session.get(path, headers={"Host": "evil.example:9464"}) as response:
        assert response.status == 403
        assert "accounts" not in await response.text()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_takes_no_commands(method):
    async with served({}) as session, session.request(method, "/status") as response:
        assert response.status == 405


@pytest.mark.parametrize(
    ("host", "listen_host", "ours"),
    [
        ("localhost:9464", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("127.0.0.1:9464", "127.0.0.1", True),
        ("[::1]:9464", "::1", True),
        ("10.0.0.5:9464", "10.0.0.5", True),
        ("10.0.0.6:9464", "10.0.0.5", False),
        ("10.0.0.6:9464", "0.0.0.0", True),  # noqa: S104
        ("[fd00::7]:9464", "::", True),
        ("evil.example", "0.0.0.0", False),  # noqa: S104
        ("evil.example", "127.0.0.1", False),
        ("localhost.evil.example", "127.0.0.1", False),
        ("127.0.0.1.evil.example:9464", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("10.0.0.6", "vps.lan", False),
        ("vps.lan:9464", "vps.lan", True),
    ],
)
def test_only_loopback_and_the_address_we_listen_on_are_our_names(host, listen_host, ours):
    assert is_our_host(host, listen_host=listen_host) is ours


async def test_a_taken_port_is_one_sentence_and_not_a_traceback():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            GuardError, match=rf"web.listen: cannot listen on 127.0.0.1:{port} \(.*in use.*another guard"
        ):
            async with serve_web(("127.0.0.1", port), status=dict, ready=dict):
                pass


async def test_the_port_is_free_again_afterwards_even_with_a_client_that_hangs():
    async with serve_web(("127.0.0.1", 0), status=dict, ready=dict) as (host, port):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /status HTTP/1.1\r\nHost:")
        await writer.drain()
    async with serve_web((host, port), status=dict, ready=dict) as again:
        assert again == (host, port)
    writer.close()


async def test_a_status_that_fails_shows_no_traceback():
    def broken():
        raise RuntimeError("secret detail")

    async with (
        serve_web(("127.0.0.1", 0), status=broken, ready=dict) as (host, port),
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}:{port}/status") as response,
    ):
        assert response.status == 500
        assert "secret detail" not in await response.text()
