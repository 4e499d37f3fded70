"""How long the margin model takes, each figure beside a baseline in the same run: `python benchmarks/model.py`.

The baseline is the textbook line that bots use, in plain Python and `Decimal`: one tier, given. Pairs are timed in
turn, and the ratio is the median over the pairs, so that a machine that is busy with other things slows both alike.
Times are of the processor (`time.process_time`). Many scenarios at once are measured by `benchmarks/scenarios.py`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median
from time import process_time

from guard.margin import (
    Leg,
    MarginPool,
    MarginRule,
    RuleBook,
    TierTable,
    assess,
    cross_figures,
    crossings,
    isolated_pool,
    leg_of,
    reprice,
)
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Collateral,
    Contract,
    ContractKind,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Mark,
    Position,
    RiskTier,
    Side,
    Wallet,
)

NOW = datetime.now(UTC)
PAIRS = 15
# Binance BTCUSDT as of 2026: floor, rate.
BRACKETS = (
    *(("0", "0.004"), ("300000", "0.005"), ("800000", "0.0065"), ("3000000", "0.01"), ("12000000", "0.02")),
    *(
        ("70000000", "0.025"),
        ("100000000", "0.05"),
        ("230000000", "0.1"),
        ("480000000", "0.125"),
        ("600000000", "0.15"),
    ),
)


def table() -> TierTable:
    rows, amount, before = [], Decimal(0), Decimal(0)
    for floor, rate in ((Decimal(floor), Decimal(rate)) for floor, rate in BRACKETS):
        amount, before = amount + floor * (rate - before), rate
        rows.append(
            RiskTier(
                notional_floor=floor,
                notional_cap=Decimal("1e18"),
                maintenance_margin_rate=rate,
                maintenance_amount=amount,
            )
        )
    return TierTable.of(rows)


TIERS = table()


def positions(count: int, mode: MarginMode) -> tuple[Position, ...]:
    """Longs and shorts of `count` coins at about 10x, each with ten brackets."""
    made = []
    for index in range(count):
        contract = Contract(
            symbol=f"C{index}/USDT:USDT",
            kind=ContractKind.LINEAR,
            base=f"C{index}",
            settle="USDT",
            contract_size=Decimal(1),
        )
        mark = 100 + index + Decimal("0.1234")
        entry = mark * Decimal("1.01")
        made.append(
            Position(
                contract=contract,
                side=Side.LONG if index % 2 else Side.SHORT,
                margin_mode=mode,
                quantity=Decimal("7.25"),
                entry_price=entry,
                mark_price=mark,
                isolated_wallet=(entry * Decimal("0.725")) if mode is MarginMode.ISOLATED else None,
                leverage=Decimal(10),
                hedged=False,
                auto_add_margin=False,
                exchange_liquidation=Liquidation(kind=LiquidationKind.AT, price=mark * Decimal("0.91")),
                exchange_maintenance_margin=Decimal(3),
                updated_at=NOW,
            )
        )
    return tuple(made)


def snapshot(count: int, mode: MarginMode) -> AccountSnapshot:
    wallet = Wallet(
        currency="USDT",
        cross_wallet_balance=Decimal(count) * 95,
        cross_unrealized_pnl=Decimal(0),
        available=Decimal(10),
    )
    return AccountSnapshot(
        account="bench",
        exchange="binanceusdm",
        asset_mode=AssetMode.SINGLE,
        positions=positions(count, mode),
        wallets=(wallet,),
        positions_read_at=NOW,
        wallets_read_at=NOW,
        exchange_margin_ratio=None,
    )


def pools(count: int) -> list[MarginPool]:
    """Return isolated positions as pools of one."""
    made = positions(count, MarginMode.ISOLATED)
    return [isolated_pool(leg, position.isolated_wallet or Decimal(0)) for leg, position in legs_of(made)]


def legs_of(made: Sequence[Position]) -> list[tuple[Leg, Position]]:
    return [(leg_of(position, TIERS, MarginRule()), position) for position in made]


def textbook(  # noqa: PLR0917  Called as bots call it.
    wallet: Decimal, side: int, quantity: Decimal, entry: Decimal, rate: Decimal, amount: Decimal
) -> Decimal:
    return (wallet + amount - side * quantity * entry) / (quantity * rate - side * quantity)


def textbook_arguments(made: Sequence[Position]) -> list[tuple[Decimal, int, Decimal, Decimal, Decimal, Decimal]]:
    rate = Decimal("0.004")
    return [(p.isolated_wallet or Decimal(95), int(p.side), p.quantity, p.entry_price, rate, Decimal(0)) for p in made]


def seconds(work: Callable[[], object], times: int) -> float:
    started = process_time()
    for _ in range(times):
        work()
    return (process_time() - started) / times


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object], times: int) -> None:
    """Print ours, the baseline, and the median of their ratios over pairs taken in turn."""
    ours(), theirs()
    pairs = [(seconds(ours, times), seconds(theirs, times)) for _ in range(PAIRS)]
    mine, other = (median(pair[index] for pair in pairs) for index in (0, 1))
    ratio = median(first / second for first, second in pairs)
    print(f"{name:<58}{mine * 1e6:>12.1f} us{other * 1e6:>12.1f} us{ratio:>9.1f} x")


def textbook_for(made: Sequence[Position]) -> Callable[[], object]:
    arguments = textbook_arguments(made)
    return lambda: [textbook(*one) for one in arguments]


def main() -> None:
    print(f"{'processor time, median of ' + str(PAIRS) + ' pairs':<58}{'guard':>15}{'textbook':>15}{'ratio':>11}")
    (pool,) = pools(1)
    (one,) = textbook_arguments(positions(1, MarginMode.ISOLATED))
    compare(
        "liquidation price of one isolated position",
        lambda: crossings(pool, pool.legs[0]),
        lambda: textbook(*one),
        5000,
    )
    thousand = pools(1000)
    compare(
        "liquidation prices of 1,000 isolated positions",
        lambda: [crossings(pool, pool.legs[0]) for pool in thousand],
        textbook_for(positions(1000, MarginMode.ISOLATED)),
        5,
    )
    for count in (20, 100):
        made = positions(count, MarginMode.CROSS)
        row = Collateral(asset="USDT", wallet_balance=Decimal(count) * 95, price=Decimal(1), haircut=Decimal(0))
        legs = tuple(leg for leg, _ in legs_of(made))
        cross = MarginPool(currency="USDT", margin_mode=MarginMode.CROSS, collateral=(row,), legs=legs)
        compare(
            f"a cross pool of {count}: every price, bankruptcy and shock",
            lambda cross=cross, made=made: cross_figures(cross, made, None),
            textbook_for(made),
            5,
        )
    for mode in (MarginMode.ISOLATED, MarginMode.CROSS):
        for count in (20, 1000) if mode is MarginMode.ISOLATED else (20,):
            tick(count, mode)


def tick(count: int, mode: MarginMode) -> None:
    """Every symbol has a new mark: reprice the account and judge all of it anew."""
    read = snapshot(count, mode)
    tiers = {position.contract.symbol: TIERS for position in read.positions}
    before = assess(read, tiers, RuleBook.uniform(MarginRule()), NOW)
    marks = {
        p.contract.symbol: Mark(symbol=p.contract.symbol, price=p.mark_price * Decimal("1.0001"), at=NOW)
        for p in read.positions
    }
    compare(
        f"one tick over {count} {mode.value} positions, all figures",
        lambda: assess(reprice(read, marks), tiers, RuleBook.uniform(MarginRule()), NOW, before=before),
        textbook_for(read.positions),
        max(1, 100 // count),
    )


if __name__ == "__main__":
    main()
