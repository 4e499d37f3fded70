"""What the referee knows for certain: what is on the journal's disk, what reached the daemon, what the exchange did."""

import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from simulated_exchange import Entry
from simulated_wire import Delivered

OPEN = {"planned", "sent", "unknown"}
UNASKED = {"planned", "sent"}
COUNTED = OPEN | {"applied"}
Key = tuple[str, int]  # Coin and side.


@dataclass(kw_only=True)
class KnownIntent:
    """An intent as it stands on disk, and what it did."""

    intent_id: str
    number: int  # In the order in which they were seen; ids are drawn at random.
    account: str
    key: Key
    life_id: str
    rule: str
    amount: Decimal
    state: str
    planned_s: float
    requests: int = 0
    effects: list[Entry] = field(default_factory=list)
    silent_s: float = 0.0  # How long it is unknown and untold while somebody could tell.
    from_earlier_life: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True, kw_only=True)
class KnownMessage:
    """A message that was committed for a channel."""

    message_id: str
    channel: str
    body: Mapping[str, Any]
    committed_s: float


class Shelf:
    """Reads the journal with a connection of its own, so that it sees what is committed and nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._last_delivery = 0

    def forget(self) -> None:
        """Let go of the file: it is closed, or gone."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def file_is_new(self) -> None:
        self.forget()
        self._last_delivery = 0

    def put_back(self) -> None:
        """Take up another file; the messages in it are old."""
        self.forget()
        self._last_delivery = self._rows("SELECT max(delivery_id) AS last FROM deliveries")[0]["last"] or 0
        self.forget()

    def intents(self) -> list[sqlite3.Row]:
        return self._rows(
            "SELECT intent_id, account, symbol, side, life_id, rule, amount, state FROM intents ORDER BY planned_at"
        )

    def lives(self) -> list[sqlite3.Row]:
        return self._rows("SELECT life_id, account, symbol, side, ended_at, misses, rival, budget_id FROM lives")

    def new_messages(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Yield id, channel and body of each message that was enqueued since the last call."""
        rows = self._rows(
            "SELECT delivery_id, message_id, channel, body FROM deliveries JOIN messages USING (message_id) "
            "WHERE delivery_id > ? ORDER BY delivery_id",
            (self._last_delivery,),
        )
        for row in rows:
            self._last_delivery = row["delivery_id"]
            yield row["message_id"], row["channel"], orjson.loads(row["body"])

    def given_up(self) -> set[tuple[str, str]]:
        rows = self._rows("SELECT message_id, channel FROM deliveries WHERE state = 'given_up'")
        return {(row["message_id"], row["channel"]) for row in rows}

    def pasts(self) -> set[str]:
        return {row["account"] for row in self._rows("SELECT account FROM pasts")}

    def counted_beside(self) -> dict[tuple[str, Key], Decimal]:
        """Return what counts as spent of which no intent tells, by account and position."""
        found: dict[tuple[str, Key], Decimal] = {}
        for row in self._rows("SELECT account, symbol, side, amount FROM rebuilt"):
            place = row["account"], key_of(row)
            found[place] = found.get(place, Decimal(0)) + Decimal(row["amount"])
        return found

    def _rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        if self._connection is None:
            self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
        return self._connection.execute(sql, parameters).fetchall()


@dataclass(kw_only=True)
class Seen:
    """What reached the daemon of one account, in this life of it."""

    positions: Delivered | None = None
    positions_truth_s: float = float("-inf")  # When the youngest of them were true.
    account: Delivered | None = None
    marks: dict[str, Delivered] = field(default_factory=dict)
    histories: set[str] = field(default_factory=set)  # Coins whose history was read.
    whole_s: float = float("-inf")  # When positions and account were both read; what misses in them is told as a gap.
    quiet_until_s: float = 0.0
    absent: dict[Key, int] = field(default_factory=dict)  # In how many lists in a row a position was missing.

    def note(self, delivered: Delivered, now_s: float) -> None:
        what, fields = delivered.request.what, delivered.request.fields
        if what == "positions":
            self.positions = delivered
            if delivered.body:
                self.positions_truth_s = max(self.positions_truth_s, delivered.truth_s)
            listed = {_listed(row) for row in delivered.body}
            self.absent = {key: 0 if key in listed else times + 1 for key, times in self.absent.items()}
            self.absent |= dict.fromkeys(listed, 0)
        elif what == "account":
            self.account = delivered
            if self.positions is not None:
                self.whole_s = now_s
        elif what == "mark":
            self.marks[fields["symbol"].removesuffix("USDT")] = delivered
        elif what == "history":
            self.histories.add(fields["symbol"].removesuffix("USDT"))


@dataclass(kw_only=True)
class Streak:
    """For how many seconds in a row something holds."""

    seconds: float = 0.0

    def turn(self, *, holds: bool) -> float:
        self.seconds = self.seconds + 1.0 if holds else 0.0
        return self.seconds


class Distances:
    """The true distance of each position, second by second."""

    def __init__(self, length: int = 240) -> None:
        self._length = length
        self._by_key: dict[tuple[str, Key], deque[Decimal]] = {}

    def note(self, account: str, key: Key, distance: Decimal | None) -> None:
        place = self._by_key.setdefault((account, key), deque(maxlen=self._length))
        place.append(Decimal(1) if distance is None else distance)

    def nearest(self, account: str, key: Key, seconds: int) -> Decimal:
        """Return the nearest it came in the last so many seconds, as far as they are kept."""
        return min(islice(reversed(self._by_key.get((account, key), ())), seconds), default=Decimal(1))

    def farthest(self, account: str, key: Key, seconds: int) -> Decimal:
        """Return the farthest it was in the last so many seconds; 1 where it is younger than that."""
        place = self._by_key.get((account, key), ())
        if len(place) < seconds:
            return Decimal(1)
        return place[-1] if seconds == 1 else max(islice(reversed(place), seconds))

    def forget(self, account: str, key: Key) -> None:
        self._by_key.pop((account, key), None)


def _listed(row: Mapping[str, Any]) -> Key:
    return row["symbol"].removesuffix("USDT"), 1 if Decimal(row["positionAmt"]) > 0 else -1


def coin_of(symbol: str) -> str:
    return symbol.partition("/")[0]


def key_of(row: sqlite3.Row | Mapping[str, Any]) -> Key:
    return coin_of(row["symbol"]), 1 if row["side"] == "long" else -1
