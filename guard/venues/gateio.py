"""Gate futures, API v4: perpetual contracts settled in USDT and in BTC, one-way and hedge (dual) mode.

Guarded in a classic futures account, isolated positions. In a unified account (multi-currency, portfolio and
single-currency margin mode) and in split position mode nothing is added; the unified account's own ratio is watched.

Quirks, with source and date seen (docs: v4.106.88 of 2026-05-27 and SDK 7.2.161 of the same API; "ccxt": 4.5.90):
- A settle currency is an exchange of its own: accounts, positions, orders, stream (docs). One that was never used
  answers USER_NOT_FOUND; one without money and positions is looked at every ten minutes.
- `positions` lists closed contracts with size 0 unless `holding`, 100 rows a page; ccxt reads the first page (ccxt).
- Sizes are cut to whole contracts unless the header X-Gate-Size-Decimal is sent; then they are text (docs).
- `leverage` 0 is cross; `pos_margin_mode` says it in words since 2026 and is held against it (docs).
- `margin` of a row is without unrealized PnL and holds the fee to close; the liquidation price counts all of it: so it
  was in every recorded row at hand (golden cases of the rule before 2025-07).
- `liq_price` is rounded to the tick, towards the mark; "0" is none (ccxt PR 18092).
- The trigger counts the contract's standard taker rate, 0.075 % almost everywhere, whatever the user pays (help 22160).
- `initial_margin` and `maintenance_margin` of a row were "0" in 2024 and are filled now; a 0 is read as not stated.
- The requirement is counted slice by slice since 2025-07-29 (`enable_tiered_mm` of the account, `deduction` of a tier).
- `total` is without unrealized PnL and holds what isolated positions hold; `available` is what may move into isolated
  margin and counts trial funds (docs, and announcement 47162 for unified accounts).
- The multiplier of an inverse contract is stated as 0: one contract is one dollar (ccxt). A quanto contract is neither
  linear nor inverse and not modelled: a position in one is a gap.
- Margin is added by the query of a POST with an empty body: `change`, in dual mode by another path with `dual_side`,
  which answers with both legs. A minus takes money out (docs). The account book does not list it.
- Errors are labels; a stamp must be within 60 s, else REQUEST_EXPIRED, which ccxt takes for a refused key (ccxt).
- ccxt's probe for a unified account takes any failure for a no and remembers it: preset (ccxt).
- What an asset counts for in a unified account is listed by the discount of each slice of its worth: `lower_limit` is
  in dollars by the announcements (of 2024-03-20: 200 BTC at 70,000 are slices of 5, 5 and 4 millions; 41242).
  The example of the docs (2025) is a list in a list, the SDK's model a plain one; the last `upper_limit` is "+".
- ccxt drops the time of a ticker message, so it is put back (ccxt); a REST ticker has none (docs).
- Trailing orders stand in a list of their own since 2026-02 (`autoorder/v1/trail/list`, SDK 7.2.161), in pages that are
  counted from 1.
- `main_keys` answers with this key, or with a list of keys with starred ends (docs, old and new); it needs the key's
  permission `account`.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import yarl

from guard.errors import VenueRefused, VenueUnavailable
from guard.margin import TierTable
from guard.snapshot import (
    ContractKind,
    HaircutTier,
    MarginChange,
    MarginRequest,
    Mark,
    Position,
    PositionEnding,
    PositionKey,
    Settlement,
    StopOrder,
)
from guard.venues import gateio_margin
from guard.venues.gateio_account import Market, read_positions
from guard.venues.gateio_market import read_candles, read_mark, read_tiers, read_time, stream_marks
from guard.venues.gateio_news import open_channel
from guard.venues.gateio_orders import Records, read_ending, read_scopes, read_stops, read_trailing, trailing_rows
from guard.venues.gateio_reads import PAGE_ROWS, PAGES_MAX, GateReads
from guard.venues.gateio_wallet import HAIRCUTS, discount_rows
from guard.venues.gateio_wire import FENCE, LOOPBACK_FENCE, SETTLES, is_test_host
from guard.venues.haircut_rows import read_haircuts
from guard.venues.margin_difference import settle_by_margin
from guard.venues.protocol import AccountNews, Candle, KeyScopes, TierTables, VenueAccount, WriteTerms
from guard.venues.rows import rows_of
from guard.venues.transport import Answered, ask

KNOWN_LIMITS = (
    "dated (delivery) contracts and options are not read",
    "unified accounts and split positions are watched, nothing is added to them",
    "no price since the progressive tiers of 2025-07 is published with all its figures; those before fit to the tick",
    "where progressive tiers are off, the tier that goes with the size is taken, not the limit that its owner chose",
    "limits of the discount tiers are taken for dollars, by announcements of 2024: the API's documents do not say it",
    "whether trial funds, which count as available, may go into isolated margin is not documented",
    "of a trailing order it is said that it is there, not where it stands: which of its prices tells is not documented",
    "chase orders and stops that wait on an open order are not seen as stops",
    "a first position in BTC-settled contracts is noticed within ten minutes when its account was empty",
    "a lost answer stays unknown where funding of its symbol was paid meanwhile and could have been as much",
    "without a history of margin a new journal only watches until `guard arm`",
)
ENDED_EARLIER_MAX = timedelta(seconds=5)  # Before it was last seen open: clocks differ, and records are in seconds.
NO_LIST = frozenset({400, 403, 404})  # With a label: the exchange does not know the list, or not for this account.
INTERVALS = {1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 240: "4h", 480: "8h", 1440: "1d"}


class GateIo(GateReads):
    """One Gate futures account. See guard.venues.protocol.Venue."""

    haircuts_count_dollars = True

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        super().__init__(account, now=now)
        is_loopback = self._client.gate.is_loopback
        self.write_terms = WriteTerms(
            fence=fence or (LOOPBACK_FENCE if is_loopback else FENCE),
            history_kept=timedelta(0),
            test_host=is_test_host(yarl.URL(self._client.urls["api"]["private"]["futures"]).host or ""),
        )

    async def tiers(self, symbols: frozenset[str]) -> TierTables:
        async def read(symbol: str) -> TierTable:
            market = await self._market(symbol)
            account = self._accounts.get(market.settle)
            answer = await self._read("publicFuturesGetSettleRiskLimitTiers", _about(market))
            return TierTable.of(read_tiers(answer, progressive=account is None or account.enable_tiered_mm))

        return await self._tiers_of_each(symbols, read, "risk_limit_tiers")

    async def haircuts(self, assets: frozenset[str]) -> Mapping[str, tuple[HaircutTier, ...]]:
        if not any(account.shares_collateral for account in self._accounts.values()):
            return {}
        answer = await self._read("privateUnifiedGetCurrencyDiscountTiers", {})
        return read_haircuts(discount_rows(answer), assets, HAIRCUTS)

    async def mark(self, symbol: str) -> Mark:
        market, asked_at = await self._market(symbol), self.exchange_now()
        return read_mark(await self._read("publicFuturesGetSettleTickers", _about(market)), market, asked_at)

    def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        kinds = {contract.symbol: contract.kind for contract in self.contracts.values()}
        groups = tuple(
            group for kind in ContractKind if (group := tuple(one for one in symbols if kinds.get(one) is kind))
        )
        return stream_marks(self._client, groups, now=self.exchange_now)

    def watch_account(self) -> AsyncGenerator[AccountNews, None]:
        return self._listen(lambda listener: open_channel(self._client, listener, self.settles_in_use))

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        market = await self._market(symbol)
        question = {"settle": market.settle, "contract": f"mark_{market.market_id}", "limit": count}
        question["interval"] = INTERVALS[minutes]
        return read_candles(await self._read("publicFuturesGetSettleCandlesticks", question), symbol)

    def margin_step(self, currency: str) -> Decimal:
        return gateio_margin.STEPS[currency]

    async def _send_margin(self, request: MarginRequest) -> str:
        await self._refuse_bad_stamps(request)
        return await gateio_margin.add_margin(self._client, request, await self._market(request.key.symbol))

    async def _refuse_bad_stamps(self, request: MarginRequest) -> None:
        try:
            await self._trust_stamps()
        except VenueUnavailable as error:
            failure = VenueRefused(
                f"{request.key}: not sent, our clock was set and theirs not told: {error}", code="not_sent"
            )
        else:
            return
        raise failure

    async def margin_changes(
        self,
        keys: Collection[PositionKey],  # noqa: ARG002  # There is nothing to ask.
        since: datetime,  # noqa: ARG002
        *,
        also: Collection[str] = (),  # noqa: ARG002
    ) -> tuple[MarginChange, ...]:
        raise VenueUnavailable(f"{self.exchange} keeps no record of margin added to positions")

    async def settle(
        self,
        request: MarginRequest,
        *,
        sent_at: datetime,
        now: datetime,
        known_entries: frozenset[str],  # noqa: ARG002  # There are no entries.
    ) -> Settlement:
        market = await self._market(request.key.symbol)
        quiet = request.before is not None and not await self._had_funding(market, request.before.read_at)
        return await settle_by_margin(
            request,
            lambda: self._position(request.key, market),
            sent_at=sent_at,
            now=now,
            fence=self.write_terms.fence,
            read_funding=_no_funding if quiet else None,
        )

    async def _had_funding(self, market: Market, since: datetime) -> bool:
        """Say whether the account book holds a funding payment of the contract since then."""
        start = int((since - timedelta(minutes=1)).timestamp())
        question = {**_about(market), "type": "fund", "from": start, "limit": PAGE_ROWS}
        return bool(rows_of(await self._read("privateFuturesGetSettleAccountBook", question), "account_book"))

    async def _position(self, key: PositionKey, market: Market) -> Position | None:
        """Read one position. None: it is not listed."""
        rows = await self._position_rows(market.settle)
        held, gaps = read_positions(rows, self._markets, market.settle, shared=False, now=self.exchange_now())
        trouble = next((gap for gap in gaps if gap.key in {key, None}), None)
        if trouble is not None:
            raise VenueUnavailable(f"{trouble.subject}: {trouble.reason}")
        return next((position for position in held if position.key == key), None)

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:
        found: list[StopOrder] = []
        for settle in SETTLES:
            markets = {
                m.market_id: m for m in self._markets.values() if (m.settle == settle) and m.contract.symbol in symbols
            }
            if markets:
                question = {"settle": settle, "status": "open"}
                rows = await self._pages("privateFuturesGetSettlePriceOrders", question, "price_orders")
                found += read_stops(rows, markets)
                found += read_trailing(await self._trailing(settle), markets)
        return tuple(found)

    async def _trailing(self, settle: str) -> list[object]:
        """Return the trailing orders that are open. Where the exchange knows no such list there are none."""
        rows: list[object] = []
        for page_number in range(1, PAGES_MAX + 1):
            question = {"settle": settle, "is_finished": "false", "page_num": page_number, "page_size": PAGE_ROWS}
            try:
                answer = await self._read("privateFuturesGetSettleAutoorderV1TrailList", question)
            except Answered as error:
                if error.code is None or error.status not in NO_LIST:
                    raise
                return rows
            page = trailing_rows(answer)
            rows += page
            if len(page) < PAGE_ROWS:
                return rows
        raise VenueUnavailable(f"trailing orders: more than {PAGES_MAX} pages")

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:
        market = await self._market(key.symbol)
        since += (self._skew or timedelta(0)) - ENDED_EARLIER_MAX
        question = {**_about(market), "from": int(since.timestamp()), "limit": PAGE_ROWS}
        records = Records(
            closes=await self._read("privateFuturesGetSettlePositionClose", question),
            liquidates=await self._read("privateFuturesGetSettleLiquidates", question),
            deleverages=await self._read("privateFuturesGetSettleAutoDeleverages", question),
        )
        return read_ending(records, key, market, since)

    async def _ask_key_scopes(self) -> KeyScopes:
        return read_scopes(await self._read("privateAccountGetMainKeys", {}), self._client.apiKey)

    async def _server_time(self) -> datetime:
        return read_time(await ask(self._client, "publicSpotGetTime", {}))


async def _no_funding(_: datetime) -> Decimal:
    return Decimal(0)


def _about(market: Market) -> dict[str, object]:
    return {"settle": market.settle, "contract": market.market_id}
