"""Durations, percentages, amounts of money and words, read as people write them.

Every function raises ValueError with what was expected; the caller says what was found and where. Bare numbers are
refused wherever a reader could take them for something else.
"""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from guard.config.problems import did_you_mean
from guard.policy.terms import Amount, AmountUnit, Level, Mode
from guard.snapshot import MarginMode, Side

NEVER: Literal["never"] = "never"
DURATION_PATTERN = r"^(?=\d)(\d{1,5}d)?(\d{1,5}h)?(\d{1,5}m)?(\d{1,5}(\.\d{1,3})?s)?$"
PERCENT_PATTERN = r"^\d{1,4}(\.\d{1,6})?\s?%$"
_NUMBER = r"\d{1,15}(?:\.\d{1,18})?"
MONEY_PATTERN = rf"^({_NUMBER}|{_NUMBER} [A-Z0-9]{{1,15}})$"
ALLOWANCE_PATTERN = rf"^({_NUMBER}|{_NUMBER} [A-Z0-9]{{1,15}}|{_NUMBER}x)$"
RESERVE_PATTERN = rf"^({_NUMBER}|{_NUMBER} [A-Z0-9]{{1,15}}|\d{{1,3}}(\.\d{{1,6}})?%)$"

_DURATION = re.compile(r"(?=\d)(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,5}(?:\.\d{1,3})?)s)?", re.ASCII)
_PERCENT = re.compile(r"(\d{1,4}(?:\.\d{1,6})?)\s?%", re.ASCII)
_AMOUNT = re.compile(rf"({_NUMBER})(?: ([A-Z0-9]{{1,15}})|(x)|(%))?", re.ASCII)
_BARE = re.compile(r"\s*-?\d{1,9}(?:\.\d{1,9})?\s*", re.ASCII)  # Worth an example of how to write it.

_CHANNEL_LEVELS = (Level.WATCH, Level.WARN, Level.DANGER, Level.CRITICAL)


def duration(value: object) -> timedelta:
    """Return "30s", "5m", "1h30m" or "2d" as a time span, zero included."""
    if is_bare(value):
        raise ValueError(f"ambiguous: write '{str(value).strip()}s' (or m, h, d)")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a duration such as '30s', '5m', '1h30m' or '2d'")
    days, hours, minutes, seconds = (Decimal(part or 0) for part in match.groups())
    return timedelta(days=int(days), hours=int(hours), minutes=int(minutes), milliseconds=int(seconds * 1000))


def repeat(value: object) -> timedelta | Literal["never"]:
    """Return a duration of at least 10 s, or `never`."""
    if value == NEVER:
        return NEVER
    try:
        interval = duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 'never'") from None
    if interval < timedelta(seconds=10):
        raise ValueError("expected at least '10s', or 'never'")
    return interval


def percent(value: object) -> Decimal:
    """Return "8%" as the fraction 0.08."""
    if is_bare(value):
        number = Decimal(str(value).strip())
        scaled = f" or '{(number * 100).normalize():f}%'" if 0 < number < 1 else ""
        raise ValueError(f"ambiguous: write '{number}%'{scaled}")
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a percentage such as '8%' or '2.5%'")
    return Decimal(match[1]) / 100


def distance(value: object) -> Decimal:
    """Return a distance from liquidation as a fraction of the mark price: above 0, below 1."""
    fraction = percent(value)
    if not 0 < fraction < 1:  # A long can never be 100 % away: such a target would take all the money.
        raise ValueError("expected a percentage above '0%' and below '100%'")
    return fraction


def money(value: object) -> Amount:
    """Return "250" (US dollars) or "0.01 BTC"."""
    return _amount(
        value, "expected an amount such as '250' (US dollars) or '0.01 BTC'", {AmountUnit.DOLLARS, AmountUnit.COIN}
    )


def allowance(value: object) -> Amount:
    """Return money, or "0.5x" of the position's initial margin."""
    return _amount(
        value,
        "expected an amount such as '250' (US dollars), '0.01 BTC' or '0.5x' (of the position's initial margin)",
        {AmountUnit.DOLLARS, AmountUnit.COIN, AmountUnit.INITIAL_MARGINS},
    )


def reserve(value: object) -> Amount:
    """Return money, or "10%" of the paying wallet's equity. Zero is a reserve too."""
    expected = "expected a share such as '10%' (of the wallet's equity), or an amount such as '250' or '0.01 BTC'"
    units = {AmountUnit.DOLLARS, AmountUnit.COIN, AmountUnit.OF_EQUITY}
    amount = _amount(value, expected, units, zero_allowed=True)
    if amount.unit is AmountUnit.OF_EQUITY and amount.value > 1:
        raise ValueError("expected at most '100%'")
    return amount


def _amount(value: object, expected: str, units: set[AmountUnit], *, zero_allowed: bool = False) -> Amount:
    if is_bare(value) and not isinstance(value, str):
        raise ValueError(f'{expected}; money is written in quotes: "{value}"')
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(expected + _amount_hint(value))
    number, coin, multiple, share = match.groups()
    unit = AmountUnit.DOLLARS
    if coin:
        unit = AmountUnit.COIN
    elif multiple:
        unit = AmountUnit.INITIAL_MARGINS
    elif share:
        unit = AmountUnit.OF_EQUITY
    if unit not in units:
        raise ValueError(expected)
    figure = Decimal(number)
    if not (figure > 0 or zero_allowed):
        raise ValueError(f"{expected}, above 0")
    return Amount(unit=unit, value=figure / 100 if share else figure, coin=coin, written=match[0])


def _amount_hint(value: object) -> str:
    if not isinstance(value, str):
        return ""
    plain = value.strip().replace(",", "").replace("_", "").replace("$", "").strip()
    plain = re.sub(r"(?<=\d)\s*(?=[A-Za-z]{2,}$)", " ", plain)
    plain = plain if plain.endswith("x") else plain.upper()
    return f", did you mean '{plain}'?" if plain != value and _AMOUNT.fullmatch(plain) else ""


def mode(value: object) -> Mode:
    return Mode[_word(value, tuple(mode.word for mode in Mode)).upper()]


def channel_level(value: object) -> Level:
    return Level[_word(value, tuple(level.word for level in _CHANNEL_LEVELS)).upper()]


def side(value: object) -> Side | None:
    """Return a side. None for "*": both."""
    word = _word(value, ("long", "short", "*"))
    return None if word == "*" else Side[word.upper()]


def margin_mode(value: object) -> MarginMode | None:
    """Return a margin mode. None for "*": both."""
    word = _word(value, ("isolated", "cross", "*"))
    return None if word == "*" else MarginMode(word)


def when_short(value: object) -> bool:
    """Return whether to spend where the budget cannot save the position."""
    return _word(value, ("stop", "spend")) == "spend"


def _word(value: object, known: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in known:
        return value
    hint = did_you_mean(value.lower(), known) if isinstance(value, str) else ""
    raise ValueError(f"expected {', '.join(known[:-1])} or {known[-1]}{hint}")


def is_bare(value: object) -> bool:
    """Tell whether this is a number without a unit."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (is_number or isinstance(value, str)) and _BARE.fullmatch(str(value)) is not None
