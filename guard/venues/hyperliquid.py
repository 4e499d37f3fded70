"""Hyperliquid perpetuals of the main dex: one-way, isolated and cross, linear in USDC.

Quirks, with source and date seen:
- Every read is POST /info, by address and without a signature (docs, 2026-09). An address without positions and one
  that cannot have any are answered alike (ccxt issue 26103): its role is asked first.
- `api_key` is the account's address, `secret` the private key of one of its API wallets (agents).
- `marginUsed` of an isolated position holds its unrealized PnL (ccxt issue 27078); `rawUsd` plus value is the same.
- Maintenance is half of one over the highest leverage of the tier, whatever leverage was chosen (docs, margin tiers).
- ccxt rounds an amount of USDC by the coin's decimals and ignores `expiresAfter` (4.5.90): the action is made here.
- ccxt approves a builder's fee and sets a referrer when it loads currencies (4.5.90): none of it passes the gate.
- `withdrawable` is what open orders and initial margins leave; ccxt's `free` is more (recorded answer, 2024-10).
- userAbstraction answers with a bare word. A unified account keeps its money in spot, and clearinghouseState of it does
  not describe the wallet (docs, account abstraction modes, 2026-09).
- HIP-3 dexes have accounts of their own. Positions there are counted and said, not watched.
- No history of margin: userNonFundingLedgerUpdates has deposits, transfers and liquidations (docs, 2026-09), and a lost
  answer is settled by what the position holds.
- Marks are not dated; candles are of trades; there is no IP binding of keys.
- clearinghouseState says when it was true. A server that lags is seen by that, and the facts are as old as it says.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
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
    MarginChange,
    MarginRequest,
    Mark,
    Position,
    PositionEnding,
    PositionKey,
    Settlement,
    StopOrder,
    Wallet,
)
from guard.venues import hyperliquid_identity as identity
from guard.venues import hyperliquid_margin as margin
from guard.venues import hyperliquid_market as market
from guard.venues import hyperliquid_news
from guard.venues.base import VenueBase
from guard.venues.gate import is_loopback
from guard.venues.hyperliquid_account import (
    AccountState,
    Reading,
    account_state,
    coins_of,
    read_positions,
    read_unified_wallet,
    read_wallet,
)
from guard.venues.hyperliquid_connection import HOSTNAME, TEST_HOSTS, WIRE
from guard.venues.hyperliquid_markets import Markets, Meta, read_tiers
from guard.venues.hyperliquid_modes import (
    Keeping,
    OtherDex,
    account_ratio,
    read_dexes,
    read_keeping,
    why_watched,
)
from guard.venues.margin_difference import settle_by_margin
from guard.venues.protocol import AccountNews, Candle, KeyScopes, TierTables, VenueAccount, WriteTerms
from guard.venues.rows import RowError, read_row
from guard.venues.transport import ask

CHOICES_KEPT = timedelta(minutes=10)  # How long the account's mode is believed unasked.
DEXES_KEPT = timedelta(hours=1)  # How long it is believed that nothing was opened at other dexes: one request each.
LAG_MAX = timedelta(seconds=2)  # Between their clock, as measured, and the time of an answer.

# A write waits at most half a second for its turn and is valid until `expiresAfter`, by the time of the blocks; 10 s
# for a chain that falls behind, which nobody documents, and 9 s as everywhere: 24 s, as at Binance.
VALID_FOR = timedelta(seconds=5)
FENCE = timedelta(seconds=8) + VALID_FOR + timedelta(seconds=10) + timedelta(seconds=1)
LOOPBACK_VALID_FOR = timedelta(seconds=1)
LOOPBACK_FENCE = timedelta(seconds=2)

KNOWN_LIMITS = (
    "positions on HIP-3 dexes are counted and said, not watched",
    "a lost answer is settled by the position's margin and the funding on record: a changed size leaves it to a person",
)


class Hyperliquid(VenueBase):
    """One Hyperliquid account. See guard.venues.protocol.Venue."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        self._address, key = identity.check_keys(account)
        super().__init__(account, WIRE, now=now)
        gate = self._client.gate
        hosts = {origin.host or "" for origin in gate.origins}
        # What is signed for the test network is worth nothing on the other one.
        self._client.options["sandboxMode"] = not all(host.endswith(HOSTNAME) for host in hosts)
        self._agent = str(self._client.eth_get_address_from_private_key(key)).lower()
        self._valid_for = LOOPBACK_VALID_FOR if gate.is_loopback else VALID_FOR
        self.write_terms = WriteTerms(
            fence=fence or (LOOPBACK_FENCE if gate.is_loopback else FENCE),
            history_kept=timedelta(0),
            test_host=all(host in TEST_HOSTS or is_loopback(host) for host in hosts),
        )
        self._markets = Markets()
        self._searched: frozenset[str] = frozenset()  # Unknown coins that the markets were read again for.
        self._role: identity.Role | None = None
        self._keeping: Keeping | None = None
        self._keeping_read_at: datetime | None = None
        self._other_dexes: tuple[OtherDex, ...] = ()
        self._dexes_read_at: datetime | None = None
        self._last_nonce = 0

    @property
    def rules(self) -> RuleBook:
        return RuleBook.uniform(KNOWN_RULES["hyperliquid"].rule)

    @property
    def watch_only(self) -> str | None:
        return why_watched(self._keeping, self._role.word if self._role else "")

    @property
    def contracts(self) -> Mapping[str, Contract]:
        return {contract.symbol: contract for contract in self._markets.by_coin.values()}

    async def open(self) -> None:
        """Load markets, measure the clock, and make sure that the address is an account's. Raises KeysRefused."""
        await self._load_markets()
        await self.clock_skew()
        role = identity.read_role(await self._info("userRole", user=self._address))
        identity.check_account(role, self._address)
        self._role = role
        await self._read_keeping()
        await self._read_dexes()

    async def snapshot(self) -> AccountSnapshot:
        """Read positions and wallet: one request; one more where the money is in spot."""
        if self._role is None or self._keeping is None:
            await self.open()
        trouble = await self._refresh_choices()
        asked_at = self._now()
        state = account_state(await self._info("clearinghouseState", user=self._address))
        read_at = await self._true_at(state, asked_at)
        trouble += await self._search_unknown(state)
        reading = read_positions(state, self._markets.by_coin)
        wallets, ratio, wallets_read_at, gaps = await self._read_money(state, reading, read_at)
        seen = tuple(gap for dex in self._other_dexes if (gap := dex.gap()) is not None)
        return AccountSnapshot(
            account=self.account,
            exchange=self.exchange,
            asset_mode=self._asset_mode,
            positions=reading.positions,
            wallets=wallets,
            positions_read_at=read_at,
            wallets_read_at=wallets_read_at,
            exchange_margin_ratio=ratio,
            gaps=(*reading.gaps, *gaps, *seen, *trouble),
        )

    @property
    def _asset_mode(self) -> AssetMode:
        return AssetMode.SINGLE if self._keeping is None else self._keeping.asset_mode

    async def _read_money(
        self, state: AccountState, reading: Reading, read_at: datetime
    ) -> tuple[tuple[Wallet, ...], Decimal | None, datetime, tuple[Gap, ...]]:
        """Return the wallet, the account's own ratio where one pool is not all, when that was true, and gaps."""
        if self._asset_mode is AssetMode.SINGLE:
            wallets, gaps = read_wallet(state, reading.cross_pnl)
            return wallets, None, read_at, gaps
        asked_at = self._now()
        spot = await self._info("spotClearinghouseState", user=self._address)
        wallets, gaps = read_unified_wallet(spot, reading)
        try:
            ratio = account_ratio(self._keeping, spot, state, reading, self._other_dexes)
        except RowError as error:
            return wallets, None, asked_at, (*gaps, Gap(subject="account margin ratio", reason=str(error)))
        return wallets, ratio, asked_at, gaps

    async def _true_at(self, state: AccountState, asked_at: datetime) -> datetime:
        """Return when an answer was true by our clock: not after it was asked for, earlier where the server lags."""
        if abs(self.exchange_now() - state.time) > LAG_MAX:
            with suppress(VenueUnavailable):  # Then the facts count as old as they look.
                await self.clock_skew()
        return min(asked_at, state.time - (self._skew or timedelta(0)))

    async def _search_unknown(self, state: AccountState) -> tuple[Gap, ...]:
        """Read the markets again, once, for a coin that is not among them."""
        unknown = coins_of(state) - self._markets.by_coin.keys() - self._searched
        if not unknown:
            return ()
        self._searched |= unknown
        try:
            await self._load_markets()
        except VenueUnavailable as error:
            return (Gap(subject="markets", reason=f"not read again: {error}"),)
        return ()

    async def _refresh_choices(self) -> tuple[Gap, ...]:
        """Read mode and dexes again when they are old. A failure is a gap, not the end."""
        try:
            if _is_old(self._keeping_read_at, self._now(), CHOICES_KEPT):
                await self._read_keeping()
            unseen = any(dex.state is None for dex in self._other_dexes)
            if _is_old(self._dexes_read_at, self._now(), CHOICES_KEPT if unseen else DEXES_KEPT):
                await self._read_dexes()
        except VenueUnavailable as error:
            return (Gap(subject="account mode and other dexes", reason=f"not read again: {error}"),)
        return ()

    async def _read_keeping(self) -> None:
        asked_at = self._now()
        self._keeping = read_keeping(await self._info("userAbstraction", user=self._address))
        self._keeping_read_at = asked_at

    async def _read_dexes(self) -> None:
        """Look at every dex beside the main one. One that cannot be read is remembered as not seen."""
        asked_at, seen = self._now(), []
        for name in read_dexes(await self._info("perpDexs")):
            try:
                state = account_state(await self._info("clearinghouseState", user=self._address, dex=name))
                seen.append(OtherDex(name, state))
            except VenueUnavailable as error:
                seen.append(OtherDex(name, None, str(error)))
        self._other_dexes, self._dexes_read_at = tuple(seen), asked_at

    async def _load_markets(self) -> None:
        # Always ccxt's reload: after an empty answer it would hand out that answer for ever.
        found = Markets.of((await self._read("load_markets", True)).values())
        if not found.assets:
            raise VenueUnavailable(f"{self.exchange} metaAndAssetCtxs: no contract in it")
        self._markets = found

    async def _info(self, kind: str, **fields: object) -> Any:
        return await self._read("publicPostInfo", {"type": kind, **fields})

    async def tiers(self, symbols: frozenset[str]) -> TierTables:
        read_at = self._now()
        try:
            meta = read_row(Meta, await self._info("meta"))
        except RowError as error:
            raise VenueUnavailable(f"meta: {error}") from None
        by_symbol: dict[str, TierTable] = {}
        gaps: list[Gap] = []
        for symbol in sorted(symbols):
            try:
                by_symbol[symbol] = TierTable.of(read_tiers(meta, self._markets.coins.get(symbol, symbol)))
            except RowError as error:
                gaps.append(Gap(subject=f"{symbol} tiers", reason=str(error)))
        return TierTables(by_symbol=by_symbol, read_at=read_at, gaps=tuple(gaps))

    async def mark(self, symbol: str) -> Mark:
        coin, asked_at = await self._coin(symbol), self.exchange_now()
        return market.read_mark(await self._info("metaAndAssetCtxs"), coin, symbol, asked_at=asked_at)

    def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        return market.stream_marks(self._client, symbols, now=self.exchange_now)

    def watch_account(self) -> AsyncGenerator[AccountNews, None]:
        return self._listen(lambda client: hyperliquid_news.channel(client, self._address))

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        coin, end = await self._coin(symbol), _ms(self.exchange_now())
        span = {"startTime": end - count * minutes * 60_000, "endTime": end}
        wanted = {"coin": coin, "interval": market.INTERVALS[minutes], **span}
        return market.read_candles(await self._info("candleSnapshot", req=wanted), coin, symbol)[-count:]

    async def stops(self, symbols: frozenset[str]) -> tuple[StopOrder, ...]:
        coins = {await self._coin(symbol): symbol for symbol in sorted(symbols)}
        return market.read_stops(await self._info("frontendOpenOrders", user=self._address), coins)

    async def ending(self, key: PositionKey, since: datetime) -> PositionEnding:
        coin, start = await self._coin(key.symbol), _ms(since + (self._skew or timedelta(0)))
        fills = await self._info("userFillsByTime", user=self._address, startTime=start)
        return market.read_ending(fills, coin, key, self._address)

    def margin_step(self, currency: str) -> Decimal:  # noqa: ARG002  # There is one currency.
        return Decimal("0.000001")

    async def _send_margin(self, request: MarginRequest) -> str:
        nonce = self._nonce()
        body = margin.signed(
            self._client,
            request,
            self._markets.assets[request.key.symbol],
            nonce=nonce,
            expires_at=nonce + self._valid_for // timedelta(milliseconds=1),
            sub_account=self._address if self._role and self._role.word == "subAccount" else None,
        )
        return await margin.add_margin(self._client, body, request)

    def _nonce(self) -> int:
        """Return the exchange's time in milliseconds, and never one that was returned before."""
        self._last_nonce = max(self._last_nonce + 1, _ms(self.exchange_now()))
        return self._last_nonce

    async def traded_lately(self) -> frozenset[str] | None:
        """Return None: without a history of margin, what was traded says nothing of what was added."""
        return None

    async def margin_changes(
        self, keys: Collection[PositionKey], since: datetime, *, also: Collection[str] = ()
    ) -> tuple[MarginChange, ...]:
        del keys, since, also
        raise VenueUnavailable("Hyperliquid keeps no history of isolated margin")

    async def settle(
        self, request: MarginRequest, *, sent_at: datetime, now: datetime, known_entries: frozenset[str]
    ) -> Settlement:
        """Settle by what the position holds now and held before. There are no entries that could be known."""
        del known_entries

        fence = sent_at + self.write_terms.fence
        theirs = fence + max(await self._known_skew(), timedelta(0))  # `sent_at` may be of a clock that was set since.

        async def read() -> Position | None:
            state = account_state(await self._info("clearinghouseState", user=self._address))
            if now >= fence and state.time < theirs:
                raise VenueUnavailable("by the time of the exchange's answer it may still be executed")
            reading = read_positions(state, self._markets.by_coin)
            if reading.gaps:
                raise VenueUnavailable(f"{reading.gaps[0].subject}: {reading.gaps[0].reason}")
            return next((one for one in reading.positions if one.key == request.key), None)

        async def read_funding(since: datetime) -> Decimal:
            coin, start = await self._coin(request.key.symbol), _ms(since + await self._known_skew())
            answer = await self._info("userFunding", user=self._address, startTime=start)
            return market.read_funding(answer, coin, request.key.symbol)

        return await settle_by_margin(
            request, read, sent_at=sent_at, now=now, fence=self.write_terms.fence, read_funding=read_funding
        )

    async def _ask_key_scopes(self) -> KeyScopes:
        account_role = self._role or identity.read_role(await self._info("userRole", user=self._address))
        agent_role = identity.read_role(await self._info("userRole", user=self._agent))
        owner = account_role.master if account_role.word == "subAccount" else self._address
        agents = await self._info("extraAgents", user=owner) if agent_role.word == "agent" else []
        return identity.judge_agent(self._agent, agent_role, self._address, account_role, agents)

    async def _server_time(self) -> datetime:
        return market.read_time(await ask(self._client, "publicPostInfo", {"type": "exchangeStatus"}))

    async def _coin(self, symbol: str) -> str:
        if not self._markets.coins:
            await self._load_markets()
        try:
            return self._markets.coins[symbol]
        except KeyError:
            raise VenueUnavailable(f"{self.exchange}: no market {symbol}") from None


def _is_old(read_at: datetime | None, now: datetime, kept: timedelta) -> bool:
    return read_at is None or abs(now - read_at) > kept


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
