"""`guard status`: the document that people script against, and its exit statuses."""

import asyncio
import re
from datetime import datetime
from decimal import Decimal

import pytest
from cli_world import POSITIONS, add_account, every_kind, hold, one_long, rows_of, started, until, world

from guard.demo.exchange import Fault, FaultKind
from guard.snapshot import Side

# Source: the contract of `status --json` (docs and README); scripts may rely on the order as they read it.
ACCOUNT_KEYS = [
    "account",
    "exchange",
    "mode",
    "state",
    "data_age_s",
    "level",
    "pools",
    "positions",
    "gaps",
    "contenders",
]
POOL_KEYS = [
    "pool",
    "currency",
    "margin_mode",
    "margin_balance",
    "maintenance_margin",
    "requirement",
    "margin_ratio",
    "available",
    "reserve",
    "spendable",
    "liquidation",
    "distance",
    "sigmas",
    "shock_down",
    "shock_up",
    "driver",
    "level",
    "reason",
    "falls_together",  # Ours, behind the contract's.
]
POSITION_KEYS = [
    "symbol",
    "side",
    "margin_mode",
    "pool",
    "currency",
    "quantity",
    "contract_size",
    "entry_price",
    "mark_price",
    "notional",
    "leverage",
    "isolated_wallet",
    "unrealized_pnl",
    "margin_balance",
    "maintenance_margin",
    "requirement",
    "margin_ratio",
    "liquidation",
    "liquidation_price",
    "liquidation_price_down",
    "liquidation_price_up",
    "exchange_liquidation_price",
    "model_gap",
    "guarded_liquidation_price",
    "bankruptcy_price",
    "distance",
    "sigmas",
    "touch_probability",
    "stop_price",
    "trigger",
    "money_to_target",
    "budget_left",
    "rule",
    "withheld",
    "level",
    "reason",
    "effective_leverage",  # Ours, behind the contract's.
    "idle_margin",
]
WORDS = {
    "pool", "currency", "margin_mode", "liquidation", "driver", "level", "reason", "symbol", "side", "rule", "withheld",
    "touch_probability", "falls_together",
}  # fmt: skip
LEVELS = ["ok", "watch", "warn", "unknown", "danger", "critical"]
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """One look at every kind of position, before any daemon ran: the answer, and what was not a GET."""

    async def look():
        async with world(tmp_path_factory.mktemp("looked"), build=every_kind) as here:
            return await here.guard("status", "--json"), here.writes()

    return asyncio.run(look())


@pytest.fixture(scope="module")
def document(looked):
    return looked[0].document


@pytest.fixture(scope="module")
def rows(document):
    return {
        (account["account"], row["symbol"], row["side"]): row
        for account in document["accounts"]
        for row in account["positions"]
    }


def test_a_look_is_quiet_and_reads_only(looked):
    answer, writes = looked
    assert (answer.status, answer.err, writes) == (0, "", [])


def test_the_document_has_every_key_of_the_contract_in_its_order(document):
    assert list(document) == ["schema_version", "as_of", "accounts"]
    assert document["schema_version"] == 1
    assert document["as_of"].endswith("Z")
    assert datetime.fromisoformat(document["as_of"]).utcoffset().total_seconds() == 0
    for account in document["accounts"]:
        assert list(account) == ACCOUNT_KEYS
        assert all(list(pool) == POOL_KEYS for pool in account["pools"])
        assert all(list(position) == POSITION_KEYS for position in account["positions"])
        assert all(list(gap) == ["subject", "reason"] for gap in account["gaps"])
    assert [account["account"] for account in document["accounts"]] == ["oneway", "hedged", "pool"]


def test_figures_are_plain_decimal_strings_and_what_is_not_known_is_null(document):
    for account in document["accounts"]:
        assert isinstance(account["data_age_s"], float)
        for row in account["pools"] + account["positions"]:
            figures = {key: value for key, value in row.items() if key not in WORDS and value is not None}
            assert {key for key, value in figures.items() if not DECIMAL.fullmatch(value)} == set()
            assert row["level"] in LEVELS
            assert row["liquidation"] in {"at", "none", "past", "unknown"}
            assert row["sigmas"] is row.get("stop_price") is row.get("touch_probability") is None


def test_an_account_is_as_bad_as_its_worst_row_and_a_cross_position_as_its_pool(document):
    for account in document["accounts"]:
        levels = [row["level"] for row in account["pools"] + account["positions"]]
        assert account["level"] == max(levels, key=LEVELS.index)
        pools = {pool["pool"]: pool["level"] for pool in account["pools"]}
        cross = [row for row in account["positions"] if row["margin_mode"] == "cross"]
        assert [row["level"] for row in cross] == [pools[row["pool"]] for row in cross]
    assert {account["account"]: account["level"] for account in document["accounts"]} == {
        "oneway": "warn",
        "hedged": "danger",
        "pool": "warn",
    }


def test_our_liquidation_price_is_the_exchanges_own_to_a_millionth_in_every_kind_of_position(rows):
    assert len(rows) == 9
    apart = {
        key: abs(Decimal(row["liquidation_price"]) / Decimal(row["exchange_liquidation_price"]) - 1)
        for key, row in rows.items()
    }
    assert {key: share for key, share in apart.items() if share > Decimal("1e-6")} == {}


