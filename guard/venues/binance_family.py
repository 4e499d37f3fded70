"""What Binance's futures exchanges have in common: one venue, told apart by a `Family` and by how positions are read.

Quirks of both, with source and date seen; each exchange's own are in its file:
- `isolatedMargin` is the wallet and the unrealized PnL together: with it the liquidation price is 9 % of the distance
  off (ccxt issue 20003). `isolatedWallet` is the wallet.
- `liquidationPrice` "0": no positive price liquidates (ccxt issues 8311, 20140).
- A hedge position needs `positionSide` with every margin change (node-binance-api 602), a one-way one must go without.
- Margin amounts: the documents name no step (2026-07). We use a cent for dollar stablecoins, as the app does, and
  eight decimals of a coin. ccxt's own method rounds to whole coins or to a contract's step, so it is never used.
- `notionalCoef` of `leverageBracket` (brackets adjusted for one user) is documented without a word on whether the
  floors are adjusted already. The endpoint answers for this user, so we take them as they stand; if that is wrong the
  gap between our liquidation price and the exchange's shows it (docs, 2026-07).
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import yarl

from guard.errors import ConfigError, VenueUnavailable
from guard.margin import RuleBook, TierTable
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import (
    DOLLAR_STABLECOINS,
    AccountSnapshot,
    AssetMode,
    Contract,
    Gap,
    MarginChange,
    MarginRequest,
    Mark,
    PositionEnding,
    PositionKey,
    Settlement,
    Side,
    StopOrder,
)
from guard.venues import binance_margin, binance_news, binance_orders
from guard.venues.base import VenueBase, if_any
from guard.venues.binance_account import (
    Leg,
    Terms,
    hidden_positions,
    open_legs,
    read_brackets,
    read_positions,
    read_wallets,
)
from guard.venues.binance_keys import read_scopes
from guard.venues.binance_market import INTERVALS, read_candles, read_mark, stream_marks
from guard.venues.gate import is_loopback
from guard.venues.protocol import AccountNews, Candle, KeyScopes, KeyVerdict, TierTables, VenueAccount, WriteTerms
from guard.venues.rows import RowError, error_said, rows_of
from guard.venues.shared import RateLimit
from guard.venues.transport import Wire

HISTORY_KEPT = timedelta(days=30)
TRADED_WITHIN = timedelta(hours=25)  # A rolling day, and what clocks may be apart.
CLOCK_IS_OFF = "-1021"

# 2,400 of weight a minute and address, exchangeInfo's rateLimits; weights of the endpoint pages (docs, 2026-11). What
# ccxt counts is too little for the v3 endpoints.
LIMIT = RateLimit(
    weight_max=2400,
    window_s=60.0,
    weights={
        "/positionRisk": 5,
        "/account": 5,
        "/accountConfig": 5,
        "/symbolConfig": 5,
        "/markPriceKlines": 5,
        "/userTrades": 5,
        "/forceOrders": 20,
        "/income": 30,
        "/assetIndex": 10,
    },
    weight_else=1,
    used_header="X-MBX-USED-WEIGHT-1M",
    quiet_statuses=frozenset({418}),  # The ban of an address; a 429 may be of one account (docs, 2026-11).
)

# A write waits at most half a second for its turn, is valid for recvWindow, and the backend may take 10 s more (spot
# docs, general information, 2026-07); 8.5 s for what nobody documents: 24 s.
RECV_WINDOW = timedelta(seconds=5)
FENCE = timedelta(seconds=8) + RECV_WINDOW + timedelta(seconds=10) + timedelta(seconds=1)
LOOPBACK_RECV_WINDOW = timedelta(seconds=1)
LOOPBACK_FENCE = timedelta(seconds=2)  # Half a second for its turn, recvWindow, and no backend behind it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What tells one of Binance's futures exchanges from the other."""

    api: str  # The first part of its paths, and of ccxt's method names.
    stream: str  # ccxt's key of its sockets, and of its markets.
    rule: str  # Of `KNOWN_RULES`.
    addresses: tuple[str, ...]  # ccxt's keys of the addresses in use, `sapi` aside.
    test_hosts: frozenset[str]
    positions: str  # ccxt's method names.
    account: str
    brackets: str
    stops: tuple[str, ...]  # Where orders that wait for a price are listed.


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What the account endpoint says beside position rows."""

    assets: list[object]
    positions: list[object]
    held: Decimal  # Margin that is held for positions: zero when there are none.
    margin_ratio: Decimal | None = None
    gaps: tuple[Gap, ...] = ()


class BinanceVenue(VenueBase):
    """One account at one of Binance's futures exchanges. See guard.venues.protocol.Venue."""

    def __init__(
        self,
        account: VenueAccount,
        family: Family,
        *,
        now: Callable[[], datetime],
        fence: timedelta | None,
    ) -> None:
        super().__init__(account, wire_of(family), now=now)
        self.rules = RuleBook.uniform(KNOWN_RULES[family.rule].rule)
        self._family = family
        gate = self._client.gate
        self._recv_window = LOOPBACK_RECV_WINDOW if gate.is_loopback else RECV_WINDOW
        self.write_terms = WriteTerms(
            fence=fence or (LOOPBACK_FENCE if gate.is_loopback else FENCE),
            history_kept=HISTORY_KEPT,
            test_host=all(_is_test_host(origin.host or "", family) for origin in gate.origins),
        )
        self._asset_mode = AssetMode.SINGLE
        self._contracts: Mapping[str, Contract] = {}  # By Binance's symbol.
        self._market_ids: Mapping[str, str] = {}  # Unified symbol: Binance's.

    @property
    def contracts(self) -> Mapping[str, Contract]:
        return {contract.symbol: contract for contract in self._contracts.values()}

    async def open(self) -> None:
        await self._load_markets(reload=False)

    async def snapshot(self) -> AccountSnapshot:
        """Read positions and wallets: two requests, and what else their rows ask for."""
        if not self._is_open():
            await self.open()
        positions_read_at = self._now()
        rows = rows_of(await self._read(self._family.positions, {}), "positionRisk")
        wallets_read_at = self._now()
        state = self._account_state(await self._read(self._family.account, {}))
        trouble = await self._refresh(rows)
        positions, gaps = read_positions(rows, state.positions, self._terms(state), now=self.exchange_now())
        wallets, wallet_gaps = read_wallets(state.assets, positions)
        return AccountSnapshot(
            account=self.account,
            exchange=self.exchange,
            asset_mode=self._asset_mode,
            positions=positions,
            wallets=wallets,
            positions_read_at=positions_read_at,
            wallets_read_at=wallets_read_at,
            exchange_margin_ratio=state.margin_ratio,
            gaps=(*gaps, *hidden_positions(state.held, positions, gaps), *wallet_gaps, *state.gaps, *trouble),
        )

    def _is_open(self) -> bool:
        return bool(self._contracts)

    def _account_state(self, answer: object) -> AccountState:
        """Return what the account endpoint says. Raises VenueUnavailable."""
        raise NotImplementedError

    def _terms(self, state: AccountState) -> Terms:
        """Return what must be known to read the position rows."""
        raise NotImplementedError

    def _contract(self, market: Mapping[str, Any]) -> Contract:
        """Return the contract of a market of ccxt. Raises RowError."""
        raise NotImplementedError

    async def _refresh(self, rows: list[object]) -> tuple[Gap, ...]:
        """Read again what these rows ask for. A failure is a gap, not the end."""
        try:
            await self._load_unknown(open_legs(rows))
        except VenueUnavailable as error:
            return (Gap(subject="markets", reason=f"not read again: {error}"),)
        return ()

    async def _load_unknown(self, legs: Mapping[Leg, Decimal]) -> bool:
        """Read the markets again when a symbol among these is not known and it is time for it. Say whether."""
        unknown = {symbol for symbol, _ in legs} - self._contracts.keys()
        return await self._search_for(unknown, lambda: self._load_markets(reload=True))

    async def _load_markets(self, *, reload: bool) -> None:
        if self._contracts and not reload:
            return
        # Always ccxt's reload: after an empty answer it would hand out that answer for ever.
        markets = (await self._read("load_markets", True)).values()
        contracts: dict[str, Contract] = {}
        for market in markets:
            if not (market["contract"] and market[self._family.stream]):
                continue
            try:
                contracts[market["id"]] = self._contract(market)
            except RowError:
                continue  # A position of it becomes a Gap.
        if not contracts:
            raise VenueUnavailable(f"{self.exchange} exchangeInfo: no {self._family.stream} contract in it")
        self._contracts = contracts
        self._market_ids = {contract.symbol: market_id for market_id, contract in contracts.items()}

    async def tiers(self, symbols: frozenset[str]) -> TierTables:  # One request tells of all.
        read_at = self._now()
        rows = rows_of(await self._read(self._family.brackets, {}), "leverageBracket")
        if not rows:
            raise VenueUnavailable("leverageBracket: an empty list")
        by_symbol: dict[str, TierTable] = {}
        reasons = dict.fromkeys(symbols, "leverageBracket: not listed")
        for raw in rows:
            contract = self._contracts.get(str(raw.get("symbol"))) if isinstance(raw, dict) else None
            if contract is None:
                continue  # No market, so no position of it can be read either, and that one is a Gap.
            try:
                by_symbol[contract.symbol] = TierTable.of(read_brackets(raw))
            except RowError as error:
                reasons[contract.symbol] = str(error)
        unread = sorted(reasons.keys() - by_symbol.keys())
        gaps = tuple(Gap(subject=f"{symbol} tiers", reason=reasons[symbol]) for symbol in unread)
        return if_any(TierTables(by_symbol=by_symbol, read_at=read_at, gaps=gaps), symbols, "leverageBracket")

    async def mark(self, symbol: str) -> Mark:
        market_id = await self._market_id(symbol)
        answer = await self._read(f"{self._family.api}PublicGetPremiumIndex", {"symbol": market_id})
        return read_mark(answer, market_id, symbol)

    def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        return stream_marks(self._client, symbols, now=self.exchange_now)

    def watch_account(self) -> AsyncGenerator[AccountNews, None]:
        return self._listen(
            lambda one: binance_news.open_channel(self._client, one, self._family.api, self._family.stream)
        )

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        parameters = {"symbol": await self._market_id(symbol), "interval": INTERVALS[minutes], "limit": count}
        return read_candles(await self._read(f"{self._family.api}PublicGetMarkPriceKlines", parameters), symbol)

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:
        market_ids = {await self._market_id(symbol): symbol for symbol in sorted(symbols)}
        orders: list[StopOrder] = []
        for endpoint in self._family.stops:
            for parameters in binance_orders.fewest_requests(market_ids):
                rows = rows_of(await self._read(endpoint, parameters), "open orders")
                orders += binance_orders.read_stops(rows, market_ids)
        return tuple(orders)

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:
        market_id = await self._market_id(key.symbol)
        since += self._skew or timedelta(0)
        api, window = self._family.api, binance_orders.window(market_id, since, self.exchange_now())
        forced = rows_of(await self._read(f"{api}PrivateGetForceOrders", window), "force orders")
        latest = {"symbol": market_id, "limit": binance_orders.FILLS_MAX}
        fills = rows_of(await self._read(f"{api}PrivateGetUserTrades", latest), "fills")
        return binance_orders.read_ending(key, forced, fills, since)

    def margin_step(self, currency: str) -> Decimal:
        return Decimal("0.01") if currency in DOLLAR_STABLECOINS else Decimal("0.00000001")

    async def _send_margin(self, request: MarginRequest) -> str:
        market_id = self._market_ids[request.key.symbol]
        return await binance_margin.add_margin(self._client, self._family.api, request, market_id, self._recv_window)

    async def traded_lately(self) -> frozenset[str] | None:
        if not self._market_ids:
            await self._load_markets(reload=False)
        end = self.exchange_now() + timedelta(minutes=1)
        traded = await binance_margin.read_traded(self._client, self._family.api, start=end - TRADED_WITHIN, end=end)
        if traded is None:
            return None
        return frozenset(self._contracts[one].symbol for one in traded if one in self._contracts)

    async def margin_changes(
        self, keys: Collection[PositionKey], since: datetime, *, also: Collection[str] = ()
    ) -> tuple[MarginChange, ...]:
        end = self.exchange_now() + timedelta(minutes=1)
        start = min(max(since, end - HISTORY_KEPT + timedelta(hours=1)), end)
        by_symbol = {key.symbol: key for key in keys}  # In hedge mode rows name their leg.
        changes: list[MarginChange] = []
        for symbol in sorted({*by_symbol, *also}):
            changes += await binance_margin.read_changes(
                self._client,
                self._family.api,
                await self._market_id(symbol),
                by_symbol.get(symbol, PositionKey(symbol, Side.LONG)),
                start=start,
                end=end,
                is_open=symbol in by_symbol,
            )
        return tuple(sorted(changes, key=lambda change: change.at))

    async def settle(
        self, request: MarginRequest, *, sent_at: datetime, now: datetime, known_entries: frozenset[str]
    ) -> Settlement:
        skew = await self._known_skew()
        return await binance_margin.settle(
            self._client,
            self._family.api,
            request,
            await self._market_id(request.key.symbol),
            sent_at=sent_at,
            now=now,
            skew=skew,
            terms=self.write_terms,
            known_entries=known_entries,
        )

    async def _ask_key_scopes(self) -> KeyScopes:
        if "sapi" not in _apis_in_use(self._client.urls["api"], self._family):
            text = "this host cannot say what the key may do"
            return KeyScopes(verdict=KeyVerdict.UNVERIFIABLE, scopes=(), ip_restricted=None, text=text)
        return read_scopes(await self._read("sapiGetAccountApiRestrictions", {}))

    async def _server_time(self) -> datetime:
        return await binance_margin.server_time(self._client, self._family.api)

    async def _market_id(self, symbol: str) -> str:
        if not self._market_ids:
            await self._load_markets(reload=False)
        try:
            return self._market_ids[symbol]
        except KeyError:
            raise VenueUnavailable(f"{self.exchange}: no market {symbol}") from None


