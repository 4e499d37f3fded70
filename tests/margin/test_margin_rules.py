"""Every exchange's rule as a value, and the published or recorded cases that show it to be the exchange's."""

import csv
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import margin_worlds as worlds
import pytest

from guard.cli.calc import figures
from guard.config.account_file import read_account_file
from guard.margin import HedgeNetting, MaintenanceBasis, MarginRule, ShownPrice, crossings
from guard.margin.rule import shown_price
from guard.margin.rules import KNOWN_RULES, NOT_STATED
from guard.snapshot import Side

GOLDEN = Path(__file__).parent.parent / "golden"
ACCOUNTS = json.loads((GOLDEN / "accounts.json").read_text())
with (GOLDEN / "liquidation_prices.csv").open() as table:
    PRICES = {row["case"]: row for row in csv.DictReader(table)}
WRITTEN = {case["case"]: case for case in ACCOUNTS}


@pytest.mark.parametrize("case", ACCOUNTS, ids=WRITTEN)
def test_the_model_gives_the_figures_of_a_published_account(case, tmp_path):
    path = tmp_path / "account.json"
    path.write_text(json.dumps(case["account"]))
    answer = figures(read_account_file(path).accounts[0])
    for expected in case["expected"]:
        if "pool" in expected:
            row = answer["pools"][0]
        else:
            row = next(
                row
                for row in answer["positions"]
                if (row["symbol"], row["side"]) == (expected["symbol"], expected["side"])
            )
        for name, figure in expected["figures"].items():
            if figure is None:
                assert row[name] is None
            elif isinstance(figure, dict):
                assert Decimal(row[name]) >= Decimal(figure["at_least"])
            else:
                tolerance = Decimal(expected["tolerances"].get(name, 0)) or abs(Decimal(figure)) * Decimal("1e-6")
                assert abs(Decimal(row[name]) - Decimal(figure)) <= tolerance


def test_every_golden_account_names_its_source():
    assert len(ACCOUNTS) >= 19
    assert all(case["source"].strip() for case in ACCOUNTS)


@pytest.mark.parametrize("name", KNOWN_RULES)
def test_a_rule_is_the_one_by_which_its_golden_cases_come_out_right(name):
    """The golden prices are solved by the rule itself; written accounts state fee and basis, which must be the rule's."""
    known = KNOWN_RULES[name]
    for case in known.proven_by:
        for position in WRITTEN[case]["account"]["positions"] if case in WRITTEN else ():
            assert position.get("maintenance_basis", "mark") == known.rule.maintenance_basis
            fee = Decimal(position.get("liquidation_fee_rate", "0"))
            assert known.fee_is_users or fee == known.rule.liquidation_fee_rate


def test_every_golden_case_proves_a_rule_and_a_rule_without_one_says_why():
    proven = [case for known in KNOWN_RULES.values() for case in known.proven_by]
    assert set(proven) == PRICES.keys() | WRITTEN.keys()
    assert len(proven) == len(set(proven))
    assert [name for name, known in KNOWN_RULES.items() if not known.proven_by and not known.note] == []


def test_what_cannot_be_stated_is_refused_by_name_with_its_reason():
    assert {"binance portfolio margin", "okx portfolio margin", "bybit portfolio margin"} <= NOT_STATED.keys()
    assert NOT_STATED.keys().isdisjoint(KNOWN_RULES)
    assert all(len(reason) > 20 for reason in NOT_STATED.values())


def test_an_exchange_that_changed_its_rule_has_one_rule_for_each_day():
    for old, new in (("bitget until 2025-11", "bitget"), ("gate until 2025-07", "gate")):
        before, after = KNOWN_RULES[old].rule, KNOWN_RULES[new].rule
        change = after.valid_from
        assert before.valid_until == change
        assert (before.holds_on(date.min), after.holds_on(date.min)) == (True, False)
        assert (before.holds_on(change), after.holds_on(change)) == (False, True)


def test_a_requirement_frozen_at_the_present_mark_makes_a_price_that_drifts_with_it():
    """Bitget 2023: entry less (wallet less mark x rate), so a mark that falls by 1,000 lifts it by 1,000 x rate."""
    rule = MarginRule(liquidation_fee_rate=Decimal("0.0006"), maintenance_basis=MaintenanceBasis.CURRENT)
    tiers = worlds.table(("0", "0.004"))
    prices = []
    for mark in ("30000", "29000"):
        leg = replace(worlds.leg(entry="30000", mark=mark, tiers=tiers), rule=rule)
        prices.append(crossings(worlds.cross_pool(leg, wallet="3000"), leg).nearest.price)
    assert prices == [27000 + 30000 * Decimal("0.0046"), 27000 + 29000 * Decimal("0.0046")]


@pytest.mark.parametrize(
    ("how", "side", "price", "shown"),
    [
        (ShownPrice.UNROUNDED, Side.LONG, "100.123", "100.123"),
        (ShownPrice.TICK_EARLY, Side.LONG, "100.12", "100.2"),
        (ShownPrice.TICK_EARLY, Side.SHORT, "100.18", "100.1"),
        (ShownPrice.TICK_EARLY, Side.LONG, "100.1", "100.1"),
        (ShownPrice.ONE_TICK_EARLY, Side.LONG, "100.123", "100.223"),
        (ShownPrice.ONE_TICK_EARLY, Side.SHORT, "100.123", "100.023"),
    ],
)
def test_a_shown_price_is_rounded_as_its_exchange_does_always_to_the_early_side(how, side, price, shown):
    rule = MarginRule(shown_price=how)
    assert shown_price(Decimal(price), side, rule, Decimal("0.1")) == Decimal(shown)


def test_the_table_of_rules_in_the_documentation_is_the_table_of_rules():
    text = (Path(__file__).parents[2] / "docs" / "margin.md").read_text()
    assert between(text, "rules") == rule_table()
    assert between(text, "refused") == [f"- **{name}**: {reason}" for name, reason in NOT_STATED.items()]


def between(text, marker):
    return text.partition(f"<!-- {marker} -->\n")[2].partition(f"<!-- /{marker} -->")[0].splitlines()


def rule_table():
    """Return the lines that docs/margin.md must hold: paste them there when this test says so."""
    lines = [
        "| rule | charged at | closing fee | brackets | tier by | hedged pair | shown price | proven by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    charged = {HedgeNetting.NONE: "both legs", HedgeNetting.LARGER: "larger leg", HedgeNetting.NET: "net"}
    for name, known in KNOWN_RULES.items():
        rule = known.rule
        fee = f"{(rule.liquidation_fee_rate * 100).normalize():f} %" if rule.liquidation_fee_rate else "none"
        cells = [
            name,
            rule.maintenance_basis.value,
            "the user's" if known.fee_is_users else fee,
            known.brackets,
            rule.tier_basis.value.replace("_", " "),
            charged[rule.hedge_netting],
            rule.shown_price.value.replace("_", " "),
            f"{len(known.proven_by)} cases" if known.proven_by else known.note,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
