"""Foreign rows become our values here, or an error that names the field. Shared by the venue files."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from guard.errors import VenueUnavailable
from guard.snapshot import Gap, LiquidationKind, Position, Wallet

DIGITS_MAX = 40  # Also behind the point: a thousand zeros there are no price, and a text of as many letters.
MAGNITUDE_MAX = 18  # 1E+18 of anything is a broken answer, not a balance.


_PLAIN = re.compile(
    r"-?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII
)  # Python's own numbers may hold _, blanks and other digits.


def _number(value: object) -> Decimal:
    """Return a finite decimal of sane size. Transport hands numbers on as text or int."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("not a number")  # noqa: TRY004  # pydantic takes ValueError for a finding.
    text = str(value)
    number = Decimal(text) if len(text) <= DIGITS_MAX and _PLAIN.fullmatch(text) else None
    if number is None or number.adjusted() > MAGNITUDE_MAX or _decimals(number) > DIGITS_MAX:
        raise ValueError("not a number")
    return number


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "it is finite: it matched the plain form"
    return -exponent


def _moment(value: object) -> datetime:
    milliseconds = _number(value)
    if not 0 < milliseconds < Decimal("1E+14"):
        raise ValueError("not a time")
    return datetime.fromtimestamp(int(milliseconds) // 1000, UTC).replace(microsecond=int(milliseconds) % 1000 * 1000)


def _not_a_truth(value: object) -> object:
    if isinstance(value, bool):  # pydantic takes true for the literal 1.
        raise ValueError("not a number")  # noqa: TRY004  # As above.
    return value


Number = Annotated[Decimal, BeforeValidator(_number)]
NotATruth = BeforeValidator(_not_a_truth)
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Moment = Annotated[datetime, BeforeValidator(_moment)]  # From milliseconds since 1970, aware UTC.
Word = Annotated[str, Field(min_length=1, max_length=64, strict=True)]


class Row(BaseModel):
    """The part of a foreign row that we read. Names are camelCase on the wire. No field has a default."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


R = TypeVar("R", bound=Row)


class RowError(ValueError):
    """A row cannot be used. The text names the field and what stood in it."""


def read_row(model: type[R], raw: object) -> R:
    """Return the row, or raise RowError."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problem = first_problem(error)
    raise RowError(problem)


def shown(word: object, letters_max: int = 32) -> str:
    """Return what a row calls itself, fit for a text: printable, short; "?" for what is no word."""
    if not isinstance(word, str) or not word:
        return "?"
    return "".join(letter if letter.isprintable() else "?" for letter in word[:letters_max])


def error_said(code: object, text: object) -> tuple[str, str]:
    """Return an error's code and text; a code that is neither word nor number is "?", a text that is none is empty."""
    return str(code)[:16] if isinstance(code, str | int) else "?", text if isinstance(text, str) else ""


def listed_once(wallets: Sequence[Wallet], unread: Sequence[Gap]) -> tuple[list[Wallet], list[Gap]]:
    """Return the wallets that are listed once, and a Gap for each that is listed twice: which holds, nobody knows.

    One of which another row could not be read, as `unread` says, is not among them either.
    """
    named = {gap.subject for gap in unread}
    times = Counter(wallet.currency for wallet in wallets)
    gaps = [Gap(subject=f"wallet {one}", reason="listed twice") for one in sorted(times) if times[one] > 1]
    once = [one for one in wallets if times[one.currency] == 1 and f"wallet {one.currency}" not in named]
    return once, gaps


LISTED_TWICE = "listed twice: of rows with one symbol and side only the one nearer to its liquidation price is watched"


def by_nearness(position: Position) -> tuple[int, Decimal, Decimal]:
    """Return by what rows of one symbol and side are told apart: the smallest is the one to watch.

    The nearest stated price comes first, whatever the order of rows: an unknown one hides no price, and "at no price"
    hides neither. Among equals the larger position. An exchange may hold several of one symbol and side, and everything
    behind the venue knows a position by these two.
    """
    end = position.exchange_liquidation
    order = (LiquidationKind.PAST, LiquidationKind.AT, LiquidationKind.UNKNOWN, LiquidationKind.NONE)
    away = Decimal(0) if end.price is None else abs(end.price - position.mark_price) / position.mark_price
    return order.index(end.kind), away, -position.quantity


def first_problem(error: ValidationError) -> str:
    finding = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in finding["loc"]) or "row"
    if finding["type"] == "missing":
        return f"{field} is missing"
    return f"{field} is {str(finding['input'])[:40]!r}"


def rows_of(answer: object, what: str) -> list[Any]:
    """Return the rows of a list answer. Raises VenueUnavailable when it is none."""
    if not isinstance(answer, list):
        raise VenueUnavailable(f"{what}: expected a list, found {type(answer).__name__}")
    return answer
