"""The names under which alert states are kept, and ids that follow from facts alone."""

from datetime import datetime
from hashlib import sha256

from guard.policy.decision import AlertKind
from guard.policy.memory import AlertState, Memory
from guard.policy.terms import Level
from guard.snapshot import PositionKey, Side

ACCOUNT = "account"  # Stale or blind.
_POSITION = "position "  # The ladder of a position; a cross one has its pool's level here and is not told.
_POOL = "pool "  # The ladder of a cross pool.
_UNSEEN = "unseen "  # A position or pool whose liquidation could not be seen.
_MODEL = "model "  # Our liquidation price and the exchange's lie apart.
_MONEY = "money "  # The trigger is breached and no money comes.
_STOP = "stop "  # The user's own stop lies behind the liquidation price.


def position(key: PositionKey) -> str:
    return f"{_POSITION}{key}"


def pool(name: str) -> str:
    return f"{_POOL}{name}"


def unseen(subject: str) -> str:
    return f"{_UNSEEN}{subject}"


def model(key: PositionKey) -> str:
    return f"{_MODEL}{key}"


def money(key: PositionKey) -> str:
    return f"{_MONEY}{key}"


def stop(key: PositionKey) -> str:
    return f"{_STOP}{key}"


def of_position(key: PositionKey) -> tuple[str, ...]:
    """Return every subject that ends with a position, its ladder first."""
    return position(key), unseen(position(key)), model(key), money(key), stop(key)


def of_pool(name: str) -> tuple[str, ...]:
    """Return every subject that ends with a pool, its ladder first."""
    return pool(name), unseen(pool(name))


def remembered_positions(memory: Memory) -> frozenset[PositionKey]:
    """Return every position that memory believes open: what a restarted daemon must see again or prove gone."""
    told = (key for subject in memory.alerts if subject.startswith(_POSITION) if (key := key_of(subject)) is not None)
    return frozenset(memory.lives) | frozenset(told)


def remembered_pools(memory: Memory) -> frozenset[str]:
    return frozenset(subject.removeprefix(_POOL) for subject in memory.alerts if subject.startswith(_POOL))


def key_of(subject: str) -> PositionKey | None:
    """Return which position a subject is about; None: a pool or the account."""
    inner = subject.removeprefix(_UNSEEN)
    if inner == ACCOUNT or inner.startswith(_POOL):
        return None
    symbol, _, word = inner.partition(" ")[2].rpartition(" ")
    return PositionKey(symbol, Side[word.upper()])


def is_ladder(subject: str) -> bool:
    """Say whether a subject is a position or a pool itself, not a worry about one."""
    return subject.startswith((_POSITION, _POOL))


def kind_of(subject: str) -> AlertKind:
    """Return which kind of alert a subject is told as. The account's goes by its state: stale or blind."""
    if subject.startswith(_MODEL):
        return AlertKind.MODEL_GAP
    return AlertKind.REFUSED if subject.startswith(_MONEY) else AlertKind.ALERT


def new_state(subject: str, now: datetime) -> AlertState:
    """Return the state of a subject that was never seen before: nothing in force, nothing told."""
    return AlertState(subject=subject, level=Level.OK, since=now)


def stable_id(*facts: object) -> str:
    """Return an id made of facts alone, so that the same inputs give the same answer."""
    return sha256("\n".join(str(fact) for fact in facts).encode()).hexdigest()[:20]
