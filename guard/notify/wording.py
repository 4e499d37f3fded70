"""Figures as people read them on a phone: short, with thousands separators, and rounded against ourselves.

What is required is rounded up, what is free or far is rounded down, a liquidation price is rounded towards the mark.
"""

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext

from guard.snapshot import DOLLAR_STABLECOINS

_PRICE_DIGITS = 5
_COIN_DIGITS = 6
_DIGITS_MAX = 300


def price(value: Decimal) -> str:
    """Return a price of the market in five significant digits at least, all of its integer digits kept."""
    return _plain(_cut(value, _PRICE_DIGITS, ROUND_FLOOR))


def liquidation_price(value: Decimal, *, mark: Decimal) -> str:
    """Return a liquidation price rounded towards the mark, with as many digits as keep it off the mark."""
    if value == mark:
        return _plain(value)
    rounding = ROUND_CEILING if value < mark else ROUND_FLOOR
    for digits in range(_PRICE_DIGITS, len(value.as_tuple().digits) + 1):
        cut = _cut(value, digits, rounding)
        if cut < mark if value < mark else cut > mark:
            return _plain(cut)
    return _plain(value)


def required(amount: Decimal, currency: str) -> str:
    """Return what something costs, rounded up."""
    return f"{_money(amount, currency, ROUND_CEILING)} {currency}"


def free(amount: Decimal, currency: str) -> str:
    """Return what is there to be used, rounded down."""
    return f"{_money(amount, currency, ROUND_FLOOR)} {currency}"


def distance(fraction: Decimal) -> str:
    """Return how far it is, in percent, rounded down: one decimal, two below 1 %."""
    percent = fraction * 100
    step = Decimal("0.01") if abs(percent) < 1 else Decimal("0.1")
    return f"{_plain(_stepped(percent, step, ROUND_FLOOR))} %"


def share(fraction: Decimal) -> str:
    """Return how much is used up, in percent, rounded up to a whole one."""
    return f"{_plain(_stepped(fraction * 100, Decimal(1), ROUND_CEILING))} %"


def chance(probability: float) -> str:
    """Return a probability in whole percent; what is small but possible is never called zero."""
    percent = probability * 100
    return "under 1 %" if percent < 1 else f"{percent:.0f} %"


def duration(span: timedelta) -> str:
    """Return a span in its largest fitting unit, rounded up: an age never looks younger than it is."""
    seconds = -(-max(span, timedelta(0)) // timedelta(seconds=1))
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{-(-seconds // size)} {name}"
    return f"{seconds} s"


def signed_move(fraction: Decimal) -> str:
    """Return a move of prices with its sign, in percent, rounded towards none: it takes no more than this."""
    percent = _stepped(fraction * 100, Decimal("0.1"), ROUND_DOWN)
    return f"{'+' if fraction > 0 else ''}{_plain(percent)} %"


def clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"


def _money(amount: Decimal, currency: str, rounding: str) -> str:
    if currency in DOLLAR_STABLECOINS:
        return f"{_stepped(amount, Decimal('0.01'), rounding):,f}".removesuffix(".00")
    return _plain(_cut(amount, _COIN_DIGITS, rounding))


def _cut(value: Decimal, digits: int, rounding: str) -> Decimal:
    """Return the value in `digits` significant digits, more where the integer part has more."""
    if value == 0:
        return value
    return _stepped(value, Decimal(1).scaleb(min(value.adjusted() - digits + 1, 0)), rounding)


def _stepped(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    """Return a figure in whole steps, however large: an account file may hold sizes of 1e40, each times a price."""
    with localcontext() as context:
        context.prec = _DIGITS_MAX
        return value.quantize(step, rounding)


def _plain(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
