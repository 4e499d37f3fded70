"""Recorded answers of OKX through the real parsers, and our liquidation price against the one in them.

Numbers are written here with their source, for the recordings themselves are no part of the product. Rows printed in
threads name some fields only; what is added to make a whole row of them stands in `ADDED`.
"""

from decimal import Decimal

import pytest

from guard.margin import TierTable
from guard.margin.alone import ends_alone
from guard.margin.requirement import isolated_pool, leg_of
from guard.margin.rule import shown_price
from guard.snapshot import Contract, ContractKind, LiquidationKind, MarginMode, RiskTier, Side
from guard.venues.okx_account import read_positions
from guard.venues.okx_contracts import Market
from guard.venues.okx_orders import ENDS
from guard.venues.okx_rows import Config, EndRow
from guard.venues.okx_tiers import ISOLATED, base_rules, rules_with
from guard.venues.rows import read_row

D = Decimal
NET = Config(acctLv="2", posMode="net_mode", ctIsoMode="automatic")
HEDGE = Config(acctLv="2", posMode="long_short_mode", ctIsoMode="automatic")
ADDED = {"instType": "SWAP", "posSide": "net", "uTime": "1638262629000"}


def market(symbol, inst_id, *, size, settle, inverse=False, lot="1"):
    kind = ContractKind.INVERSE if inverse else ContractKind.LINEAR
    base = symbol.split("/")[0]
    contract = Contract(symbol=symbol, kind=kind, base=base, settle=settle, contract_size=D(size))
    family = inst_id.removesuffix("-SWAP")
    return {
        inst_id: Market(contract=contract, inst_id=inst_id, inst_type="SWAP", family=family, lot=D(lot), fee_group=None)
    }


ETH = market("ETH/USD:ETH", "ETH-USD-SWAP", size="10", settle="ETH", inverse=True)
BIGTIME = market("BIGTIME/USDT:USDT", "BIGTIME-USDT-SWAP", size="10", settle="USDT")
LTC = market("LTC/USDT:USDT", "LTC-USDT-SWAP", size="0.001", settle="USDT")

# ccxt issue 10547 (2021-11), as printed there.
ETH_SHORT = ADDED | {
    "instId": "ETH-USD-SWAP", "mgnMode": "isolated", "pos": "-9374", "avgPx": "4778.8384462538659751",
    "margin": "11.2907226596551759", "mmr": "0.101201584030862", "markPx": "4631.350432786379",
    "upl": "0.6246714868620558", "liqPx": "11198.22376279407", "lever": "2", "mgnRatio": "107.03564178926794",
    "notionalUsd": "93734.93116106503", "ccy": "ETH",
}  # fmt: skip
# ccxt issue 28121 (2026-03), as printed there.
BIGTIME_LONG = ADDED | {
    "instId": "BIGTIME-USDT-SWAP", "mgnMode": "isolated", "pos": "613", "avgPx": "0.01305", "margin": "9.9995625",
    "mmr": "1.5987040000000001", "markPx": "0.01304", "upl": "-0.0613000000000081", "liqPx": "0.0116677335375191",
    "lever": "8", "mgnRatio": "6.064828669759086", "notionalUsd": "79.937598056", "ccy": "USDT",
}  # fmt: skip
# ccxt fixture response/okx.json at f42156b7 (2024-01), the fields that we read.
LTC_CROSS = {
    "instType": "SWAP", "instId": "LTC-USDT-SWAP", "mgnMode": "cross", "posSide": "long", "pos": "1", "avgPx": "68.24",
    "margin": "", "mmr": "0.00044356", "markPx": "68.24", "upl": "0", "liqPx": "", "lever": "3", "usdPx": "",
    "notionalUsd": "0.0682283992", "ccy": "USDT", "uTime": "1706612162996", "mgnRatio": "141687115.0546428",
}  # fmt: skip


def one_of(row, markets, config=NET):
    (position,), gaps = read_positions([row], markets, config)
    assert gaps == ()
    return position


@pytest.mark.parametrize(
    ("row", "markets", "side", "wallet"),
    [
        (ETH_SHORT, ETH, Side.SHORT, "11.2907226596551759"),
        (BIGTIME_LONG, BIGTIME, Side.LONG, "9.9995625"),
    ],
    ids=["inverse", "linear"],
)
def test_recorded_isolated_rows_are_read_to_the_digit(row, markets, side, wallet):
    position = one_of(row, markets)
    assert (position.side, position.margin_mode, position.hedged) == (side, MarginMode.ISOLATED, False)
    assert position.quantity == abs(D(row["pos"]))
    assert position.isolated_wallet == D(wallet)  # Without unrealized PnL.
    assert position.exchange_liquidation.price == D(row["liqPx"])
    assert position.exchange_maintenance_margin == D(row["mmr"])


def test_a_recorded_cross_row_with_an_empty_price_has_none():
    position = one_of(LTC_CROSS, LTC, HEDGE)
    assert (position.margin_mode, position.isolated_wallet, position.hedged) == (MarginMode.CROSS, None, True)
    assert position.exchange_liquidation.kind is LiquidationKind.NONE


def test_the_maintenance_margin_of_a_row_is_an_amount_without_the_fee():
    position = one_of(ETH_SHORT, ETH)
    notional = position.quantity * 10 / position.mark_price
    assert abs(position.exchange_maintenance_margin - notional * D("0.005")) < D("1E-14")


def test_the_account_ratio_of_a_row_is_equity_over_requirement_with_the_fee():
    row = ETH_SHORT
    notional = D("93740") / D(row["markPx"])
    equity = D(row["margin"]) + D(row["upl"])
    assert abs(equity / (notional * D("0.0055")) - D(row["mgnRatio"])) < D("1E-11")


# Exchange's price, our price as it would be shown, difference in percent of the distance. The second row stays 0.7 %
# off with every simple variant (study of 2026-07): its tier's rate is rounded in the thread.
@pytest.mark.parametrize(
    ("row", "markets", "rate", "tick", "percent"),
    [
        (ETH_SHORT, ETH, "0.005", "0.01", "0.0000001"),
        (BIGTIME_LONG, BIGTIME, "0.02", "0.00001", "0.004"),
    ],
    ids=["inverse", "linear"],
)
def test_our_liquidation_price_is_the_recorded_one(row, markets, rate, tick, percent):
    position = one_of(row, markets)
    symbol = position.contract.symbol
    rule = rules_with(base_rules(), {symbol: D("0.0005")}).of(symbol, MarginMode.ISOLATED)
    tiers = TierTable.of(
        [RiskTier(notional_floor=D(0), notional_cap=D("1E9"), maintenance_margin_rate=D(rate), maintenance_amount=None)]
    )
    leg = leg_of(position, tiers, rule)
    down, up = ends_alone(isolated_pool(leg, position.isolated_wallet), leg)
    ours = down if position.side is Side.LONG else up
    theirs = position.exchange_liquidation.price
    shown = shown_price(ours, position.side, ISOLATED, D(tick))
    off = abs(shown - theirs) / abs(position.mark_price - theirs) * 100
    assert off < D(percent)


def test_a_recorded_end_is_a_close():
    # ccxt fixture response/okx.json at f42156b7 (2024-02), the fields that we read.
    row = {
        "closeAvgPx": "1.2567", "direction": "short", "instId": "SUSHI-USDT-SWAP", "triggerPx": "", "type": "2",
        "uTime": "1708354805699",
    }  # fmt: skip
    end = read_row(EndRow, row)
    assert (ENDS[end.type][0].value, end.close_avg_px, end.trigger_px) == ("closed", D("1.2567"), None)