def _is_test_host(host: str, family: Family) -> bool:
    return host in family.test_hosts or is_loopback(host)


def _apis_in_use(api: Mapping[str, Any], family: Family) -> dict[str, str]:
    """Return the addresses that we use. An account of a test host has no `sapi`, and the real one is not asked."""
    apis = {name: api[name] for name in (*family.addresses, "sapi") if name in api}
    tests = {name for name, url in apis.items() if _is_test_host(yarl.URL(url).host or "", family)}
    if f"{family.api}Private" in tests and "sapi" not in tests:
        apis.pop("sapi", None)
    sockets = api.get("ws")
    if not isinstance(sockets, dict) or not isinstance(sockets.get(family.stream), str):
        raise ConfigError(
            f'ccxt.urls.api.ws: expected a table with the stream\'s address, as {{ {family.stream} = "wss://..." }}'
        )
    return apis | {"stream": sockets[family.stream]}


def _error_of(answer: object) -> tuple[str, str] | None:
    """Return code and text of {"code": -4051, "msg": "..."}; None when the answer is no error."""
    code = answer.get("code") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(code, str | int) or not str(code).startswith("-"):
        return None
    return error_said(code, answer.get("msg"))


def wire_of(family: Family) -> Wire:
    return Wire(
        options={
            "fetchMargins": False,
            "fetchMarkets": {"types": [family.stream]},
            "recvWindow": int(RECV_WINDOW / timedelta(milliseconds=1)),
            "disableFuturesSandboxWarning": True,  # Else ccxt refuses the futures testnet.
        },
        urls=lambda api: tuple(_apis_in_use(api, family).values()),
        writes=(binance_margin.add_margin_rule(family.api),),
        reads=(binance_news.listen_key_rule(family.api),),
        error=_error_of,
        keys_refused=frozenset({"-2015", "-2014", "-1022"}),
        clock_is_off=frozenset({CLOCK_IS_OFF}),
        limit=LIMIT,
    )