def test_liquidation_prices_are_those_of_the_published_formula(rows):
    """(wallet + cum - side * size * entry) / (size * (rate - side)), as Binance's help page has it, by hand."""
    by_hand = {
        ("oneway", "BTCUSDT", "long"): Decimal(6_000 - 30_000) / (Decimal("0.5") * Decimal("-0.996")),
        ("oneway", "ETHUSDT", "short"): (Decimal("2812.5") + 22_500) / (Decimal("7.5") * Decimal("1.004")),
    }
    for (account, symbol, side), price in by_hand.items():
        ours = Decimal(rows[account, f"{symbol.removesuffix('USDT')}/USDT:USDT", side]["liquidation_price"])
        assert abs(ours / price - 1) < Decimal("1e-25")


def test_both_legs_of_a_cross_pair_are_liquidated_at_one_price_and_isolated_legs_each_at_its_own(rows):
    cross = [rows["hedged", "ETH/USDT:USDT", side]["liquidation_price"] for side in ("long", "short")]
    isolated = [Decimal(rows["hedged", "BTC/USDT:USDT", side]["liquidation_price"]) for side in ("long", "short")]
    assert cross[0] == cross[1]
    assert isolated[0] < 58_700 < isolated[1]


def test_distance_goes_by_the_nearer_price_and_the_gap_is_signed_and_by_the_mark(rows):
    for row in rows.values():
        mark, ours, theirs = (
            Decimal(row[key]) for key in ("mark_price", "liquidation_price", "exchange_liquidation_price")
        )
        assert Decimal(row["distance"]) == pytest.approx(
            min(abs(mark - ours), abs(mark - theirs)) / mark, abs=Decimal("1e-20")
        )
        assert Decimal(row["model_gap"]) == pytest.approx((ours - theirs) / mark, abs=Decimal("1e-20"))


def test_an_isolated_position_carries_everything_in_its_row_and_a_cross_one_its_pools_figures(document):
    pool = next(one for one in document["accounts"] if one["account"] == "pool")
    for row in pool["positions"]:
        assert (row["pool"], row["isolated_wallet"], row["guarded_liquidation_price"]) == ("USDT cross", None, None)
        assert (row["margin_balance"], row["margin_ratio"]) == tuple(
            pool["pools"][0][key] for key in ("margin_balance", "margin_ratio")
        )
    assert sum(Decimal(row["requirement"]) for row in pool["positions"]) == Decimal(pool["pools"][0]["requirement"])
    assert all(row["pool"] is None and row["isolated_wallet"] for row in rows_of(document, "oneway"))


def test_without_a_journal_budgets_are_null_and_a_gap_says_why(document):
    assert {row["budget_left"] for row in rows_of(document, "oneway")} == {None}
    for account in document["accounts"]:
        reason = next(gap["reason"] for gap in account["gaps"] if gap["subject"] == "budgets")
        assert reason.startswith("no journal yet at")


@pytest.mark.parametrize(
    ("mark", "level", "status"),
    [  # Liquidated at 48,192.77: 31 %, 19.7 %, 12.4 %, 7.3 % and 2.6 % away.
        (70_000, "ok", 0),
        (60_000, "watch", 0),
        (55_000, "warn", 1),
        (52_000, "danger", 2),
        (49_500, "critical", 2),
    ],
)
async def test_the_exit_status_tells_the_level_when_asked_to(tmp_path, mark, level, status):
    async with world(tmp_path, build=one_long) as here:
        here.exchange.set_mark("BTCUSDT", Decimal(mark))
        answer = await here.guard("status", "--json", "--exit-code")
        assert (answer.document["accounts"][0]["level"], answer.status) == (level, status)


def two_longs(exchange):
    one_long(exchange)
    hold(exchange, add_account(exchange, "other"), "ETHUSDT", Decimal(1), leverage=2, isolated=True)


async def test_a_row_that_cannot_be_read_is_unknown_and_exits_3_and_danger_wins_over_it(tmp_path):
    async with world(tmp_path, build=two_longs) as here:
        here.exchange.faults.add(
            Fault(
                kind=FaultKind.BROKEN_ROW, path=POSITIONS, api_key="key-of-other-canary", name="positionAmt", value=None
            )
        )
        calm = await here.guard("status", "--json", "--exit-code")
        other = calm.document["accounts"][1]
        assert (calm.status, other["level"], other["positions"]) == (3, "unknown", [])
        assert any("ETH" in gap["subject"] for gap in other["gaps"])
        here.exchange.set_mark("BTCUSDT", Decimal(52_000))
        assert (await here.guard("status", "--exit-code")).status == 2


