"""Made-up accounts with isolated and cross positions of several coins, and ticks of their marks."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from made_pools import any_pool, between, plain_pool_of_one
from margin_worlds import position_of

from guard.margin import MaintenanceBasis, MarginRule
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Mark,
    Wallet,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def any_account(source):
    """Return a snapshot, the tables of its symbols and its exchange's rule."""
    pools = [plain_pool_of_one(source) for _ in range(4)]
    pools += [any_pool(source, kinds=("isolated",)) for _ in range(4)]
    positions, tables = [], {}
    for number, pool in enumerate(pools):
        leg = pool.legs[0]
        terms = replace(leg.contract, symbol=f"{leg.contract.symbol}-{number}")
        tables[terms.symbol] = leg.tiers
        wallet = pool.collateral[0].wallet_balance
        positions.append(position_of(replace(leg, contract=terms), None if number in (0, 4) else wallet))
    cross = {pools[number].currency: pools[number].collateral[0].wallet_balance for number in (0, 4)}
    rule = MarginRule(
        maintenance_basis=source.choice(list(MaintenanceBasis)),
        liquidation_fee_rate=source.choice((Decimal(0), Decimal("0.0006"))),
    )
    account = AccountSnapshot(
        account="main",
        exchange="made",
        asset_mode=AssetMode.SINGLE,
        positions=tuple(positions),
        wallets=tuple(
            Wallet(currency=name, cross_wallet_balance=balance, cross_unrealized_pnl=Decimal(0), available=Decimal(0))
            for name, balance in cross.items()
        ),
        positions_read_at=NOW,
        wallets_read_at=NOW,
        exchange_margin_ratio=None,
    )
    return account, tables, rule


def any_marks(source, account, largest=Decimal("0.6")):
    """Return new marks of most symbols: a few percent away, sometimes far, a few of them where they are."""
    marks = {}
    for position in account.positions:
        move = between(source, -largest, largest) * source.choice((Decimal("0.05"), Decimal("0.3"), Decimal(1)))
        if source.randint(1, 10) > 2:
            symbol = position.contract.symbol
            marks[symbol] = Mark(symbol=symbol, price=position.mark_price * (1 + move), at=NOW)
    return marks
