"""Exchanges without a file of their own: what the rows or answers leave open is said, and nothing is made of it."""

from decimal import Decimal

import pytest
from generic_wire import BINGX, LTC, bingx, venue_at

from guard.daemon.continuity import follow
from guard.errors import VenueUnavailable
from guard.snapshot import Contract, ContractKind, MarginMode, PositionKey, Side
from guard.venues.generic_rows import quantity_of


def bingx_rows(*changes):
    row = BINGX["/swap/v2/user/positions"]["data"][0]
    return BINGX | {"/swap/v2/user/positions": {"code": 0, "msg": "", "data": [row | change for change in changes]}}


NEAR = {"positionId": "2", "positionAmt": "50", "liquidationPrice": "94.9", "positionValue": "4781"}
FAR = {"positionId": "3"}
UNTOLD = {"positionId": "4", "positionAmt": "70", "liquidationPrice": "0", "positionValue": "6693"}
ENDLESS = {"positionId": "5", "positionAmt": "70", "liquidationPrice": "-5", "positionValue": "6693"}
SHORT = {"positionId": "9", "positionSide": "SHORT", "liquidationPrice": "140"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((NEAR, FAR), NEAR), ((FAR, NEAR), NEAR), ((NEAR, UNTOLD), NEAR), ((UNTOLD, NEAR), NEAR),
        ((UNTOLD, ENDLESS), UNTOLD), ((ENDLESS, UNTOLD), UNTOLD), ((FAR, ENDLESS, NEAR, UNTOLD), NEAR),
    ],
)  # fmt: skip
async def test_of_several_positions_of_one_symbol_and_side_the_nearest_end_is_watched(rows, expected):
    async with venue_at("bingx", bingx_rows(*rows)) as (venue, _):
        snapshot = await venue.snapshot()
        (position,) = snapshot.positions
        assert position.quantity == Decimal(expected["positionAmt"])
        assert {gap.key for gap in snapshot.gaps if "listed twice" in gap.reason} == {position.key}
        doubts = [gap for gap in snapshot.gaps if "liquidation price" in gap.subject]
        assert len(doubts) == (expected is UNTOLD), "what is said is said of the row that is watched"


async def test_one_read_without_a_leg_does_not_end_it_where_the_mode_is_not_told():
    async with venue_at("bingx", bingx_rows(NEAR, SHORT)) as (venue, _):
        before = follow({}, await venue.snapshot())
    async with venue_at("bingx", bingx_rows(SHORT)) as (venue, _):
        once = follow(before.sightings, await venue.snapshot())
        assert once.ended == {}
        assert once.is_suspect
        twice = follow(once.sightings, await venue.snapshot())
        assert list(twice.ended) == [PositionKey(LTC, Side.LONG)]


XT = {
    "/public/symbol/list": {"returnCode": 0, "result": []},
    "/position/list": {"returnCode": 0, "msgInfo": "success", "error": None, "result": []},
    "/position/break-list": {"returnCode": 0, "msgInfo": "success", "error": None, "result": []},
}
XT_ROW = {"symbol": "btc_usdt", "positionType": "ISOLATED", "positionSide": "LONG", "positionSize": "100"}


@pytest.mark.parametrize(
    ("listed", "doubt"),
    [
        ({}, None),
        ({"result": None}, "no list in the answer: ccxt takes that for none"),
        ({"result": None, "data": [XT_ROW]}, "1 came, and ccxt reads none out of them"),
    ],
    ids=["empty", "null", "renamed"],
)
async def test_each_of_two_lists_that_are_asked_for_at_once_must_say_that_there_is_none(listed, doubt):
    answers = XT | {"/position/list": XT["/position/list"] | listed}
    async with venue_at("xt", answers) as (venue, asked):
        of_markets_aside(venue)
        snapshot = await venue.snapshot()
        assert {path.rpartition("/")[2] for _, path in asked} == {"list", "break-list"}
        assert [gap.reason for gap in snapshot.gaps if gap.subject == "positions"] == ([doubt] if doubt else [])


def of_markets_aside(venue):
    """Hand ccxt one market: what an exchange answers about its markets is not what a test is about."""
    market = {
        "id": "ETHUSDTM", "symbol": "ETH/USDT:USDT", "base": "ETH", "quote": "USDT", "settle": "USDT", "type": "swap",
        "spot": False, "swap": True, "future": False, "option": False, "contract": True, "linear": True,
        "inverse": False, "contractSize": 0.01, "active": True, "precision": {"amount": 1.0, "price": 0.01}, "limits": {},
        "info": {},
    }  # fmt: skip

    async def load_markets(*_):
        venue._client.set_markets([market])
        return venue._client.markets

    venue._client.load_markets = load_markets


