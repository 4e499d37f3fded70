"""Linear pools of small round numbers, in which amounts touch by accident: floors that are met, balances that just last.

Whatever a comparison says of equality shows here, and no quotient is rounded on the way to it.
"""

from dataclasses import replace
from decimal import Decimal

from margin_worlds import contract, cross_pool, leg, table

from guard.margin import HaircutBasis, HedgeNetting, MaintenanceBasis, TierBasis
from guard.snapshot import Collateral, HaircutTier, Side

MARKS = (1, 2, 3, 4, 5, 6, 7, 10, 100)
ENTRIES = (1, 2, 3, 4, 5, 8, 10, 100)
RATES = ("0.05", "0.1", "0.2", "0.25", "0.5", "1")
SLICES = (("0", "0.1", "0.5"), ("0.5", "0.1", "0.2"))


def round_pool(source):
    """Return a linear pool of one or two coins, with other assets beside the wallet every other time."""
    coins = source.sample(("BTC", "ETH"), k=source.randint(1, 2))
    marks = {coin: Decimal(source.choice(MARKS)) for coin in coins}
    basis, netting = source.choice(list(TierBasis)), source.choice(list(HedgeNetting))
    legs = []
    for coin in coins:
        tiers = _tiers(source, jumps=basis is not TierBasis.NOTIONAL or source.randint(1, 10) > 3)
        legs += [_leg(source, contract(coin), marks[coin], tiers) for _ in range(source.randint(1, 3))]
    legs = [replace(one, rule=replace(one.rule, tier_basis=basis, hedge_netting=netting)) for one in legs]
    pool = cross_pool(*legs, wallet=source.randint(0, 60))
    if source.randint(0, 1):
        return pool
    own = pool.collateral[0]
    if source.randint(1, 3) == 1:
        own = replace(own, haircut=Decimal("0.5"), surcharge=Decimal(source.choice(("0", "0.25"))))
    others = [
        _row(source, asset, marks.get(asset, Decimal(1)))
        for asset in source.sample((*coins, "USDC"), k=source.randint(1, 2))
    ]
    return replace(pool, collateral=(own, *others), haircut_basis=source.choice(list(HaircutBasis)))


def round_distance(source):
    return Decimal(source.choice(("0.1", "0.2", "0.25", "0.5", "1")))


def _tiers(source, *, jumps):
    floors = {source.choice((1, 1, 5)) * floor for floor in source.sample(range(1, 40), k=source.randint(0, 4))}
    rows = [("0", source.choice(("0", "0.1", "0.25", "0.5")))]
    return table(*rows, *((floor, source.choice(RATES)) for floor in sorted(floors)), jumping=jumps)


def _leg(source, terms, mark, tiers):
    return leg(
        terms,
        side=source.choice(list(Side)),
        quantity=source.randint(1, 12),
        entry=source.choice(ENTRIES),
        mark=mark,
        tiers=tiers,
        fee=source.choice(("0", "0.1")),
        basis=source.choice(list(MaintenanceBasis)),
    )


def _row(source, asset, price):
    tiers = ()
    if source.randint(0, 1):
        floors = (0, *sorted(source.sample(range(1, 20), k=2)))
        tiers = tuple(
            HaircutTier(balance_floor=Decimal(floor), haircut=Decimal(haircut))
            for floor, haircut in zip(floors, source.choice(SLICES), strict=True)
        )
    return Collateral(
        asset=asset,
        wallet_balance=Decimal(source.randint(-8, 20)),
        price=price,
        haircut=Decimal(source.choice(("0", "0.1", "0.5"))),
        haircut_tiers=tiers,
        surcharge=Decimal(source.choice(("0", "0.1"))),
    )
