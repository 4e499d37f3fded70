"""How long guard takes to notice a breached trigger: a near poll where a rung stands before it, else a calm one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from guard.daemon.reaction import reaction
from guard.policy.terms import Level
from guard.venues.protocol import Candle, WriteTerms

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Market:
    """An exchange that moved by two percent in each quarter of an hour."""

    write_terms = WriteTerms(fence=timedelta(seconds=20), history_kept=timedelta(0), test_host=True)

    async def candles(self, symbol, *, minutes, count):
        step = timedelta(minutes=minutes)
        return [Candle(opened_at=AT + n * step, high=102.0, low=100.0, close=101.0) for n in range(count)]


def position(trigger):
    rungs = [SimpleNamespace(level=level, distance=Decimal(at)) for level, at in
             ((Level.WATCH, "0.25"), (Level.WARN, "0.15"), (Level.DANGER, "0.08"))]  # fmt: skip
    rule = SimpleNamespace(ladder=SimpleNamespace(rungs=rungs))
    return SimpleNamespace(trigger=Decimal(trigger), rule=rule, key=SimpleNamespace(symbol="BTC/USDT:USDT"))


@pytest.mark.parametrize(("trigger", "poll"), [("0.149", "5 s"), ("0.15", "60 s"), ("0.2", "60 s")])
async def test_a_trigger_above_every_warning_is_noticed_by_the_calm_poll(trigger, poll):
    account = SimpleNamespace(poll_near=timedelta(seconds=5), poll_calm=timedelta(seconds=60))
    is_enough, text = await reaction(account, Market(), position(trigger))
    assert is_enough
    assert f"poll {poll}, answers" in text
