"""What the house asks of an exchange. Reads raise VenueUnavailable or KeysRefused; only `add_margin` writes."""

from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from guard.margin import RuleBook, TierTable
from guard.snapshot import (
    AccountSnapshot,
    Contract,
    Gap,
    HaircutTier,
    MarginChange,
    MarginRequest,
    Mark,
    PositionEnding,
    PositionKey,
    Settlement,
    StopOrder,
)
from guard.venues.shared import Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueAccount:
    """What a venue needs to know of one account. Secrets are plain here and nowhere else."""

    account: str
    exchange: str  # ccxt id.
    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    password: str | None = field(repr=False)
    ccxt: Mapping[str, object] = field(
        repr=False
    )  # Constructor options of the user (urls, proxies, options), already screened.
    shared: Shared = field(default_factory=Shared, repr=False, compare=False)  # With the other accounts of the process.


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTerms:
    """Figures of a venue that bound a margin write."""

    fence: timedelta  # After the request started: later than this it can no longer be executed.
    history_kept: timedelta  # How far back the exchange's adjustment history goes. Zero: there is none.
    test_host: bool  # All hosts in use are loopback, testnet or demo hosts.


class KeyVerdict(StrEnum):
    SAFE = "safe"
    TOO_POWERFUL = "too_powerful"  # May withdraw or transfer: never arm.
    READ_ONLY = "read_only"  # Cannot add margin.
    UNVERIFIABLE = "unverifiable"  # The exchange has no such question, or did not answer.


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyScopes:
    verdict: KeyVerdict
    scopes: tuple[str, ...]  # The exchange's own words.
    ip_restricted: bool | None
    text: str  # One sentence for people.
    expires_at: datetime | None = None  # None: never, or the exchange does not say.


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTables:
    """The leverage brackets of the symbols asked for, and of others where they come along for nothing.

    What could not be read is a gap, never an empty table.
    """

    by_symbol: Mapping[str, TierTable]
    read_at: datetime
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One bar of mark prices. Floats: for the outlook only, never for money."""

    opened_at: datetime
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountNews:
    """Something happened to an account: to positions, margin or balances. What, its next read tells."""

    age: timedelta  # How long ago, by the exchange's clock at both ends.


class Venue(Protocol):
    """One account at one exchange. Requests go out one at a time. Not thread-safe."""

    account: str
    exchange: str
    write_terms: WriteTerms

    @property
    def rules(self) -> RuleBook:
        """The rules that positions are held to, as far as read. `tiers` may have made them more exact."""
        ...

    @property
    def watch_only(self) -> str | None:
        """Why no margin is added at this account, whatever is armed, for people. None: it can be. As of `snapshot`."""
        ...

    @property
    def skew(self) -> timedelta | None:
        """The exchange's clock minus ours as last measured. None: not measured, for no request was refused for it."""
        ...

    async def open(self) -> None:
        """Load markets, asset mode and position mode: the lean start. May be called again after a failure."""
        ...

    @property
    def contracts(self) -> Mapping[str, Contract]:
        """Every market by its unified symbol, as of the last `open`."""
        ...

    async def snapshot(self) -> AccountSnapshot:
        """Read positions and wallets. A bad row is a Gap with its key; the others stay."""
        ...

    async def tiers(self, symbols: frozenset[str]) -> TierTables:
        """Read the leverage brackets of these symbols."""
        ...

    haircuts_count_dollars: bool  # Whether the floors of `haircuts` are dollars, not units of the asset.

    async def haircuts(self, assets: frozenset[str]) -> Mapping[str, tuple[HaircutTier, ...]]:
        """Read by how much less than its worth each of these assets counts where several back everything.

        An asset of which nothing is said is left out; empty also where it is not asked. Raises VenueUnavailable.
        """
        ...

    async def mark(self, symbol: str) -> Mark:
        """Read one mark price now."""
        ...

    def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark]:
        """Stream mark prices until closed. Ends by VenueUnavailable when the stream breaks: the caller reopens it."""
        ...

    def watch_account(self) -> AsyncGenerator[AccountNews] | None:
        """Stream news of the account until closed: once when the stream stands, then at each event.

        It replaces no read: it says that one is due. Ends by VenueUnavailable or KeysRefused: the caller reopens it.
        None: what this exchange tells of its accounts cannot be used.
        """
        ...

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        """Read mark-price candles, oldest first."""
        ...

    def margin_step(self, currency: str) -> Decimal:
        """Return the smallest amount of margin that can be added, in the settle currency."""
        ...

    async def add_margin(self, request: MarginRequest) -> str:
        """Send one POST, once. Return the exchange's confirmation for the journal, only on positive evidence.

        Raises VenueRefused on a listed clear no, OutcomeUnknown on everything else (cancellation passes through).
        """
        ...

    async def margin_changes(
        self, keys: Collection[PositionKey], since: datetime, *, also: Collection[str] = ()
    ) -> tuple[MarginChange, ...]:
        """Read the adjustment history of the symbols of these open positions and of `also`, oldest first.

        What is open is the caller's to say, as of its last read: another read here could contradict it. An entry that
        names no side is of `keys`, of either side where its symbol is not among them. Raises VenueUnavailable also
        where the exchange keeps none.
        """
        ...

    async def traded_lately(self) -> frozenset[str] | None:
        """Return the symbols to ask `margin_changes` about beside the open ones, for the last 24 h.

        Those of every position that was open then and is closed now. Empty: there is none, or `margin_changes` tells of
        closed positions by itself. None: this exchange cannot say, so what went into those stays unknown.
        """
        ...

    async def settle(
        self, request: MarginRequest, *, sent_at: datetime, now: datetime, known_entries: frozenset[str]
    ) -> Settlement:
        """Look for the effect of a request whose answer was lost. NOT_APPLIED only after `write_terms.fence`.

        `known_entries` are history entries that already prove other requests.
        """
        ...

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:
        """Read the orders that would close positions of these symbols at a price."""
        ...

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:
        """Read from the fills since a moment of our clock how a position that is gone ended.

        Of one that is there, smaller than before: LIQUIDATED or DELEVERAGED where the exchange took that part.
        """
        ...

    async def key_scopes(self) -> KeyScopes: ...

    async def clock_skew(self) -> timedelta:
        """Return the exchange's clock minus ours."""
        ...

    def follow_clock(self, step: timedelta) -> None:
        """Take over that our clock was set: `step` is how far forward."""
        ...

    def hosts(self) -> tuple[str, ...]:
        """Return every host that requests may go to."""
        ...

    def be_quiet(self, duration: timedelta) -> None:
        """Send nothing for so long: the exchange asked an earlier process for it."""
        ...

    async def close(self) -> None: ...
