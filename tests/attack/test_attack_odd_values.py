"""Every field of every answer, turned into something odd: nothing may stop the cycle, move money, or look safe."""

from decimal import Decimal

import pytest
from attack_kit import BREACHED, one_long, world

from guard.demo.exchange import Fault, FaultKind
from guard.policy.terms import Level
from guard.snapshot import Side

ODD = (None, "NaN", "Infinity", "-1", "0", "", "1e400", "1e-400", "abc", "9" * 60, "1e30", "-1e30")
PLACES = {
    "/positionRisk": (
        *("symbol", "positionSide", "positionAmt", "entryPrice", "markPrice", "liquidationPrice", "isolatedWallet"),
        *("notional", "maintMargin", "marginAsset", "updateTime"),
    ),
    "/symbolConfig": ("symbol", "marginType", "isAutoAddMargin", "leverage"),
    "/leverageBracket": ("symbol", "brackets"),
    "/premiumIndex": ("symbol", "markPrice", "time"),
}
FIELDS = [(path, name) for path, names in PLACES.items() for name in names]


def _two(exchange, account):
    one_long(exchange, account)
    exchange.open_position(account, symbol="ETHUSDT", side=Side.LONG, quantity=Decimal(1), leverage=5)


@pytest.mark.parametrize(("path", "name"), FIELDS)
async def test_an_odd_value_stops_no_cycle_and_never_makes_a_breached_position_look_safe(tmp_path, path, name):
    async with world(tmp_path, build=_two) as here, here.run() as run:
        await run.watch.cycle()
        wrong = []
        for value in ODD:
            here.exchange.faults.clear()
            here.exchange.faults.add(Fault(kind=FaultKind.BROKEN_ROW, path=path, name=name, value=value))
            here.exchange.set_mark("BTCUSDT", BREACHED)
            run.watch.reader.tiers_are_due()
            run.watch.reader.venue._choices_read_at = None
            before = sum(here.moved())
            await run.watch.cycle()
            moved = sum(here.moved()) - before
            decision = run.watch.decision
            if not moved and decision.level < Level.UNKNOWN and run.row_or_none() is None:
                wrong.append((value, decision.level.word))
            if sum(here.moved()) > 3_000:
                wrong.append((value, "spent"))
        assert not wrong
