"""Binance USD-M futures: one-way and hedge, isolated and cross, linear contracts.

Quirks, with source and date seen:
- v3 `positionRisk` carries neither leverage nor margin mode (ccxt PR 23225, 2024): both come from `symbolConfig`, which
  also says whether the exchange tops up by itself. v3 `account` does not say the asset mode: `accountConfig` does, and
  the position mode with it, for a weight of 5 (`multiAssetsMargin` and `positionSide/dual` cost 30 each) (2026-07).
- Rows stand in `positionRisk` for open orders too; a position is what has a size (recorded answers, 2024-07).
- `isolatedMargin` is the wallet and the unrealized PnL together: with it the liquidation price is 9 % of the distance
  off (ccxt issue 20003). We read `isolatedWallet`.
- `liquidationPrice` "0": no positive price liquidates (ccxt issues 8311, 20140).
- A hedge position needs `positionSide` with every margin change (node-binance-api 602), a one-way one must go without.
- In multi-assets mode one ratio holds for the whole account, totalMaintMargin / totalMarginBalance, and isolated
  margin is off (-4168) (docs, 2026-07).
- Margin amounts: the documents name no step (2026-07). We use a cent for dollar stablecoins, as the app does.
- A demo or testnet host has no `sapi`, so a key's scopes cannot be asked there (ccxt 4.5.90 urls).
- `notionalCoef` of `leverageBracket` (brackets adjusted for one user) is documented without a word on whether the
  floors are adjusted already. The endpoint answers for this user, so we take them as they stand; if that is wrong the
  gap between our liquidation price and the exchange's shows it (docs, 2026-07).
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import yarl

from guard.errors import ConfigError, VenueRefused, VenueUnavailable
from guard.margin import RuleBook, TierTable
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import (
    DOLLAR_STABLECOINS,
    AccountSnapshot,
    AssetMode,
    Contract,
    ContractKind,
    Gap,
    MarginChange,
    MarginRequest,
    Mark,
    PositionKey,
    Settlement,
)
from guard.venues import binance_margin
from guard.venues.base import VenueBase
from guard.venues.binance_account import (
    AccountConfig,
    AccountTotals,
    Leg,
    SymbolConfig,
    Terms,
    account_totals,
    contradicts,
    hidden_positions,
    open_legs,
    read_brackets,
    read_positions,
    read_wallets,
)
from guard.venues.binance_keys import read_scopes
from guard.venues.binance_market import read_candles, read_mark, stream_marks
from guard.venues.gate import is_loopback
from guard.venues.protocol import Candle, KeyScopes, KeyVerdict, TierTables, VenueAccount, WriteTerms
from guard.venues.rows import RowError, read_row, rows_of
from guard.venues.transport import Wire

TEST_HOSTS = frozenset({"testnet.binancefuture.com", "demo-fapi.binance.com", "fstream.binancefuture.com"})
CHOICES_KEPT = timedelta(minutes=10)  # How long margin modes, leverages and asset mode are believed unasked.
HISTORY_KEPT = timedelta(days=30)
CLOCK_TOLERANCE = timedelta(minutes=1)  # A clock that is off by more has its requests refused, and is measured then.
CLOCK_IS_OFF = "-1021"

# A write waits at most half a second for its turn, is valid for recvWindow, and the backend may take 10 s more (spot
# docs, general information, 2026-07); 8.5 s for what nobody documents: 24 s.
RECV_WINDOW = timedelta(seconds=5)
FENCE = timedelta(seconds=8) + RECV_WINDOW + timedelta(seconds=10) + timedelta(seconds=1)
LOOPBACK_RECV_WINDOW = timedelta(seconds=1)
LOOPBACK_FENCE = timedelta(seconds=2)  # Half a second for its turn, recvWindow, and no backend behind it.

INTERVALS = {1: "1m", 3: "3m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 120: "2h", 240: "4h", 480: "8h", 1440: "1d"}


class BinanceUsdm(VenueBase):
    """One Binance USD-M account. See guard.venues.protocol.Venue."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        super().__init__(account, WIRE, now=now)
        self.rules = RuleBook.uniform(KNOWN_RULES["binance usd-m"].rule)
        self.watch_only: str | None = None  # In multi-assets mode nothing is isolated, so there is nothing to add to.
        gate = self._client.gate
        self._recv_window = LOOPBACK_RECV_WINDOW if gate.is_loopback else RECV_WINDOW
        self.write_terms = WriteTerms(
            fence=fence or (LOOPBACK_FENCE if gate.is_loopback else FENCE),
            history_kept=HISTORY_KEPT,
            test_host=all(_is_test_host(origin.host or "") for origin in gate.origins),
        )
        self._terms = Terms(contracts={}, configs={})
        self._market_ids: Mapping[str, str] = {}  # Unified symbol: Binance's.
        self._asset_mode = AssetMode.SINGLE
        self._choices_read_at: datetime | None = None
        self._open_legs: frozenset[Leg] | None = None  # As of the last snapshot. None: there was none yet.
        self._searched: set[str] = set()  # Unknown symbols for which the markets were read again.

    @property
    def contracts(self) -> Mapping[str, Contract]:
        return {contract.symbol: contract for contract in self._terms.contracts.values()}

    async def open(self) -> None:
        await self._load_markets(reload=False)
        await self._read_choices()

    async def snapshot(self) -> AccountSnapshot:
        """Read positions and wallets: two requests, and the user's choices when they are old or seem to have moved."""
        if self._choices_read_at is None:
            await self.open()
        positions_read_at = self._now()
        rows = rows_of(await self._read("fapiPrivateV3GetPositionRisk", {}), "positionRisk")
        wallets_read_at = self._now()
        totals = account_totals(await self._read("fapiPrivateV3GetAccount", {}))
        trouble = await self._refresh(rows)
        # A row from the future would make every true one after it look old.
        terms = replace(self._terms, changed_by=self.exchange_now() + CLOCK_TOLERANCE)
        positions, gaps = read_positions(rows, totals.positions, terms)
        wallets, wallet_gaps = read_wallets(totals, positions)
        ratio, ratio_gaps = self._account_ratio(totals)
        return AccountSnapshot(
            account=self.account,
            exchange=self.exchange,
            asset_mode=self._asset_mode,
            positions=positions,
            wallets=wallets,
            positions_read_at=positions_read_at,
            wallets_read_at=wallets_read_at,
            exchange_margin_ratio=ratio,
            gaps=(*gaps, *hidden_positions(totals, positions, gaps), *wallet_gaps, *ratio_gaps, *trouble),
        )

    def _account_ratio(self, totals: AccountTotals) -> tuple[Decimal | None, tuple[Gap, ...]]:
        if self._asset_mode is AssetMode.SINGLE:
            return None, ()
        if totals.total_margin_balance <= 0:
            reason = f"the account's margin balance is {totals.total_margin_balance:f}"
            return None, (Gap(subject="account margin ratio", reason=reason),)
        return totals.total_maint_margin / totals.total_margin_balance, ()

    async def _refresh(self, rows: list[object]) -> tuple[Gap, ...]:
        """Read markets and the user's choices again where these rows ask for it. A failure is a gap, not the end."""
        legs = open_legs(rows)
        opened = self._open_legs is not None and not legs.keys() <= self._open_legs
        self._open_legs = frozenset(legs)
        unknown = {symbol for symbol, _ in legs} - self._terms.contracts.keys() - self._searched
        unconfigured = any(symbol not in self._terms.configs for symbol, _ in legs)
        aged = self._choices_read_at is None or abs(self._now() - self._choices_read_at) > CHOICES_KEPT
        try:
            if unknown:
                self._searched |= unknown
                await self._load_markets(reload=True)
            if unknown or opened or unconfigured or aged or contradicts(rows, self._terms):
                await self._read_choices()
        except VenueUnavailable as error:
            return (Gap(subject="margin modes and leverages", reason=f"not read again: {error}"),)
        return ()

    async def _load_markets(self, *, reload: bool) -> None:
        if self._terms.contracts and not reload:
            return
        # Always ccxt's reload: after an empty answer it would hand out that answer for ever.
        markets = (await self._read("load_markets", True)).values()
        linear = [market for market in markets if market["linear"] and market["contract"]]
        if not linear:
            raise VenueUnavailable(f"{self.exchange} exchangeInfo: no linear contract in it")
        contracts = {
            market["id"]: Contract(
                symbol=market["symbol"],
                kind=ContractKind.LINEAR,
                base=market["base"],
                settle=market["settle"],
                contract_size=Decimal(1),  # One base unit, for every USD-M contract.
            )
            for market in linear
        }
        self._terms = Terms(contracts=contracts, configs=self._terms.configs)
        self._market_ids = {contract.symbol: market_id for market_id, contract in contracts.items()}

    async def _read_choices(self) -> None:
        """Read what the user chose: asset mode, and per symbol the margin mode and leverage."""
        started_at = self._now()
        answer = await self._read("fapiPrivateGetAccountConfig", {})
        rows = rows_of(await self._read("fapiPrivateGetSymbolConfig", {}), "symbolConfig")
        try:
            account = read_row(AccountConfig, answer)
        except RowError as error:
            raise VenueUnavailable(f"accountConfig: {error}") from None
        configs: dict[str, SymbolConfig] = {}
        for row in rows:
            with suppress(RowError):  # A position of that symbol becomes a Gap that says so.
                config = read_row(SymbolConfig, row)
                configs[config.symbol] = config
        self._asset_mode = AssetMode.MULTI if account.multi_assets_margin else AssetMode.SINGLE
        self._terms = Terms(contracts=self._terms.contracts, configs=configs)
        self._choices_read_at = started_at

    async def tiers(self, symbols: frozenset[str]) -> TierTables:  # noqa: ARG002  # One request tells of all.
        read_at = self._now()
        rows = rows_of(await self._read("fapiPrivateGetLeverageBracket", {}), "leverageBracket")
        if not rows:
            raise VenueUnavailable("leverageBracket: an empty list")
        by_symbol: dict[str, TierTable] = {}
        gaps: list[Gap] = []
        for raw in rows:
            contract = self._terms.contracts.get(str(raw.get("symbol"))) if isinstance(raw, dict) else None
            if contract is None:
                continue  # No market, so no position of it can be read either, and that one is a Gap.
            try:
                by_symbol[contract.symbol] = TierTable.of(read_brackets(raw))
            except RowError as error:
                gaps.append(Gap(subject=f"{contract.symbol} tiers", reason=str(error)))
        return TierTables(by_symbol=by_symbol, read_at=read_at, gaps=tuple(gaps))

    async def mark(self, symbol: str) -> Mark:
        market_id = await self._market_id(symbol)
        answer = await self._read("fapiPublicGetPremiumIndex", {"symbol": market_id})
        return read_mark(answer, market_id, symbol)

    def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        return stream_marks(self._client, symbols, now=self.exchange_now)

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        parameters = {"symbol": await self._market_id(symbol), "interval": INTERVALS[minutes], "limit": count}
        return read_candles(await self._read("fapiPublicGetMarkPriceKlines", parameters), symbol)

    def margin_step(self, currency: str) -> Decimal:
        return Decimal("0.01") if currency in DOLLAR_STABLECOINS else Decimal("0.00000001")

    async def add_margin(self, request: MarginRequest) -> str:
        step = self.margin_step(request.currency)
        if request.amount <= 0 or request.amount % step:
            raise ValueError(f"{request.amount} {request.currency} is not a positive multiple of {step}")
        market_id = self._market_ids.get(request.key.symbol)
        if market_id is None:
            raise VenueRefused(f"{request.key}: not sent, {self.exchange} has no such market", code="not_sent")
        try:
            return await binance_margin.add_margin(self._client, request, market_id, self._recv_window)
        except VenueRefused as refusal:
            self._is_clock_off = refusal.code == CLOCK_IS_OFF  # It is measured before the next read.
            raise

    async def margin_changes(self, key: PositionKey | None, since: datetime) -> tuple[MarginChange, ...]:
        end = self.exchange_now() + timedelta(minutes=1)
        start = max(since, end - HISTORY_KEPT + timedelta(hours=1))
        changes: list[MarginChange] = []
        for one in await self._open_keys() if key is None else (key,):
            market_id = await self._market_id(one.symbol)
            changes += await binance_margin.read_changes(self._client, market_id, one, start=start, end=end)
        mine = (change for change in changes if key is None or change.key == key)
        return tuple(sorted(mine, key=lambda change: change.at))

    async def _open_keys(self) -> tuple[PositionKey, ...]:
        """Return one key for each symbol with a position. Raises VenueUnavailable when a row cannot be read."""
        snapshot = await self.snapshot()
        if snapshot.gaps:
            raise VenueUnavailable(f"open positions: {snapshot.gaps[0].subject}: {snapshot.gaps[0].reason}")
        return tuple({position.contract.symbol: position.key for position in snapshot.positions}.values())

    async def settle(
        self, request: MarginRequest, *, sent_at: datetime, now: datetime, known_entries: frozenset[str]
    ) -> Settlement:
        skew = await self._known_skew()
        return await binance_margin.settle(
            self._client,
            request,
            await self._market_id(request.key.symbol),
            sent_at=sent_at,
            now=now,
            skew=skew,
            terms=self.write_terms,
            known_entries=known_entries,
        )

    async def _ask_key_scopes(self) -> KeyScopes:
        if "sapi" not in _apis_in_use(self._client.urls["api"]):
            text = "this host cannot say what the key may do"
            return KeyScopes(verdict=KeyVerdict.UNVERIFIABLE, scopes=(), ip_restricted=None, text=text)
        return read_scopes(await self._read("sapiGetAccountApiRestrictions", {}))

    async def _server_time(self) -> datetime:
        return await binance_margin.server_time(self._client)

    async def _market_id(self, symbol: str) -> str:
        if not self._market_ids:
            await self._load_markets(reload=False)
        try:
            return self._market_ids[symbol]
        except KeyError:
            raise VenueUnavailable(f"{self.exchange}: no market {symbol}") from None


