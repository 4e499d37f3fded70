"""Foreign rows become our values here, or an error that names the field. Shared by the venue files."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from guard.errors import VenueUnavailable

DIGITS_MAX = 40
MAGNITUDE_MAX = 18  # 1E+18 of anything is a broken answer, not a balance.


def _number(value: object) -> Decimal:
    """Return a finite decimal of sane size. Transport hands numbers on as text or int."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("not a number")  # noqa: TRY004  # pydantic takes ValueError for a finding.
    text = str(value)
    try:
        number = Decimal(text) if len(text) <= DIGITS_MAX else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number.adjusted() > MAGNITUDE_MAX:
        raise ValueError("not a number")
    return number


def _moment(value: object) -> datetime:
    milliseconds = _number(value)
    if not 0 < milliseconds < Decimal("1E+14"):
        raise ValueError("not a time")
    return datetime.fromtimestamp(int(milliseconds) // 1000, UTC).replace(microsecond=int(milliseconds) % 1000 * 1000)


Number = Annotated[Decimal, BeforeValidator(_number)]
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
