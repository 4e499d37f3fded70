"""The field types of the config models: a parser, how it stands in the JSON schema, and how a default is written."""

import base64
import binascii
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator, SecretStr, WithJsonSchema

from guard.config import quantities
from guard.config.hosts import listen_address, require_safe
from guard.config.problems import percent_text
from guard.policy.terms import Amount, Level, Mode
from guard.snapshot import MarginMode, Side

_EXCHANGE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CHANNEL_NAME = re.compile(r"@[A-Za-z][A-Za-z0-9_]{3,}", re.ASCII)
_CHAT_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
_NAME_LENGTH_MAX = 80
_SECRET_BYTES = range(24, 65)  # Standard Webhooks: 24 to 64 bytes.


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("expected text in quotes")
    return value


def _secret(value: object) -> SecretStr:
    if not isinstance(value, str):
        raise ValueError("expected text in quotes")  # noqa: TRY004  pydantic turns only ValueError into a problem.
    if not value.strip():
        raise ValueError("is empty, expected the secret itself")
    try:
        value.encode()
    except UnicodeEncodeError:  # Bytes of a variable that are not UTF-8.
        raise ValueError("is not text, expected the secret itself") from None
    return SecretStr(value.strip())


def _one_line_secret(value: object) -> SecretStr:
    secret = _secret(value)
    if not secret.get_secret_value().isprintable():
        raise ValueError("holds a line end or a control character, expected the secret alone on one line")
    return secret


def _name(value: object) -> str:
    name = _text(value)
    if len(name) > _NAME_LENGTH_MAX:
        raise ValueError(f"expected at most {_NAME_LENGTH_MAX} letters")  # Every alert begins with it.
    return name


def _webhook_secret(value: object) -> SecretStr:
    secret = _secret(value).get_secret_value()
    try:
        length = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except binascii.Error:
        length = 0
    if not secret.startswith("whsec_") or length not in _SECRET_BYTES:
        raise ValueError("expected 'whsec_' and the base64 of 24 to 64 random bytes")
    return SecretStr(secret)


def _url(value: object) -> str:
    text = _text(value)
    require_safe(text)
    return text


def _exchange(value: object) -> str:
    if isinstance(value, str) and _EXCHANGE.fullmatch(value):
        return value
    lower = value.strip().lower() if isinstance(value, str) else ""
    hint = f", did you mean '{lower}'?" if _EXCHANGE.fullmatch(lower) else ""
    raise ValueError(f"expected a ccxt exchange id in small letters such as 'binanceusdm'{hint}")


def _chat_id(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < abs(value) < 10**18:
        return value
    if isinstance(value, str) and _CHAT_NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, str) and _CHANNEL_NAME.fullmatch(value):
        return value
    if isinstance(value, str) and ":" in value:
        raise ValueError("looks like the bot's token, expected the chat's number")  # Not repeated.
    raise ValueError("expected the chat's number, or the public name of a channel such as '@my_channel'")


def _sigmas(value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= 100:
        raise ValueError("expected a bare number such as 4 (0 switches it off)")
    return number


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in {"true", "false"}:  # The environment has text only.
        return value == "true"
    raise ValueError("expected true or false")


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("expected a day such as '2026-01-31'")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a day that there is, such as '2026-01-31'") from None


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1_000_000:
        raise ValueError("expected a whole number")
    return value


def _between(least: str, most: str) -> PlainValidator:
    def parse(value: object) -> timedelta:
        length = quantities.duration(value)
        if length < quantities.duration(least):
            raise ValueError(f"expected at least '{least}'")
        if length > quantities.duration(most):
            raise ValueError(f"expected at most '{most}'")
        return length

    return PlainValidator(parse)


def duration_text(length: timedelta) -> str:
    """Return a time span as its owner would write it: 1h30m."""
    rest = round(length.total_seconds(), 3)
    text = ""
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        count, rest = divmod(rest, seconds)
        text += f"{count:.0f}{unit}" if count else ""
    return text + (f"{rest:g}s" if rest or not text else "")


def _words(*words: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(words)})


def _pattern(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


def _word_or_star(value: Side | MarginMode | None) -> str:
    if value is None:
        return "*"
    return value.word if isinstance(value, Side) else value.value


_DURATION_SCHEMA = _pattern(quantities.DURATION_PATTERN, "30s", "5m", "1h30m", "2d")
_DURATION_TEXT = PlainSerializer(duration_text)
_PERCENT_TEXT = PlainSerializer(percent_text)
_AMOUNT_TEXT = PlainSerializer(lambda amount: amount.written, return_type=str)
_WORD_TEXT = PlainSerializer(lambda value: value.word, return_type=str)
_SECRET_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "writeOnly": True}

