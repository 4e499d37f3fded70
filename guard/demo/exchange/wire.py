"""HTTP of the demo exchange: a request comes in, is signed by somebody, is carried out, and is answered.

What a fault makes of an answer is in `strikes`. Every request is counted, and every request to move margin is logged
with what truly became of it, which is what tests and the demo compare with what the guard believes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from guard.demo.exchange.endpoints import ENDPOINTS, MARGIN_PATH, Call, Endpoint
from guard.demo.exchange.exchange import DemoExchange, MarginPost
from guard.demo.exchange.faults import Fault
from guard.demo.exchange.ledger import DemoAccount
from guard.demo.exchange.signing import ApiError, Incoming, authenticate, identify


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    body: bytes
    code: int  # 200, or the exchange's error code.


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request on its way through the exchange."""

    exchange: DemoExchange
    incoming: Incoming
    arrived_at: datetime  # The exchange's clock.
    fault: Fault | None

    def carry_out(self) -> Reply:
        """Do what is asked and return the honest answer. Stamps are judged as of the arrival."""
        try:
            endpoint = self._endpoint()
            call = Call(exchange=self.exchange, fields=self.incoming.fields(), signer=self._signer(endpoint))
            reply = Reply(status=200, body=orjson.dumps(endpoint.answer(call)), code=200)
        except ApiError as error:
            reply = refusal(error.status, error.code, error.message)
        self._log(reply.code)
        return reply

    def leave_undone(self) -> None:
        """Note that a fault kept this request from being looked at."""
        self._log(0)

    def weight(self) -> int:
        endpoint = ENDPOINTS.get((self.incoming.method, self.incoming.path))
        return endpoint.weight if endpoint else 1

    def _signer(self, endpoint: Endpoint) -> DemoAccount | None:
        if endpoint.signed:
            return authenticate(self.incoming, self.exchange.accounts, self.arrived_at)
        return identify(self.incoming, self.exchange.accounts) if endpoint.keyed else None

    def _endpoint(self) -> Endpoint:
        method, path = self.incoming.method, self.incoming.path
        try:
            return ENDPOINTS[method, path]
        except KeyError:
            raise ApiError(-5000, f"Path {path}, Method {method} is invalid", status=404) from None

    def _log(self, code: int) -> None:
        if (self.incoming.method, self.incoming.path) != ("POST", MARGIN_PATH):
            return
        account = self.exchange.accounts.get(self.incoming.api_key or "")
        self.exchange.margin_posts.append(
            MarginPost(
                at=self.exchange.now(),
                account=account.name if account else None,
                fields=self.incoming.fields(),
                applied=code == 200,
                code=code,
                fault=self.fault.kind if self.fault else None,
            )
        )


def refusal(status: int, code: int, message: str) -> Reply:
    return Reply(status=status, body=orjson.dumps({"code": code, "msg": message}), code=code)


class Weights:
    """The request weight used in the running minute, as told in a header. Nothing is refused for it."""

    def __init__(self) -> None:
        self._minute: datetime | None = None
        self._used = 0

    def header(self, weight: int, now: datetime) -> Mapping[str, str]:
        minute = now - timedelta(seconds=now.second, microseconds=now.microsecond)
        self._used = weight + (self._used if self._minute == minute else 0)
        self._minute = minute
        return {"X-MBX-USED-WEIGHT-1M": str(self._used)}
