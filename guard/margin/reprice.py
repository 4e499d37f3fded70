"""The same account at newer mark prices, so that a tick can be judged without a request."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from guard.margin.arithmetic import ZERO, exact
from guard.margin.requirement import unrealized_pnl
from guard.snapshot import AccountSnapshot, MarginMode, Mark, Position, Wallet


@exact
def reprice(snapshot: AccountSnapshot, marks: Mapping[str, Mark]) -> AccountSnapshot:
    """Return the snapshot with new marks by symbol; a symbol that is not in `marks` keeps its price.

    The wallets' cross unrealized profit moves along. `available` follows losses at once, and gains only when the
    exchange says so. Everything else, the times of reading included, stays what the exchange stated.
    """
    moved = {
        position.key: replace(position, mark_price=marks[position.contract.symbol].price)
        for position in snapshot.positions
        if position.contract.symbol in marks
    }
    if not moved:
        return snapshot
    changes: dict[str, Decimal] = {}
    for position in snapshot.positions:
        if position.margin_mode is MarginMode.CROSS and position.key in moved:
            currency = position.contract.settle
            change = _pnl(moved[position.key]) - _pnl(position)
            changes[currency] = changes.get(currency, ZERO) + change
    return replace(
        snapshot,
        positions=tuple(moved.get(position.key, position) for position in snapshot.positions),
        wallets=tuple(_moved(wallet, changes.get(wallet.currency, ZERO)) for wallet in snapshot.wallets),
    )


def _moved(wallet: Wallet, change: Decimal) -> Wallet:
    if change == 0:
        return wallet
    return replace(
        wallet,
        cross_unrealized_pnl=wallet.cross_unrealized_pnl + change,
        available=max(ZERO, wallet.available + change) if change < 0 else wallet.available,
    )


def _pnl(position: Position) -> Decimal:
    return unrealized_pnl(position, position.mark_price)