Day = Annotated[
    date,
    PlainValidator(_day),
    PlainSerializer(lambda day: day.isoformat(), return_type=str),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-31"]}),
]
Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
Name = Annotated[str, PlainValidator(_name), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 80})]
Secret = Annotated[SecretStr, PlainValidator(_secret), WithJsonSchema(_SECRET_SCHEMA)]  # May be a key in PEM.
OneLineSecret = Annotated[SecretStr, PlainValidator(_one_line_secret), WithJsonSchema(_SECRET_SCHEMA)]
WebhookSecret = Annotated[
    SecretStr, PlainValidator(_webhook_secret), WithJsonSchema(_SECRET_SCHEMA | {"pattern": "^whsec_"})
]
Url = Annotated[str, PlainValidator(_url), _pattern("^https?://", "https://example.org/hook")]
ExchangeId = Annotated[str, PlainValidator(_exchange), _pattern("^[a-z][a-z0-9_]*$", "binanceusdm")]
ChatId = Annotated[
    int | str,
    PlainValidator(_chat_id),
    WithJsonSchema({"type": ["integer", "string"], "examples": [123456, "@my_channel"]}),
]
Listen = Annotated[
    tuple[str, int],
    PlainValidator(listen_address),
    _pattern(r"^.+:\d{1,5}$", "127.0.0.1:9464"),
    PlainSerializer(lambda address: f"{address[0]}:{address[1]}", return_type=str),
]
Sigmas = Annotated[float, PlainValidator(_sigmas), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]
Switch = Annotated[bool, PlainValidator(_switch), WithJsonSchema({"type": "boolean"})]
Whole = Annotated[int, PlainValidator(_whole), WithJsonSchema({"type": "integer"})]

Duration = Annotated[timedelta, PlainValidator(quantities.duration), _DURATION_SCHEMA, _DURATION_TEXT]
PollDuration = Annotated[timedelta, _between("1s", "1h"), _DURATION_SCHEMA, _DURATION_TEXT]
HeartbeatDuration = Annotated[timedelta, _between("10s", "1d"), _DURATION_SCHEMA, _DURATION_TEXT]
Repeat = Annotated[
    timedelta | Literal["never"],
    PlainValidator(quantities.repeat),
    _pattern(quantities.DURATION_PATTERN.replace("^", "^(never|").replace("$", ")$"), "30m", quantities.NEVER),
]
Percent = Annotated[
    Decimal, PlainValidator(quantities.distance), _pattern(quantities.PERCENT_PATTERN, "8%", "2.5%"), _PERCENT_TEXT
]
Money = Annotated[
    Amount, PlainValidator(quantities.money), _pattern(quantities.MONEY_PATTERN, "1500", "0.01 BTC"), _AMOUNT_TEXT
]
Allowance = Annotated[
    Amount,
    PlainValidator(quantities.allowance),
    _pattern(quantities.ALLOWANCE_PATTERN, "250", "0.01 BTC", "0.5x"),
    _AMOUNT_TEXT,
]
Reserve = Annotated[
    Amount,
    PlainValidator(quantities.reserve),
    _pattern(quantities.RESERVE_PATTERN, "10%", "250", "0.01 BTC"),
    _AMOUNT_TEXT,
]
ModeWord = Annotated[Mode, PlainValidator(quantities.mode), _words("observe", "shadow", "approve", "act"), _WORD_TEXT]
LevelWord = Annotated[
    Level, PlainValidator(quantities.channel_level), _words("watch", "warn", "danger", "critical"), _WORD_TEXT
]
SideWord = Annotated[
    Side | None, PlainValidator(quantities.side), _words("long", "short", "*"), PlainSerializer(_word_or_star)
]
MarginModeWord = Annotated[
    MarginMode | None,
    PlainValidator(quantities.margin_mode),
    _words("isolated", "cross", "*"),
    PlainSerializer(_word_or_star),
]
WhenShort = Annotated[
    bool,
    PlainValidator(quantities.when_short),
    _words("stop", "spend"),
    PlainSerializer(lambda spend: "spend" if spend else "stop", return_type=str),
]
