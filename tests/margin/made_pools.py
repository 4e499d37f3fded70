"""Pools of every kind that the model knows, made up from a random source: nothing that is made is thrown away."""

from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction
from random import Random

import margin_judge as judge
from margin_worlds import contract, table

from guard.margin import (
    HaircutBasis,
    HedgeNetting,
    Leg,
    MaintenanceBasis,
    MarginPool,
    MarginRule,
    TierBasis,
    TierTable,
)
from guard.snapshot import Collateral, ContractKind, HaircutTier, MarginMode, Side

COINS = ("BTC", "ETH", "SOL")
DATED = "-261225"


def source_of(number):
    """Return the random source that a number stands for."""
    return Random(number)  # noqa: S311  # No secret is made of it.


def between(source, low, high, places=4):
    """Return a decimal between two numbers with so many places."""
    scale = 10**places
    return Decimal(source.randint(round(low * scale), round(high * scale))).scaleb(-places)


def _rounded(value, digits=9):
    return Context(prec=digits).plus(Decimal(value))


def _chance(source, percent):
    return source.randint(1, 100) <= percent


# Markets and rules -------------------------------------------------------------------------------------------------


def _dollar_prices(source):
    coins = {coin: between(source, 0.5, 90000, 2) for coin in COINS}
    return coins | {"USD": Decimal(1), "USDT": Decimal("0.9996"), "USDC": Decimal("1.0002"), "EUR": Decimal("1.07")}


def _contracts(currency, kind):
    linear = [contract(coin, size=size, quote="USDT") for coin, size in zip(COINS, ("1", "0.01", "10"), strict=True)]
    linear.append(replace(linear[0], symbol=linear[0].symbol + DATED))
    inverse = [contract("BTC", inverse=True, size=size) for size in ("1", "100")]
    inverse[1] = replace(inverse[1], symbol=inverse[1].symbol + DATED)
    inverse.append(contract("ETH", quote="BTC"))
    if kind == "dollars":
        usdc = [contract(coin, quote="USDC") for coin in COINS]
        return [*linear, *usdc, *inverse, contract("ETH", inverse=True, size="10")]
    return linear if currency == "USDT" else inverse


def _rule(source):
    """Return what one exchange computes by; closing fee and basis may differ by symbol and are drawn there."""
    by_notional = _chance(source, 65)
    return MarginRule(
        hedge_netting=source.choice(list(HedgeNetting)),
        tier_basis=TierBasis.NOTIONAL if by_notional else source.choice(list(TierBasis)),
    )


def _tiers(source, top, *, has_amounts, may_jump):
    """Return a table that matters: floors lie around what the tier is looked up by, at a few times of it at most."""
    count = source.randint(1, 5)
    shares = sorted({source.choice((100, source.randint(1, 300))) for _ in range(count - 1)})
    rates = sorted(between(source, 0.002, 0.2) for _ in range(len(shares) + 1))
    if may_jump and _chance(source, 10):
        source.shuffle(rates)
    jumps = may_jump and (not has_amounts or _chance(source, 45))
    made = table(*zip([Decimal(0), *(top * share / 100 for share in shares)], rates, strict=True), jumping=jumps)
    if not jumps and _chance(source, 15):  # Only the tier in force was stated, amount included: zero far below it.
        amount = _rounded(top * between(source, 0, 0.1))
        made = TierTable.of(replace(row, maintenance_amount=row.maintenance_amount + amount) for row in made.rows)
    return made


# Legs --------------------------------------------------------------------------------------------------------------


