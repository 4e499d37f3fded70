"""What is told, in words for somebody half asleep: a title that is enough on a locked phone, and short plain lines.

Each kind of alert has its own title and lines; figures are worded by guard.notify.wording, against ourselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from guard.notify import position_lines, wording
from guard.notify.delivery import ChannelNews
from guard.policy.decision import Alert, AlertEvent, AlertKind, DataState, Decision, PoolVerdict, PositionVerdict
from guard.policy.message import Message
from guard.policy.phrases import short_name
from guard.policy.rows import pool_row, position_row
from guard.policy.terms import Level
from guard.snapshot import Gap

_TITLE_MAX = 120
_LISTED_MAX = 5
_EVENT_WORDS = {
    AlertEvent.FIRED: "{word}",
    AlertEvent.REPEATED: "STILL {word}",
    AlertEvent.ESCALATED: "NOW {word}",
    AlertEvent.RESOLVED: "OVER: {word}",
}
_WHAT_HAPPENED = {
    AlertEvent.FIRED: "",
    AlertEvent.REPEATED: "It lasts.",
    AlertEvent.ESCALATED: "It got worse.",
    AlertEvent.RESOLVED: "It is over.",
}
_KIND_WORDS = {
    AlertKind.ACTION: "TOP-UP",
    AlertKind.REFUSED: "NO TOP-UP",
    AlertKind.UNKNOWN_OUTCOME: "OUTCOME UNKNOWN",
    AlertKind.MODEL_GAP: "MODEL GAP",
    AlertKind.STALE: "STALE",
    AlertKind.BLIND: "BLIND",
    AlertKind.VANISHED: "GONE",
    AlertKind.HEARTBEAT: "ALIVE",
    AlertKind.DRILL: "DRILL",
}


def message_for(alert: Alert, *, decision: Decision, now: datetime, new_id: Callable[[], str]) -> Message:
    """Return the message of an alert, in the light of the decision that made it. Figures in facts are unrounded."""
    return Message(
        id=new_id(),
        alert=alert.alert_id,
        happened_at=alert.happened_at,
        kind=alert.kind.value,
        event=alert.event.value,
        level=alert.level,
        account=alert.account,
        symbol=alert.key.symbol if alert.key is not None else None,
        side=alert.key.side.word if alert.key is not None else None,
        margin_mode=alert.margin_mode.value if alert.margin_mode is not None else None,
        title=_title(_headline(alert), alert.account),
        text="\n".join(line for line in _lines(alert, decision, now) if line),
        facts=_facts(alert, decision, now),
    )


def one_line(title: str, length_max: int = _TITLE_MAX) -> str:
    """Return a title on one line, however foreign text got into it."""
    line = " ".join(title.split())
    return line if len(line) <= length_max else f"{line[: length_max - 1]}…"


def _title(headline: str, account: str) -> str:
    """Return a title whose end is always the account, however long a reason stands before it."""
    tail = f" — {account}"
    return one_line(f"{one_line(headline, max(1, _TITLE_MAX - len(tail)))}{tail}")


def _headline(alert: Alert) -> str:
    if alert.kind is AlertKind.VANISHED:  # Whether or not its danger was told before: gone is no good news.
        return f"GONE: {alert.reason}" if alert.key is None else f"GONE {_subject(alert)}"
    word = alert.level.word.upper() if alert.kind is AlertKind.ALERT else _KIND_WORDS[alert.kind]
    begin = _EVENT_WORDS[alert.event].format(word=word)
    if alert.kind is AlertKind.MODEL_GAP and alert.position is not None:
        return f"{begin} {_subject(alert)}: {_both_prices(alert.position)}"
    where = _where(alert)
    if where is None:
        return f"{begin} {_subject(alert)}: {alert.reason}" if alert.key is not None else f"{begin}: {alert.reason}"
    if alert.event is AlertEvent.RESOLVED:
        return f"{begin} {_subject(alert)}, now {where}"
    return f"{begin} {_subject(alert)}{' ' if where[0].isdigit() else ', '}{where}"


def _where(alert: Alert) -> str | None:
    if alert.position is not None:
        return position_lines.where(alert.position)
    return position_lines.pool_where(alert.pool) if alert.pool is not None else None


def _subject(alert: Alert) -> str:
    if alert.pool is not None:
        return alert.pool.figures.name
    return short_name(alert.key) if alert.key is not None else "account"


def _both_prices(verdict: PositionVerdict) -> str:
    figures = verdict.figures
    mark = figures.position.mark_price
    ours, theirs = figures.crossings.nearest.price, figures.position.exchange_liquidation.price
    said = [
        f"{who} {'no price' if price is None else wording.liquidation_price(price, mark=mark)}"
        for who, price in (("ours", ours), ("exchange", theirs))
    ]
    return ", ".join(said)


def _lines(alert: Alert, decision: Decision, now: datetime) -> Iterator[str]:
    """Yield the text's lines; what a sleepy reader needs first comes first."""
    if alert.kind is AlertKind.ALERT:
        yield _WHAT_HAPPENED[alert.event]
    if alert.position is not None:
        yield from _of_position(alert, alert.position, decision)
    elif alert.pool is not None:
        yield from _of_pool(alert, alert.pool, decision)
    else:
        yield from _of_account(alert, decision)
    yield _who(alert)
    yield f"Why: {alert.reason.rstrip('.')}."
    yield _age_line(decision, now)


