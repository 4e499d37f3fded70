"""What guard tells of itself: that it lives, its channels, its keys, its journal, its own bugs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from guard.notify import wording
from guard.notify.delivery import ChannelNews
from guard.notify.texts import account_facts, last_seen, one_line
from guard.policy.decision import AlertEvent, AlertKind, DataState, Decision
from guard.policy.message import Message
from guard.policy.terms import Level


def heartbeat_message(decisions: Mapping[str, Decision], *, now: datetime, new_id: Callable[[], str]) -> Message:
    """Return the daily proof of life: every account by name, how many positions, and which is nearest."""
    fresh = sum(decision.state is DataState.FRESH for decision in decisions.values())
    positions = sum(len(decision.positions) for decision in decisions.values())
    seen = f"accounts seen: {fresh} of {len(decisions)}, positions: {positions}"
    lines = [f"guard runs; {seen}."]
    for name, decision in sorted(decisions.items()):
        count = len(decision.positions)
        lines.append(f"{name}: {decision.state.value}, level {decision.level.word}, positions: {count}.")
        lines.extend(last_seen(decision))
    return _of_guard(
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
    return _of_guard(
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
    return _of_guard(
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
    return _of_guard(
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


def key_expiry_message(account: str, expires_at: datetime, *, now: datetime, new_id: Callable[[], str]) -> Message:
    """Return that an account's key runs out soon, or has."""
    left = expires_at - now
    when = f"in {wording.duration(left)}" if left > timedelta(0) else "now"
    lines = [
        f"The exchange says that the key of this account ends at {expires_at:%Y-%m-%d %H:%M} UTC.",
        "From then on guard sees nothing of this account and adds no margin.",
        "To do: make a new key for reading and futures trading only, or let this one live longer; restart guard.",
    ]
    return _of_guard(
        AlertKind.ALERT,
        alert=f"key expiry {account}",
        title=f"KEY ENDS {when} — {account}",
        lines=lines,
        level=Level.WARN if left > timedelta(days=1) else Level.CRITICAL,
        happened_at=now,
        facts={"expires_at": expires_at.isoformat()},
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
    return _of_guard(
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
    return _of_guard(
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


def _of_guard(
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
