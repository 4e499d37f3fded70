"""What the classifier suite must know of a venue. Each venue has a `classified_<name>.py` with one of these."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from raw_server import http

from guard.snapshot import MarginRequest
from guard.venues.write_answers import WriteAnswers

APPLIED, NOT_APPLIED, UNKNOWN = "applied", "not applied", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """One venue under the suite of test_write_classifier.py."""

    name: str
    answers: WriteAnswers
    request: MarginRequest
    yes: bytes  # The body that confirms `request`.
    refused_status: int  # The HTTP status under which a listed code usually comes.
    open_on: Callable[[str], AbstractAsyncContextManager[Any]]  # An open venue whose one write goes to this address.
    refusal: Callable[[str], bytes]  # A body with this code; the code may be one that was never seen.
    refusal_in_words: Callable[[str, str], bytes]  # The same said without a code: code and meaning.
    amount_of: Callable[[bytes], str]  # The amount, as text, in the body of a request.
    not_yes: tuple[bytes, ...]  # Bodies near to `yes` that confirm nothing: another amount, kind or code.
    codes_never_seen: tuple[str, ...]
    rows: Mapping[str, tuple[bytes, str]] = field(default_factory=dict)  # Its own: whole answers and their outcome.
    # A refusal that says how long to stay away, and how long that is.
    limited: tuple[bytes, timedelta] = (http(429, b"<html>", Retry_After="30"), timedelta(seconds=30))