def _who(alert: Alert) -> str:
    if alert.pool is None and alert.key is None:
        return f"Account {alert.account}."
    what = alert.pool.figures.name if alert.pool is not None else str(alert.key)
    mode = alert.margin_mode.value if alert.margin_mode is not None and alert.pool is None else ""
    return f"{what}{f', {mode}' if mode else ''}, account {alert.account}."


def _of_position(alert: Alert, verdict: PositionVerdict, decision: Decision) -> Iterator[str]:
    yield from position_lines.how_far(verdict)
    if alert.event is AlertEvent.RESOLVED:
        yield "Nothing to do."
    elif alert.kind is AlertKind.MODEL_GAP:
        yield "guard goes by the nearer of the two."
        yield "To do: nothing at once. `guard check` shows the model against the exchange."
    else:
        yield position_lines.what_guard_does(verdict)
        yield position_lines.what_to_do(verdict)
        yield from position_lines.who_else_needs_it(verdict, decision)
        yield from position_lines.what_it_costs(verdict)


def _of_pool(alert: Alert, verdict: PoolVerdict, decision: Decision) -> Iterator[str]:
    yield "Nothing to do." if alert.event is AlertEvent.RESOLVED else position_lines.pool_to_do(verdict)
    yield from position_lines.how_a_pool_stands(verdict, decision)


def _of_account(alert: Alert, decision: Decision) -> Iterator[str]:
    """Yield the lines of an alert without figures: what to do, what could not be seen, what was seen last."""
    if alert.kind is AlertKind.VANISHED:  # Also where it ends a danger that was told.
        yield "If you did not close it, it was liquidated, reduced by the exchange, or closed by a stop."
        yield "To do: look at the order history at the exchange."
        return
    if alert.event is AlertEvent.RESOLVED:
        yield "Nothing to do."
        return
    if alert.kind is AlertKind.STALE:
        yield "To do: nothing yet. guard says so when it is blind."
    elif alert.kind is AlertKind.BLIND or alert.level is Level.UNKNOWN:
        yield "To do: look at the positions at the exchange; then at network, keys and the exchange's status."
    yield from _gap_lines(decision.gaps)
    if alert.kind in {AlertKind.STALE, AlertKind.BLIND}:
        yield from _last_seen(decision)
        yield "No money is spent on old data, and no alert ends by it."


