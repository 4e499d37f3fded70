"""The referee: gathers the evidence of one run and holds it against the invariants, at every step and every second."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from evidence import Distances, Key, KnownIntent, KnownMessage, Seen, Shelf, Streak, key_of
from liveness_invariants import LivenessInvariants
from money_invariants import MoneyInvariants
from simulated_channels import Arrived, SimulatedDoor
from simulated_exchange import Entry, Exchange
from simulated_scenario import Scenario
from simulated_time import World
from simulated_wire import Delivered, Request, SimulatedWire
from telling_invariants import TellingInvariants

from guard.venues.binance_family import LIMIT

IN_FLIGHT_S = 40.0
READS_THAT_PROVE = 2


class Referee:
    """Is told of everything that happens; `world.violated` is its only answer."""

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        *,
        exchanges: dict[str, Exchange],
        wires: dict[str, SimulatedWire],
        doors: dict[str, SimulatedDoor],
        folder: Path,
    ) -> None:
        self._world = world
        self._scenario = scenario
        self._exchanges = exchanges
        self._wires = wires
        self._shelf = Shelf(folder / "journal.db")
        self.money = MoneyInvariants(world, scenario, exchanges)
        self.telling = TellingInvariants(world, scenario, exchanges, doors)
        self.liveness = LivenessInvariants(world, scenario, exchanges)
        self._seen = {name: Seen() for name in exchanges}
        self._quiet_until_s: dict[str, float] = {}  # As the exchange asked for, whichever life of the daemon.
        self._asked_for_quiet: dict[
            str, tuple[float, timedelta]
        ] = {}  # For how long, and how wrong the clock was then.
        self._pasts: set[str] = set()  # Accounts whose past the journal has learned.
        self._works = Streak()  # Daemon and disk.
        self._sight = {name: Streak() for name in exchanges}  # And the account can be read.
        self._reach = {name: Streak() for name in exchanges}  # And margin can be added.
        self._distances = Distances()
        self._births: dict[str, tuple[str, Key, float]] = {}  # By life: whose, and when that position was opened.
        self._misses: dict[tuple[str, Key], int] = {}
        self._is_rebuilt = False
        self._copied: dict[str, str] = {}  # The states of the intents in the copy of the journal.
        for name, exchange in exchanges.items():
            exchange.on_entry = partial(self._on_entry, name)
        for name, door in doors.items():
            door.on_arrived = self._on_arrived
            door.on_request = partial(self._on_channel_request, name)

    @property
    def counts(self) -> Mapping[str, int]:
        return self.money.counts | self.telling.counts | self.liveness.counts | {"intents": len(self.money.intents)}

    # The daemon's lives.

    def on_started(self, _at_s: float) -> None:
        for name, (retry_s, wall_off) in self._asked_for_quiet.items():
            # By a clock that was set since, the daemon cannot tell how much of it is over: it keeps all of it.
            if wall_off != self._world.wall_off:
                self._quiet_until_s[name] = self._world.time_s + retry_s
        # What was open before is remembered by the daemon; the lists that it is missing from are counted anew.
        remembered = {name: dict.fromkeys(seen.absent, 0) for name, seen in self._seen.items()}
        self._seen = {name: Seen(absent=remembered[name]) for name in self._exchanges}
        for intent in self.money.intents.values():
            intent.from_earlier_life = intent.is_open
        self.telling.lives_s.append((self._world.time_s, float("inf")))

    def on_clock_set(self, step_s: float) -> None:
        self.telling.steps_s.append((self._world.time_s, max(0.0, step_s)))

    def on_ended(self) -> None:
        self._shelf.forget()
        self.telling.on_ended()
        self.telling.lives_s[-1] = self.telling.lives_s[-1][0], self._world.time_s
        self._works.turn(holds=False)

    def on_disarmed(self) -> None:
        self.money.disarmed_since_s = self._world.time_s

    def on_armed(self) -> None:
        self.money.disarmed_since_s = None

    def may_lose_journal(self) -> bool:
        """Say whether what a lost journal knew of can be learned again: not while a request is on its way."""
        posts = self.liveness.last_post_s.values()
        return self._world.time_s - max(posts, default=float("-inf")) > IN_FLIGHT_S

    def on_journal_lost(self) -> None:
        self._shelf.file_is_new()
        self.money.journal_is_lost()
        self.telling.journal_is_lost()
        self._births.clear()
        self._is_rebuilt = True  # From now on more may count than the referee can know.

    def on_journal_copied(self) -> None:
        self._copied = {intent_id: intent.state for intent_id, intent in self.money.intents.items()}
        self.telling.journal_is_copied()

    def on_journal_put_back(self) -> None:
        """Everything since the copy is forgotten; what was sent and moved meanwhile counts all the same."""
        self._shelf.put_back()
        self.money.journal_is_put_back(self._copied)
        self.telling.journal_is_put_back()
        self._births.clear()
        self._is_rebuilt = True  # From now on more may count than the referee can know.

    # What passes its doors.

    def on_request(self, request: Request) -> None:
        if self._wires[request.account].fates.weather.at(self._world.time_s) is not None:  # For less than a second.
            self._sight[request.account] = Streak()
        if request.method == "POST":
            self.liveness.last_post_s[request.account] = self._world.time_s
        self.money.on_request(request, self._seen[request.account])

    def on_delivered(self, delivered: Delivered) -> None:
        self._seen[delivered.request.account].note(delivered, self._world.time_s)

    def on_refused(self, request: Request, status: int, headers: Mapping[str, str]) -> None:
        retry_s = float(headers["Retry-After"])
        for name in self._exchanges if status in LIMIT.quiet_statuses else (request.account,):
            seen = self._seen[name]
            seen.quiet_until_s = max(seen.quiet_until_s, self._world.time_s + retry_s)
            self._asked_for_quiet[name] = retry_s, self._world.wall_off
            self._quiet_until_s[name] = seen.quiet_until_s

    def on_commit(self, tables: frozenset[str]) -> None:
        if "intents" in tables:
            self.money.on_intents([self._intent(row) for row in self._shelf.intents()])
        if "pasts" in tables:
            self._pasts = self._shelf.pasts()
        if "rebuilt" in tables:
            self.liveness.counted_beside = self._shelf.counted_beside()
        if "lives" in tables:
            self._on_lives()
        if "deliveries" in tables:
            for message_id, channel, body in self._shelf.new_messages():
                message = KnownMessage(
                    message_id=message_id, channel=channel, body=body, committed_s=self._world.time_s
                )
                self.telling.on_message(message, self._distances, self._seen)

    def _intent(self, row: "object") -> KnownIntent:
        return KnownIntent(
            intent_id=row["intent_id"],  # type: ignore[index]
            number=0,
            account=row["account"],  # type: ignore[index]
            key=key_of(row),  # type: ignore[arg-type]
            life_id=row["life_id"],  # type: ignore[index]
            rule=row["rule"],  # type: ignore[index]
            amount=Decimal(row["amount"]),  # type: ignore[index]
            state=row["state"],  # type: ignore[index]
            planned_s=self._world.time_s,
        )

    def _on_lives(self) -> None:
        """A life begins with a position and ends only when that position is gone."""
        for row in self._shelf.lives():
            account, key = row["account"], key_of(row)
            holding = self._exchanges[account].holdings.get(key)
            if row["ended_at"] is None:
                self._misses[account, key] = row["misses"] + (row["rival"] is not None)
                if row["life_id"] not in self._births and holding is not None:
                    self._births[row["life_id"]] = account, key, holding.opened_s
                continue
            birth = self._births.pop(row["life_id"], None)
            is_open = birth is not None and holding is not None and holding.opened_s == birth[2]
            # Two lists in a row without it prove it gone by design: caches that answer twice are believed.
            if is_open and self._seen[account].absent.get(key, 0) < READS_THAT_PROVE:
                self._world.violated("I17 life", f"{account} {key} is written down as gone, and it is open")

    def _on_entry(self, account: str, entry: Entry) -> None:
        self.money.on_entry(account, entry)

    def _on_channel_request(self, channel: str) -> None:
        if channel == "heartbeat":
            self.telling.on_ping(self._seen)
        self.telling.on_request(channel)

    def _on_arrived(self, arrived: Arrived) -> None:
        self.telling.on_arrived(arrived, self._distances, self._seen)

    # Time.

    def each_second(self, *, is_alive: bool) -> None:
        now = self._world.time_s
        works_s = self._works.turn(holds=is_alive and self._scenario.disk.at(now) is None)
        seeing_s, reaching_s = {}, {}
        for name, exchange in self._exchanges.items():
            weather = self._wires[name].fates.weather.at(now)
            is_quiet = now < self._quiet_until_s.get(name, 0.0)
            is_right = abs(self._world.wall_off.total_seconds()) < 1
            sees = works_s > 1 and weather in {None, "no_adding"} and is_right and not is_quiet
            seeing_s[name] = self._sight[name].turn(holds=sees)
            reaching_s[name] = self._reach[name].turn(holds=sees and weather is None)
            self._follow(name, exchange)
        self.telling.each_second(
            can_tell_s=works_s, intents=self.money.intents, seeing_s=seeing_s, distances=self._distances
        )
        self.liveness.each_second(
            seeing_s=seeing_s,
            reaching_s=reaching_s,
            intents=self.money.intents,
            misses=self._misses,
            distances=self._distances,
            seen=self._seen,
            is_free=self.money.disarmed_since_s is None
            and not self._is_rebuilt
            # All share a daily limit: the past of each must be known, and each be read in this life.
            and self._pasts.issuperset(self._exchanges)
            and all(seen.whole_s > 0 for seen in self._seen.values()),
        )

    def _follow(self, name: str, exchange: Exchange) -> None:
        for key, _ in exchange.ended:
            self._distances.forget(name, key)
            self.telling.position_ended(name, key)
            self.liveness.position_ended(name, key)
            self._misses.pop((name, key), None)
        exchange.ended.clear()
        for key, holding in exchange.holdings.items():
            if holding.isolated:
                self._distances.note(name, key, exchange.distance(key))

    def at_rest(self) -> None:
        self.money.at_rest()
        self.telling.at_rest(self._shelf.given_up())

    def close(self) -> None:
        self._shelf.forget()
