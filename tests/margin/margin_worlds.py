"""Contracts, tables, legs and pools for the margin tests, in a word each, and small made-up worlds for its laws.

Pools of every kind are made in `made_pools.py` and judged in `margin_judge.py`.
"""

from decimal import Decimal

from hypothesis import strategies as st

from guard.margin import Leg, MaintenanceBasis, MarginPool, MarginRule, TierTable
from guard.snapshot import (
    Collateral,
    Contract,
    ContractKind,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    RiskTier,
    Side,
)

LINEAR_COINS = ("BTC", "ETH", "SOL")


def contract(coin="BTC", *, inverse=False, size="1", quote="USDT"):
    if inverse:
        return Contract(
            symbol=f"{coin}/USD:{coin}", kind=ContractKind.INVERSE, base=coin, settle=coin, contract_size=Decimal(size)
        )
    return Contract(
        symbol=f"{coin}/{quote}:{quote}",
        kind=ContractKind.LINEAR,
        base=coin,
        settle=quote,
        contract_size=Decimal(size),
    )


def table(*rows, jumping=False):
    """Return tiers from (floor, rate) rows; amounts that join them, unless the table jumps."""
    tiers, amount, rate_before = [], Decimal(0), Decimal(0)
    for index, (floor, rate) in enumerate((Decimal(floor), Decimal(rate)) for floor, rate in rows):
        amount += floor * (rate - rate_before) if index else 0
        rate_before = rate
        cap = Decimal(rows[index + 1][0]) if index + 1 < len(rows) else Decimal("1e18")
        tiers.append(
            RiskTier(
                notional_floor=floor,
                notional_cap=cap,
                maintenance_margin_rate=rate,
                maintenance_amount=None if jumping else amount,
            )
        )
    return TierTable.of(tiers)


def leg(terms=None, *, side=Side.LONG, quantity="1", entry="50000", mark="50000", tiers=None, fee="0", basis="mark"):
    return Leg(
        contract=terms or contract(),
        side=side,
        quantity=Decimal(quantity),
        entry_price=Decimal(entry),
        mark_price=Decimal(mark),
        tiers=tiers or table(("0", "0.01")),
        rule=MarginRule(liquidation_fee_rate=Decimal(fee), maintenance_basis=MaintenanceBasis(basis)),
    )


def position_of(leg, wallet=None):
    """Return the position that a leg is the model of. `wallet` None: it leans on the cross wallet."""
    return Position(
        contract=leg.contract,
        side=leg.side,
        margin_mode=MarginMode.CROSS if wallet is None else MarginMode.ISOLATED,
        quantity=leg.quantity,
        entry_price=leg.entry_price,
        mark_price=leg.mark_price,
        isolated_wallet=wallet,
        leverage=None,
        hedged=False,
        auto_add_margin=None,
        exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
        exchange_maintenance_margin=None,
        updated_at=None,
    )


def cross_pool(*legs, wallet="1000", others=(), other_maintenance_margin="0", other_unrealized_pnl="0"):
    currency = legs[0].contract.settle
    return MarginPool(
        currency=currency,
        margin_mode=MarginMode.CROSS,
        collateral=(
            Collateral(asset=currency, wallet_balance=Decimal(wallet), price=Decimal(1), haircut=Decimal(0)),
            *others,
        ),
        legs=legs,
        other_maintenance_margin=Decimal(other_maintenance_margin),
        other_unrealized_pnl=Decimal(other_unrealized_pnl),
    )


# Made-up worlds ----------------------------------------------------------------------------------------------------


def _decimals(low, high, places):
    return st.decimals(Decimal(low), Decimal(high), places=places)


@st.composite
def tables(draw, top, kinds=(False, True)):
    """Tier tables that matter: floors lie around the notional of the position, at a few times of it at most."""
    count = draw(st.integers(1, 5))
    shares = sorted(draw(st.sets(st.integers(1, 300), min_size=count - 1, max_size=count - 1)))
    rates = sorted(draw(st.lists(_decimals("0.002", "0.2", 4), min_size=count, max_size=count)))
    floors = [Decimal(0), *(top * share / 100 for share in shares)]
    return table(*zip(floors, rates, strict=True), jumping=draw(st.sampled_from(kinds)))


@st.composite
def legs(draw, terms, mark, bases=("mark", "mark", "mark", "entry")):
    value = draw(_decimals("100", "1000000", 2))
    inverse = terms.kind is ContractKind.INVERSE
    quantity = (value if inverse else value / mark).quantize(Decimal("1e-6")) or Decimal("1e-6")
    entry = (mark * draw(_decimals("0.6", "1.6", 3))).quantize(Decimal("1e-8"))
    top = quantity / mark if inverse else quantity * mark
    return leg(
        terms,
        side=draw(st.sampled_from(Side)),
        quantity=quantity,
        entry=entry,
        mark=mark,
        tiers=draw(tables(top.quantize(Decimal("1e-9")))),
        fee=draw(st.sampled_from(("0", "0.0006"))),
        basis=draw(st.sampled_from(bases)),
    )


@st.composite
def isolated_worlds(draw, bases=("mark", "mark", "mark", "entry"), kinds=tuple(ContractKind)):
    """One leg and the wallet that carries it, most of the time by a margin of a few percent to a few times."""
    terms = contract(inverse=draw(st.sampled_from(kinds)) is ContractKind.INVERSE)
    mark = draw(_decimals("0.5", "90000", 2))
    made = draw(legs(terms, mark, bases))
    value, pnl = _figures(made)
    wallet = max(Decimal(0), -pnl) + value * draw(_decimals("0.003", "1.2", 4))
    return made, wallet.quantize(Decimal("1e-9"))


@st.composite
def cross_worlds(draw):
    """A linear pool of up to five legs, hedged pairs and coins as collateral included; or an inverse pool of one coin."""
    if draw(st.booleans()):
        coins = [draw(st.sampled_from(LINEAR_COINS)) for _ in range(draw(st.integers(1, 5)))]
        marks = {coin: draw(_decimals("0.5", "90000", 2)) for coin in LINEAR_COINS}
        made = [draw(legs(contract(coin), marks[coin])) for coin in coins]
        held = draw(st.lists(st.sampled_from((*LINEAR_COINS, "USDC", "EUR")), max_size=2, unique=True))
    else:
        mark = draw(_decimals("0.5", "90000", 2))
        marks = {"BTC": mark}
        made = [draw(legs(contract(inverse=True), mark)) for _ in range(draw(st.integers(1, 3)))]
        held = []
    total = sum((_figures(one)[0] for one in made), Decimal(0))
    others = tuple(
        Collateral(
            asset=asset,
            wallet_balance=(total / 10 / marks.get(asset, Decimal(1))).quantize(Decimal("1e-8")),
            price=marks.get(asset, Decimal("1.07")),
            haircut=Decimal("0.05"),
        )
        for asset in held
    )
    loss = -sum((min(Decimal(0), _figures(one)[1]) for one in made), Decimal(0))
    wallet = (loss + total * draw(_decimals("0.003", "0.8", 4))).quantize(Decimal("1e-9"))
    return cross_pool(*made, wallet=wallet, others=others)


def _figures(one):
    size = one.quantity * one.contract.contract_size
    if one.contract.kind is ContractKind.LINEAR:
        return size * one.mark_price, int(one.side) * size * (one.mark_price - one.entry_price)
    return size / one.mark_price, int(one.side) * size * (1 / one.entry_price - 1 / one.mark_price)
