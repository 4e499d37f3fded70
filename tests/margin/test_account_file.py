"""Account files: what is accepted, and that everything wrong is said at once, with the place and the remedy."""

import json
from decimal import Decimal

import pytest

from guard.config.account_file import read_account_file
from guard.errors import ConfigError
from guard.margin import HaircutBasis, HedgeNetting, MaintenanceBasis, margin_balance
from guard.snapshot import MarginMode, Side

TIER = {
    "notional_floor": "0",
    "notional_cap": "50000",
    "maintenance_margin_rate": "0.004",
    "maintenance_amount": "0",
}
ISOLATED = {
    "symbol": "BTC/USDT:USDT",
    "contract": "linear",
    "side": "long",
    "margin_mode": "isolated",
    "quantity": "1e-1",
    "contract_size": "1",
    "entry_price": "32481.980",
    "mark_price": "31967.27",
    "isolated_wallet": "2500",
    "tiers": [TIER],
}
CROSS = {key: value for key, value in ISOLATED.items() if key != "isolated_wallet"} | {"margin_mode": "cross"}
COLLATERAL = {"asset": "USDT", "wallet_balance": "1535443.01", "price": "1", "haircut": "0"}

TOML = """
other_maintenance_margin = "12.5"
[[collateral]]
asset = "USDT"
wallet_balance = "1535443.01"
price = "1"
[[positions]]
symbol = "BTC/USDT:USDT"
contract = "linear"
side = "short"
margin_mode = "cross"
quantity = "109.488"
contract_size = "1"
entry_price = "32481.980"
mark_price = "31967.27"
maintenance_basis = "entry"
liquidation_fee_rate = "0.0006"
beta = "1.2"
[[positions.tiers]]
notional_floor = "0"
notional_cap = "1e18"
maintenance_margin_rate = "0.025"
"""


