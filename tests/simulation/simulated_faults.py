"""What goes wrong, drawn from the seed: weather that comes in episodes, and the fate of each single request."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

# Weather of an exchange: what most requests meet while an episode lasts.
EXCHANGE_WEATHER = (
    "lossy", "slow", "stale", "stale", "empty", "torn", "null_rows", "limited", "banned", "blackout", "no_writes",
    "maintenance", "garbled",
)  # fmt: skip
CHANNEL_WEATHER = ("outage", "limited", "errors", "lost_confirmations")
DISK_WEATHER = ("full", "read_only")


@dataclass(frozen=True, kw_only=True)
class Episode:
    kind: str
    from_s: float
    to_s: float


class Weather:
    """Episodes of one thing, one after the other. `stop` ends them all: what follows must come to rest."""

    def __init__(self, episodes: Iterable[Episode]) -> None:
        self._episodes = tuple(episodes)
        self._stopped_at_s: float | None = None

    def stop(self, at_s: float) -> None:
        self._stopped_at_s = at_s

    def at(self, time_s: float) -> str | None:
        if self._stopped_at_s is not None and time_s >= self._stopped_at_s:
            return None
        return next((one.kind for one in self._episodes if one.from_s <= time_s < one.to_s), None)


def draw_weather(
    dice: random.Random, kinds: tuple[str, ...], *, until_s: float, calm_s: float, bad_s: float
) -> Weather:
    """Return episodes with calm between them; both lengths are means of exponential draws."""
    episodes, now = [], dice.expovariate(1 / calm_s)
    while now < until_s:
        kind = dice.choice(kinds)
        # An exchange that lists nothing for long is believed by design: three fresh reads prove an empty account.
        length = dice.uniform(1, 8) if kind == "empty" else dice.expovariate(1 / bad_s)
        episodes.append(Episode(kind=kind, from_s=now, to_s=now + length))
        now += length + dice.expovariate(1 / calm_s)
    return Weather(episodes)


class Arrival(Enum):
    """What becomes of a request on its way and behind the exchange's front."""

    DONE = auto()
    NEVER = auto()  # It is lost, or stopped at the front.
    LATE = auto()  # Executed up to ten seconds after it came, when the client has given up or was told "unknown".


@dataclass(frozen=True, kw_only=True)
class Fate:
    """Of one request. `reply` is "own" (the exchange's own answer), "none", or a stand-in for it."""

    arrival: Arrival
    reply: str
    delay_s: float = 0.05  # Until it arrives.
    late_s: float = 0.0  # Then until it is executed.
    answer_s: float = 0.05  # Then until the answer is there.


# (status, body, headers) by name. "{ms}" is nothing to Python's format: bodies are sent as they stand.
STAND_INS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "html_200": (200, b"<html><body>We will be back soon.</body></html>", {}),
    "empty_200": (200, b"", {}),
    "null_200": (200, b"null", {}),
    "object_200": (200, b"{}", {}),
    "list_200": (200, b"[]", {}),
    "html_502": (502, b"<html>Bad Gateway</html>", {}),
    "html_524": (524, b"<html>A timeout occurred</html>", {}),
    "unknown_503": (503, b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}', {}),
    "timeout_408": (408, b'{"code":-1007,"msg":"Timeout waiting for response from backend server."}', {}),
    "overload_503": (503, b'{"code":-1008,"msg":"Server is currently overloaded with other requests."}', {}),
    "new_code_400": (400, b'{"code":-9999,"msg":"A code that nobody has seen."}', {}),
    "limited_429": (429, b'{"code":-1003,"msg":"Too many requests."}', {"Retry-After": "7"}),
    "banned_418": (418, b'{"code":-1003,"msg":"Way too many requests; IP banned."}', {"Retry-After": "45"}),
}
# After these nobody knows: each comes with the request executed, executed late, or not at all.
AMBIGUOUS = (
    "none", "none", "none", "none", "cut", "html_200", "empty_200", "null_200", "object_200", "list_200", "html_502", "html_524",
    "unknown_503", "timeout_408", "new_code_400",
)  # fmt: skip
CLEAR_NOES = ("overload_503", "limited_429")


# Weather that stops every request at the front, and what it answers.
_SHUT = {
    "blackout": ("none",),
    "maintenance": ("html_502", "html_200", "empty_200"),
    "limited": ("limited_429",),
    "banned": ("banned_418",),
}


class Fates:
    """Draws the fate of each request of one account."""

    def __init__(self, dice: random.Random, weather: Weather, *, write_faults: float) -> None:
        self._dice = dice
        self.weather = weather
        self.write_faults = write_faults  # Share of writes that go wrong in fair weather.

    def of_write(self, time_s: float) -> Fate:
        kind, dice = self.weather.at(time_s), self._dice
        if kind in _SHUT:
            return _refused(dice.choice(_SHUT[kind]))
        if kind == "no_adding":
            return _refused(dice.choice(("overload_503", "overload_503", "unknown_503", "html_502", "none")))
        if kind == "no_writes":
            return self._ambiguous() if dice.random() < 0.7 else _refused("overload_503")
        share = 0.6 if kind in {"lossy", "garbled", "slow"} else self.write_faults
        if dice.random() >= share:
            return self._good()
        return self._ambiguous() if dice.random() < 0.85 else _refused(dice.choice(CLEAR_NOES))

    def of_read(self, time_s: float) -> Fate:
        kind, dice = self.weather.at(time_s), self._dice
        if kind in _SHUT:
            return _refused(dice.choice(_SHUT[kind]))
        match kind:
            case "lossy" if dice.random() < 0.4:
                return Fate(arrival=Arrival.DONE, reply=dice.choice(("none", "cut", "html_502")))
            case "garbled" if dice.random() < 0.4:
                return Fate(arrival=Arrival.DONE, reply=dice.choice(AMBIGUOUS[4:]))
            case "slow":
                return Fate(arrival=Arrival.DONE, reply="own", delay_s=dice.uniform(0, 5), answer_s=dice.uniform(0, 5))
            case "stale" | "empty" | "torn" | "null_rows" if dice.random() < 0.7:
                return Fate(arrival=Arrival.DONE, reply=kind)
        return self._good()

    def _good(self) -> Fate:
        dice = self._dice
        return Fate(
            arrival=Arrival.DONE, reply="own", delay_s=dice.uniform(0.01, 0.1), answer_s=dice.uniform(0.01, 0.1)
        )

    def _ambiguous(self) -> Fate:
        dice = self._dice
        arrival = dice.choice(tuple(Arrival))
        late_s = dice.uniform(0.5, 10.0) if arrival is Arrival.LATE else 0.0
        delay_s = dice.choice((dice.uniform(0.01, 0.1), dice.uniform(0, 4.5)))
        answer_s = dice.choice((0.05, dice.uniform(0, 9)))
        return Fate(arrival=arrival, reply=dice.choice(AMBIGUOUS), delay_s=delay_s, late_s=late_s, answer_s=answer_s)


def _refused(reply: str) -> Fate:
    return Fate(arrival=Arrival.NEVER, reply=reply)
