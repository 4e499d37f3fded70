"""Who asks, and is it really them: the key, the stamp and the signature of a request, checked as Binance does.

The signature is HMAC SHA256, with the key's secret, of query string and body as sent, without the signature itself.
Source: USD-M futures documents, general information, "SIGNED endpoint security".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from guard.demo.exchange.ledger import DemoAccount

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
AHEAD_MS = 1_000  # A stamp may be this far ahead of the exchange's clock.


class ApiError(Exception):
    """A refusal in Binance's own form: {"code": -1021, "msg": "..."}."""

    def __init__(self, code: int, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request as it arrived. Query and body are raw, for they are what was signed."""

    method: str
    path: str
    query: str
    body: str
    api_key: str | None

    def fields(self) -> dict[str, str]:
        """Return query and body parameters, without the signature."""
        pairs = parse_qsl(self.query, keep_blank_values=True) + parse_qsl(self.body, keep_blank_values=True)
        return {name: value for name, value in pairs if name != "signature"}


def authenticate(request: Incoming, accounts: Mapping[str, DemoAccount], now: datetime) -> DemoAccount:
    """Return the account that signed. Raises ApiError."""
    account = identify(request, accounts)
    fields = request.fields()
    _check_stamp(fields, now)
    signatures = [value for name, value in parse_qsl(f"{request.query}&{request.body}") if name == "signature"]
    if len(signatures) != 1:
        raise missing("signature")
    payload = _unsigned(request.query) + _unsigned(request.body)
    expected = hmac.new(account.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signatures[0].lower()):
        raise ApiError(-1022, "Signature for this request is not valid.")
    return account


def identify(request: Incoming, accounts: Mapping[str, DemoAccount]) -> DemoAccount:
    """Return the account of the key in the header. Raises ApiError."""
    if not request.api_key:
        raise ApiError(-2014, "API-key format invalid.", status=401)
    account = accounts.get(request.api_key)
    if account is None:
        raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
    return account


def missing(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _check_stamp(fields: Mapping[str, str], now: datetime) -> None:
    stamp = whole_number(fields, "timestamp")
    if stamp is None:
        raise missing("timestamp")
    window = whole_number(fields, "recvWindow")
    if window is not None and window > RECV_WINDOW_MAX_MS:
        raise ApiError(-1131, "recvWindow must be less than 60000.")
    late = milliseconds(now) - stamp
    if late < -AHEAD_MS:
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if late > (RECV_WINDOW_MS if window is None else window):
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def whole_number(fields: Mapping[str, str], name: str) -> int | None:
    """Return an integer parameter; None when it was not sent. Raises ApiError."""
    text = fields.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,18}}$'.")
    return int(text)


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if part and not part.startswith("signature="))
