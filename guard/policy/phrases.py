"""Figures inside reasons, as a person reads them: rounded against ourselves, never used to compute."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from guard.snapshot import DOLLAR_STABLECOINS, PositionKey

_WIDE = Context(prec=60)


def percent(fraction: Decimal) -> str:
    """Return a distance in percent, rounded down to a hundredth: 0.07859 is `7.85 %`."""
    rounded = (fraction * 100).quantize(Decimal("0.01"), rounding=ROUND_FLOOR, context=_WIDE)
    return f"{_plain(rounded)} %"


def short_name(key: PositionKey) -> str:
    """Return the shortest name a trader recognizes: `BTC long`; `BTC/USD long` where the coin itself is the margin."""
    pair, _, settle = key.symbol.partition(":")
    base = pair.partition("/")[0]
    coin, _, expiry = settle.partition("-")
    name = pair if coin == base else base
    return f"{name}{'-' if expiry else ''}{expiry} {key.side.word}"


def ratio(value: Decimal) -> str:
    """Return a ratio of two amounts, rounded down to a hundredth."""
    return _plain(value.quantize(Decimal("0.01"), rounding=ROUND_FLOOR, context=_WIDE))


def money_left(amount: Decimal, currency: str) -> str:
    return _money(amount, currency, ROUND_FLOOR)


def money_needed(amount: Decimal, currency: str) -> str:
    return _money(amount, currency, ROUND_CEILING) if amount.is_finite() else "more than any amount"


def _money(amount: Decimal, currency: str, rounding: str) -> str:
    step = Decimal("0.01") if currency in DOLLAR_STABLECOINS else Decimal("0.00000001")
    return f"{_plain(amount.quantize(step, rounding=rounding, context=_WIDE))} {currency}"


def _plain(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
