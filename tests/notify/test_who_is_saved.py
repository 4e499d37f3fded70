"""What a person reads where the money does not save everybody: who is saved, and what each of them costs and keeps."""

from dataclasses import replace
from decimal import Decimal

from told_support import BTC, FOUR_O_CLOCK, alert, decision, position_verdict

from guard.notify.texts import message_for
from guard.policy.decision import AlertKind, Contender, Withheld, WithheldReason
from guard.policy.terms import Mode
from guard.snapshot import PositionKey, Side

ETH = Contender(
    key=PositionKey("ETH/USDT:USDT", Side.LONG),
    currency="USDT",
    mode=Mode.ACT,
    priority=1,
    is_saved=True,
    amount=Decimal("412.5"),
    clear=Decimal("0.1"),
    money_to_clear=Decimal("388.1"),
    money_to_target=Decimal(900),
    loss_avoided=Decimal("702.199"),
)
OURS = replace(
    ETH,
    key=BTC,
    priority=0,
    is_saved=False,
    amount=None,
    money_to_clear=Decimal("1211.531"),
    loss_avoided=Decimal("2400.329"),
)
WHY = "not saved: the money goes to ETH long (412.5 USDT, priority 1); this needs 1,111.54 USDT more to reach 10 % (…)"


def told(*contenders, **changes):
    withheld = Withheld(reason=WithheldReason.OTHERS_FIRST, text=WHY)
    row = position_verdict(withheld=withheld)
    made = alert(kind=AlertKind.REFUSED, reason=WHY, position=row, **changes)
    of = decision(row, contenders=contenders)
    return message_for(made, decision=of, now=FOUR_O_CLOCK, new_id=lambda: "msg_7").text.splitlines()


def test_who_is_left_out_reads_who_is_saved_instead_and_the_price_of_each():
    lines = told(ETH, OURS)
    assert f"guard adds no money: {WHY}" in lines
    begin = lines.index("Too little money for all of these:")
    assert lines[begin + 1 : begin + 3] == [
        "- ETH long: 388.10 USDT keeps 702.19 USDT: saved.",
        "- BTC long: 1,211.54 USDT keeps 2,400.32 USDT: not saved.",
    ]
    assert lines[begin - 1] == "To do: add margin at the exchange, make the position smaller, or close it."


def test_where_it_is_only_said_or_no_money_would_do_the_line_says_so():
    said = replace(ETH, mode=Mode.SHADOW)
    hopeless = replace(OURS, money_to_clear=None)
    assert "- ETH long: 388.10 USDT keeps 702.19 USDT: saved, only said." in told(said, hopeless)
    assert "- BTC long: no money keeps its 2,400.32 USDT: not saved." in told(said, hopeless)


def test_an_alert_on_a_phone_names_six_of_many():
    others = [replace(ETH, key=PositionKey(f"C{number}/USDT:USDT", Side.LONG)) for number in range(8)]
    lines = [line for line in told(*others, OURS) if line.startswith("- ")]
    assert len(lines) == 7
    assert lines[-1] == "- 3 more."


def test_one_that_needs_nobody_elses_money_says_nothing_of_them():
    assert "Too little money for all of these:" not in told(ETH)
    assert "Too little money for all of these:" not in told()
