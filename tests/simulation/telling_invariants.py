"""I8, I10 and I11: what is dangerous or unknown is told, at least once and in time; its end once; nothing is made up."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from evidence import Distances, Key, KnownIntent, KnownMessage, Seen, Streak, coin_of
from simulated_channels import Arrived, SimulatedDoor
from simulated_exchange import Exchange, Holding
from simulated_scenario import HEARTBEAT_S, Scenario
from simulated_time import World

UNKNOWN_TOLD_S = 60.0
DELIVERED_S = 80.0  # A minute after the channel works again, and what the messages before it take.
DANGER = Decimal("0.08")
WARN = Decimal("0.15")
LEVELS = ("ok", "watch", "warn", "unknown", "danger", "critical")


_ENDED = re.compile(r"orders of this account at (?P<at>\d\d:\d\d:\d\d) UTC")
_TITLE = re.compile(r"\b(?P<level>DANGER|CRITICAL),? (?P<coin>[A-Z]+) (?P<side>long|short) [^\n]*— (?P<account>\w+)")


class TellingInvariants:
    """Judges what is committed for the channels, what arrives there, and what should have."""

    def __init__(
        self, world: World, scenario: Scenario, exchanges: dict[str, Exchange], doors: dict[str, SimulatedDoor]
    ) -> None:
        self._world = world
        self._scenario = scenario
        self._exchanges = exchanges
        self._doors = doors
        self.waiting: dict[tuple[str, str], KnownMessage] = {}  # Committed and not arrived, by id and channel.
        self._sentences: dict[str, Streak] = {name: Streak() for name in doors}  # How long each channel works.
        self._committed: set[tuple[str, str]] = set()
        self._arrived: Counter[tuple[str, str]] = Counter()
        self._unsure: set[tuple[str, str]] = set()  # May arrive again: a confirmation was lost, or the daemon died.
        self._told_about: set[str] = set()  # Alert ids.
        self._believed_gone_s: dict[tuple[str, Key], float] = {}
        self.stopped_s = (float("-inf"), float("-inf"))  # From when to when the daemon was stopped last.
        self._pinged_s = 0.0
        self._worst_told: dict[tuple[str, Key], dict[str, int]] = {}  # Open ladder alerts of a position.
        self._copied: dict[tuple[str, Key], dict[str, int]] = {}  # `_worst_told`, when the journal was copied.
        self._ends: Counter[str] = Counter()
        self.steps_s: list[tuple[float, float]] = []  # Of the machine's clock: when, and how far forward.
        self.lives_s: list[tuple[float, float]] = []  # Of the daemon: from and to; the present one has no end.
        self._dangers: dict[tuple[str, Key], Streak] = {}
        self.counts = {"messages": 0, "arrived": 0, "pings": 0}

    def on_message(
        self, message: KnownMessage, distances: Distances, seen: dict[str, Seen], *, is_on_disk: bool = True
    ) -> None:
        body, place = message.body, (message.message_id, message.channel)
        self.counts["messages"] += 1
        self.waiting[place] = message
        self._committed.add(place)
        self._told_about.add(body["alert"])
        if message.channel != "webhook.ops":
            return  # Of each message one copy is judged.
        self._world.note("message", body["kind"], body["event"], body["level"], body["account"], body["symbol"])
        self._world.remark(body["title"], body["text"])
        if body["event"] == "resolved" and is_on_disk:  # What no disk remembers is told again after a restart.
            self._ends[body["alert"]] += 1
            if self._ends[body["alert"]] > 1 and not body["alert"].startswith(("channel", "journal", "bug")):
                self._violated("I10 end told once", f"{body['title']} was told to be over twice")
        if body["symbol"] is not None:
            self._on_position_message(message, distances, seen)

    def _made_s(self, body: Mapping[str, Any]) -> float:
        """Return when a message was made, if the machine's clock was as right or wrong then as it is now."""
        return (datetime.fromisoformat(body["happened_at"]) - self._world.wall()).total_seconds() + self._world.time_s

    def _on_position_message(self, message: KnownMessage, distances: Distances, seen: dict[str, Seen]) -> None:
        body = message.body
        account, key = body["account"], (coin_of(body["symbol"]), 1 if body["side"] == "long" else -1)
        holding = self._exchanges[account].holdings.get(key)
        is_old = holding is not None and self._world.time_s - holding.opened_s > 30
        is_of_the_one_before = ", another is open" in body["title"]
        # What no disk took at the time is seen minutes after it was made: by then it may be listed again, or be another.
        is_late = self._world.time_s - self._made_s(body) > 30
        is_gone = body["kind"] == "vanished" and not (
            is_of_the_one_before or is_late or self._tells_of_before(body, holding)
        )
        # Two lists without it proved it gone: how it ended may be told after a restart. What was opened since is another.
        was_believed = holding is not None and holding.opened_s < self._believed_gone_s.get((account, key), -1e9)
        if is_gone and is_old and seen[account].absent.get(key, 0) < 2 and not was_believed:
            self._violated("I10 nothing made up", f"{key} is told to be gone, and it is open")
        if is_gone:
            self._believed_gone_s[account, key] = self._world.time_s
        if body["kind"] != "alert":
            return
        told = self._worst_told.setdefault((account, key), {})
        if body["event"] == "resolved":
            told.pop(body["alert"], None)
            if body["level"] != "unknown":  # Its end is no end of a danger.
                told.pop("telegram", None)
            near = distances.nearest(account, key, self._clear_for_s())
            if holding is not None and body["level"] != "unknown" and holding.isolated and near < WARN - DANGER / 20:
                self._violated("I10 no false end", f"{key} is told to be safe, it was at {near:.4f} meanwhile")
        else:
            told[body["alert"]] = max(told.get(body["alert"], 0), LEVELS.index(body["level"]))

    def _note_title(self, text: str) -> None:
        """Take note of a level that only Telegram was told: while the disk takes nothing, the webhook may miss it."""
        for told in _TITLE.finditer(text):
            if told["account"] in self._exchanges:
                key = told["coin"], 1 if told["side"] == "long" else -1
                levels = self._worst_told.setdefault((told["account"], key), {})
                levels["telegram"] = LEVELS.index(told["level"].lower())

    def _tells_of_before(self, body: Mapping[str, Any], holding: Holding | None) -> bool:
        """Say whether a message names the time of an end, and what is open was opened after it: it is of the one before."""
        named = _ENDED.search(body["text"])
        if named is None or holding is None:
            return False
        opened = self._world.start + timedelta(seconds=holding.opened_s)
        ended = datetime.combine(opened.date(), time.fromisoformat(named["at"]), opened.tzinfo)
        return timedelta(0) <= opened + timedelta(seconds=1) - ended < timedelta(hours=1)

    def _clear_for_s(self) -> int:
        """Return how long a position must have been clear: less by steps of the clock that no daemon was there to see."""

        def was_seen(at_s: float) -> bool:
            return any(from_s < at_s and at_s + 1 < to_s for from_s, to_s in self.lives_s)

        lately_s = self._world.time_s - 300
        unseen_s = sum(step_s for at_s, step_s in self.steps_s if at_s >= lately_s and not was_seen(at_s))
        return max(1, 240 - int(unseen_s))

    def on_arrived(self, arrived: Arrived, distances: Distances, seen: dict[str, Seen]) -> None:
        if arrived.channel == "heartbeat":
            return
        self.counts["arrived"] += 1
        if not arrived.channel.startswith("webhook"):
            self._note_title(str(arrived.body.get("text", "")))
            return
        place = (arrived.body["id"], arrived.channel)
        if place not in self._committed:  # While the disk takes nothing, alerts go out from memory.
            self.on_message(
                KnownMessage(message_id=place[0], channel=place[1], body=arrived.body, committed_s=arrived.at_s),
                distances,
                seen,
                is_on_disk=False,
            )
        self.waiting.pop(place, None)
        self._arrived[place] += 1
        if self._arrived[place] > 1 and place not in self._unsure:
            self._violated("I10 no repeats", f"{arrived.body['title']} came to {arrived.channel} twice without need")
        self._unsure.discard(place)
        if not arrived.confirmed:
            self._unsure.add(place)

    def on_request(self, channel: str) -> None:
        if self._world.time_s < self._doors[channel].quiet_until_s - 0.5:
            self._violated("I10 quiet", f"{channel} was asked again before its Retry-After was over")

    def on_ended(self) -> None:
        """The daemon is gone: what it sent last it may send again, and it forgot who asked for quiet."""
        self._unsure |= {place for place, times in self._arrived.items() if times}
        for door in self._doors.values():
            door.quiet_until_s = 0.0

    def on_ping(self, seen: dict[str, Seen]) -> None:
        self.counts["pings"] += 1
        stopped_s, resumed_s = self.stopped_s
        was_begun = self._pinged_s + HEARTBEAT_S <= stopped_s + 0.5 and self._world.time_s - resumed_s < 0.1
        self._pinged_s = self._world.time_s
        if was_begun:  # Before it was stopped.
            return
        window = 2 * max(HEARTBEAT_S, self._scenario.calm_s) + 30
        for account, one in seen.items():
            if self._world.time_s - one.whole_s > window:
                self._violated("I11 heartbeat", f"pinged, {account} was last read whole at {one.whole_s:.0f} s")

    def each_second(
        self, *, can_tell_s: float, intents: dict[str, KnownIntent], seeing_s: dict[str, float], distances: Distances
    ) -> None:
        """`can_tell_s`: for how long daemon and disk work; `seeing_s`: and the account can be read as well."""
        for intent in intents.values():
            is_news = intent.state not in {"planned", "sent"} or intent.from_earlier_life
            is_silent = is_news and intent.intent_id not in self._told_about and can_tell_s > 5
            intent.silent_s = intent.silent_s + 1 if is_silent else 0.0
            if intent.silent_s > UNKNOWN_TOLD_S:
                self._violated("I8 unknown is loud", f"intent {intent.number} is {intent.state} and nobody was told")
        self._judge_deliveries(can_tell_s)
        self._judge_dangers(seeing_s, distances)

    def _judge_deliveries(self, can_tell_s: float) -> None:
        now = self._world.time_s
        for name, door in self._doors.items():
            self._sentences[name].turn(holds=door.weather.at(now) is None)
        for (message_id, channel), message in list(self.waiting.items()):
            if channel.startswith("telegram"):
                del self.waiting[message_id, channel]  # Its texts carry no id.
                continue
            waited_s = min(now - message.committed_s, can_tell_s, self._sentences[channel].seconds)
            if waited_s > DELIVERED_S:
                title = message.body["title"]
                self._violated("I10 delivered", f"{channel} works for {waited_s:.0f} s and did not get: {title}")

    def _judge_dangers(self, seeing_s: dict[str, float], distances: Distances) -> None:
        """A position that is plainly in danger, and can be read, must be told about."""
        for account, exchange in self._exchanges.items():
            for key, holding in exchange.holdings.items():
                if not holding.isolated:
                    continue
                streak = self._dangers.setdefault((account, key), Streak())
                is_near = distances.farthest(account, key, 1) < DANGER - Decimal("0.001")
                told = max(self._worst_told.get((account, key), {}).values(), default=0)
                is_told = told >= LEVELS.index("danger")
                streak.turn(holds=is_near and not is_told and seeing_s[account] > 1)
                # Two reads five seconds apart, after at most one calm interval, and a cycle that settles first.
                if streak.seconds > self._scenario.calm_s + 45:
                    self._violated(
                        "I10 danger told", f"{account} {key} is in danger for {streak.seconds:.0f} s, untold"
                    )

    def position_ended(self, account: str, key: Key) -> None:
        self._dangers.pop((account, key), None)

    def at_rest(self, given_up: set[tuple[str, str]]) -> None:
        for place, message in self.waiting.items():
            if place not in given_up and self._world.time_s - message.committed_s > DELIVERED_S:
                self._violated("I10 delivered", f"never came: {message.body['title']}")

    def journal_is_lost(self) -> None:
        """What only the journal knew is forgotten: waiting messages, and what was told."""
        self.waiting.clear()
        self._worst_told.clear()

    def journal_is_copied(self) -> None:
        self._copied = {place: dict(told) for place, told in self._worst_told.items()}

    def journal_is_put_back(self) -> None:
        """What was told is as the copy has it; what was told to be over since may be told once more."""
        self.waiting.clear()
        self._worst_told = {place: dict(told) for place, told in self._copied.items()}
        self._ends.clear()

    def _violated(self, invariant: str, text: str) -> None:
        self._world.violated(invariant, text)
