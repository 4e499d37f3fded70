"""One snapshot of an account, modelled: pools of one for isolated positions, one cross pool for each wallet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from guard.margin.arithmetic import ONE, ZERO, exact
from guard.margin.cross import modelled_pool, pool_name, unmodelled_pool
from guard.margin.figures import AccountAssessment, PoolFigures, PositionFigures
from guard.margin.pool import Leg, MarginPool
from guard.margin.position import cross_position, isolated_position, of_pool, unmodelled_position
from guard.margin.present import PresentPool
from guard.margin.requirement import isolated_pool, leg_of
from guard.margin.rule import RuleBook
from guard.margin.tier_table import TierTable
from guard.snapshot import AccountSnapshot, AssetMode, Collateral, Gap, MarginMode, Position, Purse, Wallet

Tiers = Mapping[str, TierTable]  # By unified symbol.
NAMES_MAX = 8  # In one sentence.


@exact
def assess(
    snapshot: AccountSnapshot,
    tiers: Tiers,
    rules: RuleBook,
    now: datetime,
    *,
    before: AccountAssessment | None = None,
) -> AccountAssessment:
    """Return every figure of an account. What cannot be modelled has a Gap, and the exchange's own figures.

    A cross pool is not modelled at all when one of its positions cannot be, or may be hidden behind a gap. A position
    whose own numbers make no sense has a Gap and no row. `before`: an assessment of the same reading by the same tables
    at other marks; what no mark moves is taken from it.
    """
    desk = _Desk(snapshot=snapshot, tiers=tiers, rules=rules)
    known = _aligned(snapshot, before)
    unfit = {index: reason for index, position in enumerate(snapshot.positions) if (reason := _unfit(position))}
    rows: dict[int, PositionFigures] = {}  # By place in the snapshot.
    gaps: list[Gap] = []
    for index, position in enumerate(snapshot.positions):
        if position.margin_mode is MarginMode.ISOLATED and index not in unfit:
            rows[index] = _isolated(desk, position, known[index], gaps)
    pools = []
    for purse in _purses(snapshot):
        leaning = [index for index, position in enumerate(snapshot.positions) if _leans_on(position, purse)]
        members = [index for index in leaning if index not in unfit]
        lost = [str(snapshot.positions[index].key) for index in leaning if index in unfit]
        lost += [gap.subject for gap in snapshot.unseen_in_cross(*purse)]
        part = _cross(desk, purse, [snapshot.positions[index] for index in members], lost)
        rows.update(zip(members, part.positions, strict=True))
        pools.append(part.pool)
        gaps += part.gaps
    keys = {index: snapshot.positions[index].key for index in unfit}
    return AccountAssessment(
        snapshot=snapshot,
        positions=tuple(rows[index] for index in sorted(rows)),
        pools=tuple(pools),
        gaps=(
            *snapshot.gaps,
            *(Gap(subject=str(keys[index]), reason=reason, key=keys[index]) for index, reason in unfit.items()),
            *gaps,
        ),
        assessed_at=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What lies on the table for every part of an account."""

    snapshot: AccountSnapshot
    tiers: Tiers
    rules: RuleBook

    def leg(self, position: Position) -> Leg:
        symbol = position.contract.symbol
        return leg_of(position, self.tiers[symbol], self.rules.of(symbol, position.margin_mode))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    positions: Sequence[PositionFigures]
    pool: PoolFigures
    gaps: Sequence[Gap] = ()


def _aligned(snapshot: AccountSnapshot, before: AccountAssessment | None) -> Sequence[PositionFigures | None]:
    """Return what is known of each position of the snapshot, in its order."""
    if before is None or len(before.positions) != len(snapshot.positions):
        return [None] * len(snapshot.positions)
    return before.positions


def _isolated(desk: _Desk, position: Position, known: PositionFigures | None, gaps: list[Gap]) -> PositionFigures:
    reason = _obstacle(desk, position)
    if reason is not None or position.isolated_wallet is None:
        gaps.append(_not_modelled(position, reason or _unstated(desk.snapshot, position)))
        return unmodelled_position(position, None)
    leg = desk.leg(position)
    return isolated_position(position, leg, isolated_pool(leg, position.isolated_wallet), known)


