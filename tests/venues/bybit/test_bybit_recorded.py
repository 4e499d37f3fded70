"""Answers that Bybit gave or documents, read by our parsers. Every number below is its own; each test names its source."""

from decimal import Decimal

import pytest

from guard.margin import MarginRule, TierTable, crossings, isolated_pool, leg_of
from guard.margin.rule import MaintenanceBasis
from guard.snapshot import Contract, ContractKind, LiquidationKind, MarginMode, RiskTier, Side
from guard.venues.bybit_account import AccountInfo, Market, Terms, read_positions

# ccxt fixture ts/src/test/static/response/bybit.json at b8724039: fetchPositions, cross, 2023-11.
LTC_CROSS = {
    "symbol": "LTCUSDT", "leverage": "6", "autoAddMargin": "0", "avgPrice": "64.59947917", "liqPrice": "",
    "riskLimitValue": "200000", "takeProfit": "", "positionValue": "77.519375", "isReduceOnly": False, "tpslMode": "Full",
    "riskId": "71", "trailingStop": "0", "unrealisedPnl": "7.800625", "markPrice": "71.1", "adlRankIndicator": "2",
    "cumRealisedPnl": "-51.90142002", "positionMM": "0.81072399", "createdTime": "1677168085779", "positionIdx": "0",
    "positionIM": "12.95542633", "seq": "15411084098", "updatedTime": "1699948800031", "side": "Buy", "bustPrice": "",
    "positionBalance": "11.699649", "leverageSysUpdatedTime": "", "size": "1.2", "positionStatus": "Normal",
    "mmrSysUpdatedTime": "1698293363950", "stopLoss": "", "tradeMode": "0",
}  # fmt: skip

# The same fixture: fetchPosition by symbol, a row without a position.
LTC_NONE = LTC_CROSS | {
    "avgPrice": "0", "positionValue": "", "unrealisedPnl": "", "markPrice": "68", "positionMM": "0", "positionIM": "0",
    "side": "", "positionBalance": "0", "size": "0", "updatedTime": "1701294996731",
}  # fmt: skip

# bybit-exchange/docs, docs/v5/position/position.mdx (2026-07-24).
BTCUSD_DOC = {
    "positionIdx": 0, "riskId": 1, "riskLimitValue": "150", "symbol": "BTCUSD", "side": "Sell", "size": "300",
    "avgPrice": "27464.50441675", "positionValue": "0.01092319", "tradeMode": 0, "positionStatus": "Normal",
    "autoAddMargin": 1, "adlRankIndicator": 2, "leverage": "10", "breakEvenPrice": "93556.73034991",
    "positionBalance": "0.00139186", "markPrice": "28224.50", "liqPrice": "", "bustPrice": "999999.00",
    "positionMM": "0.0000015", "positionMMByMp": "0.0000015", "positionIM": "0.00010923", "positionIMByMp": "0.00010923",
    "tpslMode": "Full", "takeProfit": "0.00", "stopLoss": "0.00", "trailingStop": "0.00", "unrealisedPnl": "-0.00029413",
    "curRealisedPnl": "0.00013123", "cumRealisedPnl": "-0.00096902", "seq": 5723621632, "isReduceOnly": False,
    "mmrSysUpdateTime": "", "leverageSysUpdatedTime": "", "sessionAvgPrice": "", "createdTime": "1676538056258",
    "updatedTime": "1697673600012",
}  # fmt: skip

# bybit-exchange/docs, docs/v5/position/manual-add-margin.mdx: the answer after 0.01 ETH were added at 12x. The answer
# names no side; a liquidation price below the mark is a long's.
ETHUSD_ADDED = {
    "side": "Buy", "symbol": "ETHUSD", "positionIdx": 0, "riskId": 11, "riskLimitValue": "500", "size": "200",
    "positionValue": "0.11033265", "avgPrice": "1812.70004844", "liqPrice": "1550.80", "bustPrice": "1544.20",
    "markPrice": "1812.90", "leverage": "12", "autoAddMargin": 0, "positionStatus": "Normal", "positionIM": "0.01926611",
    "positionMM": "0", "unrealisedPnl": "0.00001217", "cumRealisedPnl": "-0.04618929", "createdTime": "1672737740039",
    "updatedTime": "1684234363788",
}  # fmt: skip

# thibaultyou/trading-toolbox, position-data.interface.ts: a linear long at 50x of 2024-06. What was in it stood in
# positionBalance then, and stands in positionIM since.
FTM_LONG = {
    "side": "Buy", "symbol": "FTMUSDT", "positionIdx": 1, "size": "10", "avgPrice": "0.5941", "positionValue": "5.941",
    "liqPrice": "", "markPrice": "0.5944", "leverage": "50", "autoAddMargin": 0, "positionStatus": "Normal",
    "positionIM": "0.1220222", "positionMM": "0.0000075", "unrealisedPnl": "0.003", "updatedTime": "1719181270938",
}  # fmt: skip

