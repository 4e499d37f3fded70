"""Whatever happens to the answer of the one request that moves money: it is sent once, and its end is found out.

One table: a fault that hits the first POST, how that intent ends, and what is told of it. Where nothing was applied
and nothing refused, the position still needs the money: a second intent may follow, but only after the first has ended.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
from daemon_kit import BREACHED, NEEDED, World, cycles, daemon, until, watching, world

from guard.demo.exchange import Fault, FaultKind

FENCE = timedelta(seconds=2)  # Of loopback hosts: half a second for its turn, a second of recvWindow, some slack.
LOST = [("unknown_outcome", "fired"), ("unknown_outcome", "resolved")]
SENT_AGAIN = [*LOST, ("action", "fired")]
REFUSED = [("refused", "fired")]


@dataclass(frozen=True, kw_only=True)
class Case:
    fault: Fault
    ends: list[str]  # The states of all intents, oldest first.
    told: list[tuple[str, str]]


def _on_write(kind: FaultKind, **fields) -> Fault:
    return Fault(kind=kind, path="/positionMargin", method="POST", times=1, **fields)


def _body(body: str, status: int = 200) -> Fault:
    return _on_write(FaultKind.ANSWER, body=body, status=status, content_type="text/html")


APPLIED_UNSEEN = {
    "lost after": _on_write(FaultKind.LOSE_AFTER),
    "late": _on_write(FaultKind.APPLY_LATE, seconds=0.4),
    "truncated": _on_write(FaultKind.TRUNCATED),
}
NEVER_APPLIED = {
    "lost before": _on_write(FaultKind.LOSE_BEFORE),
    "hangs and is never done": _on_write(FaultKind.HANG, seconds=1.6),
    "HTML with 200": _body("<html>welcome</html>"),
    "an empty body with 200": _body(""),
    "null with 200": _body("null"),
    "{} with 200": _body("{}"),
    "[] with 200": _body("[]"),
    "503": _body("<html>unavailable</html>", 503),
    "524": _body("<html>a timeout occurred</html>", 524),
    "an error of no listed code": _on_write(FaultKind.REJECT, code=-1000, message="An unknown error occured."),
    "a listed code with 5xx": _on_write(FaultKind.REJECT, code=-4051, message="insufficient", status=502),
}
CLEAR_NOES = {
    "-4051": _on_write(FaultKind.REJECT, code=-4051, message="Isolated balance insufficient."),
    "429": _on_write(
        FaultKind.ANSWER, status=429, body='{"code": -1003, "msg": "Too many requests."}', retry_after_s=1
    ),
}
CASES = {
    **{name: Case(fault=fault, ends=["applied"], told=LOST) for name, fault in APPLIED_UNSEEN.items()},
    **{
        name: Case(fault=fault, ends=["not_applied", "applied"], told=SENT_AGAIN)
        for name, fault in NEVER_APPLIED.items()
    },
    **{name: Case(fault=fault, ends=["refused"], told=REFUSED) for name, fault in CLEAR_NOES.items()},
}


@pytest.fixture(scope="module")
def after_each_fault(tmp_path_factory):
    """Play every case at once, each with an exchange, a journal and a daemon of its own."""
    folder = tmp_path_factory.mktemp("lost_answers")

    async def play_all() -> dict[str, World]:
        names = list(CASES)
        played = await asyncio.gather(*(_play(folder / str(number), CASES[name]) for number, name in enumerate(names)))
        return dict(zip(names, played, strict=True))

    return asyncio.run(play_all())


async def _play(folder, case: Case) -> World:
    async with world(folder) as here, daemon(here) as guarded:
        await watching(guarded)
        here.exchange.faults.add(case.fault)
        here.exchange.set_mark("BTCUSDT", BREACHED)
        with suppress(AssertionError):  # What came instead is for each test to say.
            await until("everything is told", lambda: _acts_told(here) == case.told, of=guarded)
        await cycles(guarded, 1)
        return here


def _acts_told(here: World) -> list[tuple[str, str]]:
    return [one for one in here.kinds() if one[0] in {"action", "refused", "unknown_outcome"}]


every_fault = pytest.mark.parametrize("name", CASES)


@every_fault
def test_each_intent_is_one_request_and_ends_as_the_exchange_knows_it(after_each_fault, name):
    here = after_each_fault[name]
    assert here.states() == CASES[name].ends
    assert here.posts() == len(CASES[name].ends)


@every_fault
def test_the_exchange_moved_exactly_what_the_journal_calls_applied(after_each_fault, name):
    here = after_each_fault[name]
    assert here.books_agree()
    assert here.moved() == ([] if name in CLEAR_NOES else [NEEDED])


@every_fault
def test_people_are_told_in_this_order_and_about_the_right_intent(after_each_fault, name):
    here = after_each_fault[name]
    assert _acts_told(here) == CASES[name].told
    first = here.intents()[0].intent_id
    assert {one["alert"] for one in here.told("unknown_outcome")} in (set(), {first})


@pytest.mark.parametrize("name", NEVER_APPLIED)
def test_not_applied_is_never_said_before_the_fence_and_the_position_is_locked_until_then(after_each_fault, name):
    lost, again = after_each_fault[name].intents()
    assert lost.settled_at - lost.sent_at >= FENCE
    assert again.planned_at >= lost.settled_at


@pytest.mark.parametrize("name", APPLIED_UNSEEN)
def test_a_lost_answer_that_was_applied_is_proven_by_the_history_and_said_so(after_each_fault, name):
    here = after_each_fault[name]
    (intent,) = here.intents()
    assert "USER_ADJUST" in intent.evidence
    (over,) = here.told("unknown_outcome", "resolved")
    assert over["title"].startswith(f"SETTLED: {NEEDED:,} USDT was added")


@pytest.mark.parametrize("name", CLEAR_NOES)
def test_a_clear_no_gives_the_budget_back_and_is_told_in_the_exchanges_words(after_each_fault, name):
    (told,) = after_each_fault[name].told("refused")
    assert "No money moved" in told["text"]
    assert {"-4051": "-4051", "429": "-1003"}[name] in told["text"]