def _symbol(source, terms, dollars, rule, currency, *, may_jump=True):
    """Return one leg of a symbol; others of the same symbol share its contract, mark, table and rule."""
    inverse = terms.kind is ContractKind.INVERSE
    mark = dollars[terms.base] if inverse else dollars[terms.base] / dollars[terms.settle]
    mark = _rounded(mark * (Decimal("1.013") if terms.symbol.endswith(DATED) else 1), 7)
    notional = between(source, 100, 1000000, 2) / dollars[terms.settle]
    quantity = _rounded(notional / terms.contract_size * (mark if inverse else 1 / mark), 6)
    rule = replace(
        rule,
        liquidation_fee_rate=source.choice((Decimal(0), Decimal("0.0006"))),
        maintenance_basis=source.choice([MaintenanceBasis.MARK] * 3 + list(MaintenanceBasis)),
    )
    size = quantity * terms.contract_size
    by_notional = rule.tier_basis is TierBasis.NOTIONAL
    top = quantity if not by_notional else _rounded(size / mark) if inverse else size * mark
    may_jump = may_jump and not (by_notional and inverse and terms.settle != currency)
    return Leg(
        contract=terms,
        side=source.choice(list(Side)),
        quantity=quantity,
        entry_price=_rounded(mark * between(source, 0.6, 1.6, 3), 7),
        mark_price=mark,
        tiers=_tiers(source, top, has_amounts=by_notional, may_jump=may_jump),
        rule=rule,
    )


def _legs(source, terms, dollars, rule, currency):
    symbols = source.sample(terms, k=min(len(terms), source.randint(1, 4)))
    legs = [_symbol(source, one, dollars, rule, currency) for one in symbols]
    for leg in tuple(legs):
        if _chance(source, 35):  # Both sides of one symbol, sometimes of the same size.
            share = source.choice((Decimal(1), between(source, 0.1, 2, 2)))
            entry = _rounded(leg.mark_price * between(source, 0.7, 1.4, 3), 7)
            other = replace(leg, side=Side(-leg.side), quantity=_rounded(leg.quantity * share, 8), entry_price=entry)
            legs.insert(source.randint(0, len(legs)), other)
    return tuple(legs)


# Collateral --------------------------------------------------------------------------------------------------------


def _row(source, asset, price, units):
    """Return a row with its haircut: none, flat, or in slices that begin around what is owned."""
    tiers = ()
    if _chance(source, 35):
        shares = sorted({source.randint(5, 200) for _ in range(source.randint(1, 3))})
        haircuts = sorted(between(source, 0, 0.9, 2) for _ in range(len(shares) + 1))
        if _chance(source, 10):
            source.shuffle(haircuts)
        floors = [Decimal(0), *(_rounded(abs(units) * share / 100, 8) for share in shares)]
        tiers = tuple(
            HaircutTier(balance_floor=floor, haircut=haircut)
            for floor, haircut in zip(dict.fromkeys(floors), haircuts, strict=False)
        )
    return Collateral(
        asset=asset,
        wallet_balance=units,
        price=price,
        haircut=source.choice((Decimal(0), Decimal("0.05"), Decimal("0.2"))),
        haircut_tiers=tiers,
        surcharge=source.choice((Decimal(0), Decimal("0.01"), Decimal("0.05"))),
    )


def _collateral(source, legs, currency, dollars, gross):
    """Return the other assets of a pool: those that legs settle in, and some that only lie there. Some are owed."""
    settled = {leg.contract.settle for leg in legs}
    idle = source.sample(("BTC", "ETH", "SOL", "USDC", "EUR"), k=source.randint(0, 2))
    rows = []
    for asset in sorted({*settled, *idle} - {currency}):
        price = _rounded(dollars[asset] / dollars[currency], 12)
        share = between(source, -0.1, 0.4) if _chance(source, 80) else Decimal(0)
        rows.append(_row(source, asset, price, _rounded(gross * share / price, 8)))
    return rows


# Pools -------------------------------------------------------------------------------------------------------------


KINDS = ("isolated", "linear", "linear", "inverse", "dollars", "dollars")