def _gap_lines(gaps: tuple[Gap, ...]) -> Iterator[str]:
    for gap in gaps[:_LISTED_MAX]:
        yield f"Not seen: {gap.subject} ({gap.reason})."
    if len(gaps) > _LISTED_MAX:
        yield f"Not seen: {len(gaps) - _LISTED_MAX} more."


def _last_seen(decision: Decision) -> Iterator[str]:
    known = [row for row in decision.positions if row.figures.distance is not None]
    nearest = sorted(known, key=lambda row: row.figures.distance or 0)
    for row in nearest[:_LISTED_MAX]:
        yield f"Last seen: {short_name(row.key)} {position_lines.where(row)}."


def _age_line(decision: Decision, now: datetime) -> str:
    if decision.assessment is None:
        return "Data: this account was never read."
    age = decision.assessment.snapshot.age(now)
    state = "" if decision.state is DataState.FRESH else f", {decision.state.value}"
    read_at = wording.clock(now - age)
    return f"Data: {wording.duration(age)} old{state} (read at {read_at})."


def _facts(alert: Alert, decision: Decision, now: datetime) -> dict[str, object]:
    if alert.position is not None:
        return dict(position_row(alert.position))
    if alert.pool is not None:
        return dict(pool_row(alert.pool))
    return account_facts(decision, now)


def account_facts(decision: Decision, now: datetime) -> dict[str, object]:
    """Return what is known of an account as JSON-ready fields of design 4.2."""
    age = None if decision.assessment is None else decision.assessment.snapshot.age(now) / timedelta(seconds=1)
    return {
        "state": decision.state.value,
        "level": decision.level.word,
        "data_age_s": age,
        "gaps": [{"subject": gap.subject, "reason": gap.reason} for gap in decision.gaps],
    }


def heartbeat_message(decisions: Mapping[str, Decision], *, now: datetime, new_id: Callable[[], str]) -> Message:
    """Return the daily proof of life: every account by name, how many positions, and which is nearest."""
    fresh = sum(decision.state is DataState.FRESH for decision in decisions.values())
    positions = sum(len(decision.positions) for decision in decisions.values())
    seen = f"accounts seen: {fresh} of {len(decisions)}, positions: {positions}"
    lines = [f"guard runs; {seen}."]
    for name, decision in sorted(decisions.items()):
        count = len(decision.positions)
        lines.append(f"{name}: {decision.state.value}, level {decision.level.word}, positions: {count}.")
        lines.extend(_last_seen(decision))
    return of_guard(
        AlertKind.HEARTBEAT,
        alert="heartbeat",
        title=f"ALIVE: {seen}",
        lines=lines,
        level=max((decision.level for decision in decisions.values()), default=Level.OK),
        happened_at=now,
        facts={name: account_facts(decision, now) for name, decision in decisions.items()},
        new_id=new_id,
    )


def drill_message(channels: tuple[str, ...], *, now: datetime, new_id: Callable[[], str]) -> Message:
    """Return a rehearsal: it travels the whole way of a critical alert and asks for one thing only."""
    lines = [
        "This is a drill. No position is in danger, no money moved.",
        f"It was sent to: {', '.join(channels)}.",
        "To do: check that it came on each of them, and that it woke you.",
    ]
    return of_guard(
        AlertKind.DRILL,
        alert="drill",
        title="DRILL: this is how a critical alert arrives",
        lines=lines,
        level=Level.CRITICAL,
        happened_at=now,
        facts={"channels": list(channels)},
        new_id=new_id,
    )


def channel_message(news: ChannelNews, *, new_id: Callable[[], str]) -> Message:
    """Return what the other channels are told when one died, or works again."""
    lines = [news.reason]
    if news.undelivered is not None:
        lines.append(f"Not told there: {news.undelivered.title}")
    if news.alive:
        title, to_do = f"Channel {news.channel} works again", "Nothing to do."
    else:
        title = f"CHANNEL DEAD: {news.channel} takes no messages"
        to_do = "To do: repair it. Until then guard speaks on the other channels only."
    return of_guard(
        AlertKind.ALERT,
        alert=f"channel {news.channel}",
        title=title,
        lines=[*lines, to_do],
        level=Level.DANGER,
        happened_at=news.at,
        facts={"channel": news.channel, "reason": news.reason},
        new_id=new_id,
        event=AlertEvent.RESOLVED if news.alive else AlertEvent.FIRED,
    )


