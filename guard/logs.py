"""Logging: one event a line to stderr, named `noun.verb_past`, with facts as keys and no secrets.

JSON lines by default; logfmt with sd-daemon priorities under journald, which adds the time itself. What other libraries
log through the standard library comes out the same way, from warnings up. The key `level` is the line's own severity.
"""

import base64
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, TextIO, cast
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, Processor

Format = Literal["auto", "json", "logfmt", "console"]

HIDDEN = "[hidden]"
_SECRET_LENGTH_MIN = 6  # Characters. Shorter than any key; hiding every "ab" would hide the log.
_NOISY = ("ccxt", "apscheduler", "aiohttp", "asyncio")  # At info they log urls, at debug whole requests.
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # sd-daemon(3).
_FIRST_KEYS = ("timestamp", "level", "event")

_WRITTEN: dict[type, Callable[[Any], object]] = {
    Enum: lambda value: getattr(value, "word", value.name.lower()),  # First: some are numbers or text too.
    Decimal: lambda value: f"{value:f}",
    datetime: datetime.isoformat,
    timedelta: timedelta.total_seconds,
}
_processors: list[Processor] = []  # One list for ever: loggers that are already cached follow a second configure().


def configure(
    level: str = "info",
    *,
    secrets: frozenset[str] = frozenset(),
    fmt: Format = "auto",
    environ: Mapping[str, str] = os.environ,
    stream: TextIO | None = None,
) -> None:
    """Send every log line to `stream` (stderr), free of `secrets` and of their common encodings.

    May be called again, first without and then with the secrets of the config; the level holds from a logger's first
    use. Raises ValueError for a level that does not exist.
    """
    if level.lower() not in _PRIORITIES:
        raise ValueError(f"found log level '{level}', expected {', '.join(_PRIORITIES)}")
    threshold = logging.getLevelNamesMapping()[level.upper()]
    target = stream or sys.stderr
    journal = is_journal(target, environ)
    hide = _hider(secrets)
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        *([] if journal else [structlog.processors.TimeStamper(fmt="iso", utc=True)]),
        structlog.processors.format_exc_info,
        _plain_values(hide),
    ]
    chosen = ("logfmt" if journal else "json") if fmt == "auto" else fmt
    after = [_renderer(chosen, journal=journal), lambda _logger, _method, line: hide(str(line))]
    _processors[:] = [*before, *after]
    lasting = cast("TextIO", _Lasting(target))  # Nothing but write and flush is asked of it.
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=lasting),
        cache_logger_on_first_use=True,
    )
    _route_standard_library(lasting, [_add_logger_name, *before], after, max(threshold, logging.WARNING))


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether a stream goes to journald.

    $JOURNAL_STREAM alone does not say so: a terminal inside a desktop session inherits it. It names device and inode.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Lasting:
    """A stream whose reader may die: the guard watches on without its log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except (OSError, ValueError):  # Broken pipe, full disk; closed.
            return

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return


def _route_standard_library(stream: TextIO, before: list[Processor], after: list[Processor], threshold: int) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
        )
    )
    logging.raiseExceptions = False  # A line that cannot be formatted is no reason to print its raw parts.
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _NOISY:
        logging.getLogger(name).setLevel(threshold)
    logging.captureWarnings(capture=True)


def _add_logger_name(_logger: object, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event["logger"] = record.name
    return event


def _plain_values(hide: Callable[[str], str]) -> Processor:
    """Write our values as the rest of the house prints them: decimals in full, times in UTC, enums by their word.

    Secrets are hidden here, before a renderer escapes what is escaped already, and once more in the finished line.
    """

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {hide(str(key)): plain(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [plain(inner) for inner in value]
        for kind, written in _WRITTEN.items():
            if isinstance(value, kind):
                return written(value)
        return value if isinstance(value, int | float | None) else hide(str(value))

    def process(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {key: value if key.startswith("_") else plain(value) for key, value in event.items()}

    return process


def _renderer(fmt: str, *, journal: bool) -> Processor:
    if fmt == "json":
        return structlog.processors.JSONRenderer(sort_keys=False)
    if fmt == "console":
        # Tracebacks are text by now. (The default formatter would print local variables, and with them keys.)
        return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    logfmt = structlog.processors.LogfmtRenderer(key_order=_FIRST_KEYS, drop_missing=True, bool_as_flag=False)

    def render(logger: Any, method: str, event: EventDict) -> str:
        priority = f"<{_PRIORITIES.get(str(event.get('level')), 6)}>" if journal else ""
        return priority + logfmt(logger, method, event)

    return render


def _hider(secrets: Iterable[str]) -> Callable[[str], str]:
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= _SECRET_LENGTH_MIN}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if longest_first else None
    return (lambda text: pattern.sub(HIDDEN, text)) if pattern else str


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may stand in a line: plain, escaped, url-encoded, hex, or base64 at any offset."""
    if len(secret) < _SECRET_LENGTH_MIN:
        return
    raw = secret.encode()
    yield from (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), raw.hex())
    for offset in range(3):
        # Base64 of "user:secret" holds other letters than base64 of the secret; those in the middle depend on it alone.
        encoded = base64.b64encode(b"\0" * offset + raw).rstrip(b"=").decode()
        stable = encoded[-(-offset * 8 // 6) : len(encoded) - ((offset + len(raw)) % 3 > 0)]
        yield from (stable, stable.replace("+", "-").replace("/", "_"))
    for line in secret.splitlines():
        if line != secret and len(line) >= 16 and not line.startswith("-----"):  # The body of a PEM key.
            yield line
