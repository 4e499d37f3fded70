"""A storm of messages: the worst go alone, the others as lines of one message, lest they bury the one that matters.

Telegram takes about 20 messages a minute into a group and one a second into a chat, and answers 429 beyond it.
Source: core.telegram.org/bots/faq, "My bot is hitting limits" (seen 2026-11).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from guard.notify.split import head, units
from guard.policy.decision import AlertEvent, AlertKind
from guard.policy.message import Delivery, Message
from guard.policy.terms import Level

STORM_ABOVE = 5  # So many waiting messages are still told one by one, each with its whole text.
ALONE_FROM = Level.DANGER  # What may go alone in a storm.
DELAYED_AFTER = timedelta(minutes=2)  # Later than this a message says when its event was.
_TITLE_UNITS_MAX = 120
_LINE_UNITS_MAX = 400
_FOOT_UNITS_MAX = 90
_ACCOUNTS_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What one request tells, and the waiting rows that its confirmation ends, the worst first."""

    message: Message
    rows: tuple[Delivery, ...]
    lines: int = 0  # Of a digest. 0: a message on its own.
    in_storm: bool = False

    @property
    def told_with(self) -> str | None:
        """Return the id of the message that stands first, for all of its rows. None: one message, on its own."""
        return self.rows[0].message.id if len(self.rows) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """What waits of one alert: told as its newest message, with what came before in a few words."""

    rows: tuple[Delivery, ...]  # The oldest first.

    @property
    def newest(self) -> Message:
        return self.rows[-1].message

    @property
    def is_over(self) -> bool:  # A position that is gone ends its danger, and is no good news.
        return self.newest.event == AlertEvent.RESOLVED and self.newest.kind != AlertKind.VANISHED

    @property
    def level(self) -> Level:
        return max(row.message.level for row in self.rows)

    @property
    def urgency(self) -> tuple[bool, int, Decimal, int]:
        """Return its place: what lasts first, the worst first, the nearest to liquidation first, the oldest first."""
        return self.is_over, -self.level, _distance(self.newest), self.rows[0].delivery_id

    @property
    def may_go_alone(self) -> bool:
        is_news = self.newest.event != AlertEvent.RESOLVED and self.newest.kind != AlertKind.HEARTBEAT
        return is_news and self.level >= ALONE_FROM


def next_parcel(
    due: Sequence[Delivery], *, now: datetime, units_max: int | None, lines_max: int, alone_left: int
) -> Parcel:
    """Return what the next request tells of the due rows (worst first, at least one).

    `units_max`: what one request takes in UTF-16 units; None: every message goes on its own. `alone_left`: how many of
    a storm's worst may still go alone.
    """
    if units_max is None or len(due) <= STORM_ABOVE:
        return Parcel(message=marked_if_delayed(due[0].message, now=now), rows=(due[0],))
    stories = sorted(_stories(due), key=lambda story: story.urgency)
    if len(stories) == 1 or (stories[0].may_go_alone and alone_left > 0) or lines_max == 1:
        return _alone(stories[0], now)
    return _digest(stories, now=now, units_max=units_max, lines_max=lines_max)


def marked_if_delayed(message: Message, *, now: datetime) -> Message:
    """Return the message, saying in title and text when its event was if that is more than two minutes ago.

    The mark does not grow with time, so a retry reads like the attempt before.
    """
    if now - message.happened_at <= DELAYED_AFTER:
        return message
    return replace(
        message,
        title=f"Delayed, {_clock(message.happened_at, now)}: {message.title}",
        text=(
            f"Delayed: this happened at {message.happened_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC. "
            f"Look before you act.\n{message.text}"
        ),
    )


def _stories(rows: Iterable[Delivery]) -> Iterator[_Story]:
    of_alert: defaultdict[tuple[str, str], list[Delivery]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.delivery_id):
        of_alert[row.message.account, row.message.alert].append(row)
    return (_Story(rows=tuple(story)) for story in of_alert.values())


def _alone(story: _Story, now: datetime) -> Parcel:
    message = marked_if_delayed(story.newest, now=now)
    if len(story.rows) > 1:
        # Another id than its newest message's: a channel may hold parts of that one, told without what came before.
        message = replace(
            message,
            id=f"{message.id} and {len(story.rows) - 1} before",
            text=f"{message.text}\nThis stands for {_count(story, now)}.",
        )
    return Parcel(message=message, rows=story.rows[::-1], in_storm=True)


