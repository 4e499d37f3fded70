"""Law 8: what guard is told in confidence stands in nothing that it writes or says, whatever others echo at it."""

import asyncio
import base64
import json
import os
import sys
from contextlib import asynccontextmanager
from urllib.parse import quote

from aiohttp import web
from attack_kit import BREACHED, world

from guard.demo.exchange import Fault, FaultKind

TOKEN = "7654321:AAE-secret_token/of+the=bot"
HOOK_SECRET = "whsec_" + base64.b64encode(b"a secret that signs messages").decode()
HOOK_PATH = "/hook-path-that-is-a-token"


@asynccontextmanager
async def _echo(status):
    """Answer every request by repeating it, address, headers and body."""

    async def repeat(request):
        said = f"{request.method} {request.rel_url} {dict(request.headers)} {await request.text()}"
        return web.json_response({"ok": False, "description": said, "error_code": status}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", repeat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _forms(secret):
    raw = secret.encode()
    encoded = base64.b64encode(raw).decode().rstrip("=")
    return {secret, quote(secret, safe=""), quote(secret), encoded, encoded[:-1], raw.hex(), json.dumps(secret)[1:-1]}


async def _said(here, *words):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "guard", *words, "-c", str(here.config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "HOME": str(here.config.parent)},
    )
    out, _ = await asyncio.wait_for(process.communicate(), 50)
    return out


async def test_no_secret_stands_in_any_log_answer_or_journal_however_it_is_echoed(tmp_path):
    async with _echo(400) as echo, world(tmp_path, wallet=26_000) as here:
        text = here.config.read_text()
        here.config.write_text(
            text
            + f"""
[notify.telegram.me]
chat_id = 1
token = "{TOKEN}"
api_url = "{echo}"
from_level = "watch"
[notify.webhook.ops]
url = "{echo}{HOOK_PATH}"
secret = "{HOOK_SECRET}"
from_level = "watch"
[heartbeat]
url = "{echo}/beat{HOOK_PATH}"
"""
        )
        key, secret = here.account.api_key, here.account.secret
        echoed = json.dumps({"code": -4051, "msg": f"key {key} secret {secret} signature {'ab' * 32}"})
        here.exchange.set_mark("BTCUSDT", BREACHED)
        here.exchange.faults.add(
            Fault(kind=FaultKind.ANSWER, method="POST", path="/positionMargin", status=400, body=echoed, times=1)
        )
        outputs = {"run": await _said(here, "run", "--once", "--log-level", "debug")}
        here.exchange.faults.add(Fault(kind=FaultKind.ANSWER, path="/positionRisk", status=400, body=echoed))
        outputs["again"] = await _said(here, "run", "--once", "--log-level", "debug")
        words = (("history",), ("status", "--json"), ("check",))  # They only look: each starts a process of its own.
        said = await asyncio.gather(*(_said(here, *one) for one in words))
        outputs |= {one[0]: out for one, out in zip(words, said, strict=True)}
        for path in tmp_path.iterdir():
            if path.name != here.config.name:
                outputs[path.name] = path.read_bytes()
    assert b'"state": "refused"' in outputs["run"]
    assert b"4051" in outputs["journal.db"] + outputs.get("journal.db-wal", b"")
    found = [
        (where, form)
        for value in (key, secret, TOKEN, HOOK_SECRET, HOOK_PATH)
        for form in _forms(value)
        for where, said in outputs.items()
        if form.encode() in said
    ]
    assert not found
