"""OKX v5: perpetual swaps and dated futures, linear and inverse, isolated and cross, net and long/short position mode.

Quirks, with source and date seen:
- ccxt's add_margin moves the money and then raises TypeError (4.5.90, okx.py:7341): the raw endpoint is used. Its `ccy`
  is for spot margin only, and `posSide` is needed in long/short mode and is `net` otherwise (docs copy, 2026).
- `mmr` is an amount in a position and a rate in a tier; `mgnRatio` is equity over requirement, so 1 is liquidation from
  above (docs; recorded rows of ccxt issues 10547 and 28121).
- A position's `mmr` leaves the fee to close out, `mgnRatio` and `liqPx` count it; `liqPx` stands one tick early
  (recorded rows: 107.0356 and 11198.2238 met to nine digits).
- Tiers count contracts, hold for the whole position, leave holes ("to 6500", "from 6501", freqtrade issue 11923) and
  differ between isolated and cross; a cross position's tier goes by all contracts of its family, long and short.
- A symbol that is opened anew in the other margin mode keeps the table of the first one until tables are read again,
  within a day (known limit, ours).
- One symbol can hold an isolated and a cross position of the same side at once: a Gap, for our keys are the same.
- `liqPx` is empty where nothing liquidates, and also where a cross position leans on several assets (help page).
- eq = cashBal + isoEq + PnL of cross positions + what bots hold; `upl` counts isolated positions too (docs example).
- What may move into isolated margin is `availBal`; what cross positions leave free is `availEq`: the smaller is used.
- A currency is not listed when both of its figures are 0; a closed position is not listed, but is when asked for by
  name (docs copy, 2026).
- Errors come with HTTP 200, or with their own status: 50013 "systems are busy" with 429 is not "nothing was done".
- A test mode is a header on the same host (`x-simulated-trading: 1`), not a host: ccxt's `options.sandboxMode` alone
  does not send it, its `sandbox = true` does (4.5.90, read).
- `expTime` bounds orders only (docs, "Transaction timeouts"): what bounds a margin write is that a request expires 30 s
  after its timestamp (docs, "REST authentication").
- Bills of margin transfers do not name the side (docs copy, 2026); no recorded one is at hand.
- A key's `trade` permission includes moving money between the owner's own accounts: there is no key without it that
  could add margin (docs, "API key permissions").

Verified against recorded answers: liquidation price, maintenance margin and account ratio of isolated inverse and
linear positions, a cross row with an empty price, a closed position. Against the documents only: bills, the answer to
the write, algo orders, the account's own ratio, the fee groups.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import ConfigError, VenueUnavailable
from guard.margin import RuleBook
from guard.snapshot import (
    DOLLAR_STABLECOINS,
    AccountSnapshot,
    Contract,
    Gap,
    HaircutTier,
    MarginChange,
    MarginMode,
    MarginRequest,
    Mark,
    Position,
    PositionEnding,
    PositionKey,
    Settlement,
    Side,
    StopOrder,
)
from guard.venues import (
    okx_account,
    okx_bills,
    okx_contracts,
    okx_margin,
    okx_market,
    okx_news,
    okx_orders,
    okx_settle,
    okx_tiers,
)
from guard.venues.base import VenueBase, if_any
from guard.venues.haircut_rows import read_haircuts
from guard.venues.okx_contracts import Market
from guard.venues.okx_rows import Config, data_of, error_of
from guard.venues.protocol import AccountNews, Candle, KeyScopes, TierTables, VenueAccount, WriteTerms
from guard.venues.rows import RowError
from guard.venues.transport import Wire

# By ccxt id. A key is known in its own region only, also to the stream (code 60032): a hostname alone moves half of it.
HOSTNAMES = {"okx": "www.okx.com", "myokx": "eea.okx.com", "okxus": "us.okx.com"}
REGION_OF = {**{host: one for one, host in HOSTNAMES.items()}, "my.okx.com": "myokx", "app.okx.com": "okxus"}
SIMULATED = "x-simulated-trading"
QUIET_S = 3.0  # Every limit counts by two seconds (docs, "Rate Limits"); no answer says when it may be asked again.
TOO_MANY = frozenset({"50011", "50040", "50061"})
CONFIG_KEPT = timedelta(minutes=10)  # How long account mode and position mode are believed unasked.
HISTORY_KEPT = timedelta(days=89)  # Bills of three months.
TRADED_WITHIN = timedelta(hours=25)  # A rolling day, and what clocks may be apart.

# A write waits at most half a second for its turn and expires 30 s after its stamp; how long the backend takes then is
# not documented: 10 s as at Binance, and 8.5 s for what nobody documents: 49 s.
FENCE = timedelta(seconds=0.5) + timedelta(seconds=30) + timedelta(seconds=10) + timedelta(seconds=8.5)
LOOPBACK_FENCE = timedelta(seconds=2)  # Half a second for its turn, and no backend behind it.


class Okx(VenueBase):
    """One OKX trading account. See guard.venues.protocol.Venue."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        super().__init__(account, _wire(account), now=now)
        gate = self._client.gate
        self._is_on_loopback: bool = gate.is_loopback
        self.write_terms = WriteTerms(
            fence=fence or (LOOPBACK_FENCE if gate.is_loopback else FENCE),
            history_kept=HISTORY_KEPT,
            test_host=gate.is_loopback or self._is_simulated(),
        )
        self.rules: RuleBook = okx_tiers.base_rules()
        self._markets: Mapping[str, Market] = {}  # By OKX's instId.
        self._by_symbol: Mapping[str, Market] = {}
        self._config: Config | None = None
        self._config_read_at: datetime | None = None
        self._modes: Mapping[str, frozenset[MarginMode]] = {}  # Of the symbols with positions, as last read.

    def _is_simulated(self) -> bool:
        """Say whether the header that makes a request a test goes out with every one of them."""
        headers = {name.lower(): value for name, value in self._client.prepare_request_headers({}).items()}
        return headers.get(SIMULATED) == "1"

    @property
    def watch_only(self) -> str | None:
        if self._config is None:
            return "the account's mode was not read yet"
        return okx_account.watch_only(self._config)

    @property
    def contracts(self) -> Mapping[str, Contract]:
        return {symbol: market.contract for symbol, market in self._by_symbol.items()}

    async def open(self) -> None:
        if not self._markets:
            await self._load_markets()
        await self._read_config()

    async def snapshot(self) -> AccountSnapshot:
        """Read positions and balance: two requests, and the account's modes when they are old or seem to have moved."""
        if not self._markets or self._config is None:
            await self.open()
        positions_read_at = self._now()
        rows = data_of(await self._read("privateGetAccountPositions", {}), "positions")
        wallets_read_at = self._now()
        totals = okx_account.totals_of(await self._read("privateGetAccountBalance", {}))
        trouble = await self._refresh(rows)
        config = self._known_config()
        mode = okx_account.asset_mode(config)
        positions, gaps = okx_account.read_positions(rows, self._markets, config)
        details, unread = okx_account.read_details(totals) if config.acct_lv != okx_account.SPOT else ((), ())
        wallets, odd = okx_account.read_wallets(details, positions, unread)
        ratio, no_ratio = okx_account.account_ratio(totals, positions, mode)
        self._note_modes(positions)
        return AccountSnapshot(
            account=self.account,
            exchange=self.exchange,
            asset_mode=mode,
            positions=positions,
            wallets=wallets,
            positions_read_at=positions_read_at,
            wallets_read_at=wallets_read_at,
            exchange_margin_ratio=ratio,
            gaps=(
                *gaps,
                *okx_account.disagreements(details, positions, gaps),
                *okx_account.hidden_positions(details, positions, gaps),
                *(*unread, *odd, *no_ratio, *trouble),
            ),
        )

    def _known_config(self) -> Config:
        assert self._config is not None, "snapshot opens first"
        return self._config

    def _note_modes(self, positions: tuple[Position, ...]) -> None:
        modes: dict[str, frozenset[MarginMode]] = {}
        for position in positions:
            symbol = position.contract.symbol
            modes[symbol] = modes.get(symbol, frozenset()) | {position.margin_mode}
        self._modes = modes

    async def _refresh(self, rows: list[object]) -> tuple[Gap, ...]:
        """Read markets and the account's modes again where these rows ask for it. A failure is a gap, not the end."""
        sizes = okx_account.open_sizes(rows)
        contracts = {size.inst_id for size in sizes if size.inst_type in okx_contracts.CONTRACTS}
        is_net = self._known_config().pos_mode == "net_mode"
        contradicted = any(
            (size.pos_side == "net") != is_net for size in sizes if size.inst_type in okx_contracts.CONTRACTS
        )
        aged = self._config_read_at is None or abs(self._now() - self._config_read_at) > CONFIG_KEPT
        try:
            await self._search_for(contracts - self._markets.keys(), self._load_markets)
            if contradicted or aged:
                await self._read_config()
        except VenueUnavailable as error:
            return (Gap(subject="account and position mode", reason=f"not read again: {error}"),)
        return ()

    async def _load_markets(self) -> None:
        # Always ccxt's reload: after an empty answer it would hand out that answer for ever.
        listed = (await self._read("load_markets", True)).values()
        markets = [market for one in listed if (market := okx_contracts.read_market(one)) is not None]
        if not markets:
            raise VenueUnavailable(f"{self.exchange} instruments: no contract in it")
        self._markets = {market.inst_id: market for market in markets}
        self._by_symbol = {market.contract.symbol: market for market in markets}

    async def _read_config(self) -> None:
        started_at = self._now()
        self._config = okx_account.read_config(await self._read("privateGetAccountConfig", {}))
        self._config_read_at = started_at

    async def tiers(self, symbols: frozenset[str]) -> TierTables:
        """Read the tiers of these symbols' families for the margin mode that they are held in, and the fees."""
        if not self._markets:
            await self._load_markets()
        read_at = self._now()
        by_symbol: dict[str, Any] = {}
        gaps: list[Gap] = []
        fees: dict[str, Decimal] = {}
        asked = [market for symbol in sorted(symbols) if (market := self._by_symbol.get(symbol)) is not None]
        gaps += [Gap(subject=f"{symbol} tiers", reason="no such market") for symbol in symbols - self._by_symbol.keys()]
        for inst_type in sorted({market.inst_type for market in asked}):
            of_type = [market for market in asked if market.inst_type == inst_type]
            rates = okx_tiers.read_fee(await self._read("privateGetAccountTradeFee", {"instType": inst_type}))
            for mode in MarginMode:
                members = [market for market in of_type if self._mode_of(market) is mode]
                families: dict[str, list[Any]] = {}
                for question in okx_tiers.questions(inst_type, mode, members):
                    families |= okx_tiers.read_families(await self._read("publicGetPublicPositionTiers", question))
                for market in members:
                    symbol = market.contract.symbol
                    try:
                        fees[symbol] = okx_tiers.taker_rate(rates, market)
                        by_symbol[symbol] = okx_tiers.table_of(families.get(market.family, ()), market.lot)
                    except RowError as error:
                        gaps.append(Gap(subject=f"{symbol} tiers", reason=str(error)))
        self.rules = okx_tiers.rules_with(self.rules, fees)
        return if_any(TierTables(by_symbol=by_symbol, read_at=read_at, gaps=tuple(gaps)), symbols, "position-tiers")

    def _mode_of(self, market: Market) -> MarginMode:
        """Return the mode whose tiers hold. A symbol held in both has the cross ones, which count more contracts."""
        modes = self._modes.get(market.contract.symbol, frozenset())
        return MarginMode.CROSS if MarginMode.CROSS in modes else MarginMode.ISOLATED

    async def haircuts(self, assets: frozenset[str]) -> Mapping[str, tuple[HaircutTier, ...]]:
        answer = await self._read("publicGetPublicDiscountRateInterestFreeQuota", {})
        return read_haircuts(data_of(answer, "discount rates"), assets, okx_tiers.HAIRCUTS)

    async def mark(self, symbol: str) -> Mark:
        return await okx_market.read_mark(self._client, await self._market(symbol))

    def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        return okx_market.stream_marks(self._client, symbols, now=self.exchange_now)

    def watch_account(self) -> AsyncGenerator[AccountNews, None]:
        return self._listen(okx_news.channel)

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        return await okx_market.read_candles(self._client, await self._market(symbol), minutes=minutes, count=count)

    def margin_step(self, currency: str) -> Decimal:
        return Decimal("0.01") if currency in DOLLAR_STABLECOINS else Decimal("0.00000001")

    def _obstacle(self, request: MarginRequest) -> str | None:
        if self.write_terms.test_host and not (self._is_on_loopback or self._is_simulated()):
            return f"the header {SIMULATED} is gone"
        return super()._obstacle(request)

    async def _send_margin(self, request: MarginRequest) -> str:
        return await okx_margin.add_margin(self._client, request, self._by_symbol[request.key.symbol].inst_id)

    async def traded_lately(self) -> frozenset[str] | None:
        inst_ids = await okx_orders.read_closed(self._client, self.exchange_now() - TRADED_WITHIN)
        if inst_ids is None:
            return None
        return frozenset(self._markets[one].contract.symbol for one in inst_ids if one in self._markets)

    async def margin_changes(
        self, keys: Collection[PositionKey], since: datetime, *, also: Collection[str] = ()
    ) -> tuple[MarginChange, ...]:
        """Read what moved margin of isolated positions. Where bills do not name the leg, it is said to be of either."""
        now = self.exchange_now()
        if self._config is None:
            await self._read_config()
        hedged = self._known_config().pos_mode != "net_mode"
        wanted = {one: await self._market(one) for one in sorted({*(key.symbol for key in keys), *also})}
        inst_ids = frozenset(market.inst_id for market in wanted.values())
        start, end = max(since, now - HISTORY_KEPT), now + timedelta(minutes=1)
        moves = await okx_bills.read_moves(self._client, inst_ids, start=start, end=end, now=now)
        changes: list[MarginChange] = []
        for symbol, market in wanted.items():
            bills = moves[market.inst_id]
            mine = tuple(one for one in keys if one.symbol == symbol)
            if mine:
                changes += [change for bill in bills for change in okx_bills.changes_of(bill, mine, hedged=hedged)]
                continue
            of_either = (PositionKey(symbol, Side.LONG),)  # It is closed: nothing says on which side it was.
            found = (change for bill in bills for change in okx_bills.changes_of(bill, of_either, hedged=hedged))
            changes += [replace(change, side_known=False) for change in found]
        return tuple(sorted(changes, key=lambda change: change.at))

    async def settle(
        self, request: MarginRequest, *, sent_at: datetime, now: datetime, known_entries: frozenset[str]
    ) -> Settlement:
        market = await self._market(request.key.symbol)
        other = request.key.opposite
        lost = okx_settle.Lost(
            request=request,
            inst_id=market.inst_id,
            sent_at=sent_at,
            now=now,
            skew=await self._known_skew(),
            known_entries=known_entries,
            read_position=lambda: self._read_position(market, request.key),
            has_both_legs=request.hedged and await self._read_position(market, other) is not None,
        )
        return await okx_settle.settle(self._client, lost, self.write_terms)

    async def _read_position(self, market: Market, key: PositionKey) -> Position | None:
        """Read one position anew. None: it is not there. Raises VenueUnavailable when that cannot be told."""
        if self._config is None:
            await self._read_config()
        rows = data_of(await self._read("privateGetAccountPositions", {"instId": market.inst_id}), "positions")
        positions, gaps = okx_account.read_positions(rows, self._markets, self._known_config())
        if gaps:
            raise VenueUnavailable(f"positions of {key.symbol}: {gaps[0].subject}: {gaps[0].reason}")
        return next((position for position in positions if position.key == key), None)

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:
        return await okx_orders.read_stops(self._client, self._markets, symbols)

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:
        market = await self._market(key.symbol)
        return await okx_orders.read_ending(self._client, market, key, since + (self._skew or timedelta(0)))

    async def _ask_key_scopes(self) -> KeyScopes:
        return okx_account.read_scopes(await self._read("privateGetAccountConfig", {}))

    async def _server_time(self) -> datetime:
        return await okx_market.server_time(self._client)

    async def _market(self, symbol: str) -> Market:
        if not self._markets:
            await self._load_markets()
        try:
            return self._by_symbol[symbol]
        except KeyError:
            raise VenueUnavailable(f"{self.exchange}: no market {symbol}") from None