async def test_one_dead_account_leaves_the_others_on_the_screen(tmp_path):
    async with world(tmp_path, build=two_longs) as here:
        here.exchange.faults.add(Fault(kind=FaultKind.LOSE_BEFORE, api_key="key-of-other-canary"))
        answer, told, shown = await asyncio.gather(
            here.guard("status", "--json"), here.guard("status", "--exit-code"), here.guard("status")
        )
        main, other = answer.document["accounts"]
        assert (answer.status, told.status) == (0, 3)
        assert (main["state"], main["positions"][0]["liquidation"]) == ("fresh", "at")
        assert (other["state"], other["level"], other["data_age_s"]) == ("blind", "unknown", None)
        assert any(gap["subject"] == "other" for gap in other["gaps"])
        assert "blind, never read" in shown.out
        assert "48,193" in shown.out


async def test_when_no_account_can_be_read_it_exits_69_and_the_document_still_says_so(tmp_path):
    async with world(tmp_path, build=two_longs) as here:
        here.exchange.faults.add(
            Fault(kind=FaultKind.ANSWER, status=502, body="<html>bad gateway</html>", content_type="text/html")
        )
        answer = await here.guard("status", "--json")
        assert answer.status == 69
        assert {account["state"] for account in answer.document["accounts"]} == {"blind"}
        assert answer.err.startswith("guard: ")
        assert all(f" {account['account']}: binanceusdm GET" in answer.err for account in answer.document["accounts"])
        assert "Traceback" not in answer.err


async def test_refused_keys_exit_77_and_are_never_printed(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        here.rewrite("key-of-main-canary", "wrong-key-canary")
        answer = await here.guard("status", "--json")
        assert answer.status == 77
        assert "canary" not in answer.out + answer.err


async def test_keys_that_one_of_two_accounts_lacks_are_its_own_trouble(tmp_path):
    async with world(tmp_path, build=two_longs) as here:
        here.rewrite("key-of-main-canary", "wrong-key-canary")
        answer = await here.guard("status", "--json")
        assert (answer.status, [one["state"] for one in answer.document["accounts"]]) == (0, ["blind", "fresh"])


async def test_beside_a_running_daemon_budgets_come_from_its_journal(tmp_path):
    """0.5 BTC at 5x, at 52,000: 12 % away needs 30,000 - 0.88 * 52,000 * 0.498 - 6,000, rounded up at the exchange."""
    async with world(tmp_path, build=one_long) as here:
        here.exchange.set_mark("BTCUSDT", Decimal(52_000))
        async with started("run", "-c", str(here.config), home=tmp_path):
            await until("the top-up is told", lambda: any(one["kind"] == "action" for one in here.messages))
            row = rows_of((await here.guard("status", "--json")).document, "main")[0]
        assert Decimal(row["budget_left"]) == 3_000 - Decimal("1211.53")
        assert Decimal(row["isolated_wallet"]) == 6_000 + Decimal("1211.53")
        assert len(here.exchange.margin_posts) == 1


async def test_what_a_disarmed_account_does_not_get_is_said_from_the_journal(tmp_path):
    async with world(tmp_path, build=one_long) as here:
        await here.guard("disarm", "main", "--because", "on holiday")
        here.exchange.set_mark("BTCUSDT", Decimal(52_000))
        answer, shown = await asyncio.gather(here.guard("status", "--json"), here.guard("status"))
        assert "on holiday" in rows_of(answer.document, "main")[0]["withheld"]
        assert "BTC long: no top-up: disarmed" in shown.out


async def test_a_position_that_the_journal_knows_is_not_forgotten_by_one_empty_list_and_not_kept_once_it_is_closed(
    tmp_path,
):
    async with world(tmp_path, build=two_longs) as here:
        here.exchange.set_mark("BTCUSDT", Decimal(52_000))
        here.rewrite('mode = "act"', 'mode = "observe"')
        await here.guard("run", "--once")
        here.exchange.faults.add(Fault(kind=FaultKind.EMPTY_LIST, path=POSITIONS, api_key="key-of-main-canary"))
        missed = (await here.guard("status", "--json")).document["accounts"][0]
        assert (missed["level"], missed["positions"]) == ("danger", [])
        assert any(gap["subject"] == "BTC/USDT:USDT long" for gap in missed["gaps"])
        here.exchange.faults.clear()
        main = here.exchange.accounts["key-of-main-canary"]
        here.exchange.close_position(main, "BTCUSDT", Side.LONG)
        closed = (await here.guard("status", "--json")).document["accounts"][0]
        assert (closed["level"], closed["positions"]) == ("ok", [])


async def test_a_multi_assets_account_is_watched_by_the_exchanges_own_ratio_and_says_so(tmp_path):
    def build(exchange):
        account = add_account(exchange, multi_assets=True)
        hold(exchange, account, "BTCUSDT", Decimal("0.5"), leverage=10, isolated=False)

    async with world(tmp_path, build=build) as here:
        answer, shown = await asyncio.gather(here.guard("status", "--json"), here.guard("status"))
        account = answer.document["accounts"][0]
        pool = account["pools"][0]
        assert (pool["liquidation"], pool["level"], account["level"]) == ("unknown", "unknown", "unknown")
        # 30,000 at 0.4 % against 20,000 and no profit yet.
        assert Decimal(pool["margin_ratio"]) == Decimal("0.006")
        assert "exchange's own account ratio is watched" in pool["reason"]
        assert "exchange's own account ratio is watched" in " ".join(shown.out.split())
