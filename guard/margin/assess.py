"""One snapshot of an account, modelled: pools of one for isolated positions, one cross pool per settle currency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from guard.margin.arithmetic import ONE, ZERO, exact
from guard.margin.cross import modelled_pool, pool_name, unmodelled_pool
from guard.margin.figures import AccountAssessment, PoolFigures, PositionFigures
from guard.margin.pool import MarginPool
from guard.margin.position import cross_position, isolated_position, unmodelled_position
from guard.margin.present import PresentPool
from guard.margin.requirement import isolated_pool, leg_of
from guard.margin.rule import MarginRule
from guard.margin.tier_table import TierTable
from guard.snapshot import AccountSnapshot, AssetMode, Collateral, Gap, MarginMode, Position, PositionKey, Wallet

Tiers = Mapping[str, TierTable]  # By unified symbol.


def assess(
    snapshot: AccountSnapshot,
    tiers: Tiers,
    rule: MarginRule,
    now: datetime,
    *,
    before: AccountAssessment | None = None,
) -> AccountAssessment:
    """Return every figure of an account. What cannot be modelled has a Gap, and the exchange's own figures.

    A cross pool is not modelled at all when one of its positions cannot be, or may be hidden behind a gap. A position
    whose own numbers make no sense has a Gap and no row. `before`: an assessment of the same reading by the same tables
    at other marks; what no mark moves is taken from it.
    """
    known = {} if before is None else {figures.key: figures for figures in before.positions}
    desk = _Desk(snapshot=snapshot, tiers=tiers, rule=rule, known=known)
    unfit = {position.key: reason for position in snapshot.positions if (reason := _unfit(position))}
    fit = [position for position in snapshot.positions if position.key not in unfit]
    parts = [_isolated(desk, position) for position in fit if position.margin_mode is MarginMode.ISOLATED]
    for currency in _currencies(snapshot):
        leaning = [position for position in snapshot.positions if _leans_on(position, currency)]
        members = [position for position in leaning if position.key not in unfit]
        lost = [str(p.key) for p in leaning if p.key in unfit]
        lost += [gap.subject for gap in snapshot.unseen_in_cross(currency)]
        parts.append(_cross(desk, currency, members, lost))
    place = {position.key: index for index, position in enumerate(snapshot.positions)}
    rows = chain.from_iterable(part.positions for part in parts)
    return AccountAssessment(
        snapshot=snapshot,
        positions=tuple(sorted(rows, key=lambda row: place[row.key])),
        pools=tuple(part.pool for part in parts if part.pool is not None),
        gaps=(
            *snapshot.gaps,
            *(Gap(subject=str(key), reason=reason, key=key) for key, reason in unfit.items()),
            *chain.from_iterable(part.gaps for part in parts),
        ),
        assessed_at=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What lies on the table for every part of an account."""

    snapshot: AccountSnapshot
    tiers: Tiers
    rule: MarginRule
    known: Mapping[PositionKey, PositionFigures]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    positions: Sequence[PositionFigures]
    pool: PoolFigures | None = None
    gaps: Sequence[Gap] = ()


def _isolated(desk: _Desk, position: Position) -> _Part:
    reason = _obstacle(desk, position)
    if reason is not None or position.isolated_wallet is None:
        reason = reason or "the exchange does not state the margin in it"
        return _Part(positions=[unmodelled_position(position, None)], gaps=[_not_modelled(position, reason)])
    leg = leg_of(position, desk.tiers[position.contract.symbol], desk.rule)
    pool = isolated_pool(leg, position.isolated_wallet)
    return _Part(positions=[isolated_position(position, leg, pool, desk.known.get(position.key))])


def _cross(desk: _Desk, currency: str, members: Sequence[Position], lost: Sequence[str]) -> _Part:
    wallet, multi = desk.snapshot.wallet(currency), desk.snapshot.asset_mode is AssetMode.MULTI
    gaps = [_not_modelled(position, reason) for position in members if (reason := _obstacle(desk, position))]
    if multi:
        gaps.append(
            _pool_gap(currency, "multi-assets mode is not modelled: the exchange's own account ratio is watched")
        )
    elif wallet is None:
        gaps.append(_pool_gap(currency, f"the exchange lists no {currency} wallet"))
    elif lost or gaps:
        names = ", ".join([*lost, *(str(gap.key) for gap in gaps)])
        gaps.append(_pool_gap(currency, f"not modelled without {names}: the exchange's own prices are watched"))
    if gaps or wallet is None:
        rows = [unmodelled_position(position, pool_name(currency)) for position in members]
        return _Part(
            positions=rows,
            pool=unmodelled_pool(currency, rows, wallet, desk.snapshot.exchange_margin_ratio if multi else None),
            gaps=gaps,
        )
    legs = tuple(leg_of(position, desk.tiers[position.contract.symbol], desk.rule) for position in members)
    balance = Collateral(asset=currency, wallet_balance=wallet.cross_wallet_balance, price=ONE, haircut=ZERO)
    pool = MarginPool(currency=currency, margin_mode=MarginMode.CROSS, collateral=(balance,), legs=legs)
    rows, figures = cross_figures(pool, members, wallet)
    return _Part(positions=rows, pool=figures)


@exact
def cross_figures(
    pool: MarginPool, members: Sequence[Position], wallet: Wallet | None
) -> tuple[list[PositionFigures], PoolFigures]:
    """Return the figures of a cross pool's positions, in the order of its legs, and its own."""
    now = PresentPool(pool)
    rows = [cross_position(position, index, now, pool_name(pool.currency)) for index, position in enumerate(members)]
    return rows, modelled_pool(now, rows, wallet)


def _leans_on(position: Position, currency: str) -> bool:
    return position.margin_mode is MarginMode.CROSS and position.contract.settle == currency


def _currencies(snapshot: AccountSnapshot) -> list[str]:
    """Return the currencies that have a cross pool: something leans on it, or it holds money that may pay margin."""
    leaned_on = [p.contract.settle for p in snapshot.positions if p.margin_mode is MarginMode.CROSS]
    if snapshot.asset_mode is AssetMode.MULTI:  # One pool of all assets: only what is traded is worth a row.
        return list(dict.fromkeys(leaned_on))
    filled = (wallet.currency for wallet in snapshot.wallets if wallet.cross_wallet_balance != 0)
    return list(dict.fromkeys([*leaned_on, *filled]))


def _unfit(position: Position) -> str | None:
    numbers = {
        "quantity": position.quantity,
        "contract size": position.contract.contract_size,
        "entry price": position.entry_price,
        "mark price": position.mark_price,
    }
    bad = [f"its {name} is {number}" for name, number in numbers.items() if not (number.is_finite() and number > 0)]
    return " and ".join(bad) or None


def _obstacle(desk: _Desk, position: Position) -> str | None:
    if not desk.tiers.get(position.contract.symbol):
        return "its leverage brackets are not known: only the exchange's own liquidation price is watched"
    return None


def _not_modelled(position: Position, reason: str) -> Gap:
    return Gap(subject=str(position.key), reason=reason, key=position.key)


def _pool_gap(currency: str, reason: str) -> Gap:
    return Gap(subject=pool_name(currency), reason=reason)