def _cross(desk: _Desk, purse: Purse, members: Sequence[Position], lost: Sequence[str]) -> _Part:
    wallet, multi = desk.snapshot.wallet(*purse), desk.snapshot.asset_mode is AssetMode.MULTI
    gaps = [_not_modelled(position, reason) for position in members if (reason := _obstacle(desk, position))]
    if multi:
        gaps.append(_pool_gap(purse, "multi-assets mode is not modelled: the exchange's own account ratio is watched"))
    elif wallet is None:
        gaps.append(_pool_gap(purse, f"the exchange lists no {purse} wallet"))
    elif lost or gaps:
        names = _listed([*lost, *(str(gap.key) for gap in gaps)])
        gaps.append(_pool_gap(purse, f"not modelled without {names}: the exchange's own prices are watched"))
    if gaps or wallet is None:
        rows = [unmodelled_position(position, pool_name(*purse)) for position in members]
        return _Part(
            positions=rows,
            pool=unmodelled_pool(purse, rows, wallet, desk.snapshot.exchange_margin_ratio if multi else None),
            gaps=gaps,
        )
    legs = tuple(desk.leg(position) for position in members)
    balance = Collateral(asset=purse.currency, wallet_balance=wallet.cross_wallet_balance, price=ONE, haircut=ZERO)
    pool = MarginPool(
        currency=purse.currency, margin_mode=MarginMode.CROSS, collateral=(balance,), legs=legs, wallet=purse.name
    )
    rows, figures = cross_figures(pool, members, wallet)
    return _Part(positions=rows, pool=figures)


@exact
def cross_figures(
    pool: MarginPool, members: Sequence[Position], wallet: Wallet | None
) -> tuple[list[PositionFigures], PoolFigures]:
    """Return the figures of a cross pool's positions, in the order of its legs, and its own."""
    now = PresentPool(pool)
    shared = of_pool(now, pool_name(pool.currency, pool.wallet))
    rows = [cross_position(position, index, now, shared) for index, position in enumerate(members)]
    return rows, modelled_pool(now, rows, wallet)


def _leans_on(position: Position, purse: Purse) -> bool:
    return position.margin_mode is MarginMode.CROSS and position.contract.purse == purse


def _purses(snapshot: AccountSnapshot) -> list[Purse]:
    """Return the wallets that have a cross pool: something leans on it, or it holds money that may pay margin."""
    leaned_on = [p.contract.purse for p in snapshot.positions if p.margin_mode is MarginMode.CROSS]
    if snapshot.asset_mode is AssetMode.MULTI:  # One pool of all assets: only what is traded is worth a row.
        return list(dict.fromkeys(leaned_on))
    filled = (wallet.purse for wallet in snapshot.wallets if wallet.cross_wallet_balance != 0)
    return list(dict.fromkeys([*leaned_on, *filled]))


def _unfit(position: Position) -> str | None:
    quantity, size = position.quantity, position.contract.contract_size
    entry, mark = position.entry_price, position.mark_price
    if all(map(Decimal.is_finite, (quantity, size, entry, mark))) and min(quantity, size, entry, mark) > 0:
        return None
    numbers = {"quantity": quantity, "contract size": size, "entry price": entry, "mark price": mark}
    bad = [f"its {name} is {number}" for name, number in numbers.items() if not (number.is_finite() and number > 0)]
    return " and ".join(bad) or None


def _obstacle(desk: _Desk, position: Position) -> str | None:
    if not desk.tiers.get(position.contract.symbol):
        return "its leverage brackets are not known: only the exchange's own liquidation price is watched"
    return None


def _unstated(snapshot: AccountSnapshot, position: Position) -> str:
    """Return why the margin of an isolated position is not known: as the venue says, where it says why."""
    said = (gap.reason for gap in snapshot.gaps if gap.subject == str(position.key))
    return next(said, "the exchange does not state the margin in it")


def _not_modelled(position: Position, reason: str) -> Gap:
    return Gap(subject=str(position.key), reason=reason, key=position.key)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    return ", ".join(names[:NAMES_MAX]) + more


def _pool_gap(purse: Purse, reason: str) -> Gap:
    return Gap(subject=pool_name(*purse), reason=reason)
