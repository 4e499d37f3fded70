"""Every recorded position that tells enough, by our model: the table of docs/exchanges.md.

`tests/golden/recorded_positions.csv` has the numbers, and `assumed` what of them the record does not state.
`python tests/venues/test_recorded_positions.py` prints the table, and with --write writes it into the document.
"""

import csv
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from guard.margin import Leg, MarginPool, TierTable, crossings
from guard.margin.rule import shown_price
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import Collateral, Contract, ContractKind, LiquidationKind, MarginMode, RiskTier, Side

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/exchanges.md"
BEGIN, END = "<!-- recorded -->\n", "<!-- /recorded -->"
with (ROOT / "tests/golden/recorded_positions.csv").open() as table:
    ROWS = list(csv.DictReader(table))
NEVER = Decimal("1E+18")  # The end of a table that goes on.


def tiers_of(row):
    parts = [part.split(":") for part in row["tiers"].split()]
    caps = [*(Decimal(part[0]) for part in parts[1:]), NEVER]
    return TierTable.of(
        RiskTier(
            notional_floor=Decimal(floor),
            notional_cap=cap,
            maintenance_margin_rate=Decimal(rate),
            maintenance_amount=None if amount == "-" else Decimal(amount),
        )
        for (floor, rate, amount), cap in zip(parts, caps, strict=True)
    )


def ours(row):
    """Return our price, and as the exchange would show it. None: no price liquidates it."""
    base, _, rest = row["symbol"].partition("/")
    settle = rest.partition(":")[2]
    kind = ContractKind.INVERSE if settle == base else ContractKind.LINEAR
    rule = replace(KNOWN_RULES[row["rule"]].rule, liquidation_fee_rate=Decimal(row["liquidation_fee_rate"]))
    leg = Leg(
        contract=Contract(
            symbol=row["symbol"], kind=kind, base=base, settle=settle, contract_size=Decimal(row["contract_size"])
        ),
        side=Side[row["side"].upper()],
        quantity=Decimal(row["quantity"]),
        entry_price=Decimal(row["entry_price"]),
        mark_price=Decimal(row["mark_price"]),
        tiers=tiers_of(row),
        rule=rule,
    )
    pool = MarginPool(
        currency=settle,
        margin_mode=MarginMode.CROSS,
        collateral=(
            Collateral(asset=settle, wallet_balance=Decimal(row["wallet"]), price=Decimal(1), haircut=Decimal(0)),
        ),
        legs=(leg,),
        other_maintenance_margin=Decimal(row["other_maintenance_margin"]),
        other_unrealized_pnl=Decimal(row["other_unrealized_pnl"]),
    )
    nearest = crossings(pool, leg).nearest
    if nearest.kind is not LiquidationKind.AT:
        assert nearest.kind is LiquidationKind.NONE
        return None
    return nearest.price, shown_price(nearest.price, leg.side, rule, Decimal(row["tick"]))


def percents_of_distance(row):
    """Return by how many percent of the exchange's distance our prices differ. None: both say that there is none."""
    prices = ours(row)
    if row["liquidation_price"] == "none":
        assert prices is None
        return None
    theirs = Decimal(row["liquidation_price"])
    return tuple(abs(price - theirs) / abs(Decimal(row["mark_price"]) - theirs) * 100 for price in prices)


HEAD = (
    *("position", "side", "mark", "the exchange's price", "ours", "as shown"),
    *("off, % of the distance", "as shown", "assumed", "source"),
)


def written():
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for row in ROWS:
        prices, percents = ours(row), percents_of_distance(row)
        cells = (
            *(f"{row['case']}, {row['symbol'].partition('/')[0]}", row["side"], row["mark_price"]),
            row["liquidation_price"],
            *(("none", "none") if prices is None else (f"{price:.9g}" for price in prices)),
            *(("-", "-") if percents is None else (f"{percent:.5f}" for percent in percents)),
            *(row["assumed"] or "nothing", row["source"]),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_our_liquidation_price_of_a_recorded_position_is_the_exchanges(row):
    percents = percents_of_distance(row)
    assert percents is None or percents[1] <= Decimal(row["percent_max"])
    assert row["source"]


def test_the_table_of_recorded_positions_in_the_document_is_what_the_model_gives():
    assert DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0].strip() == written()


if __name__ == "__main__" and "--write" not in sys.argv:
    sys.stdout.write(f"{written()}\n")
elif __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{written()}\n\n{END}{rest.partition(END)[2]}")
