"""What the stream of an account pushes when something happened to it. Source: USD-M docs, ACCOUNT_UPDATE (2026-11)."""

from decimal import Decimal

from guard.demo.exchange.ledger import AccountChange, DemoAccount, Marks, margin_asset, wallet_balance
from guard.demo.exchange.payloads import Row, amount, plain
from guard.demo.exchange.signing import milliseconds


def account_update(account: DemoAccount, change: AccountChange, marks: Marks) -> Row:
    """Return the message of a change: the asset and the leg that it was about, as they are now."""
    asset, stamp = margin_asset(change.symbol), milliseconds(change.at)
    position = account.positions.get((change.symbol, change.position_side))
    wallet = None if position is None else position.isolated_wallet
    leg = {
        "s": change.symbol,
        "ps": change.position_side,
        "pa": "0" if position is None else plain(position.side * position.quantity),
        "ep": "0" if position is None else plain(position.entry_price),
        "up": "0" if position is None else amount(position.unrealized_pnl(marks)),
        "cr": "0",
        "mt": "cross" if wallet is None else "isolated",
        "iw": "0" if wallet is None else amount(wallet),
        "ma": asset,
    }
    balance = {
        "a": asset,
        "wb": amount(wallet_balance(account, asset)),
        "cw": amount(account.balances.get(asset, Decimal(0))),
        "bc": "0",
    }
    return {
        "e": "ACCOUNT_UPDATE",
        "E": stamp,
        "T": stamp,
        "a": {"m": change.reason, "B": [balance], "P": [leg]},
    }
