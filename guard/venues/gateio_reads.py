"""Reading a Gate futures account: which settle currencies to look through, pages, modes and markets."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from guard.errors import KeysRefused, VenueUnavailable
from guard.margin import MarginRule, RuleBook
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import AccountSnapshot, AssetMode, Contract, Gap, Position, Wallet
from guard.venues.base import VenueBase
from guard.venues.gateio_account import Market, Markets, open_rows, read_market, read_positions
from guard.venues.gateio_wallet import Account, is_in_use, read_account, read_unified, read_wallet
from guard.venues.gateio_wire import NO_ACCOUNT, NO_RIGHT, SETTLES, wire_of
from guard.venues.protocol import VenueAccount
from guard.venues.transport import Answered

SWEEP = timedelta(minutes=10)  # How long a settle currency without money and positions is not looked at.
USUAL = "usdt"  # Looked at in every cycle.
PAGE_ROWS = 100  # The exchange's own page, and the most that it documents.
PAGES_MAX = 20
CLOCK_SET_S = 1.0  # More than this between our wall clock and the time that passed is a clock that was set.
RULE = KNOWN_RULES["gate"].rule


class GateReads(VenueBase):
    """The part of a Gate account that is read every cycle."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime]) -> None:
        super().__init__(account, wire_of(), now=now)
        self.rules = RuleBook.uniform(RULE)
        self._markets: Markets = {}
        self._accounts: dict[str, Account] = {}  # By settle, as of the last look. None there: never looked.
        self._looked_at: dict[str, datetime] = {}
        self._in_use: frozenset[str] = frozenset({USUAL})
        self._measured: tuple[float, float] | None = None  # Wall clock (ms) and loop time of the last `clock_skew`.

    @property
    def watch_only(self) -> str | None:
        reasons = (account.watch_only for account in self._accounts.values())
        return next((reason for reason in reasons if reason is not None), None)

    @property
    def contracts(self) -> Mapping[str, Contract]:
        return {market.contract.symbol: market.contract for market in self._markets.values()}

    def settles_in_use(self) -> frozenset[str]:
        """Return the settle currencies with money or positions, as of the last look, or the usual one."""
        return (self._in_use & self._accounts.keys()) or frozenset({USUAL})

    async def open(self) -> None:
        await self._known_skew()  # The exchange bears a minute: the fence counts on stamps by its own clock.
        await self._load_markets(reload=False)

    async def clock_skew(self) -> timedelta:
        skew = await super().clock_skew()
        self._measured = (self._client.milliseconds(), asyncio.get_running_loop().time())
        return skew

    async def _trust_stamps(self) -> None:
        """Measure again when our wall clock, which stamps, was set since. Raises VenueUnavailable.

        The exchange takes a stamp of up to a minute ahead, and then for longer than the fence lasts.
        """
        if self._measured is not None:
            wall_ms, loop_s = self._measured
            passed_s = asyncio.get_running_loop().time() - loop_s
            if abs((self._client.milliseconds() - wall_ms) / 1000 - passed_s) <= CLOCK_SET_S:
                return
        await self.clock_skew()

    async def snapshot(self) -> AccountSnapshot:
        """Read wallets and positions: two requests for each settle currency in use, one more in a unified account."""
        if not self._markets:
            await self.open()
        scopes = tuple(settle for settle in SETTLES if settle in self._in_use or self._is_due(settle))
        wallets_read_at = self._now()
        gaps: list[Gap] = []
        answers: dict[str, object] = {}
        for settle in scopes:
            with self._unless_unused(settle, gaps):
                answer = await self._ask_account(settle)
                if answer is not None:
                    answers[settle] = answer
        positions_read_at = self._now()
        rows: dict[str, list[object]] = {}
        for settle in list(answers):
            with self._unless_unused(settle, gaps):
                rows[settle] = open_rows(await self._position_rows(settle))
        answers = {settle: answer for settle, answer in answers.items() if settle in rows}
        self._looked_at |= dict.fromkeys(rows, positions_read_at)
        self._in_use = frozenset(s for s, answer in answers.items() if rows[s] or is_in_use(answer)) | {USUAL}
        gaps += await self._search_unknown(rows)
        unified = next((account for account in self._accounts.values() if account.is_unified), None)
        positions: dict[str, tuple[Position, ...]] = {}
        for settle, listed in rows.items():
            positions[settle], bad = read_positions(
                listed, self._markets, settle, shared=unified is not None, now=self.exchange_now()
            )
            gaps += bad
        wallets, ratio, money_gaps = await self._money(answers, positions, unified)
        return AccountSnapshot(
            account=self.account,
            exchange=self.exchange,
            asset_mode=AssetMode.SINGLE if unified is None else AssetMode.MULTI,
            positions=tuple(position for held in positions.values() for position in held),
            wallets=wallets,
            positions_read_at=positions_read_at,
            wallets_read_at=wallets_read_at,
            exchange_margin_ratio=ratio,
            gaps=(*gaps, *money_gaps),
        )

    async def _money(
        self, answers: Mapping[str, object], positions: Mapping[str, Sequence[Position]], unified: Account | None
    ) -> tuple[tuple[Wallet, ...], Decimal | None, tuple[Gap, ...]]:
        if unified is not None:
            needed = frozenset(settle.upper() for settle in answers if positions[settle])
            return read_unified(await self._read("privateUnifiedGetAccounts", {}), unified, needed)
        wallets: list[Wallet] = []
        gaps: list[Gap] = []
        for settle, answer in answers.items():
            wallet, found = read_wallet(answer, settle.upper(), positions[settle])
            wallets += [] if wallet is None else [wallet]
            gaps += found
        return tuple(wallets), None, tuple(gaps)

    @contextmanager
    def _unless_unused(self, settle: str, gaps: list[Gap]) -> Iterator[None]:
        """Let a failure end the reading only where something is held: the rest is a Gap, and asked again at once."""
        try:
            yield
        except VenueUnavailable as error:
            if settle in self._in_use:
                raise
            gaps.append(Gap(subject=f"positions in {settle.upper()}", reason=str(error)))

    def _is_due(self, settle: str) -> bool:
        looked_at = self._looked_at.get(settle)
        return looked_at is None or abs(self._now() - looked_at) > SWEEP

    async def _ask_account(self, settle: str) -> object | None:
        """Read a futures account and its modes. None: there is none, for nothing was ever moved into it.

        Raises KeysRefused and VenueUnavailable.
        """
        try:
            answer: object = await self._read("privateFuturesGetSettleAccounts", {"settle": settle})
        except Answered as error:
            if error.code == NO_RIGHT:  # Elsewhere it may be about one list only, which guard can do without.
                raise KeysRefused(str(error)) from None
            if error.code != NO_ACCOUNT:
                raise
            self._accounts.pop(settle, None)
            self._looked_at[settle] = self._now()
            return None
        self._accounts[settle] = read_account(answer, settle)
        return answer

    async def _position_rows(self, settle: str) -> list[object]:
        question = {"settle": settle, "holding": "true"}
        return await self._pages("privateFuturesGetSettlePositions", question, "positions")

    async def _pages(self, endpoint: str, question: Mapping[str, object], what: str) -> list[object]:
        """Read all pages by ourselves: neither ccxt nor the exchange says that there is more."""
        rows: list[object] = []
        for page_number in range(PAGES_MAX):
            paged = {**question, "limit": PAGE_ROWS, "offset": page_number * PAGE_ROWS}
            page = await self._read(endpoint, paged)
            if not isinstance(page, list):
                raise VenueUnavailable(f"{what}: expected a list, found {type(page).__name__}")
            rows += page
            if len(page) < PAGE_ROWS:
                return rows
        raise VenueUnavailable(f"{what}: more than {PAGES_MAX} pages")

    async def _search_unknown(self, rows: Mapping[str, Sequence[object]]) -> tuple[Gap, ...]:
        """Read the markets again for a contract that is not among them. A failure is a gap, not the end."""
        named = {(s, str(raw.get("contract"))) for s, listed in rows.items() for raw in listed if isinstance(raw, dict)}
        try:
            await self._search_for(named - self._markets.keys(), lambda: self._load_markets(reload=True))
        except VenueUnavailable as error:
            return (Gap(subject="markets", reason=f"not read again: {error}"),)
        return ()

    async def _load_markets(self, *, reload: bool) -> None:
        if self._markets and not reload:
            return
        # Always ccxt's reload: after an empty answer it would hand out that answer for ever.
        listed = (await self._read("load_markets", True)).values()
        markets = [market for raw in listed if raw["swap"] and (market := read_market(raw)) is not None]
        if not markets:
            raise VenueUnavailable(f"{self.exchange} contracts: no perpetual contract in it")
        self._markets = {(market.settle, market.market_id): market for market in markets}
        self.rules = replace(self.rules, by_symbol=_own_rules(markets))

    async def _market(self, symbol: str) -> Market:
        if not self._markets:
            await self._load_markets(reload=False)
        market = next((market for market in self._markets.values() if market.contract.symbol == symbol), None)
        if market is None:
            raise VenueUnavailable(f"{self.exchange}: no market {symbol}")
        return market


def _own_rules(markets: Sequence[Market]) -> dict[str, tuple[MarginRule, MarginRule]]:
    """Return the rule of each contract whose standard taker rate is not the usual one."""
    rates = {market.contract.symbol: market.taker_rate for market in markets}
    own = {
        symbol: replace(RULE, liquidation_fee_rate=rate)
        for symbol, rate in rates.items()
        if rate != RULE.liquidation_fee_rate
    }
    return {symbol: (rule, rule) for symbol, rule in own.items()}
