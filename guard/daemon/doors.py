"""Everything by which a daemon touches the world: its clocks, its disk, the exchanges and the channels.

`Service` gets it as one value, so that the real daemon runs in a world of its own making (tests/simulation).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from guard.config.settings import Settings
from guard.daemon.channels import open_channels
from guard.daemon.clock import wall_clock
from guard.journal import Journal
from guard.notify.channel import Channel
from guard.notify.heartbeat import Heartbeat
from guard.venues import open_venue
from guard.venues.protocol import Venue, VenueAccount


class OpenVenue(Protocol):
    def __call__(self, account: VenueAccount, /, *, now: Callable[[], datetime]) -> Venue: ...


def _open_journal(path: Path) -> Journal:
    return Journal.open(path, exclusive=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """How each of them is opened. The defaults are the real ones."""

    wall: Callable[[], datetime] = wall_clock
    steady: Callable[[], float] = time.monotonic  # The clock that the event loop runs on.
    open_journal: Callable[[Path], Journal] = _open_journal
    open_venue: OpenVenue = open_venue
    open_channels: Callable[[Settings], tuple[Channel, ...]] = open_channels
    open_heartbeat: Callable[[str], Heartbeat] = lambda url: Heartbeat(url=url)


REAL_DOORS = Doors()
