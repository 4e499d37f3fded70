"""Accounts as books, for compare and whatif: legs of margin_worlds with the position each belongs to."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st
from margin_worlds import cross_worlds, isolated_worlds, leg

from guard.margin import MarginPool, isolated_pool
from guard.margin.books import Book, Holding, cross_book_pool, isolated_book_pool
from guard.snapshot import Collateral, Liquidation, LiquidationKind, MarginMode, Position


def holding(one=None, *, wallet=None, leverage=None, hedged=False, **fields):
    """Return a position with its leg; with a wallet it is isolated."""
    one = one or leg(**fields)
    position = Position(
        contract=one.contract,
        side=one.side,
        margin_mode=MarginMode.CROSS if wallet is None else MarginMode.ISOLATED,
        quantity=one.quantity,
        entry_price=one.entry_price,
        mark_price=one.mark_price,
        isolated_wallet=None if wallet is None else Decimal(wallet),
        leverage=None if leverage is None else Decimal(leverage),
        hedged=hedged,
        auto_add_margin=None,
        exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
        exchange_maintenance_margin=None,
        updated_at=None,
    )
    return Holding(position=position, leg=one)


def wallet_pool(*holdings, wallet="10000", currency="USDT", **fields):
    """Return a cross pool of these holdings; without any it is a free wallet."""
    row = Collateral(asset=currency, wallet_balance=Decimal(wallet), price=Decimal(1), haircut=Decimal(0))
    pool = MarginPool(
        currency=currency,
        margin_mode=MarginMode.CROSS,
        collateral=(row,),
        legs=tuple(one.leg for one in holdings),
        **fields,
    )
    return cross_book_pool(holdings, pool)


def alone(one):
    return isolated_book_pool(one, isolated_pool(one.leg, one.position.isolated_wallet))


def book(*holdings, wallet="10000", gaps=()):
    """Return an account: what has no margin of its own leans on the wallet."""
    cross = tuple(one for one in holdings if one.position.isolated_wallet is None)
    own = tuple(alone(one) for one in holdings if one.position.isolated_wallet is not None)
    return Book(pools=(wallet_pool(*cross, wallet=wallet), *own), gaps=gaps)


def money(pools):
    """Return what is in all wallets, by asset, to forty decimals: the one thing that no conversion may change."""
    total = {}
    for pool in pools:
        for row in pool.pool.collateral:
            total[row.asset] = total.get(row.asset, 0) + Fraction(row.wallet_balance)
    return {asset: round(amount, 40) for asset, amount in total.items() if round(amount, 40)}


@st.composite
def books(draw):
    """A cross pool of up to five legs beside up to three isolated positions, some of known leverage."""
    pool = draw(cross_worlds())
    leverages = st.sampled_from((None, "3", "25"))
    members = tuple(holding(one, leverage=draw(leverages)) for one in pool.legs)
    pools = [cross_book_pool(members, pool)] if draw(st.booleans()) else []
    held = list(members) if pools else []
    for made, margin in draw(st.lists(isolated_worlds(), min_size=0 if pools else 1, max_size=3)):
        held.append(holding(at_one_price(made, held), wallet=margin, leverage=draw(leverages)))
        pools.append(alone(held[-1]))
    return Book(pools=tuple(pools))


def at_one_price(made, others):
    """Return the leg at the mark that its symbol has in the account already."""
    same = [one.leg.mark_price for one in others if one.leg.contract.symbol == made.contract.symbol]
    return replace(made, mark_price=same[0]) if same else made