def any_pool(source, kinds=KINDS):
    """Return a pool of any kind, most of the time carried by a margin of a few percent to most of what it holds."""
    kind = source.choice(kinds)
    currency = {"linear": "USDT", "inverse": "BTC", "dollars": "USD"}.get(kind) or source.choice(("USDT", "BTC"))
    dollars, rule, terms = _dollar_prices(source), _rule(source), _contracts(currency, kind)
    if kind == "isolated":
        leg = _symbol(source, source.choice(terms), dollars, rule, currency)
        return _carried_alone(source, leg)
    legs = _legs(source, terms, dollars, rule, currency)
    pool = MarginPool(currency=currency, margin_mode=MarginMode.CROSS, collateral=(), legs=legs)
    gross = sum(
        (Decimal(leg.quantity) * _dollar_size(leg) * dollars[leg.contract.settle] for leg in legs), Decimal(0)
    ) / dollars[currency]  # fmt: skip
    own = _row(source, currency, Decimal(1), _rounded(gross * between(source, 0, 0.3), 8))
    if _chance(source, 60):
        own = replace(own, haircut=Decimal(0), haircut_tiers=(), surcharge=Decimal(0))
    rows = [own, *_collateral(source, legs, currency, dollars, gross)]
    source.shuffle(rows)
    return carried(source, _with_the_rest(source, replace(pool, collateral=tuple(rows)), gross), gross)


def _dollar_size(leg):
    terms = leg.contract
    return terms.contract_size * (1 / leg.mark_price if terms.kind is ContractKind.INVERSE else leg.mark_price)


def plain_pool_of_one(source):
    """Return the pool that a tick asks for most often: one position, a table that does not jump, today's notional."""
    currency = source.choice(("USDT", "BTC"))
    terms = source.choice(_contracts(currency, "isolated"))
    leg = _symbol(source, terms, _dollar_prices(source), MarginRule(), currency, may_jump=False)
    return _carried_alone(source, replace(leg, rule=replace(leg.rule, maintenance_basis=MaintenanceBasis.MARK)))


def any_distance(source):
    """Return a distance to restore: mostly a usual one, sometimes to a price of zero and beyond."""
    return source.choice((between(source, 0.01, 0.9), between(source, 0.01, 0.3), Decimal(1), Decimal("1.5")))


def _carried_alone(source, leg):
    currency = leg.contract.settle
    row = Collateral(asset=currency, wallet_balance=Decimal(0), price=Decimal(1), haircut=Decimal(0))
    pool = MarginPool(currency=currency, margin_mode=MarginMode.ISOLATED, collateral=(row,), legs=(leg,))
    return carried(source, pool, leg.quantity * _dollar_size(leg))


def _with_the_rest(source, pool, gross):
    def some(low):
        return _rounded(gross * between(source, low, 0.05)) if _chance(source, 20) else Decimal(0)

    return replace(
        pool,
        haircut_basis=source.choice(list(HaircutBasis)),
        order_margin=some(0),
        funding_due=some(-0.02),
        other_maintenance_margin=some(0),
        other_unrealized_pnl=some(-0.05),
    )


def carried(source, pool, gross):
    """Return the pool with a wallet that leaves it some excess, or (one in twelve) somewhat too little.

    An odd last digit keeps two amounts from touching by accident, where a rounded quotient would decide.
    """
    aim = gross * between(source, -0.2 if _chance(source, 8) else 0.003, source.choice((0.1, 0.8, 1.5)))
    short = aim - _decimal(judge.excess(pool, (), Fraction(1)))
    index = next(index for index, row in enumerate(pool.collateral) if row.asset == pool.currency)
    row = pool.collateral[index]
    kept = 1 - row.haircut if not row.haircut_tiers else 1 - row.haircut_tiers[-1].haircut
    units = _rounded(row.wallet_balance + short / kept) + _rounded(gross) * Decimal("1.7e-13")
    rows = list(pool.collateral)
    rows[index] = replace(row, wallet_balance=units)
    return replace(pool, collateral=tuple(rows))


def _decimal(fraction):
    return Decimal(fraction.numerator) / Decimal(fraction.denominator)