@pytest.fixture
def read(tmp_path):
    def read(content, name="account.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_account_file(path)

    return read


@pytest.fixture
def problems(read, tmp_path):
    def problems(content, name="account.json"):
        with pytest.raises(ConfigError) as refused:
            read(content, name)
        return [line.removeprefix(f"{tmp_path / name}") for line in refused.value.problems]

    return problems


def account(*positions, **more):
    return {"collateral": [COLLATERAL], "positions": list(positions)} | more


def test_a_toml_file_is_read_with_all_its_keys(read):
    file = read(TOML, "account.toml")
    entry = file.accounts[0].positions[0]
    assert not file.is_list
    assert (entry.position.side, entry.position.margin_mode) == (Side.SHORT, MarginMode.CROSS)
    assert entry.leg.quantity == Decimal("109.488")
    assert entry.leg.rule.maintenance_basis is MaintenanceBasis.ENTRY
    assert entry.leg.rule.liquidation_fee_rate == Decimal("0.0006")
    assert entry.leg.tiers.rows[0].maintenance_amount is None
    assert entry.beta == Decimal("1.2")
    assert entry.pool is file.accounts[0].cross_pool
    assert entry.pool.other_maintenance_margin == Decimal("12.5")
    assert entry.pool.collateral[0].haircut == 0


def test_an_isolated_position_stands_in_a_pool_of_its_own_and_needs_no_collateral(read):
    written = read({"positions": [ISOLATED]}).accounts[0]
    assert written.cross_pool is None
    assert written.positions[0].pool.legs == (written.positions[0].leg,)
    assert written.positions[0].pool.collateral[0].wallet_balance == 2500


def test_a_json_file_may_hold_a_list_of_accounts(read):
    file = read([account(CROSS), {"positions": [ISOLATED]}])
    assert file.is_list
    assert len(file.accounts) == 2


def test_dated_and_inverse_symbols_settle_in_what_their_name_says(read):
    dated = ISOLATED | {"symbol": "ETH/USD:ETH-260626", "contract": "inverse"}
    contract = read({"positions": [dated]}).accounts[0].positions[0].position.contract
    assert (contract.base, contract.settle) == ("ETH", "ETH")


def without(table, *keys):
    return {key: value for key, value in table.items() if key not in keys}


OVERLAPPING = [TIER, TIER | {"notional_floor": "40000", "notional_cap": "90000"}]
MIXED = [TIER, without(TIER, "maintenance_amount") | {"notional_floor": "50000", "notional_cap": "90000"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            {"positions": [ISOLATED | {"quantity": "-1"}]},
            ": positions[0].quantity: found '-1', expected more than 0",
        ),
        (
            {"positions": [ISOLATED | {"entry_price": "NaN"}]},
            ": positions[0].entry_price: found 'NaN', expected a finite decimal",
        ),
        (
            {"positions": [ISOLATED | {"mark_price": "inf"}]},
            ": positions[0].mark_price: found 'inf', expected a finite decimal",
        ),
        (
            {"positions": [ISOLATED | {"mark_price": 100}]},
            ': positions[0].mark_price: found 100, expected a decimal in quotes, as "0.5"',
        ),
        (
            {"positions": [ISOLATED | {"quantity": "1e99"}]},
            ": positions[0].quantity: found '1e99', expected a size between 1e-40 and 1e40",
        ),
        (
            {"positions": [without(ISOLATED, "isolated_wallet")]},
            ": positions[0].isolated_wallet: is missing, expected the margin in this isolated position",
        ),
        (
            account(CROSS | {"isolated_wallet": "5"}),
            ": positions[0].isolated_wallet: found '5', expected none: a cross position leans on [[collateral]]",
        ),
        (
            {"positions": [without(ISOLATED, "tiers")]},
            ": positions[0].tiers: is missing, and there is no default",
        ),
        (
            {"positions": [ISOLATED | {"tiers": []}]},
            ": positions[0].tiers: found a list, expected at least one tier",
        ),
        (
            {"positions": [ISOLATED | {"tiers": OVERLAPPING}]},
            ": positions[0].tiers: tier 1 begins at 40000, expected 50000, where the one before ends",
        ),
        (
            {"positions": [ISOLATED | {"tiers": MIXED}]},
            ": positions[0].tiers: maintenance_amount stands in some tiers only, expected it in all or in none",
        ),
        (
            {"positions": [ISOLATED | {"tiers": [TIER | {"notional_cap": "0.0"}]}]},
            ": positions[0].tiers[0].notional_cap: found '0.0', expected more than 0",
        ),
        (
            {"positions": [ISOLATED | {"isolated_walet": "5"}]},
            "did you mean 'isolated_wallet'?",
        ),
        (
            {"positions": [ISOLATED | {"side": "buy"}]},
            ": positions[0].side: found 'buy', expected 'long' or 'short'",
        ),
        (
            {"positions": [ISOLATED | {"symbol": "BTCUSDT"}]},
            ": positions[0].symbol: found 'BTCUSDT', expected a unified symbol such as 'BTC/USDT:USDT' or 'BTC/USD:BTC'",
        ),
        (
            {"positions": [ISOLATED | {"contract": "inverse"}]},
            ": positions[0].contract: found 'inverse', expected 'linear': BTC/USDT:USDT settles in USDT",
        ),
        (
            account(CROSS, CROSS | {"symbol": "BTC/USDC:USDC", "side": "short"}),
            ": positions[1].symbol: found a cross position that settles in USDC, expected USDT as in positions[0]: one cross pool per file, and one of several currencies states its own (currency)",
        ),
        (
            account(CROSS, CROSS | {"side": "short", "mark_price": "31967.28"}),
            ": positions[1].mark_price: found 31967.28, expected 31967.27 as in positions[0]: one symbol, one mark",
        ),
        (
            {"positions": [CROSS]},
            ": collateral: is missing, expected the cross wallet that positions[0] leans on",
        ),
        (
            account(CROSS, collateral=[COLLATERAL | {"price": "1.01"}]),
            ': collateral[0].price: found 1.01, expected "1": the pool is counted in USDT itself',
        ),
        (
            account(CROSS, collateral=[COLLATERAL | {"haircut": "5"}]),
            ": collateral[0].haircut: found '5', expected a fraction from 0 to 1: \"0.05\" is 5 %",
        ),
        (
            account(ISOLATED, other_unrealized_pnl="5"),
            ": other_unrealized_pnl: found a part of the cross pool, expected none: no position is cross",
        ),
        (
            account(CROSS, collateral=[COLLATERAL, COLLATERAL]),
            ": collateral[1].asset: found USDT twice, expected one row for each asset",
        ),
        (
            account(CROSS, collateral=[COLLATERAL | {"haircut_tiers": [{"balance_floor": "5", "haircut": "0"}]}]),
            ": collateral[0].haircut_tiers: found a list, expected balance_floors that begin at 0 and ascend",
        ),
        (
            account(CROSS | {"symbol": "BTC/USDC:USDC"}, currency="USD"),
            ": positions[0].symbol: found a cross position that settles in USDC, expected a row of collateral with the price of USDC in USD",
        ),
        (
            account(CROSS | {"tier_basis": "contracts", "tiers": [TIER | {"maintenance_amount": "1"}]}),
            ": BTC/USDT:USDT: brackets looked up by contracts cannot have maintenance amounts",
        ),
        ({"collateral": []}, ": positions: is missing, and there is no default"),
        (["nonsense"], ": [0]: found 'nonsense', expected a table"),
        ('{"positions": [', ":1: not JSON at column 16: Expecting value"),
        ('{"positions": [], "positions": []}', ": positions: found twice in one table, expected once"),
    ],
)
def test_what_cannot_be_used_is_refused_with_place_and_remedy(problems, content, expected):
    found = problems(content)
    assert len(found) == 1
    assert found[0].endswith(expected) if expected.startswith("did") else found[0] == expected


