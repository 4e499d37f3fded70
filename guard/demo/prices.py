"""Where prices go: the scripted crash, or a market from a file."""

import csv
import gzip
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from guard.errors import ConfigError

COLUMNS = ("symbol", "time", "open", "high", "low", "close")
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}USDT")
BAR_DEFAULT = timedelta(minutes=1)  # When a file has a single bar.
WINDOW = timedelta(hours=12)
YEARS = range(2009, 2100)  # No coin is older, and a time that ends the calendar has no window round it.
PRICE_MIN, PRICE_MAX = Decimal("1E-6"), Decimal("1E+7")  # Dollars: the wire has eight decimals.
SCRIPT_START = datetime(2025, 10, 10, 20, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    at: datetime  # When it opens.
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One symbol's price at one moment of the market."""

    at: datetime
    symbol: str
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The whole path, in order of time, of every symbol."""

    points: tuple[Point, ...]

    @property
    def start(self) -> datetime:
        return self.points[0].at

    @property
    def end(self) -> datetime:
        return self.points[-1].at

    def opening(self) -> Mapping[str, Decimal]:
        """Return each symbol's first price, the most fallen symbol first."""
        first: dict[str, Decimal] = {}
        lowest: dict[str, Decimal] = {}
        for point in self.points:
            first.setdefault(point.symbol, point.price)
            lowest[point.symbol] = min(point.price, lowest.get(point.symbol, point.price))
        return dict(sorted(first.items(), key=lambda item: lowest[item[0]] / item[1]))

    def lowest(self) -> Mapping[str, Decimal]:
        found: dict[str, Decimal] = {}
        for point in self.points:
            found[point.symbol] = min(point.price, found.get(point.symbol, point.price))
        return found


def scripted(minutes: Sequence[int], prices: Mapping[str, Sequence[str]]) -> Market:
    """Return a market that goes straight from point to point."""
    points = [
        Point(at=SCRIPT_START + timedelta(minutes=minute), symbol=symbol, price=Decimal(price))
        for symbol, path in prices.items()
        for minute, price in zip(minutes, path, strict=True)
    ]
    return Market(points=tuple(sorted(points, key=lambda point: point.at)))


def read_market(path: Path) -> Market:
    """Return the twelve hours round the low of the symbol that fell most, with every symbol of the file.

    Within a bar the price goes open, low, high, close. Raises ConfigError that names the line.
    """
    bars = _read_bars(path)
    _, low_at = min((bar.low / series[0].open, bar.at) for series in bars.values() for bar in series)
    start, end = low_at - WINDOW / 2, low_at + WINDOW / 2
    points = [
        point
        for symbol, series in bars.items()
        for point in _points(symbol, [bar for bar in series if start <= bar.at < end], _length(series))
    ]
    return Market(points=tuple(sorted(points, key=lambda point: point.at)))


def _points(symbol: str, bars: Iterable[Bar], length: timedelta) -> Iterator[Point]:
    for bar in bars:
        for part, price in enumerate((bar.open, bar.low, bar.high, bar.close)):
            yield Point(at=bar.at + length * part / 4, symbol=symbol, price=price)


def _length(bars: Sequence[Bar]) -> timedelta:
    """Return the bars' own length: the shortest step between two of them, for a file may have holes."""
    return min((later.at - bar.at for bar, later in itertools.pairwise(bars)), default=BAR_DEFAULT)


def _read_bars(path: Path) -> dict[str, list[Bar]]:
    bars: dict[str, list[Bar]] = {}
    try:
        # Spreadsheets begin their CSV with a byte order mark.
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise ConfigError(f"{path}:1: no column {', '.join(missing)}; expected {','.join(COLUMNS)}")
            for number, row in enumerate(rows, start=2):
                if not _SYMBOL.fullmatch(row["symbol"] or ""):
                    raise ConfigError(f"{path}:{number}: symbol: found {row['symbol']!r}, expected one as BTCUSDT")
                bars.setdefault(row["symbol"], []).append(_bar(row, f"{path}:{number}"))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as CSV or CSV.gz: {error}") from None
    if not bars:
        raise ConfigError(f"{path}: no bars in it; expected lines of {','.join(COLUMNS)}")
    return {symbol: _in_order(symbol, series, path) for symbol, series in bars.items()}


def _in_order(symbol: str, series: Iterable[Bar], path: Path) -> list[Bar]:
    found = sorted(series, key=lambda bar: bar.at)
    for earlier, later in itertools.pairwise(found):
        if earlier.at == later.at:
            raise ConfigError(f"{path}: {symbol}: found two bars at {later.at:%Y-%m-%dT%H:%M:%SZ}, expected one")
    return found


def _bar(row: Mapping[str, str | None], place: str) -> Bar:
    try:
        at = datetime.fromisoformat(str(row["time"]))
    except ValueError:
        at = datetime.min.replace(tzinfo=UTC)
    if at.year not in YEARS:
        raise ConfigError(f"{place}: time: found {row['time']!r}, expected ISO 8601 as 2025-10-10T20:30:00Z")
    prices = {name: _price(row[name], f"{place}: {name}") for name in COLUMNS[2:]}
    if (
        not prices["low"]
        <= min(prices["open"], prices["close"])
        <= max(prices["open"], prices["close"])
        <= prices["high"]
    ):
        raise ConfigError(f"{place}: open and close must lie between low and high")
    return Bar(at=at if at.tzinfo else at.replace(tzinfo=UTC), **prices)


def _price(text: str | None, place: str) -> Decimal:
    try:
        price = Decimal(str(text))
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or price <= 0:
        raise ConfigError(f"{place}: found {text!r}, expected a positive price")
    if not PRICE_MIN <= price <= PRICE_MAX:
        raise ConfigError(f"{place}: found {text!r}, expected a price from {PRICE_MIN:f} to {PRICE_MAX:f}")
    return price
