"""The same account at newer mark prices, so that a tick can be judged without a request."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from operator import is_

from guard.margin.arithmetic import ZERO, exact
from guard.margin.requirement import gain_between
from guard.snapshot import AccountSnapshot, MarginMode, Mark, Position, Purse, Wallet


@exact
def reprice(snapshot: AccountSnapshot, marks: Mapping[str, Mark]) -> AccountSnapshot:
    """Return the snapshot with new marks by symbol; a symbol that is not in `marks` keeps its price.

    The wallets' cross unrealized profit moves along. `available` follows losses at once, and gains only when the
    exchange says so. Everything else, the times of reading included, stays what the exchange stated.
    """
    positions: list[Position] = []
    changes: dict[Purse, Decimal] = {}
    for position in snapshot.positions:
        mark = marks.get(position.contract.symbol)
        if mark is None or mark.price == position.mark_price:
            positions.append(position)
            continue
        positions.append(_at_mark(position, mark.price))
        if position.margin_mode is MarginMode.CROSS:
            purse = position.contract.purse
            changes[purse] = changes.get(purse, ZERO) + gain_between(position, position.mark_price, mark.price)
    if all(map(is_, positions, snapshot.positions)):
        return snapshot
    return replace(
        snapshot,
        positions=tuple(positions),
        wallets=tuple(_moved(one, changes.get(one.purse, ZERO)) for one in snapshot.wallets),
    )


def _moved(wallet: Wallet, change: Decimal) -> Wallet:
    if change == 0:
        return wallet
    return replace(
        wallet,
        cross_unrealized_pnl=wallet.cross_unrealized_pnl + change,
        available=max(ZERO, wallet.available + change) if change < 0 else wallet.available,
    )


def _at_mark(position: Position, price: Decimal) -> Position:
    """Return the position at another mark. `dataclasses.replace` takes twice as long, and every tick comes here."""
    return Position(
        contract=position.contract,
        side=position.side,
        margin_mode=position.margin_mode,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=price,
        isolated_wallet=position.isolated_wallet,
        leverage=position.leverage,
        hedged=position.hedged,
        auto_add_margin=position.auto_add_margin,
        exchange_liquidation=position.exchange_liquidation,
        exchange_maintenance_margin=position.exchange_maintenance_margin,
        updated_at=position.updated_at,
    )
