"""The market: which symbols are traded, at what mark price, and one-minute bars of what the mark price was."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

QUOTES = ("USDT", "USDC")
BARS_KEPT = 2880  # Two days of minutes.
MINUTE = timedelta(minutes=1)

DEFAULT_MARKS: Mapping[str, Decimal] = {
    "BTCUSDT": Decimal(60_000),
    "ETHUSDT": Decimal(3_000),
    "SOLUSDT": Decimal(150),
    "XRPUSDT": Decimal("0.6"),
    "DOGEUSDT": Decimal("0.12"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a symbol is. Steps are made up from the first price; nothing of the margin model rests on them."""

    symbol: str  # The exchange's own, BTCUSDT.
    base: str
    quote: str  # Also the margin asset.
    price_decimals: int
    quantity_decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkBar:
    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    def with_price(self, price: Decimal) -> "MarkBar":
        return replace(self, high=max(self.high, price), low=min(self.low, price), close=price)


class Market:
    """Symbols and their mark prices."""

    def __init__(self) -> None:
        self.listings: dict[str, Listing] = {}
        self.marks: dict[str, Decimal] = {}
        self._bars: dict[str, deque[MarkBar]] = {}

    def set_marks(self, marks: Mapping[str, Decimal], at: datetime) -> None:
        """Set mark prices, all or none; a symbol not seen before is listed by its own. Raises ValueError."""
        self.listings |= {symbol: self._listing(symbol, mark) for symbol, mark in marks.items()}
        for symbol, mark in marks.items():
            self.marks[symbol] = mark
            self._note(self._bars.setdefault(symbol, deque(maxlen=BARS_KEPT)), mark, _floor(at, MINUTE))

    def _listing(self, symbol: str, mark: Decimal) -> Listing:
        if not (mark.is_finite() and mark > 0):
            raise ValueError(f"{symbol}: a mark price is positive, not {mark}")
        return self.listings.get(symbol) or _listing(symbol, mark)

    def _note(self, bars: deque[MarkBar], mark: Decimal, minute: datetime) -> None:
        if bars and bars[-1].opened_at >= minute:  # The same minute, or the clock was put back.
            bars[-1] = bars[-1].with_price(mark)
            return
        _stand_still(bars, minute)
        bars.append(MarkBar(opened_at=minute, open=mark, high=mark, low=mark, close=mark))

    def bars(self, symbol: str, *, interval: timedelta, count: int, now: datetime) -> tuple[MarkBar, ...]:
        """Return the newest bars, oldest first, the running one last. Fewer when the symbol is that young."""
        minutes = deque(self._bars[symbol], maxlen=BARS_KEPT)
        _stand_still(minutes, _floor(now, MINUTE) + MINUTE)
        return tuple(_merge(minutes, interval))[-count:]


def _stand_still(bars: deque[MarkBar], until: datetime) -> None:
    """Fill the minutes in which nothing was said: the price stood still."""
    if not bars:
        return
    opened_at = max(bars[-1].opened_at + MINUTE, until - BARS_KEPT * MINUTE)
    price = bars[-1].close
    while opened_at < until:
        bars.append(MarkBar(opened_at=opened_at, open=price, high=price, low=price, close=price))
        opened_at += MINUTE


def _merge(minutes: Iterable[MarkBar], interval: timedelta) -> Iterator[MarkBar]:
    merged: MarkBar | None = None
    for bar in minutes:
        opened_at = _floor(bar.opened_at, interval)
        if merged is not None and merged.opened_at == opened_at:
            low, high = min(merged.low, bar.low), max(merged.high, bar.high)
            merged = replace(merged, low=low, high=high, close=bar.close)
            continue
        if merged is not None:
            yield merged
        merged = replace(bar, opened_at=opened_at)
    if merged is not None:
        yield merged


def _floor(moment: datetime, interval: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (moment - epoch) // interval * interval


def _listing(symbol: str, mark: Decimal) -> Listing:
    quote = next((one for one in QUOTES if symbol.endswith(one)), None)
    if quote is None or not re.fullmatch(r"[A-Z0-9]{2,24}", symbol) or symbol == quote:
        raise ValueError(f"{symbol!r}: a symbol looks like BTCUSDT and ends in {' or '.join(QUOTES)}")
    magnitude = mark.adjusted()  # 60000 is 4, 0.12 is -1.
    return Listing(
        symbol=symbol,
        base=symbol.removesuffix(quote),
        quote=quote,
        price_decimals=min(8, max(1, 5 - magnitude)),
        quantity_decimals=min(3, max(0, magnitude - 1)),
    )
