"""After each test: does a secret that it used stand in anything that it left behind?

A secret is a key or password handed to a venue or a demo account, a Telegram token, a webhook's signing secret. Looked
through, in six spellings: what was logged and printed (every level, both streams), the texts of guard's own errors with
all that hangs on them, bodies that guard sent to channels, and the files of `tmp_path`. The places where a secret belongs
are listed in ALLOWED_FILES; headers and addresses of requests are not bodies and are not looked at.

It fails a test for a secret and for nothing else. Files that go while it looks are gone; nothing that a test made lives
longer because of it, for what hangs on a kept error (a lock, a connection) would change the test: errors are written
down when they end. What goes wrong in the scan itself is a section of the report.
"""

import base64
import json
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest

from guard.demo.exchange import DemoAccount
from guard.errors import GuardError
from guard.notify.http import HttpDoor
from guard.notify.telegram import TelegramChannel
from guard.notify.webhook import WebhookChannel
from guard.venues.protocol import VenueAccount

ROOMS = ("attack", "daemon_e2e", "top_up", "venues", "notify", "cli")
LETTERS_MIN = 10  # A made-up "secret" of one word stands in every second sentence.
ALLOWED_FILES = (
    "*.toml",
    "*key*",
    "*secret*",
    "*token*",
    "*password*",
)  # Where the test itself put them for guard to read.
FILE_BYTES_MAX = 20_000_000


@dataclass(kw_only=True)
class Left:
    """What one test used and left behind."""

    secrets: set[str] = field(default_factory=set)
    errors: "weakref.WeakSet[GuardError]" = field(default_factory=weakref.WeakSet)  # Those that still live.
    said: list[tuple[str, str]] = field(default_factory=list)  # By errors that have ended: kind and text.
    bodies: list[bytes] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # Of the scan itself.

    def end_of(self, error: BaseException) -> None:
        self.said += [(type(error).__name__, text) for text in _texts_of(error)]

    def note(self, *secrets: object) -> None:
        self.secrets |= {one for one in secrets if isinstance(one, str) and len(one) >= LETTERS_MIN}


def spellings(secret: str) -> set[str]:
    """Return a secret in plain, reversed, url-encoded, JSON-escaped, hexadecimal and base64 (at each of three places)."""
    raw = secret.encode()
    found = {
        secret,
        secret[::-1],
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        raw.hex(),
        raw.hex().upper(),
    }
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        inner = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]  # Only what no neighbour changes.
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found


def leaks(secrets: set[str], places: Iterator[tuple[str, bytes]]) -> list[str]:
    """Return one line for each secret and place where it stands."""
    wanted = [(secret, form.encode()) for secret in secrets for form in spellings(secret) if len(form) >= LETTERS_MIN]
    found = []
    for place, said in places:
        hits = sorted({secret for secret, form in wanted if form in said})
        found += [f"{secret[:6]}… ({len(secret)} letters) stands in {place}" for secret in hits]
    return found


def _texts_of(error: BaseException) -> Iterator[str]:
    """Yield what an error says, and everything that it was raised from or in."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield " ".join(_said_by(one))
            waiting += [one.__cause__, one.__context__]


def _said_by(error: BaseException) -> Iterator[str]:
    for form in (repr, str, vars):
        with suppress(Exception):  # One that cannot be written down says nothing by it.
            yield str(form(error))


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for place, _, names in os.walk(folder):  # Unlike `rglob` it bears folders that go while it walks.
        for path in (Path(place, name) for name in sorted(names)):
            is_allowed = any(path.match(pattern) for pattern in ALLOWED_FILES)
            with suppress(OSError):  # A process that still runs takes its files away, or nobody may read them.
                if not is_allowed and _is_of_use(path):
                    yield f"the file {path.name}", path.read_bytes()


def _is_of_use(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= FILE_BYTES_MAX


def places(left: Left, item: pytest.Item, report: pytest.TestReport) -> Iterator[tuple[str, bytes]]:
    for title, said in report.sections:
        yield title, said.encode("utf-8", "replace")
    for error in list(left.errors):
        left.end_of(error)
    for kind, text in left.said:
        yield f"an error ({kind})", text.encode("utf-8", "replace")
    for body in left.bodies:
        yield "a body sent to a channel", body
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if isinstance(folder, Path) and folder.is_dir():
        yield from _files(folder)


def _recording(owner: type, name: str, note: Callable[..., None], left: Left) -> Any:
    real = getattr(owner, name)

    def recorded(self: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            note(self, *arguments, **keywords)
        except Exception as error:  # noqa: BLE001 - the test goes on, whatever the scan stumbles over.
            left.troubles.append(f"{owner.__name__}.{name}: {error!r}")
        return real(self, *arguments, **keywords)

    return patch.object(owner, name, recorded)


def _ended(left: Left) -> Callable[[Any], None]:
    def ended(error: Any) -> None:
        try:
            left.end_of(error)
        except Exception as trouble:  # noqa: BLE001 - as above.
            left.troubles.append(f"an error that ended: {trouble!r}")

    return ended


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if not any(f"/tests/{room}/" in str(item.path) for room in ROOMS):
        yield
        return
    left = item.stash[LEFT] = Left()

    def of_account(*_: Any, **fields: Any) -> None:
        is_public = fields.get("exchange") == "hyperliquid"  # Its api_key is the account's address.
        left.note(None if is_public else fields.get("api_key"), fields.get("secret"), fields.get("password"))

    def of_channel(*_: Any, **fields: Any) -> None:
        left.note(fields.get("token"), fields.get("secret"))

    def of_error(error: Any, *_: Any, **__: Any) -> None:
        left.errors.add(error)

    def of_request(*_: Any, body: bytes | None = None, **__: Any) -> None:
        left.bodies += [body] if body else []

    noted = {
        VenueAccount: of_account, DemoAccount: of_account, TelegramChannel: of_channel, WebhookChannel: of_channel,
        GuardError: of_error,
    }  # fmt: skip
    with ExitStack() as stack:
        for owner, note in noted.items():
            stack.enter_context(_recording(owner, "__init__", note, left))
        stack.enter_context(_recording(HttpDoor, "request", of_request, left))
        stack.enter_context(patch.object(GuardError, "__del__", _ended(left), create=True))
        yield


LEFT = pytest.StashKey[Left]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail the test whose secrets stand where they do not belong, at its teardown: by then everything is there."""
    outcome: Any = yield
    left = item.stash.get(LEFT, None)
    if call.when != "teardown" or left is None or not left.secrets or outcome.excinfo is not None:
        return
    report = outcome.get_result()
    if not report.passed:
        return
    found: list[str] = []
    try:
        found = leaks(left.secrets, places(left, item, report))
    except Exception as error:  # noqa: BLE001 - it is no leak.
        left.troubles.append(f"the look itself: {error!r}")
    if left.troubles:
        report.sections.append(("canary scan", "\n".join(left.troubles)))
    if found:
        report.outcome = "failed"
        report.longrepr = "a secret was left behind:\n" + "\n".join(found[:20])
