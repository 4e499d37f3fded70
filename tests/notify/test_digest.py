"""What goes alone and what goes together when many messages wait, and how the digest reads."""

import re
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from told_support import FOUR_O_CLOCK, message

from guard.notify.digest import Parcel, next_parcel
from guard.notify.split import units
from guard.notify.telegram import TEXT_UNITS_MAX, _is_quiet, _parts
from guard.policy.message import Delivery, Message
from guard.policy.terms import Level

MINUTE = timedelta(minutes=1)
TELEGRAM = {"units_max": TEXT_UNITS_MAX, "lines_max": 100}


def rows(*messages: Message) -> list[Delivery]:
    """Return them as the outbox does: the worst first, then the oldest."""
    made = [
        Delivery(delivery_id=number, channel="phone", message=told, attempts=0, created_at=told.happened_at)
        for number, told in enumerate(messages, 1)
    ]
    return sorted(made, key=lambda row: (-row.message.level, row.delivery_id))


def alert(number: int, *, level: Level = Level.WARN, coin: str = "BTC", **fields) -> Message:
    title = f"{level.word.upper()} {coin} long {number}.1 % from liquidation (54,101) — main"
    return message(number, **{"level": level, "alert": f"alert_{number}", "title": title, **fields})


def over(number: int, **fields) -> Message:
    title = "OVER: WARN BTC long, now 17.1 % from liquidation (48,700) — main"
    return alert(number, **{"title": title, "event": "resolved", **fields})


def parcel(*messages: Message, now=FOUR_O_CLOCK, alone_left: int = 0, **options) -> Parcel:
    return next_parcel(rows(*messages), now=now, alone_left=alone_left, **{**TELEGRAM, **options})


def lines(made: Parcel) -> list[str]:
    return [line.removeprefix("• ") for line in made.message.text.splitlines() if line.startswith("• ")]


def test_up_to_five_go_one_by_one_and_whole_the_worst_first():
    made = parcel(*(alert(number) for number in range(4)), alert(9, level=Level.DANGER))
    assert (made.message, made.lines, made.told_with) == (alert(9, level=Level.DANGER), 0, None)


def test_a_channel_that_takes_no_digest_gets_each_on_its_own():
    made = parcel(*(alert(number) for number in range(50)), units_max=None)
    assert made.message == alert(0)
    assert len(made.rows) == 1


def test_of_a_storm_the_worst_go_alone_and_of_two_as_bad_the_nearer_first():
    storm = [alert(number) for number in range(10)]
    far = alert(20, level=Level.CRITICAL, facts={"distance": "0.03"})
    near = alert(21, level=Level.CRITICAL, facts={"distance": "0.011"})
    assert parcel(*storm, far, near, alone_left=1).message == near
    unseen = alert(22, level=Level.CRITICAL, facts={"distance": None})
    assert parcel(*storm, far, near, unseen, alone_left=1).message == unseen


def test_the_rest_goes_together_each_line_saying_what_how_far_level_and_account():
    made = parcel(
        alert(1, coin="ETH"),
        alert(2, level=Level.CRITICAL, coin="SOL"),
        over(3),
        message(4, alert="t", kind="action", level=Level.DANGER, title="ADDED 300 USDT to XRP short: 7.9 % → 12.7 %"),
        message(5, alert="k", account="", level=Level.DANGER, title="CHANNEL DEAD: webhook.ops takes no messages"),
        alert(6, level=Level.WATCH, account="alt", title="WATCH DOGE long 24.0 % from liquidation (0.081) — alt"),
    )
    assert made.message.title == "1 CRITICAL, 2 DANGER, 1 WARN, 1 WATCH, 1 over — alt, main"
    assert made.message.text.split("\n") == [
        "• CRITICAL SOL long 2.1 % from liquidation (54,101) — main",
        "",
        "• DANGER, ADDED 300 USDT to XRP short: 7.9 % → 12.7 % — main",
        "• DANGER, CHANNEL DEAD: webhook.ops takes no messages",
        "",
        "• WARN ETH long 1.1 % from liquidation (54,101) — main",
        "",
        "• WATCH DOGE long 24.0 % from liquidation (0.081) — alt",
        "",
        "• OVER: WARN BTC long, now 17.1 % from liquidation (48,700) — main",
        "",
        "To do: look at the exchange, the first line first.",
    ]
    assert made.told_with == "msg_2"
    assert sorted(row.delivery_id for row in made.rows) == [1, 2, 3, 4, 5, 6]


def test_what_waits_of_one_alert_is_one_line_that_says_how_it_stands_now():
    later = {"happened_at": FOUR_O_CLOCK + 5 * MINUTE}
    story = (
        alert(1),
        alert(2, alert="alert_1", level=Level.CRITICAL, event="escalated"),
        over(3, alert="alert_1", **later),
    )
    made = parcel(*story, *(alert(number) for number in range(10, 16)), now=FOUR_O_CLOCK + 6 * MINUTE)
    last = lines(made)[-1]
    assert last == (
        "OVER: WARN BTC long, now 17.1 % from liquidation (48,700) — main "
        "(3 messages since 04:12 UTC, at worst critical)"
    )
    assert made.message.title == "6 WARN, 1 over — main"
    assert len(made.rows) == 9


