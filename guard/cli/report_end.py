"""The report of one position's end: the time line before it, and which written limit would have saved it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from guard.cli.report_page import Page, events_document, figure, figures, held_in, time_text, told_document, withheld_of
from guard.config.settings import AccountSettings
from guard.journal import Intent, IntentState, Journal
from guard.journal.records import LAST_SEEN, HistoryRow
from guard.journal.reports import LifeRecord, Told
from guard.margin import decimal_text, margin_to_outlast
from guard.notify import wording
from guard.policy.hindsight import HeldAgainst, Loss, PaidFrom, held_against
from guard.policy.rules import matching_rule
from guard.snapshot import DOLLAR_STABLECOINS

BEFORE, AFTER = timedelta(hours=24), timedelta(hours=1)
SHOWN_MAX = 40


class Seen(NamedTuple):
    """A mark that stands in the journal, and when."""

    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """What would have kept it alive at the worst mark seen. Money in `currency`."""

    worst: Seen
    needed: Decimal  # Zero: no mark beyond its liquidation price was seen.
    currency: str
    limits: tuple[HeldAgainst, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndReport:
    life: LifeRecord
    newer: LifeRecord | None  # A later life of the same key that is open.
    last_seen: dict[str, Any] | None  # What the daemon wrote down at the end. None: it could not.
    intents: tuple[Intent, ...]
    told: tuple[Told, ...]
    events: tuple[HistoryRow, ...]
    hindsight: Hindsight | None
    not_known: str | None  # Why there is no hindsight.

    @property
    def withheld(self) -> list[tuple[datetime, str]]:
        return withheld_of(self.told)


def end_report(
    journal: Journal, life: LifeRecord, newer: LifeRecord | None, account: AccountSettings | None, now: datetime
) -> EndReport:
    """Return the report of a life; `account` as the config has it now. None: it is not in it any more."""
    end = life.ended_at or now
    since, until = max(life.first_seen_at, end - BEFORE), end + AFTER
    subjects = (str(life.key), life.account, "all accounts")
    events = journal.events_about(life.account, subjects, since, until)
    written = [row.data for row in events if row.kind == LAST_SEEN and row.data is not None]
    last_seen = json.loads(written[-1]) if written and life.ended_at is not None else None
    told = journal.told_about(life.account, life.key, since, until)
    hindsight: Hindsight | None = None
    not_known: str | None = "it is still open"
    if life.ended_at is not None:
        hindsight, not_known = _look_back(journal, life, last_seen, told, account)
    return EndReport(
        life=life,
        newer=newer,
        last_seen=last_seen,
        intents=journal.intents_of(life),
        told=told,
        events=events,
        hindsight=hindsight,
        not_known=not_known,
    )


def _look_back(
    journal: Journal,
    life: LifeRecord,
    last_seen: dict[str, Any] | None,
    told: Sequence[Told],
    account: AccountSettings | None,
) -> tuple[Hindsight | None, str | None]:
    assert life.ended_at is not None
    look = journal.last_look_with(life.account, life.key, life.ended_at)
    seen_at = datetime.fromisoformat(last_seen["seen_at"]) if last_seen else look.at if look else None
    text = json.dumps(last_seen["accounts"]) if last_seen else look.accounts if look else None
    held = None if text is None else held_in(text, life.key)
    if held is None or seen_at is None:
        return None, "no look is kept in which it could be modelled (looks are kept for 8 days)"
    if account is None:
        return None, f"account {life.account} is not in the config any more: its limits are not known"
    pool, holding = held
    marks = [Seen(holding.leg.mark_price, seen_at), *_marks(last_seen, told, life, seen_at)]
    worst = min(marks, key=lambda seen: seen.price * life.key.side)
    needed = margin_to_outlast(pool.pool, holding.leg, worst.price)
    contract = holding.position.contract
    rule = matching_rule(account.terms, life.key, holding.position.margin_mode)
    prices = dict.fromkeys(DOLLAR_STABLECOINS, Decimal(1)) | {contract.base: worst.price}
    wallet = (last_seen or {}).get("wallet")
    loss = Loss(
        account=life.account,
        settle=contract.settle,
        prices=prices,
        initial_margin=life.initial_margin,
        spent_on_it=journal.spent_on(life, life.ended_at),
        spent_that_day=journal.spent_in_the_day_before(life.ended_at),
        wallet=None
        if wallet is None
        else PaidFrom(available=Decimal(wallet["available"]), equity=Decimal(wallet["equity"])),
    )
    limits: tuple[HeldAgainst, ...]
    if not pool.is_isolated:
        text = "guard adds margin to isolated positions only"
        limits = (HeldAgainst(limit="a cross pool", left=Decimal(0), is_enough=needed <= 0, text=text),)
    else:
        limits = held_against(needed, rule, account.terms, loss)
    return Hindsight(worst=worst, needed=needed, currency=contract.settle, limits=limits), None


def _marks(last_seen: dict[str, Any] | None, told: Sequence[Told], life: LifeRecord, since: datetime) -> Iterator[Seen]:
    """Yield the marks that were written down after the last look and up to the end."""
    if last_seen is not None:
        worst = last_seen["worst_mark"]
        yield Seen(Decimal(worst["price"]), datetime.fromisoformat(worst["at"]))
    for one in told:
        mark = figure(one.message.facts, "mark_price")
        about_it = one.message.symbol == life.key.symbol
        if about_it and mark is not None and life.ended_at and since <= one.message.happened_at <= life.ended_at:
            yield Seen(mark, one.message.happened_at)


def end_lines(report: EndReport) -> list[str]:
    life, page = report.life, Page()
    if life.ended_at is None:
        page.heading(f"OPEN: {life.key}, account {life.account}")
    else:
        page.heading(f"GONE: {life.key}, account {life.account}, at {life.ended_at:%Y-%m-%d %H:%M:%S} UTC")
        page.say(f"how guard knows: {life.end_reason}")
    page.say(f"first seen {life.first_seen_at:%Y-%m-%d %H:%M:%S} UTC")
    if report.newer is not None:
        page.say(f"opened again, first seen {report.newer.first_seen_at:%Y-%m-%d %H:%M:%S} UTC: not what this is about")
    page.heading("WHAT WOULD HAVE SAVED IT")
    _saved_by(page, report)
    page.heading("SEEN LAST")
    if report.last_seen is None:
        page.say("it is open" if life.ended_at is None else "not written down: guard was not running when it ended")
    else:
        page.say(f"at {report.last_seen['seen_at'][11:19]} UTC, when the exchange listed it for the last time")
        figures(page, report.last_seen["position"])
    page.heading("TOP-UPS")
    for intent in report.intents:
        state = intent.state.value.replace("_", " ")
        page.at(intent.planned_at, f"{wording.required(intent.amount, intent.currency)} {state} ({intent.intent_id})")
    if not report.intents:
        page.say("none")
    page.heading("WITHHELD")
    for at, reason in report.withheld:
        page.at(at, reason)
    if not report.withheld:
        page.say("nothing was told to be withheld")
    page.heading("TIME LINE, LAST 24 H OF IT (UTC)")
    _time_line(page, report)
    return page.lines


def _saved_by(page: Page, report: EndReport) -> None:
    back, life = report.hindsight, report.life
    if back is None:
        page.say(f"Not known: {report.not_known}.")
        return
    where = f"{wording.price(back.worst.price)} at {wording.clock(back.worst.at)}"
    furthest = "lowest" if life.key.side > 0 else "highest"
    if back.needed <= 0:
        page.say(f"Not known: the {furthest} mark that guard saw was {where}, and there it was still alive.")
        page.say("It ended between two looks: liquidated by a quicker move, reduced, closed by a stop or by hand.")
        page.say("To do: look at the order history at the exchange.")
        return
    needed = wording.required(back.needed, back.currency)
    page.say(f"{needed} more of margin would have kept it alive at {where}, the {furthest} mark that guard saw.")
    page.say("Where the mark went after that, guard did not look: then more would have been needed.")
    page.say(verdict_of(report))
    for one in back.limits:
        verdict = {True: "enough", False: "TOO SMALL", None: "not known"}[one.is_enough]
        page.item(f"{one.limit}: {verdict}. {one.text}")


def verdict_of(report: EndReport) -> str:
    """Return in one sentence which written limit stood in the way; empty where that is not known."""
    back = report.hindsight
    if back is None or back.needed <= 0:
        return ""
    small = [one.limit for one in back.limits if one.is_enough is False]
    if small:
        return f"In the way: {', '.join(small)}."
    if any(reason.startswith("your budget cannot save this") for _, reason in report.withheld):
        return 'In the way: when_short = "stop"; no limit was too small to outlast it, but for the clear level.'
    if report.withheld:
        return f"No limit was too small. In the way: {report.withheld[-1][1]}."
    return "No limit was too small: it fell faster than guard looked, or its trigger was too near."


def _time_line(page: Page, report: EndReport) -> None:
    told = {one.message.id: one for one in report.told}
    entries: list[tuple[datetime, str, Told | None]] = [(one.created_at, "", one) for one in told.values()]
    entries += [(row.at, f"{row.kind}: {row.text}", None) for row in report.events if not row.kind.startswith("alert.")]
    for intent in report.intents:
        amount = f"{intent.amount:f} {intent.currency}"
        entries.append((intent.planned_at, f"top-up decided, {amount}: {intent.reason}", None))
        if intent.settled_at is not None or intent.state is IntentState.UNKNOWN:
            ended = intent.settled_at or intent.sent_at or intent.planned_at
            entries.append((ended, f"top-up {intent.state.value}, {amount}: {intent.evidence}", None))
    entries.sort(key=lambda entry: entry[0])
    if len(entries) > SHOWN_MAX:
        page.say(f"... {len(entries) - SHOWN_MAX} earlier entries: --json has them all")
    for at, text, one in entries[-SHOWN_MAX:]:
        if one is None:
            page.at(at, text)
        else:
            page.told([one])
    if not entries:
        page.say("nothing is written down")


def end_document(report: EndReport) -> dict[str, object]:
    life, back = report.life, report.hindsight
    return {
        "report": "position",
        "account": life.account,
        "symbol": life.key.symbol,
        "side": life.key.side.word,
        "first_seen_at": time_text(life.first_seen_at),
        "ended_at": time_text(life.ended_at),
        "end_reason": life.end_reason,
        "last_seen": report.last_seen,
        "top_ups": [
            {
                "intent": intent.intent_id,
                "planned_at": time_text(intent.planned_at),
                "amount": f"{intent.amount:f}",
                "currency": intent.currency,
                "state": intent.state.value,
                "evidence": intent.evidence,
            }
            for intent in report.intents
        ],
        "withheld": [{"at": time_text(at), "reason": reason} for at, reason in report.withheld],
        "told": told_document(report.told),
        "events": events_document(report.events),
        "not_known": report.not_known,
        "saved_by": None
        if back is None
        else {
            "worst_mark": decimal_text(back.worst.price),
            "worst_mark_at": time_text(back.worst.at),
            "needed": decimal_text(back.needed),
            "currency": back.currency,
            "limits": [
                {"limit": one.limit, "left": decimal_text(one.left), "is_enough": one.is_enough, "text": one.text}
                for one in back.limits
            ],
            "verdict": verdict_of(report) or None,
        },
    }