def _digest(stories: Sequence[_Story], *, now: datetime, units_max: int, lines_max: int) -> Parcel:
    left = units_max - _TITLE_UNITS_MAX - _FOOT_UNITS_MAX - 2
    told: list[_Story] = []
    text = ""
    for story in stories[:lines_max]:
        blank = "\n" if told and _group(told[-1]) != _group(story) else ""
        line = f"{blank}• {_line(story, now)}\n"
        if told and units(text) + units(line) > left:
            break
        told.append(story)
        text += line
    return Parcel(
        message=_digest_message(told, f"{text}\n{_foot(told, len(stories) - len(told))}"),
        rows=tuple(row for story in told for row in story.rows[::-1]),
        lines=len(told),
        in_storm=True,
    )


def _digest_message(told: Sequence[_Story], text: str) -> Message:
    """Return the message that tells stories; it wakes a sleeper when one of its own messages would have."""
    lasting = [story for story in told if not story.is_over]
    worst = told[0].newest
    return Message(
        id=f"digest {worst.id}",  # Another id than its first message's: see _alone.
        alert=f"digest {worst.id}",
        happened_at=min(story.newest.happened_at for story in told),
        kind=AlertKind.ALERT.value,
        event=(AlertEvent.FIRED if lasting else AlertEvent.RESOLVED).value,
        level=max((story.level for story in lasting if story.newest.kind != AlertKind.HEARTBEAT), default=Level.OK),
        account="",
        symbol=None,
        side=None,
        margin_mode=None,
        title=_title(told),
        text=text,
        facts={},
    )


def _title(told: Sequence[_Story]) -> str:
    counted = Counter(_group(story) for story in told)
    accounts = sorted({story.newest.account for story in told} - {""})
    where = ", ".join(accounts) if len(accounts) <= _ACCOUNTS_MAX else f"{len(accounts)} accounts"
    return _cut(
        f"{', '.join(f'{n} {name}' for name, n in counted.items())}{f' — {where}' if where else ''}", _TITLE_UNITS_MAX
    )


def _group(story: _Story) -> str:
    return "over" if story.is_over else story.level.word.upper()


def _line(story: _Story, now: datetime) -> str:
    """Return what, how far, level and account on one line; when, if it is late; and what came before, in few words."""
    newest = story.newest
    title = " ".join(newest.title.split())
    level = newest.level.word.upper()
    says_level = story.is_over or level in title
    late = f"{_clock(newest.happened_at, now)}: " if now - newest.happened_at > DELAYED_AFTER else ""
    account = f" — {newest.account}" if newest.account and not title.endswith(f"— {newest.account}") else ""
    end = f"{account} ({_count(story, now)})" if len(story.rows) > 1 else account
    begin = late if says_level else f"{late}{level}, "
    return f"{_cut(begin + title, _LINE_UNITS_MAX - units(end))}{end}"


def _count(story: _Story, now: datetime) -> str:
    since = _clock(story.rows[0].message.happened_at, now)
    return f"{len(story.rows)} messages since {since}, at worst {story.level.word}"


def _foot(told: Sequence[_Story], untold: int) -> str:
    more = f" {untold} more follow." if untold else ""
    if all(story.is_over for story in told):
        return f"Nothing to do.{more}"
    return f"To do: look at the exchange, the first line first.{more}"


def _clock(moment: datetime, now: datetime) -> str:
    at = moment.astimezone(UTC)
    return f"{at:%H:%M} UTC" if now - moment < timedelta(hours=20) else f"{at:%d %b %H:%M} UTC"


def _distance(message: Message) -> Decimal:
    """Return how far from liquidation; what has no figure may be anywhere, and stands with the nearest."""
    try:
        distance = Decimal(str(message.facts.get("distance")))
    except InvalidOperation:
        return Decimal(0)
    return distance if distance.is_finite() else Decimal(0)


def _cut(line: str, units_max: int) -> str:
    return line if units(line) <= units_max else f"{head(line, units_max - 1)}…"
