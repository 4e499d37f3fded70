"""Liquidation prices that exchanges have published or answered; every row of the table names its source."""

import csv
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import margin_worlds as worlds
import pytest

from guard.margin import TierTable, crossings
from guard.margin.rules import KNOWN_RULES
from guard.snapshot import LiquidationKind, RiskTier, Side

GOLDEN = Path(__file__).parent.parent / "golden" / "liquidation_prices.csv"
with GOLDEN.open() as table:
    ROWS = list(csv.DictReader(table))


def _tiers(text):
    rows = [row.split(":") for row in text.split()]
    caps = [row[0] for row in rows[1:]] + ["1e18"]
    return TierTable.of(
        RiskTier(
            notional_floor=Decimal(floor),
            notional_cap=Decimal(cap),
            maintenance_margin_rate=Decimal(rate),
            maintenance_amount=None if amount == "-" else Decimal(amount),
        )
        for (floor, rate, amount), cap in zip(rows, caps, strict=True)
    )


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_the_model_gives_the_liquidation_price_that_the_exchange_published(row):
    known = next(known for known in KNOWN_RULES.values() if row["case"] in known.proven_by)
    assert known.fee_is_users or Decimal(row["liquidation_fee_rate"]) == known.rule.liquidation_fee_rate
    coin, _, rest = row["symbol"].partition("/")
    quote, _, settle = rest.partition("-")[0].partition(":")
    leg = worlds.leg(
        worlds.contract(coin, inverse=settle == coin, size=row["contract_size"], quote=quote),
        side=Side[row["side"].upper()],
        quantity=row["quantity"],
        entry=row["entry_price"],
        mark=row["mark_price"],
        tiers=_tiers(row["tiers"]),
    )
    leg = replace(leg, rule=replace(known.rule, liquidation_fee_rate=Decimal(row["liquidation_fee_rate"])))
    pool = worlds.cross_pool(
        leg,
        wallet=row["wallet"],
        other_maintenance_margin=row["other_maintenance_margin"],
        other_unrealized_pnl=row["other_unrealized_pnl"],
    )
    nearest = crossings(pool, leg).nearest
    if row["liquidation_price"] == "none":
        assert nearest.kind is LiquidationKind.NONE
    else:
        assert abs(nearest.price - Decimal(row["liquidation_price"])) <= Decimal(row["tolerance"])


def test_every_golden_row_names_its_source():
    assert len(ROWS) >= 60
    assert all(row["source"].strip() for row in ROWS)
