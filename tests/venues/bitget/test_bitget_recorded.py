"""Answers that Bitget gave or documents, read by our parsers. Every number below is its own; each test names its source."""

from decimal import Decimal

import pytest

from guard.margin.rules import KNOWN_RULES
from guard.snapshot import Contract, ContractKind, LiquidationKind, MarginMode, Side
from guard.venues import bitget_account, bitget_uta
from guard.venues.bitget_wire import Market, error_of, list_of, maybe

# docs v2 "Get All Positions", response example (copy of 2025-10). `locked` and `total` contradict each other there.
DOCUMENTED = {
    "marginCoin": "USDT", "symbol": "BTCUSDT", "holdSide": "long", "openDelegateSize": "0.01",
    "marginSize": "9.6695050093373343", "available": "0.01", "locked": "0.09", "total": "0.01", "leverage": "20",
    "achievedProfits": "0", "openPriceAvg": "25000", "marginMode": "isolated", "posMode": "hedge_mode",
    "unrealizedPL": "1", "liquidationPrice": "24144.1124161806977798", "keepMarginRate": "0.004", "markPrice": "25100",
    "breakEvenPrice": "24778.97", "totalFee": "1.45", "deductedFee": "0.388", "takeProfit": "3", "stopLoss": "2",
    "takeProfitId": "11111111", "stopLossId": "11111111", "marginRatio": "0.1082149545822005", "assetMode": "single",
    "cTime": "1691382137448", "uTime": "1691382137999",
}  # fmt: skip
# ccxt fixture ts/src/test/static/response/bitget.json at cb1db74e: fetchPositions, cross, 2023-12.
LTC_CROSS = {
    "marginCoin": "USDT", "symbol": "LTCUSDT", "holdSide": "long", "openDelegateSize": "0", "marginSize": "1.4532",
    "available": "0.1", "locked": "0", "total": "0.1", "leverage": "5", "achievedProfits": "0", "openPriceAvg": "72.66",
    "marginMode": "crossed", "posMode": "hedge_mode", "unrealizedPL": "-0.004", "liquidationPrice": "0",
    "keepMarginRate": "0.01", "markPrice": "72.62", "marginRatio": "0.001458866276", "cTime": "1702575043747",
}  # fmt: skip
# A demo account's isolated row, in a public repository's comment (golden case bitget-linear-iso-long-demo).
DEMO = DOCUMENTED | {
    "total": "0.001", "openPriceAvg": "29734.75", "markPrice": "29694.35", "marginSize": "4.2796", "leverage": "7",
    "unrealizedPL": "-0.0404", "liquidationPrice": "25572.72", "marginRatio": "0.032221246204",
}  # fmt: skip
# The same fixture: fetchPositions uta, 2025-09.
UNIFIED = {
    "category": "USDT-FUTURES", "symbol": "BTCUSDT", "marginCoin": "USDT", "holdMode": "one_way_mode", "posSide": "long",
    "marginMode": "crossed", "positionBalance": "5.82333136", "available": "0.001", "frozen": "0", "total": "0.001",
    "leverage": "20", "curRealisedPnl": "0", "avgPrice": "115085.6", "positionStatus": "normal", "unrealisedPnl": "0",
    "liquidationPrice": "0", "mmr": "0.004", "profitRate": "0", "markPrice": "115085.6", "breakEvenPrice": "115223.7",
    "totalFunding": "0", "openFeeTotal": "-0.06905136", "closeFeeTotal": "0", "createdTime": "1750495670699",
    "updatedTime": "1758035576809",
}  # fmt: skip
# docs UTA "Get Position Info", response example (copy of 2025-10).
UNIFIED_DOCUMENTED = UNIFIED | {
    "holdMode": "hedge_mode", "positionBalance": "4701531.84941582", "available": "119.2068", "total": "119.2068",
    "leverage": "3", "avgPrice": "108674", "unrealisedPnl": "1124573.04243999", "liquidationPrice": "43099.9",
    "mmr": "0.015", "markPrice": "118097", "updatedTime": "1753102803148",
}  # fmt: skip
# The fixture: fetchBalance uta, 2025-06 (two of its six assets).
ASSETS = {
    "accountEquity": "368444.3177744", "usdtEquity": "368319.08928405", "effEquity": "256783.39028097", "mmr": "0",
    "imr": "0", "mgnRatio": "0", "positionMgnRatio": "0",
    "assets": [
        {"coin": "BTC", "equity": "1", "usdValue": "108131.66156274", "balance": "1", "available": "1", "debt": "0"},
        {"coin": "USDT", "equity": "10000", "usdValue": "10003.4", "balance": "10000", "available": "10000", "debt": "0"},
    ],
}  # fmt: skip
# The fixture: fetchMarginMode, 2024-11. Neither `isolatedMargin` nor `assetMode` is told there.
ACCOUNT = {
    "marginCoin": "USDT", "locked": "0", "available": "19.88811074", "crossedMaxAvailable": "19.88811074",
    "isolatedMaxAvailable": "19.88811074", "maxTransferOut": "19.88811074", "accountEquity": "19.88811074",
    "usdtEquity": "19.888110749166", "btcEquity": "0.000221569208", "crossedRiskRate": "0", "unrealizedPL": "0",
    "coupon": "0", "crossedUnrealizedPL": "0", "isolatedUnrealizedPL": "", "grant": "",
}  # fmt: skip


def market(name):
    base = name.removesuffix("USDT")
    contract = Contract(
        symbol=f"{base}/USDT:USDT", kind=ContractKind.LINEAR, base=base, settle="USDT", contract_size=Decimal(1)
    )
    return Market(contract=contract, market_id=name, product="USDT-FUTURES")


