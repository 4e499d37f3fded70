"""What Hyperliquid says of an account and its markets, read: positions and money of each dex, tiers, marks, orders.

Quirks of the reads stand in guard.venues.hyperliquid.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from guard.errors import VenueUnavailable
from guard.margin import RuleBook, TierTable
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Contract,
    Gap,
    Mark,
    PositionEnding,
    PositionKey,
    Purse,
    StopOrder,
    Wallet,
)
from guard.venues import hyperliquid_identity as identity
from guard.venues import hyperliquid_market as market
from guard.venues import hyperliquid_news
from guard.venues.base import VenueBase, if_any
from guard.venues.hyperliquid_account import (
    USDC,
    USDC_TOKEN,
    AccountState,
    Money,
    account_state,
    coins_of,
    read_positions,
    read_unified_wallet,
    read_wallet,
)
from guard.venues.hyperliquid_connection import WIRE
from guard.venues.hyperliquid_dexes import Dex, Dexes, Part, read_dexes
from guard.venues.hyperliquid_markets import Collateral, Markets, Meta, dex_markets, read_currency, read_tiers
from guard.venues.hyperliquid_modes import Keeping, account_ratio, read_keeping, why_watched
from guard.venues.protocol import AccountNews, Candle, TierTables, VenueAccount
from guard.venues.rows import RowError, read_row
from guard.venues.transport import ask

CHOICES_KEPT = timedelta(minutes=10)  # How long the account's mode is believed unasked.
HANGS_S = 2.0  # Of an answer that does not come: the other dexes' turn is the next look then.
LAG_MAX = timedelta(seconds=2)  # Between their clock, as measured, and the time of an answer.

NOT_USDC = "its collateral is not USDC, and in which unit margin is added there is not documented: it is watched only"
_DRAWS_ITSELF = "with dex abstraction it draws on other balances by itself: what backs it is not known"


class HyperliquidReads(VenueBase):
    """The reading half of a venue; see guard.venues.hyperliquid."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime]) -> None:
        self._address, self._agent_key = identity.check_keys(account)
        super().__init__(account, WIRE, now=now)
        self._markets = Markets()  # Of the main dex.
        self._role: identity.Role | None = None
        self._keeping: Keeping | None = None
        self._keeping_read_at: datetime | None = None
        self._is_empty = False  # Positions are open, and their wallet holds nothing.
        self._dexes = Dexes()
        self._told: set[str] = set()  # Dexes with positions, as the account's stream told.
        self._currencies: dict[int, str] = {USDC_TOKEN: USDC}  # Of collateral tokens, as far as asked.

    @property
    def rules(self) -> RuleBook:
        return RuleBook.uniform(KNOWN_RULES["hyperliquid"].rule)

    @property
    def watch_only(self) -> str | None:
        return why_watched(self._keeping, self._role.word if self._role else "")

    @property
    def contracts(self) -> Mapping[str, Contract]:
        everywhere = (*self._markets.by_coin.values(), *self._dexes.contracts())
        return {one.symbol: self._paid(one) for one in everywhere}

    async def open(self) -> None:
        """Load markets, measure the clock, and make sure that the address is an account's. Raises KeysRefused."""
        await self._load_markets()
        await self.clock_skew()
        role = identity.read_role(await self._info("userRole", user=self._address))
        identity.check_account(role, self._address)
        self._role = role
        await self._read_keeping()

    async def snapshot(self) -> AccountSnapshot:
        """Read positions and wallets: a request for the main dex and one for each other where something is.

        One more where the money is in spot. What is not in use, or failed before, comes first: it makes nothing old.
        """
        if self._role is None or self._keeping is None:
            await self.open()
        trouble, loop = [*await self._refresh_choices()], asyncio.get_running_loop()
        told, now = frozenset(self._told), self._now()
        due = [dex for dex in self._dexes if dex.is_due(now, told)]
        last = [dex for dex in due if dex.is_used and dex.failed_at is None]
        parts = []
        # What failed comes after what did not: one that hangs would keep those behind it unseen, look by look.
        for dex in sorted((dex for dex in due if dex not in last), key=_turn):
            began_s = loop.time()
            part = await self._look(dex)
            if part is not None:
                parts.append(part)
            if dex.failed_at is not None and loop.time() - began_s >= HANGS_S:
                break  # Several that hang would keep the main one from being read at all.
        main, found = await self._read_main()
        if await self._is_kept_otherwise(main):
            main, found = await self._read_main()
        parts = [main, *parts, *[part for dex in last if (part := await self._look(dex)) is not None]]
        trouble += [*found, *(gap for dex in self._dexes for gap in dex.gaps())]
        wallets, ratio, money_read_at, gaps = await self._read_money(parts)
        return AccountSnapshot(
            account=self.account,
            exchange=self.exchange,
            asset_mode=self._asset_mode,
            positions=tuple(position for part in parts for position in part.reading.positions),
            wallets=wallets,
            positions_read_at=min(part.read_at for part in parts),
            wallets_read_at=money_read_at,
            exchange_margin_ratio=ratio,
            gaps=(*(gap for part in parts for gap in part.reading.gaps), *gaps, *trouble),
        )

    @property
    def _asset_mode(self) -> AssetMode:
        return AssetMode.SINGLE if self._keeping is None else self._keeping.asset_mode

    def _paid(self, contract: Contract) -> Contract:
        """Return a contract as this account pays it: where money is in spot, one balance pays a currency everywhere."""
        return replace(contract, wallet="") if contract.wallet and self._asset_mode is AssetMode.MULTI else contract

    async def _read_main(self) -> tuple[Part, Sequence[Gap]]:
        """Read the main dex. Raises VenueUnavailable: without it there is no account."""
        asked_at = self._now()
        state = account_state(await self._info("clearinghouseState", user=self._address))
        read_at = await self._true_at(state, asked_at)
        gaps: list[Gap] = []
        try:
            await self._search_for(coins_of(state) - self._markets.by_coin.keys(), self._load_markets)
        except VenueUnavailable as error:
            gaps.append(Gap(subject="markets", reason=f"not read again: {error}"))
        return Part(dex="", state=state, reading=read_positions(state, self._markets.by_coin), read_at=read_at), gaps

    async def _look(self, dex: Dex) -> Part | None:
        """Read the account at another dex. None: it does not answer, and is remembered for it."""
        asked_at = self._now()
        try:
            part = await self._read_part(dex)
        except VenueUnavailable as error:
            dex.note_failure(error, asked_at)
            return None
        dex.note(part, asked_at)
        self._told.discard(dex.name)
        # Where nothing is there is no wallet to speak of either.
        return part if dex.is_used else None

    async def _read_part(self, dex: Dex) -> Part:
        asked_at = self._now()
        state = account_state(await self._info("clearinghouseState", user=self._address, dex=dex.name))
        read_at = await self._true_at(state, asked_at)
        coins = coins_of(state)
        now_s = asyncio.get_running_loop().time()
        # A failure ends this look, and the dex is left alone for a while as it is.
        is_missed = dex.search.begins(coins - dex.markets.by_coin.keys(), now_s, after_failure_s=0.0)
        if is_missed or (dex.token is None and state.margin_summary.account_value != 0):
            await self._load_dex(dex)
            dex.search.succeeded(now_s)
        name = "" if self._asset_mode is AssetMode.MULTI else dex.name
        money = Money(token=dex.token or USDC_TOKEN, purse=Purse(dex.currency, name))
        contracts = {coin: self._paid(contract) for coin, contract in dex.markets.by_coin.items() if coin in coins}
        return Part(dex=dex.name, state=state, reading=read_positions(state, contracts, money), read_at=read_at)

    async def _load_dex(self, dex: Dex) -> None:
        """Read a dex's markets, and what its collateral is called. Raises VenueUnavailable."""
        answer = await self._info("meta", dex=dex.name)
        try:
            meta, token = read_row(Meta, answer), read_row(Collateral, answer).collateral_token
            if token not in self._currencies:
                self._currencies[token] = read_currency(await self._info("spotMeta"), token)
        except RowError as error:
            raise VenueUnavailable(f"markets: {error}") from None
        dex.token, dex.currency = token, self._currencies[token]
        dex.markets = dex_markets(self._client, meta, dex=dex.name, place=dex.place, currency=dex.currency)

    async def _read_money(
        self, parts: Sequence[Part]
    ) -> tuple[tuple[Wallet, ...], Decimal | None, datetime, tuple[Gap, ...]]:
        """Return the wallets, the account's own ratio where one pool is not all, when that was true, and gaps."""
        if self._asset_mode is AssetMode.SINGLE:
            told = [self._own_wallet(part) for part in parts]
            wallets = tuple(wallet for some, _ in told for wallet in some)
            return wallets, None, min(part.read_at for part in parts), tuple(gap for _, gaps in told for gap in gaps)
        asked_at = self._now()
        spot = await self._info("spotClearinghouseState", user=self._address)
        found: list[Wallet] = []
        gaps: list[Gap] = []
        for money in dict.fromkeys(part.reading.money for part in parts):
            some, odd = read_unified_wallet(spot, [part.reading for part in parts if part.reading.money == money])
            found, gaps = [*found, *some], [*gaps, *odd]
        unseen = [dex.name for dex in self._dexes if dex.failed_at is not None]
        unseen += [] if self._dexes.listed_at else ["that are not listed yet"]
        try:
            ratio = account_ratio(self._keeping, spot, parts, unseen)
        except RowError as error:
            return tuple(found), None, asked_at, (*gaps, Gap(subject="account margin ratio", reason=str(error)))
        return tuple(found), ratio, asked_at, tuple(gaps)

    def _own_wallet(self, part: Part) -> tuple[tuple[Wallet, ...], tuple[Gap, ...]]:
        """Return the wallet of a dex. None where it could not pay for its positions by rules that are known."""
        purse = part.reading.money.purse
        why = _DRAWS_ITSELF if self._keeping is Keeping.DEX else "" if purse.currency == USDC else NOT_USDC
        if part.dex and why:
            is_needed = bool(part.state.asset_positions)
            return (), (Gap(subject=f"wallet {purse}", reason=why, wallet=purse.name),) if is_needed else ()
        return read_wallet(part.state, part.reading)

    async def _true_at(self, state: AccountState, asked_at: datetime) -> datetime:
        """Return when an answer was true by our clock: not after it was asked for, earlier where the server lags."""
        if abs(self.exchange_now() - state.time) > LAG_MAX:
            with suppress(VenueUnavailable):  # Then the facts count as old as they look.
                await self.clock_skew()
        return min(asked_at, state.time - (self._skew or timedelta(0)))

    async def _refresh_choices(self) -> tuple[Gap, ...]:
        """Read mode and list of dexes again when they are old. A failure is a gap, not the end."""
        try:
            if _is_old(self._keeping_read_at, self._now(), CHOICES_KEPT):
                await self._read_keeping()
            if self._dexes.is_old(self._now()):
                await self._list_dexes()
        except VenueUnavailable as error:
            # Until they are listed once, a position that this process never saw may be on any of them.
            never = self._dexes.listed_at is None
            reason = f"not read again: {error}"
            gap = Gap(
                subject="account mode and other dexes", reason=reason, may_be_cross=never, wallet="of other dexes"
            )
            return (gap,)
        return ()

    async def _is_kept_otherwise(self, main: Part) -> bool:
        """Ask for the mode anew where the wallet has become empty: made unified, the account has all of it in spot."""
        balance = main.state.cross_margin_summary.account_value - (main.reading.cross_pnl or Decimal(0))
        is_empty, before = bool(main.state.asset_positions) and balance <= 0, self._keeping
        if is_empty and not self._is_empty and self._asset_mode is AssetMode.SINGLE:
            await self._read_keeping()
        self._is_empty = is_empty  # Not before it was answered: else nobody would ask again.
        return self._keeping is not before

    async def _list_dexes(self) -> None:
        asked_at = self._now()
        self._dexes.take(read_dexes(await self._info("perpDexs")), asked_at)

    async def _read_keeping(self) -> None:
        asked_at = self._now()
        self._keeping = read_keeping(await self._info("userAbstraction", user=self._address))
        self._keeping_read_at = asked_at

    async def _load_markets(self) -> None:
        # Always ccxt's reload: after an empty answer it would hand out that answer for ever.
        others = [row for row in (self._client.markets or {}).values() if row["symbol"] not in self._markets.coins]
        found = Markets.of((await self._read("load_markets", True)).values())
        if not found.assets:
            raise VenueUnavailable(f"{self.exchange} metaAndAssetCtxs: no contract in it")
        self._markets = found
        self._client.markets = {**{row["symbol"]: row for row in others}, **self._client.markets}

    async def _info(self, kind: str, **fields: object) -> Any:
        return await self._read("publicPostInfo", {"type": kind, **fields})

    async def tiers(self, symbols: frozenset[str]) -> TierTables:
        read_at = self._now()
        for symbol in symbols:
            with suppress(VenueUnavailable):  # Then its table is not found, and that is a gap.
                await self._coin(symbol)
        by_symbol: dict[str, TierTable] = {}
        gaps: list[Gap] = []
        for dex, mine in self._by_dex(symbols):
            try:
                meta = read_row(Meta, await self._info("meta", **named(dex)))
            except (RowError, VenueUnavailable) as error:
                failure = VenueUnavailable(f"meta: {error}")
                if not dex:
                    raise failure from None
                gaps += [Gap(subject=f"{symbol} tiers", reason=str(failure)) for symbol in mine]
                continue
            for symbol in mine:
                try:
                    by_symbol[symbol] = TierTable.of(read_tiers(meta, self._coin_of(symbol) or symbol))
                except RowError as error:
                    gaps.append(Gap(subject=f"{symbol} tiers", reason=str(error)))
        return if_any(TierTables(by_symbol=by_symbol, read_at=read_at, gaps=tuple(gaps)), symbols, "tiers")

    async def mark(self, symbol: str) -> Mark:
        coin, asked_at = await self._coin(symbol), self.exchange_now()
        answer = await self._info("metaAndAssetCtxs", **named(self._dex_of(symbol)))
        return market.read_mark(answer, coin, symbol, asked_at=asked_at)

    async def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        for symbol in symbols:
            await self._coin(symbol)  # So that ccxt knows it.
        async with aclosing(market.stream_marks(self._client, symbols, now=self.exchange_now)) as marks:
            async for mark in marks:
                yield mark

    def watch_account(self) -> AsyncGenerator[AccountNews, None]:
        return self._listen(lambda client: hyperliquid_news.channel(client, self._address, self._told.update))

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        coin, end = await self._coin(symbol), milliseconds(self.exchange_now())
        span = {"startTime": end - count * minutes * 60_000, "endTime": end}
        wanted = {"coin": coin, "interval": market.INTERVALS[minutes], **span}
        return market.read_candles(await self._info("candleSnapshot", req=wanted), coin, symbol)[-count:]

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:
        coins = {await self._coin(symbol): symbol for symbol in sorted(symbols)}
        found: list[StopOrder] = []
        for dex, _ in self._by_dex(symbols):
            answer = await self._info("frontendOpenOrders", user=self._address, **named(dex))
            found += market.read_stops(answer, coins)
        return tuple(found)

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:
        coin, start = await self._coin(key.symbol), milliseconds(since + (self._skew or timedelta(0)))
        fills = await self._info("userFillsByTime", user=self._address, startTime=start)  # Of every dex.
        return market.read_ending(fills, coin, key, self._address)

    async def _server_time(self) -> datetime:
        return market.read_time(await ask(self._client, "publicPostInfo", {"type": "exchangeStatus"}))

    def _dex_of(self, symbol: str) -> str:
        """Return the dex that a market is on; empty: the main one, or unknown."""
        dex = None if symbol in self._markets.coins else self._dexes.of_symbol(symbol)
        return "" if dex is None else dex.name

    def _by_dex(self, symbols: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield each dex that any of the symbols is on, the main one first, with these."""
        for dex in sorted({self._dex_of(symbol) for symbol in symbols}):
            yield dex, sorted(symbol for symbol in symbols if self._dex_of(symbol) == dex)

    def _coin_of(self, symbol: str) -> str | None:
        dex = self._dexes.of_symbol(symbol)
        return self._markets.coins.get(symbol) or (None if dex is None else dex.markets.coins.get(symbol))

    def _contracts_at(self, dex: str) -> Mapping[str, Contract]:
        other = self._dexes.get(dex)
        return self._markets.by_coin if other is None else other.markets.by_coin

    def _asset(self, symbol: str) -> int:
        """Return the number that a write names a market by. It is in `contracts`, or nothing is sent."""
        dex = self._dexes.get(self._dex_of(symbol))
        return (self._markets if dex is None else dex.markets).assets[symbol]

    async def _coin(self, symbol: str) -> str:
        if not self._markets.coins:
            await self._load_markets()
        coin = self._coin_of(symbol)
        if coin is None and self._dexes.listed_at is None:
            await self._list_dexes()
        dex = self._dexes.of_symbol(symbol)
        if coin is None and dex is not None:
            await self._load_dex(dex)
            coin = self._coin_of(symbol)
        if coin is None:
            raise VenueUnavailable(f"{self.exchange}: no market {symbol}")
        return coin


def named(dex: str) -> dict[str, str]:
    """Return how a question names a dex; the main one is not named."""
    return {"dex": dex} if dex else {}


def _is_old(read_at: datetime | None, now: datetime, kept: timedelta) -> bool:
    return read_at is None or abs(now - read_at) > kept


def milliseconds(moment: datetime) -> int:
    """Return a moment as the exchange counts it."""
    return round(moment.timestamp() * 1000)


def _turn(dex: Dex) -> tuple[bool, bool, datetime]:
    """Return when a dex is looked at: the longest not asked of those that failed comes first of them."""
    return dex.failed_at is not None, not dex.is_used, dex.failed_at or datetime.min.replace(tzinfo=UTC)
