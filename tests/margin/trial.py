"""One pool, solved by the model and by the slow judge: the worst relative difference between them."""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

import margin_judge as judge

from guard.margin import (
    PresentPool,
    bankruptcy_price,
    crossings,
    idle_margin,
    margin_balance,
    margin_to_distance,
    of_leg,
    pool_maintenance_margin,
    pool_requirement,
    shock,
)
from guard.snapshot import LiquidationKind

PRESENT = Fraction(1)
HIGHEST = Fraction(11)  # Shocks are searched up to +1,000 %.
ODD = (Fraction(8713, 10000), Fraction(12589, 10000))  # Prices elsewhere, at which no floor is met by accident.
SAME = Fraction(1, 10**12)
HAIR = Fraction(1, 10**24)  # Of an amount of margin: far below any step, above what a touched edge costs (1e-30).


@dataclass(kw_only=True)
class Trial:
    """What was compared for one pool. A factor that only one of both has is an infinite difference."""

    worst: Fraction | float = Fraction(0)
    faults: list[str] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)  # "past", "none", "down", "up": what the pool had to offer.

    def compare(self, what, ours, judged, scale=None):
        """Compare a figure with the judge's, relative to the judge's or to a scale."""
        if (ours is None) != (judged is None):
            self._fault(what, ours, judged, float("inf"))
        elif ours is not None and Fraction(ours) != judged:
            apart = abs(Fraction(ours) - judged) / (scale or abs(judged) or PRESENT)
            self.worst = max(self.worst, apart)
            if apart > SAME:
                self._fault(what, ours, judged, apart)

    def _fault(self, what, ours, judged, apart):
        self.worst = max(self.worst, apart)
        self.faults.append(f"{what}: the model says {ours}, the judge {judged and float(judged)}")


def trial_of(pool, distance):
    """Return the comparison of everything that is asked of a pool's prices, and of the margin that a distance costs."""
    trial = Trial()
    _compare_now(trial, pool)
    is_past = judge.excess(pool, (), PRESENT) <= 0
    if is_past:
        trial.answers.add("past")
        trial.compare("shock", shock(pool)[0], None)
        trial.compare("shock", shock(pool)[1], None)
    else:
        _compare_shock(trial, pool)
    seen = set()
    for leg in pool.legs:
        found = crossings(pool, leg)
        if (found.nearest.kind is LiquidationKind.PAST) is not is_past:
            trial.faults.append(f"{leg.contract.symbol}: {found.nearest.kind}, but past is {is_past}")
        coin = {leg.contract.base}
        if leg.contract.symbol not in seen:
            if not is_past:
                _compare_crossings(trial, leg, found, judge.ends(pool, coin))
            _compare_bankruptcy(trial, pool, leg, coin)
        seen.add(leg.contract.symbol)
    if counts_in_full(pool):
        _compare_margin(trial, pool, pool.legs[0], distance)
    return trial


def counts_in_full(pool):
    """Say whether a unit of the pool's own currency counts as one, whatever is owned or owed of it."""
    rows = [row for row in pool.collateral if row.asset == pool.currency]
    return not any(row.haircut or row.haircut_tiers or row.surcharge for row in rows)


def _compare_now(trial, pool):
    now, relative = PresentPool(pool), judge.prices_when((), 1)
    has, asked = judge.balance(pool, relative), judge.requirement(pool, relative)
    trial.compare("balance", now.balance, has, abs(has) + asked)
    trial.compare("requirement", now.requirement, asked)
    trial.compare("maintenance", now.maintenance, judge.requirement(pool, relative, with_fees=False))
    coins = sorted({leg.contract.base for leg in pool.legs})[:2]
    factors = dict(zip(coins, ODD, strict=False))

    def moved(asset):
        return factors.get(asset, PRESENT)

    given = {coin: Decimal(factor.numerator) / Decimal(factor.denominator) for coin, factor in factors.items()}
    own = moved(pool.currency)
    has, asked = judge.balance(pool, moved) / own, judge.requirement(pool, moved) / own
    trial.compare("balance elsewhere", margin_balance(pool, given), has, abs(has) + asked)
    trial.compare("requirement elsewhere", pool_requirement(pool, given), asked)
    kept = judge.requirement(pool, moved, with_fees=False) / own
    trial.compare("maintenance elsewhere", pool_maintenance_margin(pool, given), kept)


def _compare_shock(trial, pool):
    down, up = judge.ends(pool, None)
    moves = shock(pool)
    trial.compare("shock down", None if moves[0] is None else 1 + Fraction(moves[0]), down, PRESENT)
    trial.compare(
        "shock up", None if moves[1] is None else 1 + Fraction(moves[1]), None if up is None or up > HIGHEST else up
    )


def _compare_crossings(trial, leg, found, judged):
    mark = Fraction(leg.mark_price)
    down, up = (None if factor is None or factor <= 0 else factor * mark for factor in judged)
    trial.compare(f"{leg.contract.symbol} down", found.down, down)
    trial.compare(f"{leg.contract.symbol} up", found.up, up)
    trial.answers |= {name for name, end in (("down", down), ("up", up)) if end is not None} or {"none"}
    both = [price for price in (found.down, found.up) if price is not None]
    nearest = min(both, key=lambda price: abs(price - leg.mark_price), default=None)
    kind = LiquidationKind.AT if both else LiquidationKind.NONE
    if (found.nearest.kind, found.nearest.price) != (kind, nearest):
        trial.faults.append(f"{leg.contract.symbol}: the nearest of {both} is not {found.nearest}")


def _compare_bankruptcy(trial, pool, leg, coin):
    mark = Fraction(leg.mark_price)
    judged = [factor * mark for factor in judge.bankruptcies(pool, coin) if factor is not None and factor > 0]
    nearest = min((abs(price - mark) for price in judged), default=None)
    ours = bankruptcy_price(pool, leg)
    away = None if ours is None else abs(Fraction(ours) - mark)
    trial.compare(f"{leg.contract.symbol} bankruptcy", away, nearest, mark)


def _compare_margin(trial, pool, leg, distance):
    """The margin for a distance suffices and a hair less does not; what is idle may go and a hair more may not."""
    coin, within = {leg.contract.base}, Fraction(distance)
    lowest = judge.lowest(pool, coin, max(Fraction(0), 1 - within), 1 + within)
    extra, idle = margin_to_distance(pool, leg, distance), idle_margin(pool, leg, distance)
    if lowest is None:
        if (extra.is_finite(), idle) != (False, 0):
            trial.faults.append(f"no margin suffices, but the model says {extra} and {idle}")
        return

    def lives(change):
        left = lowest[0] + change
        return left > 0 or (left == 0 and not lowest[1])

    extra, idle, scale = Fraction(extra), Fraction(idle), abs(lowest[0])
    # An edge that is only touched costs this share of the notional more, however little is missing.
    touched = Fraction(of_leg(leg).notional) / 10**30
    if not (extra >= 0 and lives(extra)) or (extra > 0 and lives(extra - scale * HAIR - touched)):
        trial.faults.append(f"{float(extra)} for {distance}, but the lowest is {float(lowest[0])}")
    if not (idle >= 0 and (idle == 0 or lives(scale * HAIR - idle))) or lives(-idle - (scale or PRESENT) * HAIR):
        trial.faults.append(f"{float(idle)} idle at {distance}, but the lowest is {float(lowest[0])}")