KUCOIN = {  # Its documents' row with 60 USDT added: `posCross`, which is not in `posInit`.
    "id": "1", "symbol": "ETHUSDTM", "crossMode": False, "realLeverage": 0.81, "currentQty": 2, "isOpen": True,
    "markPrice": 4183.38, "markValue": 83.6676, "posCost": 83.787, "posCross": 60.0, "posInit": 3.35148,
    "posMargin": 63.40376309, "posMaint": 0.50707892, "maintMargin": 63.28436309, "unrealisedPnl": -0.1194,
    "avgEntryPrice": 4189.35, "liquidationPrice": 1044.55, "bankruptPrice": 1021.75, "settleCurrency": "USDT",
}  # fmt: skip
KUCOIN_MODE = {"code": "200000", "data": {"selfAccountMode": "CLASSIC"}}


@pytest.mark.parametrize("rows", [[], [KUCOIN]], ids=["empty", "one"])
async def test_what_is_asked_before_the_list_proves_and_disproves_nothing(rows):
    answers = {"/account/mode": KUCOIN_MODE, "/api/v1/positions": {"code": "200000", "data": rows}}
    async with venue_at("kucoinfutures", answers) as (venue, _):
        of_markets_aside(venue)
        venue._client.password = "canary-password"
        snapshot = await venue.snapshot()
        assert len(snapshot.positions) == len(rows)
        assert [gap for gap in snapshot.gaps if gap.subject == "positions"] == []


async def test_an_initial_margin_is_not_taken_for_the_margin_in_a_position():
    answers = {"/account/mode": KUCOIN_MODE, "/api/v1/positions": {"code": "200000", "data": [KUCOIN]}}
    async with venue_at("kucoinfutures", answers) as (venue, _):
        of_markets_aside(venue)
        venue._client.password = "canary-password"
        (position,) = (await venue.snapshot()).positions
        assert (position.margin_mode, position.isolated_wallet) == (MarginMode.ISOLATED, None)


async def test_a_leverage_that_ccxt_makes_up_is_not_the_exchanges():
    async with venue_at("bingx", BINGX) as (venue, _):
        parse = venue._client.parse_position
        assert (await venue.snapshot()).positions[0].leverage == 5
        venue._client.parse_position = lambda *told: parse(*told) | {"leverage": 20}  # As at Apex.
        assert (await venue.snapshot()).positions[0].leverage is None


@pytest.mark.parametrize(
    ("mark", "size", "note"),
    [(0.1, 10_000, "fits both"), (0.2, 1_000, "by its notional no contracts")],
    ids=["a contract is worth 1", "a contract is worth 2"],
)
async def test_a_size_that_may_be_contracts_or_coins_is_said_to_be_doubtful(mark, size, note):
    contract = Contract(
        symbol="ALGO/USDC:USDC", kind=ContractKind.LINEAR, base="ALGO", settle="USDC", contract_size=Decimal(10)
    )
    quantity, said = quantity_of(Decimal(10_000), contract, Decimal(str(mark)), Decimal(10_000))
    assert quantity == size
    assert note in said


CANDLE = {"open": "95", "close": "95", "high": "96", "low": "94", "volume": "1", "time": 1785000000000}


@pytest.mark.parametrize("changed", [{"high": None}, {"high": ""}, {"time": None}, {"close": "0"}], ids=str)
async def test_a_candle_that_cannot_be_read_is_no_bug_of_ours_and_no_calm_market(changed):
    def candles(row):
        return BINGX | {"/market/markPriceKlines": {"code": 0, "data": [row]}, "/klines": {"code": 0, "data": [row]}}

    async with venue_at("bingx", candles(CANDLE)) as (venue, _):
        (candle,) = await venue.candles(LTC, minutes=1, count=5)
        assert (candle.high, candle.low, candle.close) == (96.0, 94.0, 95.0)
    async with venue_at("bingx", candles(CANDLE | changed)) as (venue, _):
        with pytest.raises(VenueUnavailable, match="candles of LTC"):
            await venue.candles(LTC, minutes=1, count=5)


async def test_a_side_of_one_way_mode_that_ccxt_does_not_tell_is_a_gap_that_says_so():
    async with venue_at("bingx", bingx(positionSide="BOTH")) as (venue, _):
        snapshot = await venue.snapshot()
        assert snapshot.positions == ()
        assert any("of hedge mode it does" in gap.reason for gap in snapshot.gaps)
