"""A webhook receiver on loopback: what arrives here was signed, sent and confirmed as to anybody's server."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + base64.b64encode(b"the demo's own, worth nothing").decode()


@asynccontextmanager
async def receive_webhooks(on_message: Callable[[dict[str, Any]], None]) -> AsyncIterator[str]:
    """Take signed messages and hand each to `on_message` once, as retries keep their id; give the url to send to."""
    verifier = Webhook(SECRET)
    seen: set[str] = set()

    async def take(request: web.Request) -> web.Response:
        body = await request.text()
        try:
            verifier.verify(body, dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        message = json.loads(body)
        if message["id"] not in seen:
            seen.add(message["id"])
            on_message(message)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/alerts", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/alerts"
    finally:
        await runner.cleanup()
