"""The wire without a socket: the contract suite's own server answers the client's requests, and one answer is changed."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any
from urllib.parse import parse_qsl

import yarl
from multidict import CIMultiDict
from wire_faults import Call, WireRefusal
from wire_server import WireServer

Change = Callable[[Any], tuple[int, bytes]]
Answer = tuple[int, Mapping[str, str], bytes]


class Line:
    """Between one client and one server. `change` is made of the answer to the `change_at`th request."""

    def __init__(self, server: WireServer, client: Any) -> None:
        self._server = server
        self._client = client
        self.refuse: str | None = None  # A code of the exchange, by which the next write is refused.
        self.clear()
        client._send = self._send
        client.gate.turn = lambda *_, **__: nullcontext()  # No pace and no pause: there is no exchange to be kind to.

    def clear(self, change_at: int | None = None, change: Change | None = None) -> None:
        self.kinds: list[str] = []  # Of the requests, in order.
        self.said: list[bytes] = []  # The answers.
        self.honest: Any = None  # The answer that was changed, before.
        self.posts = 0
        self.broken: Exception | None = None  # A fault of the test's own, which a venue would take for the exchange's.
        self._change_at = change_at
        self._change = change

    async def _send(self, method: str, url: str, headers: Mapping[str, str] | None, body: str | None) -> Answer:
        address = yarl.URL(url, encoded=True)
        query = address.raw_query_string
        sent = {**self._client.prepare_request_headers(dict(headers or {})), **self._client.wire.headers}
        params = {**dict(parse_qsl(query, keep_blank_values=True)), **_params(body or "")}
        call = Call(
            method=method, path=address.path, query=query, body=body or "", headers=CIMultiDict(sent), params=params
        )
        try:
            return self._changed(call)
        except Exception as bug:
            self.broken = bug
            raise

    def _changed(self, call: Call) -> Answer:
        kind = self._server.kind_of(call)
        status, said, answer = self._answer(kind, call)
        raw = json.dumps(answer).encode()
        if len(self.kinds) == self._change_at and self._change is not None:
            self.honest = answer
            status, raw = self._change(answer)
        self.kinds.append(kind)
        self.said.append(raw)
        return status, said, raw

    def _answer(self, kind: str, call: Call) -> tuple[int, Mapping[str, str], Any]:
        try:
            if kind == "write":
                self.posts += 1
                code, self.refuse = self.refuse, None
                if code is not None:
                    raise self._server.refusal(code)
            return 200, {}, self._server.answer(call)
        except WireRefusal as refusal:
            return refusal.status, refusal.headers, refusal.body


def _params(body: str) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return dict(parse_qsl(body, keep_blank_values=True))
    return parsed if isinstance(parsed, dict) else {"body": parsed}


class Loop:
    """One event loop for everything that is played; nothing waits in it for long."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(coroutine)

    def close(self) -> None:
        self._loop.close()
