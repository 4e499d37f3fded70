"""Reading a Bitget account: which kind it is, and one look at its positions and wallets, classic or unified."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from guard.errors import KeysRefused, VenueUnavailable
from guard.margin import RuleBook, TierTable
from guard.snapshot import AccountSnapshot, AssetMode, Contract, Gap, MarginMode, Position, PositionKey, Wallet
from guard.venues import bitget_account, bitget_market, bitget_uta
from guard.venues.base import VenueBase
from guard.venues.bitget_wire import (
    CLASSIC_ONLY,
    COIN,
    PRODUCTS,
    UNIFIED_ONLY,
    USDC,
    USDT,
    Market,
    data_of,
    list_of,
    read_market,
    wire_of,
)
from guard.venues.protocol import VenueAccount, WriteTerms
from guard.venues.rows import RowError, read_row, shown
from guard.venues.transport import Answered

SWEEP = timedelta(minutes=10)  # How often a product without positions is looked through.
HISTORY_KEPT = timedelta(days=89)  # Bills and records of 90 days.
NOT_HERE = frozenset({"25013", "25240"})  # Not open, not supported: basic accounts have no coin-margined contracts.
HANGS_S = 2.0  # A read that takes longer takes from the others' time.
AFTER_HANGING_S = 30.0


class _Failure(NamedTuple):
    reason: str
    not_before_s: float  # Loop time: asked again from then on.


class BitgetReads(VenueBase):
    """The reading half of a venue; see guard.venues.bitget."""

    rules: RuleBook
    write_terms: WriteTerms

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime]) -> None:
        super().__init__(account, wire_of(account), now=now)
        self._client.options["uta"] = False  # Over the user's too: it is for ccxt's own methods, which we do not use.
        self._markets: Mapping[str, Market] = {}  # By Bitget's symbol.
        self._unified: bool | None = None  # None: not known yet, or not any more.
        self._is_union = False
        self._level: str | None = None  # Of a unified account: what backs its cross positions.
        self._owed: tuple[str, ...] = ()  # Assets that a unified account owes.
        self._unsure: frozenset[PositionKey] = frozenset()  # Positions whose margin the last snapshot did not confirm.
        self._tables: dict[str, TierTable] = {}  # By unified symbol: as a unified account's margin is held against.
        self._looked_at: dict[str, datetime] = {}  # By product.
        self._in_use: set[str] = set()  # Products with positions or money, as last looked at.
        self._positions: dict[str, tuple[Position, ...]] = {}  # By product, as last looked at.
        self._failures: dict[str, _Failure] = {}  # Of products that did not answer when they were asked last.
        self._held: tuple[bitget_account.Held, ...] = ()  # As last read.
        self._marks: dict[str, Decimal] = {}

    @property
    def watch_only(self) -> str | None:
        if self._unified is None:
            return "whether the account is classic or unified was not read yet"
        if self._unified:
            return bitget_uta.watch_only(self._level, self._owed)
        if self._is_union:
            return (
                "the account is in multi-assets mode, which is not modelled: switch it to single-asset mode at Bitget"
            )
        return None

    @property
    def contracts(self) -> Mapping[str, Contract]:
        return {market.contract.symbol: market.contract for market in self._markets.values()}

    async def open(self) -> None:
        if not self._markets:
            await self._load_markets()
        await self._read_mode()

    async def _know_kind(self) -> None:
        """Ask whether the account is classic or unified where that is not known. Raises VenueUnavailable."""
        if self._unified is None:
            await self.open()

    async def _load_markets(self) -> None:
        # Always ccxt's reload: after an empty answer it would hand out that answer for ever.
        listed = (await self._read("load_markets", True)).values()
        markets = [market for one in listed if (market := read_market(one)) is not None]
        if not markets:
            raise VenueUnavailable(f"{self.exchange} contracts: none in USDT or USDC among them")
        self._markets = {market.market_id: market for market in markets}

    async def _read_mode(self) -> None:
        """Learn whether the account is classic or unified, and how. What does not say it leaves it unknown."""
        try:
            settings = await self._read_settings()
        except BaseException:
            self._unified, self._level = None, None
            raise
        self._unified = settings is not None
        self._level = None if settings is None else settings.level
        # What a unified account's records do not say of margin added is not known to have been none.
        kept = HISTORY_KEPT if settings is None else timedelta(0)
        self.write_terms = replace(self.write_terms, history_kept=kept)

    async def _read_settings(self) -> bitget_uta.Settings | None:
        """Return what a unified account is. None: it is a classic one. Raises VenueUnavailable."""
        try:
            answer = await self._read("privateUtaGetV3AccountSettings", {})
            settings = read_row(bitget_uta.Settings, data_of(answer, "account settings"))
        except Answered as error:
            if error.code not in CLASSIC_ONLY:
                raise
            return None
        except RowError as error:
            raise VenueUnavailable(f"account settings: {error}") from None
        mode = settings.account_mode
        if mode not in {"unified", "hybrid"}:
            raise VenueUnavailable(
                f"account settings: the account's mode is {shown(mode)}, which is neither one nor the other"
            )
        return settings

    async def snapshot(self) -> AccountSnapshot:
        """Read positions and wallets: two requests, two more for each further product in use.

        Every one of them says so if the account is of the other kind, so that is not asked again. How a unified account
        is set none of them says, so that is a third.
        """
        if not self._markets or self._unified is not False:
            await self.open()
        try:
            return await self._snapshot()
        except Answered as error:
            if error.code not in {*CLASSIC_ONLY, UNIFIED_ONLY}:
                raise
        await self._read_mode()  # It was changed meanwhile.
        return await self._snapshot()

    async def _snapshot(self) -> AccountSnapshot:
        return await (self._unified_snapshot() if self._unified else self._classic_snapshot())

    async def _classic_snapshot(self) -> AccountSnapshot:
        held: list[bitget_account.Held] = []
        accounts: list[bitget_account.AccountRow] = []
        wallets: list[Wallet] = []
        gaps: list[Gap] = []

        async def look(product: str) -> tuple[tuple[Position, ...], bool]:
            rows = list_of(await self._read("privateMixGetV2MixPositionAllPosition", of_product(product)), "positions")
            told = list_of(await self._read("privateMixGetV2MixAccountAccounts", of_product(product)), "accounts")
            unknown = await self._search_unknown(rows)
            mine, odd = bitget_account.read_positions(rows, self._markets, product)
            own, unread = bitget_account.read_accounts(told)
            purses, missing = bitget_account.read_wallets(own, mine, unread)
            against = bitget_account.contradictions(own, mine, odd, product)
            gaps.extend((*unknown, *odd, *unread, *missing, *against))
            held.extend(mine)
            accounts.extend(own)
            wallets.extend(purses)
            has_money = any(row.available or row.account_equity for row in own)
            return tuple(one.position for one in mine), bool(mine or odd or unread or has_money)

        unseen, started_at = await self._look_through(look)
        self._is_union, ratio = bitget_account.union_ratio(accounts)
        self._held = tuple(held)
        positions = tuple(one.position for one in held)
        mode = AssetMode.MULTI if self._is_union else AssetMode.SINGLE
        return self._told(
            started_at,
            positions=positions,
            wallets=tuple(wallets),
            asset_mode=mode,
            exchange_margin_ratio=ratio,
            gaps=(*gaps, *unseen),
        )

    async def _unified_snapshot(self) -> AccountSnapshot:
        positions: list[Position] = []
        gaps: list[Gap] = []

        async def look(product: str) -> tuple[tuple[Position, ...], bool]:
            answer = await self._read("privateUtaGetV3PositionCurrentPosition", {"category": product})
            rows = list_of(answer, "positions", "list")
            unknown = await self._search_unknown(rows)
            mine, odd = bitget_uta.read_positions(rows, self._markets, product)
            gaps.extend((*unknown, *odd))
            positions.extend(mine)
            return mine, bool(mine or odd)

        unseen, started_at = await self._look_through(look)
        assets = bitget_uta.read_assets(await self._read("privateUtaGetV3AccountAssets", {}), self._level)
        if any(one.currency == "USDC" and one.cross_wallet_balance for one in assets.wallets):
            self._in_use.add(USDC)
        missing = () if gaps or unseen else bitget_uta.missing_cross(positions, assets)
        if missing:
            self._looked_at.clear()  # It may be in a product that was empty minutes ago.
        held, unsure = bitget_uta.confirmed(positions, await self._tables_of(positions), self.rules)
        self._owed = assets.owed
        self._unsure = frozenset(
            one.key for one in held if one.margin_mode is MarginMode.ISOLATED and one.isolated_wallet is None
        )
        crossed = any(one.margin_mode is MarginMode.CROSS for one in held)
        is_alone = self._level == bitget_uta.ISOLATED and not crossed
        return self._told(
            started_at,
            positions=held,
            wallets=assets.wallets,
            asset_mode=AssetMode.SINGLE if is_alone else AssetMode.MULTI,
            exchange_margin_ratio=assets.ratio if (positions or missing) and not is_alone else None,
            gaps=(*gaps, *unseen, *missing, *unsure, *assets.gaps),
        )

    async def _look_through(
        self, look: Callable[[str], Awaitable[tuple[tuple[Position, ...], bool]]]
    ) -> tuple[list[Gap], datetime]:
        """Look through each product that is due, USDT last: what hangs makes nothing old.

        `look` returns a product's positions and whether anything is there. Returned are gaps for products that do not
        answer, which leave the others alone, and when the oldest of what is in use was read. Raises what USDT raises.
        """
        gaps: list[Gap] = []
        read_at: datetime | None = None
        loop, has_hung = asyncio.get_running_loop(), False
        for product in sorted(self._due_products(), key=lambda one: one == USDT):
            started_at, began_s = self._now(), loop.time()
            failure = self._failures.get(product)
            if product != USDT and (has_hung or (failure is not None and began_s < failure.not_before_s)):
                gaps += self._unseen(product, "not read yet" if failure is None else failure.reason)
                continue
            try:
                positions, is_used = await look(product)
            except (VenueUnavailable, KeysRefused) as error:
                code = error.code if isinstance(error, Answered) else None
                if product == USDT or code in {*CLASSIC_ONLY, UNIFIED_ONLY}:
                    raise
                if product == COIN and code in NOT_HERE:
                    self._note(product, started_at, is_used=False)
                    continue
                has_hung = loop.time() - began_s >= HANGS_S
                wait_s = AFTER_HANGING_S if has_hung else 0.0
                self._failures[product] = _Failure(f"not read: {error}", loop.time() + wait_s)
                gaps += self._unseen(product, f"not read: {error}")
                continue
            self._failures.pop(product, None)
            self._positions[product] = positions
            self._note(product, started_at, is_used=is_used)
            if is_used or product == USDT:
                read_at = started_at if read_at is None else min(read_at, started_at)
        assert read_at is not None, "USDT is always due"
        return gaps, read_at

    def _unseen(self, product: str, reason: str) -> Iterator[Gap]:
        """Yield that a product is not seen, and each position last seen there: none of them is gone by that."""
        yield Gap(subject=f"{product} positions", reason=reason, may_be_cross=True)
        for one in self._positions.get(product, ()):
            is_cross = one.margin_mode is MarginMode.CROSS
            yield Gap(subject=str(one.key), reason=f"{product} {reason}", key=one.key, may_be_cross=is_cross)

    async def _tables_of(self, positions: Collection[Position]) -> Mapping[str, TierTable]:
        """Return the tiers of what is isolated. One that cannot be read is missing, and its position unsure."""
        for symbol in sorted({one.contract.symbol for one in positions if one.isolated_wallet is not None}):
            if symbol not in self._tables:
                with suppress(RowError, VenueUnavailable):
                    await self._tiers_of(symbol)
        return self._tables

    async def _tiers_of(self, symbol: str) -> TierTable:
        """Read the tiers that hold for the kind of account. Raises VenueUnavailable or RowError."""
        market = await self._market(symbol)
        if not self._unified:
            return await bitget_market.read_tiers(self._client, market)
        self._tables[symbol] = await bitget_market.read_unified_tiers(self._client, market)
        return self._tables[symbol]

    def _told(self, read_at: datetime, **told: Any) -> AccountSnapshot:
        snapshot = AccountSnapshot(
            account=self.account, exchange=self.exchange, positions_read_at=read_at, wallets_read_at=read_at, **told
        )
        self._marks |= {position.contract.symbol: position.mark_price for position in snapshot.positions}
        return snapshot

    def _due_products(self) -> tuple[str, ...]:
        """Return where to look: USDT always, where positions or money are, and all the rest now and then.

        Everywhere where all positions may lean on one pool: one that is not seen would be robbed for another.
        """
        now = self._now()
        is_shared = bool(self._unified) and self._level != bitget_uta.ISOLATED
        return tuple(
            product
            for product in PRODUCTS
            if product == USDT
            or is_shared
            or product in self._in_use
            or product not in self._looked_at
            or abs(now - self._looked_at[product]) > SWEEP
        )

    def _note(self, product: str, at: datetime, *, is_used: bool) -> None:
        self._looked_at[product] = at
        if is_used:
            self._in_use.add(product)
        else:
            self._in_use.discard(product)

    async def _search_unknown(self, rows: Collection[object]) -> tuple[Gap, ...]:
        """Read the markets again for symbols that are not among them. A failure is a gap, not the end."""
        names = {str(raw.get("symbol")) for raw in rows if isinstance(raw, dict)}
        unknown = {name for name in names if not name.endswith("USD")} - self._markets.keys()
        try:
            await self._search_for(unknown, self._load_markets)
        except VenueUnavailable as error:
            return (Gap(subject="markets", reason=f"not read again: {error}"),)
        return ()

    async def _market(self, symbol: str) -> Market:
        if not self._markets:
            await self._load_markets()
        market = next((market for market in self._markets.values() if market.contract.symbol == symbol), None)
        if market is None:
            raise VenueUnavailable(f"{self.exchange}: no market {symbol}")
        return market


def of_product(product: str) -> dict[str, Any]:
    return {"productType": product}