def test_all_problems_are_told_at_once_whatever_row_they_stand_in(problems):
    bad = account(
        CROSS | {"quantity": "0", "side": "up"},
        CROSS | {"symbol": "ETH/USDC:USDC"},
        CROSS | {"symbol": "ETH/USDT:USDT"},
        other="1",
        collateral=[COLLATERAL | {"price": "x"}, without(COLLATERAL, "asset")],
    )
    assert [line.split(": ")[1] for line in problems(bad)] == [
        "collateral[0].price",
        "collateral[1].asset",
        "other",
        "positions[0].quantity",
        "positions[0].side",
        "positions[2].symbol",
    ]


def test_a_pool_of_several_currencies_states_its_own_and_what_each_is_worth(read):
    """Binance multi-assets: USDT and BTC back a long in USDT; buffers are haircut and surcharge, equity by equity."""
    btc = {"asset": "BTC", "wallet_balance": "0.5", "price": "50000", "haircut": "0.05", "surcharge": "0.05"}
    tiers = [{"balance_floor": "0", "haircut": "0"}, {"balance_floor": "1000", "haircut": "0.1"}]
    held = COLLATERAL | {"wallet_balance": "3000", "price": "0.999", "haircut_tiers": tiers}
    written = account(
        CROSS | {"hedge_netting": "larger", "tier_basis": "notional", "maintenance_basis": "current"},
        collateral=[held, btc],
        currency="USD",
        haircut_basis="equity",
        order_margin="7",
        funding_due="-2",
    )
    pool = read(written).accounts[0].cross_pool
    assert (pool.currency, pool.haircut_basis, pool.order_margin, pool.funding_due) == (
        "USD",
        HaircutBasis.EQUITY,
        7,
        -2,
    )
    assert [(row.asset, len(row.haircut_tiers), row.surcharge) for row in pool.collateral] == [
        ("USDT", 2, 0),
        ("BTC", 0, Decimal("0.05")),
    ]
    rule = pool.legs[0].rule
    assert (rule.hedge_netting, rule.maintenance_basis) == (HedgeNetting.LARGER, MaintenanceBasis.CURRENT)
    pnl = Decimal("0.1") * (Decimal("31967.27") - Decimal("32481.980"))
    usdt = (1000 + (2000 + pnl) * Decimal("0.9")) * Decimal("0.999")
    assert margin_balance(pool) == usdt + 25000 * Decimal("0.95") + 2


def test_a_problem_of_a_toml_file_has_its_line(problems):
    assert problems(TOML.replace('"109.488"', '"-109.488"'), "account.toml") == [
        ":12: positions[0].quantity: found '-109.488', expected more than 0"
    ]


def test_a_file_that_is_not_there_is_a_problem_and_not_a_crash(tmp_path):
    for name in ("account.json", "account.toml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_account_file(tmp_path / name)
