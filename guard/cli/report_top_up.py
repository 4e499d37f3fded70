"""The report of one top-up: seen before, why, sent, answered, done, told, withheld."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from guard.cli.report_page import (
    Page,
    ages,
    events_document,
    figure,
    figures,
    held_in,
    time_text,
    told_document,
    withheld_of,
)
from guard.journal import Intent, IntentState, Journal
from guard.journal.records import DATA_AGES, HistoryRow
from guard.journal.reports import LifeRecord, Told
from guard.margin import Leg, MarginPool, crossings, decimal_text, distance_of
from guard.notify import wording

ROUND = timedelta(hours=1)  # So much before and after is shown of what was told.

_TITLES = {
    IntentState.PLANNED: "OUTCOME UNKNOWN: {what} was decided; whether it was sent is not known",
    IntentState.SENT: "OUTCOME UNKNOWN: {what} was sent, no answer is written down",
    IntentState.UNKNOWN: "OUTCOME UNKNOWN: {what} was sent, the answer was lost",
    IntentState.APPLIED: "ADDED: {what}",
    IntentState.REFUSED: "REFUSED by the exchange: {what}; no money moved",
    IntentState.NOT_APPLIED: "NOT ADDED: {what}; the answer was lost, the money did not move",
}


class LookAfter(NamedTuple):
    """The position as a kept look has it."""

    at: datetime
    pool: MarginPool
    leg: Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpReport:
    intent: Intent
    missed: str | None
    look_after: LookAfter | None  # The first that was kept after its end. None: none, or its end is not known.
    life: LifeRecord | None
    told: tuple[Told, ...]
    events: tuple[HistoryRow, ...]

    @property
    def withheld(self) -> list[tuple[datetime, str]]:
        return withheld_of(self.told)


def top_up_report(journal: Journal, intent: Intent) -> TopUpReport:
    since = intent.planned_at - ROUND
    until = (intent.settled_at or intent.sent_at or intent.planned_at) + ROUND
    lives = (life for life in journal.lives_of(intent.key) if life.life_id == intent.life_id)
    return TopUpReport(
        intent=intent,
        missed=journal.missed(intent.intent_id),
        look_after=_look_after(journal, intent),
        life=next(lives, None),
        told=journal.told_about(intent.account, intent.key, since, until),
        events=journal.events_about(intent.account, _subjects(intent), since, until),
    )


def _look_after(journal: Journal, intent: Intent) -> LookAfter | None:
    if intent.state is not IntentState.APPLIED or intent.settled_at is None:
        return None
    look = journal.first_look_with(intent.account, intent.key, intent.settled_at)
    held = None if look is None else held_in(look.accounts, intent.key)
    return None if look is None or held is None else LookAfter(look.at, held[0].pool, held[1].leg)


def _subjects(intent: Intent) -> tuple[str, ...]:
    return (str(intent.key), intent.account, "all accounts")


def top_up_lines(report: TopUpReport) -> list[str]:
    intent = report.intent
    before, page = json.loads(intent.facts_before), Page()
    what = f"{wording.required(intent.amount, intent.currency)} to {intent.key}"
    page.heading(_TITLES[intent.state].format(what=what))
    page.say(f"account {intent.account}, rule {intent.rule}, {intent.planned_at:%Y-%m-%d}, all times UTC")
    page.say(f"intent {intent.intent_id}")
    page.heading("WHAT IT DID")
    _what_it_did(page, report)
    page.heading("WHY")
    page.say(intent.reason)
    page.heading("SEEN JUST BEFORE")
    figures(page, before)
    page.field("age of data", ages(before.get(DATA_AGES)))
    page.heading("SENT AND ANSWERED")
    _steps(page, intent)
    page.heading("WITHHELD ROUND IT")
    for at, reason in report.withheld:
        page.at(at, reason)
    if not report.withheld:
        page.say("nothing was told to be withheld")
    page.heading("TOLD, FROM 1 H BEFORE TO 1 H AFTER")
    page.told(report.told)
    if not report.told:
        page.say("nothing")
    return page.lines


def _what_it_did(page: Page, report: TopUpReport) -> None:
    intent = report.intent
    if intent.facts_after is not None:
        after = json.loads(intent.facts_after)
        was, now = figure(json.loads(intent.facts_before), "distance"), figure(after, "distance")
        if was is not None and now is not None:
            page.field("effect", f"{wording.distance(was)} -> {wording.distance(now)} from liquidation")
        figures(page, after)
    elif intent.state is IntentState.APPLIED:
        page.say("The money moved. What the position looked like right after it was not read.")
        _first_look(page, report)
    elif intent.state.is_open:
        page.say("Not known yet. It counts as spent, and nothing more is sent to this position until it is settled.")
    else:
        page.say("Nothing: the money stayed in the wallet and the budget has it back.")
    page.field("BUT", None if report.missed is None else f"it missed its effect: {report.missed}")
    if report.life is not None and report.life.ended_at is not None:
        ended = f"{report.life.ended_at:%Y-%m-%d %H:%M:%S}: {report.life.end_reason}"
        page.field("later", f'the position ended {ended} (guard history --report "{intent.key}")')


def _first_look(page: Page, report: TopUpReport) -> None:
    if report.look_after is None:
        return
    mark = report.look_after.leg.mark_price
    found = crossings(report.look_after.pool, report.look_after.leg)
    distance = distance_of(found, mark)
    if found.nearest.price is None or distance is None:
        where = f"liquidation {found.nearest.kind.value}"
    else:
        price = wording.liquidation_price(found.nearest.price, mark=mark)
        where = f"{wording.distance(distance)} from liquidation at {price}"
    page.field("first look", f"{where}, mark {wording.price(mark)}, {wording.clock(report.look_after.at)}")


def _steps(page: Page, intent: Intent) -> None:
    page.at(intent.planned_at, "on disk, before anything left")
    if intent.sent_at is not None:
        page.at(intent.sent_at, f"request started: {intent.amount:f} {intent.currency}, once")
    else:
        page.say("no request is written down: it may have left in the instant before a crash")
    if intent.settled_at is not None:
        page.at(intent.settled_at, f"{intent.state.value.replace('_', ' ')}")
    page.field("answer", intent.evidence or "none yet")
    page.field("entry", intent.entry_id)


def top_up_document(report: TopUpReport) -> dict[str, object]:
    intent = report.intent
    before = json.loads(intent.facts_before)
    data_ages = before.pop(DATA_AGES, None)
    return {
        "report": "top_up",
        "intent": intent.intent_id,
        "account": intent.account,
        "symbol": intent.key.symbol,
        "side": intent.key.side.word,
        "rule": intent.rule,
        "state": intent.state.value,
        "amount": f"{intent.amount:f}",
        "currency": intent.currency,
        "reason": intent.reason,
        "planned_at": time_text(intent.planned_at),
        "sent_at": time_text(intent.sent_at),
        "settled_at": time_text(intent.settled_at),
        "evidence": intent.evidence,
        "entry_id": intent.entry_id,
        "before": before,
        "data_ages_s": data_ages,
        "after": None if intent.facts_after is None else json.loads(intent.facts_after),
        "look_after": _look_document(report),
        "missed": report.missed,
        "withheld": [{"at": time_text(at), "reason": reason} for at, reason in report.withheld],
        "told": told_document(report.told),
        "events": events_document(report.events),
        "ended_at": None if report.life is None else time_text(report.life.ended_at),
    }


def _look_document(report: TopUpReport) -> dict[str, object] | None:
    if report.look_after is None:
        return None
    found = crossings(report.look_after.pool, report.look_after.leg)
    return {
        "at": time_text(report.look_after.at),
        "mark_price": decimal_text(report.look_after.leg.mark_price),
        "liquidation": found.nearest.kind.value,
        "liquidation_price": decimal_text(found.nearest.price),
        "distance": decimal_text(distance_of(found, report.look_after.leg.mark_price)),
    }
