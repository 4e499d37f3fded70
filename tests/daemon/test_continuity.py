"""A position that is not listed is first missed, and only later gone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from guard.daemon.continuity import Sighting, follow, without_changes_to_come
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Contract,
    ContractKind,
    Gap,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    PositionKey,
    Side,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
BTC = PositionKey("BTC/USDT:USDT", Side.LONG)
ETH = PositionKey("ETH/USDT:USDT", Side.LONG)


def position(key: PositionKey, *, hedged: bool = False, changed: datetime | None = None) -> Position:
    base = key.symbol.split("/")[0]
    return Position(
        contract=Contract(
            symbol=key.symbol, kind=ContractKind.LINEAR, base=base, settle="USDT", contract_size=Decimal(1)
        ),
        side=key.side,
        margin_mode=MarginMode.ISOLATED,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        mark_price=Decimal(100),
        isolated_wallet=Decimal(10),
        leverage=Decimal(10),
        hedged=hedged,
        auto_add_margin=False,
        exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
        exchange_maintenance_margin=None,
        updated_at=changed,
    )


def read(*positions: Position, gaps: tuple[Gap, ...] = (), at: datetime = T0) -> AccountSnapshot:
    return AccountSnapshot(
        account="main",
        exchange="binanceusdm",
        asset_mode=AssetMode.SINGLE,
        positions=positions,
        wallets=(),
        positions_read_at=at,
        wallets_read_at=at,
        exchange_margin_ratio=None,
        gaps=gaps,
    )


def open_before(*keys: PositionKey) -> dict[PositionKey, Sighting]:
    return {key: Sighting(last_seen_at=T0 - timedelta(seconds=5)) for key in keys}


def test_an_empty_list_after_a_full_one_is_suspect_until_the_third_read():
    first = follow(open_before(BTC, ETH), read())
    assert {gap.key for gap in first.snapshot.gaps} == {BTC, ETH}
    assert first.is_suspect
    assert not first.ended
    second = follow(first.sightings, read())
    assert not second.ended
    third = follow(second.sightings, read())
    assert set(third.ended) == {BTC, ETH}
    assert not third.is_suspect
    assert third.snapshot.gaps == ()


def test_one_missing_row_beside_others_is_gone_at_the_second_read():
    first = follow(open_before(BTC, ETH), read(position(ETH)))
    assert {gap.key for gap in first.snapshot.gaps} == {BTC}
    second = follow(first.sightings, read(position(ETH)))
    assert set(second.ended) == {BTC}


def test_a_row_that_comes_back_starts_the_count_anew():
    first = follow(open_before(BTC), read())
    back = follow(first.sightings, read(position(BTC)))
    assert not back.is_suspect
    again = follow(back.sightings, read())
    assert not again.ended


def test_a_row_that_could_not_be_read_is_never_counted_as_missing():
    unreadable = read(gaps=(Gap(subject="BTC/USDT:USDT long", reason="markPrice is 'NaN'", key=BTC),))
    sightings = open_before(BTC)
    for _ in range(5):
        result = follow(sightings, unreadable)
        sightings = dict(result.sightings)
        assert not result.ended
        assert len(result.snapshot.gaps) == 1


def test_a_flip_ends_the_old_side_at_once_in_one_way_mode_only():
    short = PositionKey("BTC/USDT:USDT", Side.SHORT)
    assert set(follow(open_before(BTC), read(position(short))).ended) == {BTC}
    assert not follow(open_before(BTC), read(position(short, hedged=True))).ended


def test_a_flip_while_nobody_ran_is_believed_at_the_second_read():
    short = PositionKey("BTC/USDT:USDT", Side.SHORT)
    remembered = {BTC: Sighting(last_seen_at=T0, is_remembered=True)}
    first = follow(remembered, read(position(short)))
    assert not first.ended
    assert first.is_suspect
    assert set(follow(first.sightings, read(position(short))).ended) == {BTC}


def test_a_flip_that_another_answer_contradicts_ends_nothing():
    short = PositionKey("BTC/USDT:USDT", Side.SHORT)
    torn = read(position(short), gaps=(Gap(subject=str(short), reason="account says 1 long", key=short),))
    sightings = open_before(BTC)
    for _ in range(5):
        result = follow(sightings, torn)
        sightings = dict(result.sightings)
        assert not result.ended
        assert BTC in {gap.key for gap in result.snapshot.gaps}


def test_an_old_answer_from_before_a_flip_does_not_flip_it_back():
    short = PositionKey("BTC/USDT:USDT", Side.SHORT)
    before = follow({}, read(position(BTC, changed=T0)))
    flipped = follow(before.sightings, read(position(short, changed=T0 + timedelta(minutes=1))))
    assert set(flipped.ended) == {BTC}
    old = follow(flipped.sightings, read(position(BTC, changed=T0)))
    assert not old.ended
    assert {gap.key for gap in old.snapshot.gaps} == {short}
    assert old.snapshot.positions == ()
    again = follow(old.sightings, read(position(short, changed=T0 + timedelta(minutes=1))))
    assert set(again.sightings) == {short}
    assert not again.ended
    assert not again.snapshot.gaps


def test_an_old_answer_about_a_position_is_a_gap_and_a_newer_one_ends_it():
    before = follow({}, read(position(BTC, changed=T0)))
    old = follow(before.sightings, read(position(BTC, changed=T0 - timedelta(minutes=1))))
    assert {gap.key for gap in old.snapshot.gaps} == {BTC}
    assert not follow(old.sightings, read(position(BTC, changed=T0))).snapshot.gaps


def test_a_change_that_is_yet_to_come_does_not_make_the_true_ones_look_old():
    odd = without_changes_to_come(read(position(BTC, changed=T0 + timedelta(days=1))), T0)
    seen = follow({}, odd)
    assert [one.key for one in seen.snapshot.positions] == [BTC]
    true = without_changes_to_come(read(position(BTC, changed=T0)), T0)
    assert follow(seen.sightings, true).snapshot.gaps == ()
