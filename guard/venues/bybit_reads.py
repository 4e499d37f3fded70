"""Reading a unified Bybit account: which settle coins to look through, pages, mode, markets and fees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from guard.errors import VenueUnavailable
from guard.snapshot import AccountSnapshot, Contract, ContractKind, Gap
from guard.venues.base import VenueBase
from guard.venues.bybit_account import MODES, TAKER_RATE_UNKNOWN, AccountInfo, Market, Terms, open_rows, read_positions
from guard.venues.bybit_market import result_of
from guard.venues.bybit_orders import read_fees
from guard.venues.bybit_wallet import (
    account_ratio,
    account_totals,
    contradictions,
    margin_by_coin,
    read_wallets,
    speaks_of_another_mode,
)
from guard.venues.bybit_wire import is_demo, wire_of
from guard.venues.protocol import VenueAccount
from guard.venues.rows import RowError, read_row

CHOICES_KEPT = timedelta(minutes=10)  # How long the account's mode is believed unasked.
SWEEP = timedelta(minutes=10)  # How long a settle coin that seems unused is not looked through.
FEES_KEPT = timedelta(hours=12)
PAGE_ROWS_MAX = 200
PAGE_ROWS_USUAL = 20  # The exchange's own page size where none is asked for.
PAGES_MAX = 20

Scope = tuple[str, str]  # Category, and settle coin of a linear one; "" is every inverse contract.
USUAL: Scope = ("linear", "USDT")


class BybitReads(VenueBase):
    """The part of a Bybit account that is read every cycle."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime]) -> None:
        super().__init__(account, wire_of(account), now=now)
        self._is_demo = is_demo(self._client.urls["api"]["private"])
        self._markets: Mapping[str, Market] = {}  # By Bybit's symbol.
        self._terms: Terms | None = None  # None: the account's mode is not known yet.
        self._choices_read_at: datetime | None = None
        self._fees_read_at: dict[str, datetime] = {}  # By category.
        self._looked_at: dict[Scope, datetime] = {}
        self._open: frozenset[object] | None = None  # As of the last snapshot. None: there was none yet.
        self._in_use: frozenset[Scope] = frozenset()  # Where positions were as of the last snapshot.

    @property
    def watch_only(self) -> str | None:
        if self._terms is None or self._terms.is_isolated:
            return None
        mode = MODES[self._terms.info.margin_mode]
        return f"the account is in {mode}, where no position has margin of its own: isolated margin mode would give it"

    @property
    def contracts(self) -> Mapping[str, Contract]:
        return {market.contract.symbol: market.contract for market in self._markets.values()}

    async def open(self) -> None:
        await self._load_markets(reload=False)
        await self._read_choices()

    async def snapshot(self) -> AccountSnapshot:
        """Read wallets and positions: two requests, one more for each settle coin in use beside USDT."""
        if self._terms is None:
            await self.open()
        wallets_read_at = self._now()
        answer = await self._read("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"})
        totals = account_totals(result_of(answer, "wallet-balance"))
        positions_read_at = self._now()
        scopes = self._scopes(margin_by_coin(totals))
        rows: list[object] = []
        for scope in scopes:
            found = open_rows(await self._rows_in(scope))
            self._looked_at[scope] = positions_read_at
            self._in_use = (self._in_use | {scope}) if found else (self._in_use - {scope})
            rows += found
        terms, trouble = await self._refresh(
            rows, another_mode=lambda terms: speaks_of_another_mode(totals, terms, has_positions=bool(rows))
        )
        held, gaps = read_positions(rows, terms)
        wallets, wallet_gaps = read_wallets(totals, terms, held)
        ratio, ratio_gaps = account_ratio(totals, terms, has_positions=bool(rows))
        at_odds = contradictions(totals, terms, held, gaps, self._coins_of(scopes))
        return AccountSnapshot(
            account=self.account,
            exchange=self.exchange,
            asset_mode=terms.asset_mode,
            positions=tuple(one.position for one in held),
            wallets=wallets,
            positions_read_at=positions_read_at,
            wallets_read_at=wallets_read_at,
            exchange_margin_ratio=ratio,
            gaps=(*gaps, *at_odds, *wallet_gaps, *ratio_gaps, *trouble),
        )

    def _scopes(self, held: Mapping[str, Decimal | None]) -> tuple[Scope, ...]:
        """Return where to look: USDT always, what is in use or may be, and all the rest now and then."""
        linear = {m.contract.settle for m in self._markets.values() if m.category == "linear"}
        coins = {coin for coin, margin in held.items() if margin is None or margin != 0}
        known: tuple[Scope, ...] = (*(("linear", settle) for settle in sorted(linear)), ("inverse", ""))
        return tuple(
            scope
            for scope in known
            if scope == USUAL
            or scope in self._in_use
            or (coins - linear if scope[0] == "inverse" else scope[1] in coins)
            or self._is_due(scope)
        )

    def _is_due(self, scope: Scope) -> bool:
        looked_at = self._looked_at.get(scope)
        return looked_at is None or abs(self._now() - looked_at) > SWEEP

    def _coins_of(self, scopes: Sequence[Scope]) -> frozenset[str]:
        """Return the settle coins whose positions were looked for."""
        return frozenset(
            market.contract.settle
            for market in self._markets.values()
            if (market.category, market.contract.settle if market.category == "linear" else "") in scopes
        )

    async def _rows_in(self, scope: Scope) -> list[object]:
        category, settle = scope
        question = {"category": category, "limit": PAGE_ROWS_MAX} | ({"settleCoin": settle} if settle else {})
        return await self._pages("privateGetV5PositionList", question, "position/list", full_from=PAGE_ROWS_USUAL)

    async def _pages(
        self, endpoint: str, question: Mapping[str, object], what: str, *, full_from: int = 1
    ) -> list[object]:
        """Read all pages. A page of less than `full_from` rows is the last, whatever its cursor says."""
        rows: list[object] = []
        seen: set[str] = set()
        cursor = ""
        for _ in range(PAGES_MAX):
            result = result_of(await self._read(endpoint, {**question, **({"cursor": cursor} if cursor else {})}), what)
            page = result.get("list")
            if not isinstance(page, list) or result.get("category", question["category"]) != question["category"]:
                raise VenueUnavailable(f"{what}: no list of {question['category']} in the answer")
            rows += page
            seen.add(cursor)
            cursor = str(result.get("nextPageCursor") or "")
            if len(page) < full_from or not cursor:
                return rows
            if cursor in seen:
                break
        raise VenueUnavailable(f"{what}: its pages do not end")

    async def _refresh(
        self, rows: Sequence[object], *, another_mode: Callable[[Terms], bool]
    ) -> tuple[Terms, tuple[Gap, ...]]:
        """Read markets, mode and fees again where these rows ask for it. A failure is a gap, not the end."""
        assert self._terms is not None
        names = {str(raw.get("symbol")) for raw in rows if isinstance(raw, dict)}
        legs = frozenset((str(r.get("symbol")), str(r.get("positionIdx"))) for r in rows if isinstance(r, dict))
        opened = self._open is not None and not legs <= self._open
        self._open = legs
        aged = self._choices_read_at is None or abs(self._now() - self._choices_read_at) > CHOICES_KEPT
        gaps: list[Gap] = []
        try:
            await self._search_for(names - self._markets.keys(), lambda: self._load_markets(reload=True))
            if opened or aged or another_mode(self._terms):
                await self._read_choices()
        except VenueUnavailable as error:
            gaps.append(Gap(subject="margin mode and markets", reason=f"not read again: {error}"))
        for category in sorted({self._markets[name].category for name in names & self._markets.keys()}):
            gaps += await self._refresh_fees(category)
        return self._terms, tuple(gaps)

    async def _refresh_fees(self, category: str) -> list[Gap]:
        """Keep the old rates when new ones cannot be read. Without any a rate above all of them is taken."""
        assert self._terms is not None
        read_at = self._fees_read_at.get(category)
        if self._is_demo or (read_at is not None and abs(self._now() - read_at) <= FEES_KEPT):
            return []
        try:
            result = result_of(await self._read("privateGetV5AccountFeeRate", {"category": category}), "fee-rate")
            rows = result.get("list")
            rates = read_fees(rows if isinstance(rows, list) else [None])
        except VenueUnavailable as error:
            reason = f"{error}; the reserve for the fee to close is taken for {TAKER_RATE_UNKNOWN:%}"
            return [] if read_at is not None else [Gap(subject=f"{category} taker fees", reason=reason)]
        self._terms = replace(self._terms, taker_rates={**self._terms.taker_rates, **rates})
        self._fees_read_at[category] = self._now()
        return []

    async def _load_markets(self, *, reload: bool) -> None:
        if self._markets and not reload:
            return
        # Always ccxt's reload: after an empty answer it would hand out that answer for ever.
        listed = (await self._read("load_markets", True)).values()
        markets = [market for market in listed if market["contract"] and (market["linear"] or market["inverse"])]
        if not markets:
            raise VenueUnavailable(f"{self.exchange} instruments-info: no contract in it")
        self._markets = {
            market["id"]: Market(
                contract=Contract(
                    symbol=market["symbol"],
                    kind=ContractKind.LINEAR if market["linear"] else ContractKind.INVERSE,
                    base=market["base"],
                    settle=market["settle"],
                    contract_size=Decimal(1),  # One base unit, or one dollar of an inverse contract.
                ),
                category="linear" if market["linear"] else "inverse",
                market_id=market["id"],
            )
            for market in markets
        }
        if self._terms is not None:
            self._terms = replace(self._terms, markets=self._markets)

    async def _read_choices(self) -> None:
        """Read the mode of the account."""
        started_at = self._now()
        try:
            info = read_row(AccountInfo, result_of(await self._read("privateGetV5AccountInfo", {}), "account/info"))
        except RowError as error:
            raise VenueUnavailable(f"account/info: {error}") from None
        if info.unified_margin_status == 1:
            raise VenueUnavailable("this is a classic account: upgrade it to a unified one")
        rates = self._terms.taker_rates if self._terms is not None else {}
        self._terms = Terms(markets=self._markets, info=info, taker_rates=rates)
        self._choices_read_at = started_at

    async def _market(self, symbol: str) -> Market:
        if not self._markets:
            await self._load_markets(reload=False)
        market = next((market for market in self._markets.values() if market.contract.symbol == symbol), None)
        if market is None:
            raise VenueUnavailable(f"{self.exchange}: no market {symbol}")
        return market