def _wire(account: VenueAccount) -> Wire:
    """Return how OKX is spoken to.

    Raises ConfigError for a missing passphrase, a test mode that ccxt ignores, and the hostname of another region.
    """
    if not account.password:
        raise ConfigError(f"accounts.{account.account}.password: missing, a key of OKX has a passphrase")
    options = account.ccxt.get("options")
    if isinstance(options, Mapping) and (options.get("enableDemoTrading") or options.get("sandboxMode")):
        key = f"accounts.{account.account}.ccxt.options"
        raise ConfigError(f"{key}: OKX's demo trading is switched on by `sandbox = true` beside `options`, not in it")
    hostname = str(account.ccxt.get("hostname") or HOSTNAMES[account.exchange])
    region = REGION_OF.get(hostname, account.exchange)
    if region != account.exchange:
        raise ConfigError(
            f"accounts.{account.account}.ccxt.hostname: found {hostname!r}, whose stream has another host, too: "
            f'write exchange = "{region}" instead'
        )
    return Wire(
        options={"fetchMarkets": {"types": ["swap", "future"]}},
        urls=lambda api: _addresses(api, hostname),
        writes=(okx_margin.ADD_MARGIN,),
        error=error_of,
        keys_refused=frozenset(
            {"50100", "50101", "50105", "50110", "50111", "50113", "50114", "50119", "50120", "50121"}
        ),
        quiet_s=_quiet,
        clock_is_off=okx_margin.CLOCK_IS_OFF,
    )


def _quiet(status: int, headers: Mapping[str, str], answer: object) -> float | None:
    """Return for how long OKX wants quiet: too many requests are said by status 429, or by a code under 200."""
    error = error_of(answer)
    if headers.get("Retry-After") is not None or (status != 429 and (error is None or error[0] not in TOO_MANY)):
        return None
    return QUIET_S


def _addresses(api: Mapping[str, Any], hostname: str) -> tuple[str, ...]:
    rest, stream = api.get("rest"), api.get("ws")
    if not isinstance(rest, str) or not isinstance(stream, str):
        raise ConfigError('ccxt.urls.api: expected { rest = "https://...", ws = "wss://..." }')
    return rest.replace("{hostname}", hostname), stream