def test_a_danger_that_is_over_takes_no_place_of_one_that_lasts():
    ended = [
        told
        for number in range(9)
        for told in (alert(number, level=Level.CRITICAL), over(100 + number, alert=f"alert_{number}"))
    ]
    lasting = alert(50, level=Level.DANGER)
    made = parcel(*ended, lasting, alone_left=1)
    assert made.message == lasting
    rest = parcel(*ended, alone_left=1)
    assert rest.message.title == "9 over — main"
    assert rest.message.text.endswith("\nNothing to do.")


def test_what_goes_alone_brings_what_came_before_of_its_alert():
    before, now = alert(1, level=Level.DANGER), alert(2, alert="alert_1", level=Level.CRITICAL, event="escalated")
    made = parcel(before, now, *(alert(number) for number in range(10, 16)), alone_left=1)
    assert made.message.title == now.title
    assert made.message.text == f"{now.text}\nThis stands for 2 messages since 04:12 UTC, at worst critical."
    assert [row.message.id for row in made.rows] == ["msg_2", "msg_1"]
    assert made.message.id not in {"msg_1", "msg_2"}


@pytest.mark.parametrize("event", ["escalated", "resolved"])  # Resolved: as an earlier version left it.
def test_a_position_that_is_gone_is_no_good_news_though_it_ends_a_danger(event):
    gone = alert(1, kind="vanished", event=event, level=Level.DANGER, title="GONE BTC long — main")
    made = parcel(gone, *(alert(number) for number in range(10, 16)))
    assert lines(made)[0] == "DANGER, GONE BTC long — main"


@pytest.mark.parametrize(
    ("messages", "is_quiet"),
    [
        ([alert(number, level=Level.WATCH) for number in range(6)], True),
        ([over(number, level=Level.CRITICAL) for number in range(6)], True),
        ([message(number, alert=f"{number}", kind="heartbeat", level=Level.WARN) for number in range(6)], True),
        ([*(over(number, level=Level.CRITICAL) for number in range(6)), alert(7)], False),
    ],
)
def test_a_digest_wakes_a_sleeper_when_one_of_its_messages_would_have(messages, is_quiet):
    assert _is_quiet(parcel(*messages).message) is is_quiet


def test_a_late_line_says_when_its_event_was():
    made = parcel(*(alert(number) for number in range(6)), now=FOUR_O_CLOCK + 71 * MINUTE)
    assert lines(made)[0] == "04:12 UTC: WARN BTC long 0.1 % from liquidation (54,101) — main"


def test_what_does_not_fit_follows_and_the_digest_says_how_much():
    messages = [alert(number) for number in range(500)]
    made = parcel(*messages)
    assert 40 <= made.lines < 100
    assert made.message.text.endswith(f" {500 - made.lines} more follow.")


def test_a_line_longer_than_fits_is_cut_and_keeps_its_account():
    made = parcel(*(alert(number, title="🔥" * 5000) for number in range(30)))
    assert all(line.endswith("… — main") for line in lines(made))
    assert len(_parts(made.message)) == 1


ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@st.composite
def messages(draw):
    number = count()
    return [
        message(
            next(number),
            alert=draw(st.sampled_from("abcdefghij")),
            level=draw(st.sampled_from([level for level in Level if level > Level.OK])),
            event=draw(st.sampled_from(["fired", "repeated", "escalated", "resolved"])),
            kind=draw(st.sampled_from(["alert", "vanished", "heartbeat", "action"])),
            account=draw(st.sampled_from(["", "main", "alt", "hedge", "old"])),
            title=draw(ANY_TEXT) * draw(st.integers(min_value=1, max_value=30)),
            happened_at=FOUR_O_CLOCK + draw(st.integers(min_value=-2000, max_value=0)) * MINUTE,
            facts={"distance": draw(st.sampled_from([None, "0.05", "NaN", "far", "0"]))},
        )
        for _ in range(draw(st.integers(min_value=1, max_value=60)))
    ]


@settings(max_examples=300, deadline=None)
@given(messages(), st.integers(min_value=0, max_value=5), st.integers(min_value=1, max_value=100))
def test_every_row_is_told_once_in_what_fits_one_request(told, alone, lines_max):
    waiting = rows(*told)
    while waiting:
        made = next_parcel(waiting, now=FOUR_O_CLOCK, units_max=TEXT_UNITS_MAX, lines_max=lines_max, alone_left=alone)
        alone = max(0, alone - 1)
        assert made.rows
        assert {row.delivery_id for row in made.rows} <= {row.delivery_id for row in waiting}
        if made.lines:
            assert units(f"{made.message.title}\n\n{made.message.text}") <= TEXT_UNITS_MAX
            assert re.match(r"\d+ (CRITICAL|DANGER|UNKNOWN|WARN|WATCH|over)", made.message.title)
            assert len({row.message.alert + row.message.account for row in made.rows}) == made.lines == len(lines(made))
        gone = {row.delivery_id for row in made.rows}
        assert len(gone) == len(made.rows)
        waiting = [row for row in waiting if row.delivery_id not in gone]
