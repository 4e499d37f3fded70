"""What the accounts of one process share at an exchange: its request budget per address, and its markets."""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MARKETS_SHARED_FOR_S = 600.0
# What ccxt's set_markets fills in. Shared as they are: ccxt only reads them.
MARKET_TABLES = (
    *("markets", "markets_by_id", "symbols", "ids"),
    *("currencies", "currencies_by_id", "codes", "baseCurrencies", "quoteCurrencies"),
)


class Need(Enum):
    """What a request is for. The value is the share of a window's weight that it leaves to those with more need.

    Other programs behind the same address may use the most of it in a crash, and then the rest is for what saves: a
    rescue reads the account, the margin's history and the mark before it writes.
    """

    ASIDE = 0.1  # Candles, stops, ends, tiers, histories, screens.
    CYCLE = 0.05  # Whether somebody is to be saved.
    RESCUE = 0.0  # From the look before sending on.


_need: ContextVar[Need] = ContextVar("need", default=Need.ASIDE)


@contextmanager
def needed_for(need: Need) -> Iterator[None]:
    """Let the requests that are made meanwhile, by this task and those that it starts, use what is left for them."""
    token = _need.set(need)
    try:
        yield
    finally:
        _need.reset(token)


def present_need() -> Need:
    return _need.get()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """An exchange's published limit for one address: so much weight in a window. Source: each venue names it."""

    weight_max: int
    window_s: float
    weights: Mapping[str, int]  # By the end of a path.
    weight_else: int
    used_header: str | None = None  # Where the exchange says how much of the present window is used. None: nowhere.
    quiet_statuses: frozenset[int] = frozenset()  # By which it asks the address for quiet, and not one account.
    question: str | None = None  # The parameter that stands for the end of the path where all questions have one path.

    def place(self, path: str, parameters: Mapping[str, object]) -> str:
        """Return the path by which a request is weighed."""
        asked = None if self.question is None else parameters.get(self.question)
        return path if asked is None else f"{path}/{asked}"

    def weight_of(self, path: str) -> int:
        return next((weight for end, weight in self.weights.items() if path.endswith(end)), self.weight_else)


@dataclass(slots=True)
class WeightBudget:
    """What was used of a limit in the last window, by all accounts behind this address that we know of."""

    limit: RateLimit
    _used: deque[tuple[float, int]] = field(default_factory=deque)  # Loop time and weight, oldest first.
    quiet_until_s: float = 0.0  # Loop time. Each request into a ban makes it longer, whichever account's it is.

    def used(self, now_s: float) -> int:
        """Return the weight used in the window that ends now."""
        while self._used and self._used[0][0] <= now_s - self.limit.window_s:
            self._used.popleft()
        return sum(weight for _, weight in self._used)

    def wait_s(self, weight: int, now_s: float, need: Need) -> float:
        """Return how long it takes until this much may be used for something that is needed so much."""
        room = self.limit.weight_max * (1 - need.value)
        over = self.used(now_s) + weight - room
        if over <= 0:
            return 0.0
        for at_s, freed in self._used:
            over -= freed
            if over <= 0:
                return at_s + self.limit.window_s - now_s
        return math.inf  # More than the limit as a whole.

    def take(self, weight: int, now_s: float) -> None:
        self._used.append((now_s, weight))

    def note_used(self, used: int, now_s: float) -> None:
        """Take over the exchange's own count where it is higher: others use this address too."""
        more = used - self.used(now_s)
        if more > 0:
            self._used.append((now_s, more))


class Shared:
    """Made once for a process, and handed to every venue."""

    def __init__(self) -> None:
        self._budgets: dict[tuple[str, ...], WeightBudget] = {}
        self._markets: dict[object, tuple[float, Mapping[str, Any]]] = {}

    def budget(self, hosts: tuple[str, ...], limit: RateLimit) -> WeightBudget:
        """Return the one budget of an exchange's hosts."""
        return self._budgets.setdefault(hosts, WeightBudget(limit))

    def markets(
        self, exchange: object, now_s: float, known_since_s: float | None, wanted_since_s: float
    ) -> tuple[float, Any] | None:
        """Return what another account loaded lately, with its loop time. None: nothing that the asker has not.

        `wanted_since_s`: what was loaded before it is not what the asker looks for.
        """
        found = self._markets.get(exchange)
        oldest_s = max(wanted_since_s, now_s - MARKETS_SHARED_FOR_S)
        if found is None or found[0] == known_since_s or found[0] < oldest_s:
            return None
        return found

    def keep_markets(self, exchange: object, now_s: float, tables: Mapping[str, Any]) -> None:
        self._markets[exchange] = (now_s, tables)
