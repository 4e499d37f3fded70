"""Three read-only answers on loopback: is the process alive, does it see every account, and what does it see."""

import ipaddress
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from guard.errors import GuardError

log = structlog.get_logger(__name__)

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@asynccontextmanager
async def serve_web(
    listen: tuple[str, int], *, status: Callable[[], Mapping[str, object]], ready: Callable[[], Mapping[str, bool]]
) -> AsyncIterator[tuple[str, int]]:
    """Serve /healthz, /readyz and /status while the block runs; give the address in use (port 0 picks one).

    `status` returns the document of `guard status --json`; `ready` says of each account whether its last cycle was
    fresh. Raises GuardError when the address cannot be had.
    """
    runner = web.AppRunner(_app(listen[0], status=status, ready=ready), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, *listen).start()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise GuardError(
                f"web.listen: cannot listen on {_written(*listen)} ({reason}): "
                "another program holds it, or another guard runs; choose a free port"
            ) from error
        host, port = runner.addresses[0][:2]
        log.info("web.started", listen=_written(host, port))
        yield host, port
    finally:
        await runner.cleanup()


def _app(
    listen_host: str, *, status: Callable[[], Mapping[str, object]], ready: Callable[[], Mapping[str, bool]]
) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return _answer({"alive": True})

    async def readyz(_: web.Request) -> web.Response:
        accounts = ready()
        not_ready = sorted(account for account, fresh in accounts.items() if not fresh)
        is_ready = bool(accounts) and not not_ready  # Before the first cycle nothing is known: not ready.
        return _answer({"ready": is_ready, "not_ready": not_ready}, http_status=200 if is_ready else 503)

    async def status_document(_: web.Request) -> web.Response:
        return _answer(status())

    app = web.Application(middlewares=[_only_for(listen_host)])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/status", status_document)
    app.on_response_prepare.append(_plain_headers)
    return app


def _answer(document: Mapping[str, object], *, http_status: int = 200) -> web.Response:
    return web.Response(status=http_status, text=json.dumps(document), content_type="application/json")


def _only_for(listen_host: str) -> Middleware:
    """Return a middleware that refuses foreign Host names: a web page whose name was rebound to us sends its own."""

    @web.middleware
    async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_our_host(request.host, listen_host=listen_host):
            return web.Response(status=403, text="guard does not answer to this Host name\n")
        return await handler(request)

    return check_host


def is_our_host(host: str, *, listen_host: str) -> bool:
    """Return whether a Host header names loopback or the address we listen on.

    When we listen on every address, any plain address is ours: rebinding needs a name.
    """
    name = _name_of(host)
    if name in _LOOPBACK_NAMES or name == listen_host.lower():
        return True
    try:
        ipaddress.ip_address(name)
        return ipaddress.ip_address(listen_host).is_unspecified
    except ValueError:
        return False


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


async def _plain_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "guard"  # Versions are nobody's business.
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
