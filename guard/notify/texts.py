"""What is told, in words for somebody half asleep: a title that is enough on a locked phone, and short plain lines.

Each kind of alert has its own title and lines; figures are worded by guard.notify.wording, against ourselves.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from guard.notify import position_lines, wording
from guard.policy.decision import Alert, AlertEvent, AlertKind, DataState, Decision, PoolVerdict, PositionVerdict
from guard.policy.message import Message
from guard.policy.phrases import short_name
from guard.policy.rows import pool_row, position_row
from guard.policy.terms import Level
from guard.snapshot import Gap, PositionKey

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
        title=titled(_headline(alert, decision), alert.account),
        text="\n".join(line for line in _lines(alert, decision, now) if line),
        facts=_facts(alert, decision, now),
    )


def one_line(title: str, length_max: int = _TITLE_MAX) -> str:
    """Return a title on one line, however foreign text got into it."""
    line = " ".join(title.split())
    return line if len(line) <= length_max else f"{line[: length_max - 1]}…"


def titled(headline: str, account: str) -> str:
    """Return a title whose end is always the account, however long a reason stands before it."""
    tail = f" — {account}"
    return one_line(f"{one_line(headline, max(1, _TITLE_MAX - len(tail)))}{tail}")


def stands_alone(other: PositionKey) -> str:
    """Return what a title says of the other leg of a position that is gone."""
    return f", {short_name(other)} stands alone"


def it_hedged(other: PositionKey) -> str:
    return f"It hedged {other}, which is open and unhedged now."


def leg_left(alert: Alert, decision: Decision) -> PositionKey | None:
    """Return the other leg of a hedge whose one leg is gone. None: there is none, or the account keeps none."""
    if alert.kind is not AlertKind.VANISHED or alert.key is None:
        return None
    other = alert.key.opposite
    return next((row.key for row in decision.positions if row.key == other and row.figures.position.hedged), None)


def _headline(alert: Alert, decision: Decision) -> str:
    left = leg_left(alert, decision)
    alone = "" if left is None else stands_alone(left)
    if alert.kind is AlertKind.VANISHED:  # Whether or not its danger was told before: gone is no good news.
        return f"GONE: {alert.reason}" if alert.key is None else f"GONE {_subject(alert)}{alone}"
    word = alert.level.word.upper() if alert.kind is AlertKind.ALERT else _KIND_WORDS[alert.kind]
    begin = _EVENT_WORDS[alert.event].format(word=alert.headline or word)
    if alert.headline is not None:
        return f"{begin} {_subject(alert)}: {alert.reason}"
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
    elif alert.headline is not None:
        yield "guard touches no order."
        yield f"To do: move the stop to the mark's side of {position_lines.liquidation_price_text(verdict)}."
        yield position_lines.what_guard_does(verdict)
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
    if alert.kind is AlertKind.VANISHED:
        left = leg_left(alert, decision)
        yield "" if left is None else f"{left} is open, and unhedged now."
        yield "If you did not close it, it was liquidated, reduced by the exchange, or closed by a stop."
        yield "To do: look at the order history at the exchange."
        return
    if alert.event is AlertEvent.RESOLVED:  # Of a position without figures: it is gone, and nobody calls that good.
        is_gone = alert.key is not None
        yield "This message only ends: that the position is gone has one of its own." if is_gone else "Nothing to do."
        return
    if alert.kind is AlertKind.STALE:
        yield "To do: nothing yet. guard says so when it is blind."
    elif alert.kind is AlertKind.BLIND or alert.level is Level.UNKNOWN:
        yield "To do: look at the positions at the exchange; then at network, keys and the exchange's status."
    yield from _gap_lines(decision.gaps)
    if alert.kind in {AlertKind.STALE, AlertKind.BLIND}:
        yield from last_seen(decision)
        yield "No money is spent on old data, and no alert ends by it."


def _gap_lines(gaps: tuple[Gap, ...]) -> Iterator[str]:
    for gap in gaps[:_LISTED_MAX]:
        yield f"Not seen: {gap.subject} ({gap.reason})."
    if len(gaps) > _LISTED_MAX:
        yield f"Not seen: {len(gaps) - _LISTED_MAX} more."


def last_seen(decision: Decision) -> Iterator[str]:
    """Yield the positions as they were seen last, nearest to liquidation first."""
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
