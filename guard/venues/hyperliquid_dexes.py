"""The dexes of Hyperliquid beside the main one (HIP-3): which there are, where something is, and what is seen there.

Each has markets, margin tables, a collateral and an account of its own: "separate DEX balances. Cross margin applies to
each DEX separately" (docs, account abstraction modes, 2026-09). Where an account has money or positions is looked at
with every read, the rest every ten minutes, and at once where the account's stream told of it. A dex that does not
answer is asked again after half a minute, so that it does not hold up the others each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guard.errors import VenueUnavailable
from guard.snapshot import Contract, Gap, MarginMode, Position
from guard.venues.hyperliquid_account import USDC, AccountState, Reading
from guard.venues.hyperliquid_markets import Markets
from guard.venues.rows import Row, RowError, Word, read_row, rows_of
from guard.venues.search import Search

SWEEP = timedelta(minutes=10)  # How often the list of dexes, and one where nothing is, is looked at.
AFTER_FAILURE = timedelta(seconds=30)


class _Dex(Row):
    name: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one dex said of the account in this read."""

    dex: str  # Empty: the main one.
    state: AccountState
    reading: Reading
    read_at: datetime


@dataclass(slots=True, kw_only=True)
class Dex:
    """A dex beside the main one, as it is remembered."""

    name: str
    place: int  # In perpDexs, where the main one is 0.
    token: int | None = None  # Its collateral. None: its markets were not read yet.
    currency: str = USDC  # What that is called.
    markets: Markets = field(default_factory=Markets)
    search: Search = field(default_factory=Search)  # For coins that are not among its markets.
    looked_at: datetime | None = None
    failed_at: datetime | None = None  # None: the last look succeeded.
    failure: str = ""
    is_used: bool = False  # Money or positions are there, as last looked at.
    held: tuple[Position, ...] = ()  # As last listed.

    def is_due(self, now: datetime, told: frozenset[str]) -> bool:
        if self.failed_at is not None:
            return abs(now - self.failed_at) >= AFTER_FAILURE
        return self.is_used or self.name in told or self.looked_at is None or abs(now - self.looked_at) > SWEEP

    def note(self, part: Part, at: datetime) -> None:
        self.looked_at, self.failed_at, self.failure = at, None, ""
        self.is_used = bool(part.state.asset_positions) or part.state.margin_summary.account_value != 0
        self.held = part.reading.positions

    def note_failure(self, error: VenueUnavailable, at: datetime) -> None:
        self.failed_at, self.failure = at, str(error)

    def gaps(self) -> Iterator[Gap]:
        """Yield what is not seen there: nothing, or the dex and each position that was there."""
        if self.failed_at is None and self.looked_at is not None:
            return
        reason = f"not read: {self.failure}" if self.failed_at is not None else "not read yet"
        # Never seen by this process, it may hold what an earlier one saw: that is not gone then.
        yield Gap(subject=f"dex {self.name}", reason=reason, may_be_cross=self.looked_at is None, wallet=self.name)
        for one in self.held:
            is_cross = one.margin_mode is MarginMode.CROSS
            text = f"dex {self.name} {reason}"
            yield Gap(subject=str(one.key), reason=text, key=one.key, may_be_cross=is_cross, wallet=self.name)


def read_dexes(answer: object) -> dict[str, int]:
    """Return the dexes beside the main one, by their place in the list. Raises VenueUnavailable.

    The main one is listed first, and as null. Places make a market's number, so a list of another shape is none.
    """
    rows = rows_of(answer, "perpDexs")
    if not rows or rows[0] is not None:
        raise VenueUnavailable("perpDexs: the main dex is not the first")
    try:
        places = {read_row(_Dex, raw).name: place for place, raw in enumerate(rows) if raw is not None}
    except RowError as error:
        raise VenueUnavailable(f"perpDexs: {error}") from None
    if len(places) < sum(raw is not None for raw in rows):
        raise VenueUnavailable("perpDexs: two dexes have one name")
    return places


class Dexes:
    """All of them, as last listed. One that is not listed any more stays while positions were there."""

    def __init__(self) -> None:
        self._known: dict[str, Dex] = {}
        self.listed_at: datetime | None = None

    def __iter__(self) -> Iterator[Dex]:
        return iter(self._known.values())

    def is_old(self, now: datetime) -> bool:
        return self.listed_at is None or abs(now - self.listed_at) > SWEEP

    def take(self, places: dict[str, int], at: datetime) -> None:
        """Take over a list of dexes. One that stands elsewhere in it than before is read anew: its numbers changed."""
        kept = {name: dex for name, dex in self._known.items() if places.get(name, dex.place) == dex.place}
        left = {name: dex for name, dex in kept.items() if name in places or dex.held}
        fresh = {name: Dex(name=name, place=place) for name, place in places.items() if name not in left}
        self._known, self.listed_at = left | fresh, at

    def get(self, name: str) -> Dex | None:
        return self._known.get(name)

    def of_symbol(self, symbol: str) -> Dex | None:
        """Return the dex whose market this is, or would be by its name before its markets were read."""
        known = (dex for dex in self if symbol in dex.markets.coins)
        named = (dex for dex in self if symbol.startswith(f"{dex.name.upper()}-"))
        return next(iter([*known, *named]), None)

    def contracts(self) -> Iterator[Contract]:
        for dex in self:
            yield from dex.markets.by_coin.values()