def keys_message(account: str, scopes: str, *, now: datetime, new_id: Callable[[], str]) -> Message:
    """Return that an account's key can do more than guard may hold. `scopes` is the venue's sentence about it."""
    lines = [
        scopes,
        "guard goes on watching this account and adds no margin to it.",
        "To do: make a key for reading and futures trading only, without withdrawal and transfer; delete this one.",
    ]
    return of_guard(
        AlertKind.ALERT,
        alert=f"keys {account}",
        title=f"KEY TOO POWERFUL: guard is disarmed — {account}",
        lines=lines,
        level=Level.CRITICAL,
        happened_at=now,
        facts={"scopes": scopes},
        new_id=new_id,
        account=account,
    )


def journal_message(reason: str, *, works: bool, now: datetime, new_id: Callable[[], str]) -> Message:
    """Return that the journal cannot be written, so that nothing is spent; or that it can again."""
    if works:
        title, to_do = "The journal works again: guard may spend", "Nothing to do."
    else:
        title = "JOURNAL FAILED: guard watches on and spends nothing"
        to_do = "To do: look at the disk (full? read-only?). guard tries again every cycle and says when it works."
    return of_guard(
        AlertKind.ALERT,
        alert="journal",
        title=title,
        lines=[reason, to_do],
        level=Level.CRITICAL,
        happened_at=now,
        facts={"reason": reason},
        new_id=new_id,
        event=AlertEvent.RESOLVED if works else AlertEvent.FIRED,
    )


def bug_message(
    account: str, bug: str, positions: Sequence[str], *, over: bool, now: datetime, new_id: Callable[[], str]
) -> Message:
    """Return that a fault of our own keeps positions, or the whole account (none), from being judged, or its end."""
    if over:
        title, lines = f"Watched again: guard judges the account — {account}", [f"The fault ({bug}) is over."]
    elif positions:
        title = f"GUARD FAILED: {', '.join(positions)} not watched — {account}"
        lines = [
            f"A fault of guard's own ({bug}) keeps it from judging {', '.join(positions)}.",
            "No level of it is known and no margin is added. The others stay watched.",
            "To do: look at the exchange yourself; send the log of guard (`judging.failed`) to its makers.",
        ]
    else:
        title = f"GUARD FAILED: this account is not watched — {account}"
        lines = [
            f"A fault of guard's own ({bug}) stops its cycles: no level is known and no margin is added.",
            "To do: look at the exchange yourself; send the log of guard (`job.failed`) to its makers.",
        ]
    return of_guard(
        AlertKind.BLIND,
        alert=f"bug {account}",
        title=title,
        lines=lines,
        level=Level.CRITICAL,
        happened_at=now,
        facts={"reason": bug},
        new_id=new_id,
        event=AlertEvent.RESOLVED if over else AlertEvent.FIRED,
        account=account,
    )


def of_guard(
    kind: AlertKind,
    *,
    alert: str,
    title: str,
    lines: list[str],
    level: Level,
    happened_at: datetime,
    facts: dict[str, object],
    new_id: Callable[[], str],
    event: AlertEvent = AlertEvent.FIRED,
    account: str = "",
) -> Message:
    """Return a message about guard itself; no position, and no account when it concerns all of them."""
    return Message(
        id=new_id(),
        alert=alert,
        happened_at=happened_at,
        kind=kind.value,
        event=event.value,
        level=level,
        account=account,
        symbol=None,
        side=None,
        margin_mode=None,
        title=one_line(title),
        text="\n".join(lines),
        facts=facts,
    )
