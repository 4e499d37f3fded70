"""OKX answers that looked like another one, or broke more than themselves: found by fuzzing another exchange's."""

import pytest
from okx_wire import OkxServer

from guard.snapshot import PositionKey, Side
from guard.venues.okx_rows import error_of

BTC, ETH = OkxServer.sample.symbol, OkxServer.other.symbol


def _change_first(server, **fields):
    def change(answer):
        server.rows_in("positions", answer)[0].update(fields)
        return answer

    server.mangle("positions", change)


@pytest.mark.parametrize("fields", [{"posSide": ["net"]}, {"instType": ["SWAP"], "instId": "?"}], ids=str)
async def test_a_word_that_is_a_list_is_a_gap_and_the_others_stay_watched(server, okx, fields):
    server.hold_sample()
    server.hold_sample(of=server.other)
    _change_first(server, **fields)
    snapshot = await okx.snapshot()
    assert [one.contract.symbol for one in snapshot.positions] == [ETH]
    assert any(gap.key == PositionKey(BTC, Side.LONG) or gap.may_be_cross for gap in snapshot.gaps)


async def test_a_name_that_cannot_be_written_down_is_shown_as_question_marks(server, okx):
    server.hold_sample()
    _change_first(server, instId="A\ud800\x1b[31m")
    assert "position row A??[31m" in {gap.subject for gap in (await okx.snapshot()).gaps}


async def test_a_currency_that_is_listed_twice_is_no_wallet(server, okx):
    server.hold_sample()

    def twice(answer):
        details = answer["data"][0]["details"]
        details += [one | {"availBal": "99999", "availEq": "99999"} for one in details if one["ccy"] == "USDT"]
        return answer

    server.mangle("wallets", twice)
    snapshot = await okx.snapshot()
    assert snapshot.wallet("USDT") is None
    assert "listed twice" in {gap.reason for gap in snapshot.gaps if gap.subject == "wallet USDT"}


def test_a_code_or_text_that_is_no_word_is_not_repeated():
    assert error_of({"code": ["1"], "msg": {"a": 1}}) == ("?", "")
    assert error_of({"code": "1", "data": [{"sCode": "51000", "sMsg": ["x"]}]}) == ("51000", "")
