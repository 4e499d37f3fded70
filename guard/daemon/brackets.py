"""The leverage brackets in use, kept with date and hash; a change is told with what it does to liquidation prices."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import structlog

from guard.daemon.reader import AccountReader
from guard.daemon.tell import Teller, new_id
from guard.journal.records import BRACKETS
from guard.margin import TierTable
from guard.notify.bracket_texts import MovedLiquidation, brackets_message
from guard.snapshot import RiskTier
from guard.venues.protocol import TierTables

log = structlog.get_logger(__name__)


class BracketKeeper:
    """Holds what was read of one account's brackets against what is kept in the journal, over restarts."""

    def __init__(self, reader: AccountReader, teller: Teller) -> None:
        self._reader = reader
        self._teller = teller
        self._seen: TierTables | None = None
        self._told: dict[str, str] = {}  # By symbol: a table that was told, and could not be written down yet.

    def look(self, now: datetime) -> None:
        """Tell of tables that changed, and keep what is new. Raises JournalError."""
        tables = self._reader.tables
        if tables is None or tables is self._seen:
            return
        read = {one: tables.by_symbol[one] for one in self._reader.symbols() if one in tables.by_symbol}
        written = {symbol: _written(table) for symbol, table in read.items()}
        kept = {symbol: self._kept(symbol) for symbol in written}
        known = {symbol: self._told.get(symbol, kept[symbol]) for symbol in written}
        before = {symbol: _read(then) for symbol, then in known.items() if then not in {None, written[symbol]}}
        if before:
            self._tell(before, now)
            self._told |= {symbol: written[symbol] for symbol in before}
        for symbol, data in written.items():  # Last: what dies before it is told again, and not never.
            if data != kept[symbol]:
                self._keep(symbol, data, tables.read_at, now, is_change=kept[symbol] is not None)
        self._told.clear()
        self._seen = tables

    def _kept(self, symbol: str) -> str | None:
        """Return what the journal holds of a symbol. None: nothing."""
        kept = self._teller.journal.last_event(self._reader.venue.account, BRACKETS, symbol)
        return None if kept is None else kept.data

    def _keep(self, symbol: str, data: str, read_at: datetime, now: datetime, *, is_change: bool) -> None:
        account = self._reader.venue.account
        text = f"{_hash(data)}, read at {read_at:%Y-%m-%d %H:%M:%S} UTC"
        self._teller.journal.event(now, account, BRACKETS, symbol, text, data)
        if is_change:
            log.warning("brackets.changed", account=account, symbol=symbol)

    def _tell(self, before: Mapping[str, TierTable], now: datetime) -> None:
        snapshot = self._reader.snapshot
        was, is_now = self._reader.assess_by(snapshot, before), self._reader.assess(snapshot)
        if was is None or is_now is None:
            return
        moved = [
            MovedLiquidation(key=new.key, mark=new.position.mark_price, before=old.liquidation, after=new.liquidation)
            for old, new in zip(was.positions, is_now.positions, strict=True)
            if old.liquidation != new.liquidation
        ]
        self._teller.tell(brackets_message(self._reader.venue.account, sorted(before), moved, now=now, new_id=new_id))


def _written(table: TierTable) -> str:
    rows = [
        [str(row.notional_floor), str(row.notional_cap), str(row.maintenance_margin_rate)]
        + ([] if row.maintenance_amount is None else [str(row.maintenance_amount)])
        for row in table.rows
    ]
    return json.dumps(rows, separators=(",", ":"))


def _read(data: str) -> TierTable:
    return TierTable.of(
        RiskTier(
            notional_floor=Decimal(floor),
            notional_cap=Decimal(cap),
            maintenance_margin_rate=Decimal(rate),
            maintenance_amount=Decimal(amount[0]) if amount else None,
        )
        for floor, cap, rate, *amount in json.loads(data)
    )


def _hash(data: str) -> str:
    return hashlib.sha256(data.encode()).hexdigest()[:12]