MARKETS = {name: market(name) for name in ("BTCUSDT", "LTCUSDT")}


def read(row):
    (held,), gaps = bitget_account.read_positions([row], MARKETS, "USDT-FUTURES")
    assert gaps == ()
    return held.position


@pytest.mark.parametrize(
    ("row", "slack"),
    [(DOCUMENTED, Decimal("1E-12")), (DEMO, Decimal("0.0000243"))],  # The demo's margin is told to four digits.
    ids=["documented", "demo"],
)
def test_an_isolated_rows_liquidation_price_is_the_published_formulas(row, slack):
    position = read(row)
    margin, q, entry = position.isolated_wallet, position.quantity, position.entry_price
    ours = (margin - q * entry) / (q * (Decimal("0.004") + KNOWN_RULES["bitget"].rule.liquidation_fee_rate - 1))
    theirs = position.exchange_liquidation.price
    assert abs(ours - theirs) <= slack * abs(position.mark_price - theirs)


def test_the_documented_row_reads_with_its_own_requirement():
    position = read(DOCUMENTED)
    assert (position.margin_mode, position.isolated_wallet) == (MarginMode.ISOLATED, Decimal("9.6695050093373343"))
    assert (position.side, position.hedged, position.leverage) == (Side.LONG, True, 20)
    assert position.auto_add_margin is None  # Not told there.
    assert abs(position.exchange_maintenance_margin - Decimal(251) * Decimal("0.0046")) < Decimal("1E-12")


def test_a_recorded_cross_row_with_a_price_of_zero_has_none():
    position = read(LTC_CROSS)
    assert (position.margin_mode, position.isolated_wallet) == (MarginMode.CROSS, None)
    assert position.exchange_liquidation.kind is LiquidationKind.NONE
    assert (position.quantity, position.entry_price) == (Decimal("0.1"), Decimal("72.66"))


@pytest.mark.parametrize("said", ["0", "-1.5", "", None, "NaN"])
def test_an_isolated_row_without_a_price_is_not_one_that_nothing_liquidates(said):
    assert read(DOCUMENTED | {"liquidationPrice": said}).exchange_liquidation.kind is LiquidationKind.UNKNOWN


@pytest.mark.parametrize(
    ("side", "kind"), [("long", LiquidationKind.NONE), ("short", LiquidationKind.UNKNOWN)], ids=["long", "short"]
)
def test_only_a_long_that_paid_for_itself_is_believed_to_have_none(side, kind):
    pnl = {"long": "1", "short": "-1"}[side]
    row = DOCUMENTED | {"marginSize": "251", "liquidationPrice": "0", "holdSide": side, "unrealizedPL": pnl}
    assert read(row).exchange_liquidation.kind is kind


def test_a_recorded_account_row_reads_although_older_than_some_of_its_fields():
    (account,), gaps = bitget_account.read_accounts([ACCOUNT])
    (wallet,), missing = bitget_account.read_wallets((account,), (), ())
    assert (gaps, missing) == ((), ())
    assert (wallet.cross_wallet_balance, wallet.available) == (Decimal("19.88811074"), Decimal("19.88811074"))
    assert bitget_account.contradictions((account,), (), (), "USDT-FUTURES") == ()


@pytest.mark.parametrize(
    ("row", "kind"),
    [(UNIFIED, LiquidationKind.NONE), (UNIFIED_DOCUMENTED, LiquidationKind.AT)],
    ids=["recorded", "documented"],
)
def test_rows_of_unified_accounts_read(row, kind):
    (position,), gaps = bitget_uta.read_positions([row], MARKETS, "USDT-FUTURES")
    assert gaps == ()
    assert (position.margin_mode, position.isolated_wallet) == (MarginMode.CROSS, None)
    assert position.exchange_liquidation.kind is kind
    assert position.exchange_maintenance_margin is None  # `mmr` is a rate there (it was once taken for a ratio).


def test_the_recorded_position_balance_of_a_unified_row_counts_the_fee_to_close():
    """115.0856 / 20 and 0.06 %: the reason why an isolated one is only believed where its own price confirms it."""
    value = Decimal("115.0856")
    assert value / 20 + value * Decimal("0.0006") == Decimal(UNIFIED["positionBalance"])


def test_recorded_assets_of_a_unified_account_read():
    assets = bitget_uta.read_assets({"code": "00000", "msg": "success", "data": ASSETS})
    assert (assets.gaps, assets.ratio, assets.owed) == ((), 0, ())
    assert {wallet.currency: wallet.available for wallet in assets.wallets} == {"BTC": 1, "USDT": 10000}


def test_a_recorded_answer_without_positions_is_an_empty_list():
    answer = {"code": "00000", "msg": "success", "requestTime": "1711468344701", "data": []}
    assert list_of(answer, "positions") == []


def test_the_recorded_refusal_of_a_classic_endpoint_in_a_unified_account_is_an_error():
    """ccxt issue 26838, 2025-09."""
    text = "You are in Unified Account mode, and the Classic Account API is not supported at this time"
    answer = {"code": "40085", "msg": text, "requestTime": 1757926150447, "data": None}
    assert error_of(answer) == ("40085", text)


@pytest.mark.parametrize(("raw", "number"), [("", None), (None, None), ("0", 0), ("-0.5", Decimal("-0.5"))])
def test_an_empty_field_is_no_zero(raw, number):
    assert maybe(raw) == number
