"""How much of each asset counts as margin, kept with date and hash; a change is told with what it does.

Only where several assets back everything: elsewhere each settle currency stands for itself. It is read when the tier
tables are, once a day, and when an asset is new.
"""

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from guard.daemon.reader import AccountReader
from guard.daemon.spare_time import SpareTime
from guard.daemon.tell import Teller, new_id
from guard.errors import KeysRefused, VenueUnavailable
from guard.journal.records import HAIRCUTS
from guard.margin import leg_of
from guard.margin.collateral_change import Haircuts, counted_share, liquidation_under
from guard.notify.bracket_texts import MovedLiquidation
from guard.notify.haircut_texts import ChangedHaircut, haircut_message
from guard.snapshot import (
    DOLLAR_STABLECOINS,
    AccountSnapshot,
    AssetMode,
    HaircutTier,
    MarginMode,
    Position,
    PositionKey,
)
from guard.venues.protocol import TierTables

log = structlog.get_logger(__name__)

AGAIN = timedelta(minutes=10)  # After a failure.
WITHIN_S = 8.0
PRICE_WITHIN_S = 2.0  # Of each asset that changed: the change is told without it, too.


class HaircutKeeper:
    """Holds what was read of one account's haircuts against what is kept in the journal, over restarts."""

    def __init__(self, reader: AccountReader, teller: Teller, spare_time: SpareTime) -> None:
        self._reader = reader
        self._spare_time = spare_time
        self._teller = teller
        self._read_beside: TierTables | None = None  # The tables that were in force when it was read.
        self._assets: frozenset[str] = frozenset()
        self._not_before_s = 0.0  # Loop time.

    async def look(self, now: datetime) -> None:
        """Read what is due, keep it, and tell of what changed. Raises JournalError."""
        snapshot, loop = self._reader.snapshot, asyncio.get_running_loop()
        if snapshot is None or snapshot.asset_mode is not AssetMode.MULTI or loop.time() < self._not_before_s:
            return
        if self._spare_time.is_over:
            return
        units = {one.currency: one.cross_wallet_balance for one in snapshot.wallets if one.cross_wallet_balance > 0}
        if self._reader.tables is self._read_beside and units.keys() <= self._assets:
            return
        try:
            async with self._spare_time.until(loop.time() + WITHIN_S):
                found = await self._reader.venue.haircuts(frozenset(units))
        except (VenueUnavailable, KeysRefused, TimeoutError) as error:
            self._not_before_s = loop.time() + AGAIN.total_seconds()
            log.warning("haircuts.not_read", account=self._reader.venue.account, reason=str(error) or "slow")
            return
        self._read_beside, self._assets = self._reader.tables, frozenset(units)
        read = {asset: found[asset] for asset in sorted(units.keys() & found.keys())}
        changed = [
            self._changed(snapshot, asset, units[asset], await self._price(asset), then=then, now=read[asset])
            for asset, then in self._kept_otherwise(read).items()
        ]
        if changed:
            self._teller.tell(haircut_message(self._reader.venue.account, changed, now=now, new_id=new_id))
        self._keep(read, now)  # Last: what dies before it is told again, and not never.

    def _kept(self, asset: str) -> str | None:
        """Return what the journal holds of an asset. None: nothing."""
        kept = self._teller.journal.last_event(self._reader.venue.account, HAIRCUTS, asset)
        return None if kept is None else kept.data

    def _kept_otherwise(self, read: dict[str, Haircuts]) -> dict[str, Haircuts]:
        """Return by asset what is kept of it, where that is something else."""
        kept = {asset: data for asset in read if (data := self._kept(asset)) is not None}
        return {asset: _read(data) for asset, data in kept.items() if data != _written(read[asset])}

    def _keep(self, read: dict[str, Haircuts], now: datetime) -> None:
        """Write down what is new."""
        account = self._reader.venue.account
        for asset, haircuts in read.items():
            kept, data = self._kept(asset), _written(haircuts)
            if kept == data:
                continue
            digest = hashlib.sha256(data.encode()).hexdigest()[:12]
            text = f"{digest}, read at {now:%Y-%m-%d %H:%M:%S} UTC"
            self._teller.journal.event(now, account, HAIRCUTS, asset, text, data)
            if kept is not None:
                log.warning("haircuts.changed", account=account, asset=asset)

    async def _price(self, asset: str) -> Decimal | None:
        """Return what one unit is worth in dollars, by its mark price. None: that is not told, or not in time."""
        if asset in DOLLAR_STABLECOINS:
            return Decimal(1)
        try:
            async with self._spare_time.until(asyncio.get_running_loop().time() + PRICE_WITHIN_S):
                return (await self._reader.venue.mark(f"{asset}/USDT:USDT")).price
        except (VenueUnavailable, KeysRefused, TimeoutError):
            return None

    def _changed(
        self,
        snapshot: AccountSnapshot,
        asset: str,
        units: Decimal,
        price: Decimal | None,
        *,
        then: Haircuts,
        now: Haircuts,
    ) -> ChangedHaircut:
        old: Haircuts | None = then
        new: Haircuts | None = now
        if self._reader.venue.haircuts_count_dollars:
            old, new = _in_units(then, price), _in_units(now, price)
        moved: list[MovedLiquidation] = []
        untold: list[PositionKey] = []
        assessment = self._reader.assess(snapshot)
        for position in (figures.position for figures in assessment.positions) if assessment else ():
            if position.margin_mode is not MarginMode.CROSS:
                continue
            one = None
            if price is not None and old is not None and new is not None:
                one = self._moved(position, asset, units, price, then=old, now=new)
            if one is None:
                untold.append(position.key)
            elif one.before != one.after:
                moved.append(one)
        return ChangedHaircut(
            asset=asset,
            units=units,
            before=None if old is None or new is None else counted_share(units, old),
            now=None if old is None or new is None else counted_share(units, new),
            dollars=price,
            moved=tuple(moved),
            untold=tuple(untold),
        )

    def _moved(
        self, position: Position, asset: str, units: Decimal, price: Decimal, *, then: Haircuts, now: Haircuts
    ) -> MovedLiquidation | None:
        """Return where a position was liquidated before. None: the exchange states no price, or no tiers are known."""
        stated, tables = position.exchange_liquidation, self._reader.tables
        table = None if tables is None else tables.by_symbol.get(position.contract.symbol)
        if table is None or stated.price is None:
            return None
        rule = self._reader.venue.rules.of(position.contract.symbol, MarginMode.CROSS)
        leg = leg_of(position, table, rule)
        before = liquidation_under(leg, stated.price, asset=asset, units=units, price=price, now=now, then=then)
        if before is None:
            return None
        return MovedLiquidation(key=position.key, mark=position.mark_price, before=before, after=stated)


def _written(haircuts: Haircuts) -> str:
    return json.dumps([[str(one.balance_floor), str(one.haircut)] for one in haircuts], separators=(",", ":"))


def _in_units(haircuts: Haircuts, price: Decimal | None) -> Haircuts | None:
    """Return steps that begin at so many dollars as they begin in units at a price. None: it is not known."""
    if price is None:
        return haircuts if len(haircuts) == 1 else None  # The first begins at zero.
    return tuple(replace(one, balance_floor=one.balance_floor / price) for one in haircuts)


def _read(data: str) -> Haircuts:
    return tuple(HaircutTier(balance_floor=Decimal(floor), haircut=Decimal(cut)) for floor, cut in json.loads(data))
