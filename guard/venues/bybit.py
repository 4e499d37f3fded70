"""Bybit unified accounts, v5: linear contracts in USDT and USDC, and inverse ones.

Guarded in isolated margin mode. In cross and portfolio mode (which hold for the whole account) the account's own ratio
is watched and nothing is added.

Quirks, with source and date seen (docs: bybit-exchange/docs of 2026-07-24):
- The margin mode is the account's, in `account/info`; a position's `tradeMode` is always 0 and `positionBalance` is
  deprecated (docs).
- `position/list` tells of one category and settle coin at a time: linear needs a settle coin or a symbol (docs; ccxt
  issue 24159, where only USDT was asked). A wallet's `totalPositionIM` says which of them are in use, every one is
  looked through every ten minutes, and what a wallet holds for positions must be found in their rows.
- `nextPageCursor` is not empty on the last page, and a page once held one row less than the account (docs; ccxt issue
  17340): from 20 rows on, which is the default page, the cursor is followed until a page is empty.
- `positionIM` holds added margin and the reserve for the fee to close it at its bankruptcy price; since 2025-09-02
  maintenance margin goes by the mark and the rest by the entry (help page "The New Margin Calculation"). The reserve is
  taken out with the user's taker rate. Checked: the documented add-margin answer, to 1e-8; a recorded cross position of
  2025-11, to 1e-6. The liquidation price in isolated mode is published for inverse contracts, not for linear ones.
- `liqPrice` "" is a price outside the symbol's limits; in portfolio mode there is none (docs).
- USDC contracts pay profit out three times a day and count anew from `sessionAvgPrice`; the entry that we use is the
  one from which the stated unrealized PnL counts.
- `add-margin` takes four decimals of any coin, and a minus takes money out (docs). No record is kept of it.
- An answer has HTTP 200 whatever is in it; `retCode` tells (docs). 10006 is the limit of the user and goes by
  `X-Bapi-Limit-Reset-Timestamp`; 403 "access too frequent" is the limit of the address: ten minutes of quiet (docs).
- ccxt watches the symbols of one category per connection, by the first symbol's (ccxt 4.5.90 watch_tickers).
- The last candle's close is the last traded price (docs), so the open candle is left out.
- A demo account has neither `user/query-api` nor `account/fee-rate` (docs, demo trading), and its marks stream from the
  main host.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import yarl

from guard.errors import VenueUnavailable
from guard.margin import RuleBook, TierTable
from guard.margin.rules import KNOWN_RULES
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
from guard.venues import bybit_margin, bybit_news
from guard.venues.bybit_account import Market, read_positions
from guard.venues.bybit_market import read_candles, read_mark, read_tiers, result_of, stream_marks, told_at
from guard.venues.bybit_orders import read_ending, read_scopes, read_stops
from guard.venues.bybit_reads import PAGE_ROWS_MAX, PAGE_ROWS_USUAL, BybitReads
from guard.venues.bybit_wire import FENCE, LOOPBACK_FENCE, LOOPBACK_RECV_WINDOW, RECV_WINDOW, is_test_host
from guard.venues.haircut_rows import Names, read_haircuts
from guard.venues.margin_difference import settle_by_margin
from guard.venues.protocol import AccountNews, Candle, KeyScopes, KeyVerdict, TierTables, VenueAccount, WriteTerms
from guard.venues.rows import rows_of
from guard.venues.transport import ask

HAIRCUTS = Names(asset="currency", steps="collateralRatioList", floor="minQty", share="collateralRatio")

KNOWN_LIMITS = (
    "a classic account is not read, and the inverse positions of a unified account 1.0 are named as not seen",
    "options are not read: what they hold of a wallet is named as not seen",
    "added margin counts as it is; the exchange counts it for up to 0.06 % more (linear longs) or less (linear shorts)",
    "by the rule since 2025-09 one price is published, of a linear long; none of a short, inverse or paid-out USDC one",
    "of a trailing stop it is said that it is there: the exchange tells where it begins to trail, not where it stands",
    "a lost answer stays unknown where funding of its symbol was paid meanwhile and could have been as much",
    "without a history of margin a new journal only watches until `guard arm`",
)
FILLS_SPAN_MAX = timedelta(days=7)  # Of one question.
INTERVALS = {1: "1", 3: "3", 5: "5", 15: "15", 30: "30", 60: "60", 120: "120", 240: "240", 720: "720", 1440: "D"}


class Bybit(BybitReads):
    """One unified Bybit account. See guard.venues.protocol.Venue."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        super().__init__(account, now=now)
        self.rules = RuleBook(
            isolated=KNOWN_RULES["bybit isolated"].rule, cross=KNOWN_RULES["bybit unified cross"].rule
        )
        gate = self._client.gate
        window = LOOPBACK_RECV_WINDOW if gate.is_loopback else RECV_WINDOW
        self._client.options["recvWindow"] = window // timedelta(milliseconds=1)  # The fence counts on it.
        self.write_terms = WriteTerms(
            fence=fence or (LOOPBACK_FENCE if gate.is_loopback else FENCE),
            history_kept=timedelta(0),
            test_host=is_test_host(yarl.URL(self._client.urls["api"]["private"]).host or ""),
        )

    async def tiers(self, symbols: frozenset[str]) -> TierTables:
        async def read(symbol: str) -> TierTable:
            market = await self._market(symbol)
            question = {"category": market.category, "symbol": market.market_id}
            result = result_of(await self._read("publicGetV5MarketRiskLimit", question), "risk-limit")
            return TierTable.of(read_tiers(result, market.market_id))

        return await self._tiers_of_each(symbols, read, "risk-limit")

    async def haircuts(self, assets: frozenset[str]) -> Mapping[str, tuple[HaircutTier, ...]]:
        result = result_of(await self._read("publicGetV5SpotMarginTradeCollateral", {}), "collateral ratios")
        return read_haircuts(rows_of(result.get("list"), "collateral ratios"), assets, HAIRCUTS)

    async def mark(self, symbol: str) -> Mark:
        market = await self._market(symbol)
        question = {"category": market.category, "symbol": market.market_id}
        answer = await self._read("publicGetV5MarketTickers", question)
        result = result_of(answer, f"mark price of {symbol}")
        return read_mark(result, told_at(answer, "tickers"), market.market_id, symbol)

    def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        kinds = {contract.symbol: contract.kind for contract in self.contracts.values()}
        groups = tuple(
            group for kind in ContractKind if (group := tuple(one for one in symbols if kinds.get(one) is kind))
        )
        return stream_marks(self._client, groups, now=self.exchange_now)

    def watch_account(self) -> AsyncGenerator[AccountNews, None] | None:
        url = bybit_news.private_address(self._client.urls["api"])
        return None if url is None else self._listen(lambda client: bybit_news.channel(client.implode_hostname(url)))

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        market = await self._market(symbol)
        question = {"category": market.category, "symbol": market.market_id, "interval": INTERVALS[minutes]}
        answer = await self._read("publicGetV5MarketMarkPriceKline", {**question, "limit": count + 1})
        now, length = told_at(answer, "mark-price-kline"), timedelta(minutes=minutes)
        return read_candles(result_of(answer, f"candles of {symbol}"), symbol, length=length, now=now, count=count)

    def margin_step(self, currency: str) -> Decimal:  # noqa: ARG002  # Four decimals of any coin.
        return bybit_margin.STEP

    async def _send_margin(self, request: MarginRequest) -> str:
        return await bybit_margin.add_margin(self._client, request, await self._market(request.key.symbol))

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
        await self._read_choices()
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
        """Say whether the account's log may hold a funding payment since then. It is paid by the wallet, if it can."""
        question = {
            "accountType": "UNIFIED",
            "category": market.category,
            "type": "SETTLEMENT",
            "startTime": _ms(since - timedelta(minutes=1)),
            "limit": 50,
        }
        rows = await self._pages("privateGetV5AccountTransactionLog", question, "transaction-log", full_from=50)
        return any(not isinstance(row, dict) or row.get("symbol") == market.market_id for row in rows)

    async def _position(self, key: PositionKey, market: Market) -> Position | None:
        """Read one position. None: the exchange says that it is not there."""
        assert self._terms is not None
        question = {"category": market.category, "symbol": market.market_id, "limit": PAGE_ROWS_MAX}
        rows = await self._pages("privateGetV5PositionList", question, "position/list", full_from=PAGE_ROWS_USUAL)
        if not rows:
            raise VenueUnavailable(f"{key}: no row of it, although an empty one would say that it is not there")
        held, gaps = read_positions(rows, self._terms)
        if gaps:
            raise VenueUnavailable(f"{gaps[0].subject}: {gaps[0].reason}")
        return next((one.position for one in held if one.position.key == key), None)

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:
        markets = [market for market in self._markets.values() if market.contract.symbol in symbols]
        scopes = {(m.category, m.contract.settle if m.category == "linear" else "") for m in markets}
        rows: list[object] = []
        for category, settle in sorted(scopes):
            question = {"category": category, "orderFilter": "StopOrder", "limit": 50}
            question |= {"settleCoin": settle} if settle else {}
            rows += await self._pages("privateGetV5OrderRealtime", question, "order/realtime", full_from=50)
        return read_stops(rows, {market.market_id: market for market in markets})

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:
        market = await self._market(key.symbol)
        since += self._skew or timedelta(0)
        start = max(since, self.exchange_now() - FILLS_SPAN_MAX + timedelta(minutes=1))
        question = {"category": market.category, "symbol": market.market_id, "startTime": _ms(start), "limit": 100}
        rows = await self._pages("privateGetV5ExecutionList", question, "execution/list", full_from=100)
        return read_ending(rows, key, market)

    async def _ask_key_scopes(self) -> KeyScopes:
        if self._is_demo:
            text = "a demo account cannot say what the key may do"
            return KeyScopes(verdict=KeyVerdict.UNVERIFIABLE, scopes=(), ip_restricted=None, text=text)
        return read_scopes(result_of(await self._read("privateGetV5UserQueryApi", {}), "query-api"))

    async def _server_time(self) -> datetime:
        return told_at(await ask(self._client, "publicGetV5MarketTime", {}), "time")


async def _no_funding(_: datetime) -> Decimal:
    return Decimal(0)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
