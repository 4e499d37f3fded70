"""Bitget: contracts in USDT and USDC, in classic accounts (v2) and in unified ones (UTA, v3).

Guarded: isolated positions of classic accounts in single-asset mode, and of unified accounts where the margin that a
row states is what its liquidation price asks for (see bitget_uta). Quirks, with source and date seen (docs: copies of
2025-10 and later):
- Whether an account is classic or unified is asked of `v3/account/settings`: an answer is a unified one, code 40084 or
  25245 a classic one, anything else is no answer. How a unified one is set (`accountLevel`, docs of 2026) no other read
  tells, so it is asked in every look. ccxt asks too, takes a time-out for "classic" and remembers it (4.5.90,
  `handle_uta_and_params`), so its option is preset. A classic endpoint says 40085 in a unified account, even before it
  looks at the signature (ccxt issue 26838).
- `all-position` and `accounts` tell of one product at a time; USDT always, the others where positions or money are,
  after news of the account, and every ten minutes; all where positions may lean on one pool. `data.list` of a unified
  account is null when there is none.
- `marginSize` is the margin without unrealized PnL, `marginRatio` is requirement by equity with 0.06 % to close in the
  requirement (the documented isolated row meets the published formula to 17 digits).
- `liquidationPrice` zero or less is "no price at this time"; v1 told zero of every isolated position.
- `set-margin` needs `holdSide` in one-way mode too, a minus takes money out, and a yes is `data: ""` (docs). That of a
  unified account has `operation` for the direction, and its yes is `data: "success"` (docs, 2026-07).
- While Bitget releases software it answers 40015, 40725, 40808 or 45001 (docs, FAQ 14): these say nothing
  about a write. 40010 is "request timed out".
- ccxt rounds the amount to a step of the contract's size (4.5.90 add_margin). No step is documented; a
  cent is used.
- Bills of margin name the symbol, not the side; no recorded one is at hand. By which word a unified account's records
  name added margin the documents' lists differ, so they prove what was added and never that nothing was.
- Demo trading is a header (`paptrading: 1`) on the same host, and a stream of its own (docs, "Demo trading").
- Coin-margined contracts count in coins, may be margined in another coin, and convert at an index price (help page
  12560603808759): their positions are told as not modelled.
- ccxt watches the symbols of one product per call, by the first symbol's (4.5.90 watch_tickers), and lists markets of
  six products, three of them of an older demo, which cannot be left out.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import VenueUnavailable
from guard.margin import RuleBook
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import (
    Gap,
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
from guard.venues import (
    bitget_account,
    bitget_bills,
    bitget_margin,
    bitget_market,
    bitget_news,
    bitget_orders,
    bitget_uta,
    bitget_uta_margin,
    bitget_uta_orders,
    bitget_uta_records,
)
from guard.venues.account_stream import AccountChannel
from guard.venues.bitget_reads import HISTORY_KEPT, BitgetReads, of_product
from guard.venues.bitget_settle import Lost, settle
from guard.venues.bitget_wire import FENCE, LOOPBACK_FENCE, PRODUCTS, USDC, USDT, Market, list_of
from guard.venues.haircut_rows import read_haircuts
from guard.venues.protocol import AccountNews, Candle, KeyScopes, TierTables, VenueAccount, WriteTerms

KNOWN_LIMITS = (
    "no recorded isolated row of a unified account is at hand: where its stated margin and price differ it is watched",
    "a unified account's records are a yes and never a no: a new journal only watches there until `guard arm`",
    "of a unified account's orders only stop losses are stops: a trigger order does not say whether it closes",
    "a key that may add margin in a unified account may also move money between the user's own accounts",
    "what assets count for is read of unified accounts only: in multi-assets mode the ratio tells when it changes",
    "which coins its owner took out of the collateral is not read: what they would count for is told too",
    "a position in a coin-margined contract is told as one that is not modelled, with Bitget's liquidation price",
    "a first position in a product without money, not told by the stream, is noticed within ten minutes",
    "the published cross formula is cut off: of cross positions Bitget's own price is watched",
    "a position opened before 2025-11-10 may still be held to whole-position tiers",
    "of a trailing stop it is said that it is there: the exchange tells where it begins to trail, not where it stands",
    "no recorded bill of added margin and no recorded answer to the write is at hand: they are by the documents",
    "whether funding is paid by the wallet or by the position is not told, so it makes a lost answer harder to settle",
)
TRADED_WITHIN = timedelta(hours=25)  # A rolling day, and what clocks may be apart.
STEP = Decimal("0.01")
CONFIRMED_TO = Decimal("0.25")  # Of the amount whose effect is looked for in a unified account's margin.
LOOK_FOR_KIND_EVERY_S = 0.5
HEADER = "paptrading"


class Bitget(BitgetReads):
    """One Bitget account. See guard.venues.protocol.Venue."""

    haircuts_count_dollars = True

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        super().__init__(account, now=now)
        gate = self._client.gate
        self._is_on_loopback: bool = gate.is_loopback
        self.rules = RuleBook.uniform(KNOWN_RULES["bitget"].rule)
        self.write_terms = WriteTerms(
            fence=fence or (LOOPBACK_FENCE if gate.is_loopback else FENCE),
            history_kept=HISTORY_KEPT,
            test_host=gate.is_loopback or self._is_demo(),
        )

    def _is_demo(self) -> bool:
        """Say whether the header that makes a request a test goes out with a write: not whether an option says so."""
        signed = self._client.sign("v2/mix/account/set-margin", ["private", "mix"], "POST", {"amount": "1"})
        headers = self._client.prepare_request_headers(dict(signed["headers"]))
        return {name.lower(): value for name, value in headers.items()}.get(HEADER) == "1"

    async def tiers(self, symbols: frozenset[str]) -> TierTables:
        await self._know_kind()
        return await self._tiers_of_each(symbols, self._tiers_of, "position tiers")

    async def haircuts(self, assets: frozenset[str]) -> Mapping[str, tuple[HaircutTier, ...]]:
        await self._know_kind()
        if not (self._unified and bitget_uta.shares_collateral(self._level)):
            return {}
        rows = list_of(await self._read("publicUtaGetV3MarketDiscountRate", {}), "discount rates")
        return read_haircuts(rows, assets, bitget_uta.HAIRCUTS)

    async def mark(self, symbol: str) -> Mark:
        return await bitget_market.read_mark(self._client, await self._market(symbol))

    def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        products = {market.contract.symbol: market.product for market in self._markets.values()}
        groups = tuple(
            group for product in PRODUCTS if (group := tuple(one for one in symbols if products.get(one) == product))
        )
        return bitget_market.stream_marks(self._client, groups, now=self.exchange_now)

    async def watch_account(self) -> AsyncGenerator[AccountNews, None]:
        async with aclosing(self._listen(self._account_channel)) as news:
            async for one in news:
                self._looked_at.clear()  # It may be about a product in which there was nothing.
                yield one

    async def _account_channel(self, client: Any) -> AccountChannel:
        while self._unified is None:  # noqa: ASYNC110  # The account's own reads find out which it is.
            await asyncio.sleep(LOOK_FOR_KIND_EVERY_S)
        streams = client.urls["api"]["demo" if self._is_demo() else "ws"]
        return bitget_news.channel(streams, PRODUCTS, is_unified=bool(self._unified))

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        market = await self._market(symbol)
        return await bitget_market.read_candles(self._client, market, minutes=minutes, count=count)

    def margin_step(self, currency: str) -> Decimal:  # noqa: ARG002  # Only dollar coins are added.
        return STEP

    def _obstacle(self, request: MarginRequest) -> str | None:
        if self.write_terms.test_host and not (self._is_on_loopback or self._is_demo()):
            return f"the header {HEADER} is gone"
        if request.key in self._unsure:
            return "what margin the position holds is not confirmed"
        return super()._obstacle(request)

    async def _send_margin(self, request: MarginRequest) -> str:
        market = await self._market(request.key.symbol)
        send = bitget_uta_margin.add_margin if self._unified else bitget_margin.add_margin
        return await send(self._client, request, market_id=market.market_id, product=market.product)

    async def traded_lately(self) -> frozenset[str] | None:
        await self._know_kind()
        if self._unified:
            return None
        start = self.exchange_now() - TRADED_WITHIN
        closed = await bitget_orders.read_closed(self._client, (USDT, USDC), start)
        if closed is None:
            return None
        return frozenset(self._markets[one].contract.symbol for one in closed if one in self._markets)

    async def margin_changes(
        self, keys: Collection[PositionKey], since: datetime, *, also: Collection[str] = ()
    ) -> tuple[MarginChange, ...]:
        """Read the bills of margin. Where they do not name the leg, every open one counts them."""
        await self._know_kind()
        if self._unified:
            raise VenueUnavailable("which of a unified account's records are added margin is not certain")
        end = self.exchange_now() + timedelta(minutes=1)
        start = max(since, end - HISTORY_KEPT)
        wanted = {*(one.symbol for one in keys), *also}
        products = {(await self._market(symbol)).product for symbol in wanted}
        changes: list[MarginChange] = []
        for product in sorted(products):
            for kind in bitget_bills.MOVES:
                for bill in await bitget_bills.read_bills(self._client, product, kind, start=start, end=end):
                    market = self._markets.get(bill.symbol.upper())
                    symbol = "" if market is None else market.contract.symbol
                    if symbol in wanted:
                        legs = tuple(one for one in keys if one.symbol == symbol)
                        changes += bitget_bills.changes_of(bill, symbol, legs)
        opened = self._openings(keys, changes, start)
        return tuple(sorted((*changes, *opened), key=lambda change: change.at))

    def _openings(
        self, keys: Collection[PositionKey], changes: list[MarginChange], start: datetime
    ) -> list[MarginChange]:
        """Return what each position was opened with, which bills of trades do not tell: its margin less what was added.

        Only where Bitget says that it was opened within the time that the bills were read for.
        """
        found: list[MarginChange] = []
        for position, at in ((one.position, one.opened_at) for one in self._held):
            if position.key not in keys or position.isolated_wallet is None or at <= start:
                continue
            added = sum((one.amount for one in changes if one.key == position.key and one.at >= at), Decimal(0))
            found.append(
                MarginChange(
                    key=position.key,
                    amount=position.isolated_wallet - added,
                    currency=position.contract.settle,
                    at=at,
                    by_user=False,
                    entry_id=f"opened|{position.key}|{at.timestamp():.3f}",
                )
            )
        return found

    async def settle(
        self, request: MarginRequest, *, sent_at: datetime, now: datetime, known_entries: frozenset[str]
    ) -> Settlement:
        await self._know_kind()
        market = await self._market(request.key.symbol)
        product = market.product

        async def read_bills(kind: str, start: datetime, end: datetime) -> tuple[bitget_bills.Bill, ...]:
            if self._unified:
                return await bitget_uta_records.read_records(self._client, product, kind, start, end)
            return await bitget_bills.read_bills(self._client, product, kind, start=start, end=end)

        other = request.key.opposite
        within = request.amount * CONFIRMED_TO
        lost = Lost(
            request=request,
            market_id=market.market_id,
            sent_at=sent_at,
            now=now,
            skew=await self._known_skew(),
            known_entries=known_entries,
            read_position=lambda: self._position(market, request.key, within),
            read_bills=read_bills,
            read_clock=self._server_time,
            has_both_legs=request.hedged and await self._position(market, other, within) is not None,
        )
        return await settle(lost, replace(self.write_terms, history_kept=HISTORY_KEPT))

    async def _position(self, market: Market, key: PositionKey, within: Decimal) -> Position | None:
        """Read one position anew. None: it is not there. Raises VenueUnavailable when that cannot be told.

        `within`: to how much of the settle currency a unified account's margin is confirmed; else it has none.
        """
        read = self._unified_rows if self._unified else self._classic_rows
        held, gaps = await read(market)
        if gaps:
            raise VenueUnavailable(f"{gaps[0].subject}: {gaps[0].reason}")
        found = next((one for one in held if one.key == key), None)
        if found is None or not self._unified:
            return found
        doubt = bitget_uta.doubt(found, (await self._tables_of(held)).get(key.symbol), self.rules, within=within)
        return found if doubt is None else replace(found, isolated_wallet=None)

    async def _classic_rows(self, market: Market) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
        answer = await self._read("privateMixGetV2MixPositionAllPosition", of_product(market.product))
        rows = list_of(answer, "positions")
        mine = [raw for raw in rows if not isinstance(raw, dict) or raw.get("symbol") == market.market_id]
        held, gaps = bitget_account.read_positions(mine, self._markets, market.product)
        return tuple(one.position for one in held), gaps

    async def _unified_rows(self, market: Market) -> tuple[tuple[Position, ...], tuple[Gap, ...]]:
        question = {"category": market.product, "symbol": market.market_id}
        rows = list_of(await self._read("privateUtaGetV3PositionCurrentPosition", question), "positions", "list")
        mine = [raw for raw in rows if not isinstance(raw, dict) or raw.get("symbol") == market.market_id]
        return bitget_uta.read_positions(mine, self._markets, market.product)

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:
        await self._know_kind()
        markets = {name: market for name, market in self._markets.items() if market.contract.symbol in symbols}
        if self._unified:
            return await bitget_uta_orders.read_stops(self._client, markets)
        return await bitget_orders.read_stops(self._client, markets, self._marks)

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:
        await self._know_kind()
        market = await self._market(key.symbol)
        read = bitget_uta_orders.read_ending if self._unified else bitget_orders.read_ending
        return await read(self._client, market, key, since + (self._skew or timedelta(0)))

    async def _ask_key_scopes(self) -> KeyScopes:
        await self._know_kind()
        if self._unified:
            return bitget_uta_orders.read_scopes(await self._read("privateUtaGetV3AccountInfo", {}))
        return bitget_orders.read_scopes(await self._read("privateSpotGetV2SpotAccountInfo", {}))

    async def _server_time(self) -> datetime:
        return await bitget_market.server_time(self._client)