def _is_test_host(host: str) -> bool:
    return host in TEST_HOSTS or is_loopback(host)


def _apis_in_use(api: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses that we use. An account of a test host has no `sapi`, and the real one is not asked."""
    apis = {name: api[name] for name in ("fapiPublic", "fapiPrivate", "fapiPrivateV3", "sapi") if name in api}
    tests = {name for name, url in apis.items() if _is_test_host(yarl.URL(url).host or "")}
    if "fapiPrivate" in tests and "sapi" not in tests:
        apis.pop("sapi", None)
    sockets = api.get("ws")
    if not isinstance(sockets, dict) or not isinstance(sockets.get("linear"), str):
        raise ConfigError('ccxt.urls.api.ws: expected a table with the stream\'s address, as { linear = "wss://..." }')
    return apis | {"stream": sockets["linear"]}


def _error_of(answer: object) -> tuple[str, str] | None:
    """Return code and text of {"code": -4051, "msg": "..."}; None when the answer is no error."""
    code = answer.get("code") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(code, str | int) or not str(code).startswith("-"):
        return None
    text = answer.get("msg")
    return str(code)[:16], text if isinstance(text, str) else ""


WIRE = Wire(
    options={
        "fetchMargins": False,
        "fetchMarkets": {"types": ["linear"]},
        "recvWindow": int(RECV_WINDOW / timedelta(milliseconds=1)),
        "disableFuturesSandboxWarning": True,  # Else ccxt refuses the futures testnet.
    },
    urls=lambda api: tuple(_apis_in_use(api).values()),
    writes=(binance_margin.ADD_MARGIN,),
    error=_error_of,
    keys_refused=frozenset({"-2015", "-2014", "-1022"}),
    clock_is_off=frozenset({CLOCK_IS_OFF}),
)