# NautilusTrader, test_data/ws_account_position.json: margins of a cross short at 30x of 2025-11, by the rule of today.
ETH_SHORT_IM, ETH_SHORT_MM, ETH_SHORT_VALUE = Decimal("1.23480936"), Decimal("0.20281586"), Decimal("36.42075")


def market(market_id, base, settle):
    kind = ContractKind.LINEAR if settle == "USDT" else ContractKind.INVERSE
    quote = "USDT" if settle == "USDT" else "USD"
    contract = Contract(
        symbol=f"{base}/{quote}:{settle}", kind=kind, base=base, settle=settle, contract_size=Decimal(1)
    )
    return Market(contract=contract, category=kind.value, market_id=market_id)


MARKETS = {
    one.market_id: one
    for one in (
        market("LTCUSDT", "LTC", "USDT"),
        market("FTMUSDT", "FTM", "USDT"),
        market("BTCUSD", "BTC", "BTC"),
        market("ETHUSD", "ETH", "ETH"),
    )
}
RATES = {"LTCUSDT": Decimal("0.0006"), "BTCUSD": Decimal("0.0006"), "ETHUSD": Decimal("0.0006")}


def read(row, mode, rate=None):
    info = AccountInfo.model_validate({"marginMode": mode, "unifiedMarginStatus": 5})
    rates = RATES if rate is None else RATES | {row["symbol"]: Decimal(rate)}
    held, gaps = read_positions([row], Terms(markets=MARKETS, info=info, taker_rates=rates))
    assert gaps == ()
    return [one.position for one in held]


def test_a_recorded_cross_long():
    (position,) = read(LTC_CROSS, "REGULAR_MARGIN")
    assert (position.quantity, position.entry_price, position.mark_price) == (
        Decimal("1.2"),
        Decimal("64.59947917"),
        Decimal("71.1"),
    )
    assert (position.margin_mode, position.isolated_wallet, position.leverage) == (MarginMode.CROSS, None, 6)
    assert position.exchange_liquidation.kind is LiquidationKind.NONE
    assert (position.hedged, position.auto_add_margin) == (False, False)
    assert position.updated_at.isoformat() == "2023-11-14T08:00:00.031000+00:00"


def test_a_recorded_row_without_a_position():
    assert read(LTC_NONE, "REGULAR_MARGIN") == []


def test_the_documented_inverse_short():
    (position,) = read(BTCUSD_DOC, "REGULAR_MARGIN")
    assert (position.side, position.quantity, position.contract.settle) == (Side.SHORT, 300, "BTC")
    assert position.auto_add_margin is True
    assert position.exchange_liquidation.kind is LiquidationKind.NONE


def test_the_margin_of_the_documented_add_margin_is_that_of_its_leverage_and_what_was_added():
    (position,) = read(ETHUSD_ADDED, "ISOLATED_MARGIN")
    at_12x, added = Decimal("0.11033265") / 12, Decimal("0.01")
    assert abs(position.isolated_wallet - (at_12x + added)) < Decimal("1E-8")


def test_the_margin_of_a_recorded_linear_long_is_that_of_its_leverage():
    (position,) = read(FTM_LONG, "ISOLATED_MARGIN", rate="0.00055")
    assert abs(position.isolated_wallet - Decimal("5.941") / 50) < Decimal("1E-8")
    assert position.hedged


def test_the_reserve_stands_in_initial_and_maintenance_margin_alike():
    leverage, rate = Decimal(30), Decimal("0.005")
    at_the_mark = (ETH_SHORT_IM - ETH_SHORT_MM) / (1 / leverage - rate)  # Where the reserve cancels.
    assert abs(at_the_mark - ETH_SHORT_VALUE) < ETH_SHORT_VALUE / 1000
    reserve = ETH_SHORT_MM - at_the_mark * rate
    assert abs(reserve - ETH_SHORT_VALUE * (1 + 1 / leverage) * Decimal("0.00055")) < Decimal("1E-6")


def test_the_price_of_the_documented_position_is_ours_to_a_thousandth_of_its_distance():
    """By the rule of its time, 2023. The exchange counts added margin less its share of the fee; we count all of it."""
    (position,) = read(ETHUSD_ADDED, "ISOLATED_MARGIN")
    tier = RiskTier(
        notional_floor=Decimal(0),
        notional_cap=Decimal(500),
        maintenance_margin_rate=Decimal("0.005"),
        maintenance_amount=Decimal(0),
    )
    leg = leg_of(position, TierTable.of([tier]), MarginRule(maintenance_basis=MaintenanceBasis.ENTRY))
    ours = crossings(isolated_pool(leg, position.isolated_wallet), leg).nearest.price
    theirs = position.exchange_liquidation.price
    assert theirs == Decimal("1550.80")
    assert abs(ours - theirs) / (position.mark_price - theirs) == pytest.approx(
        Decimal("0.000444"), abs=Decimal("1E-6")
    )
