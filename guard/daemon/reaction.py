"""Is a trigger early enough? Its distance against how far the price moves while guard notices, acts and tries again."""

import asyncio
from datetime import timedelta

from guard.config.settings import AccountSettings
from guard.notify import wording
from guard.outlook.volatility import volatility
from guard.policy.decision import PositionVerdict
from guard.policy.terms import Level
from guard.venues.protocol import Venue

BAR_MINUTES, BARS = 15, 100  # The last 25 hours.
SIGMAS_ENOUGH = 3.0


async def reaction(account: AccountSettings, venue: Venue, verdict: PositionVerdict) -> tuple[bool, str] | None:
    """Return whether a position's trigger leaves time enough, and the sentence that says so. None: it has none.

    Worst case: a whole poll until it is noticed, a re-read and an answer, and when that answer is lost the fence until
    it may be tried again. `for` delays alerts and no money, so it is not in it. Raises VenueUnavailable or KeysRefused.
    """
    if verdict.trigger is None:
        return None
    loop = asyncio.get_running_loop()
    asked_s = loop.time()
    bars = await venue.candles(verdict.key.symbol, minutes=BAR_MINUTES, count=BARS)
    answer = timedelta(seconds=loop.time() - asked_s)
    poll = _poll_before(account, verdict)
    span = poll + 2 * answer + venue.write_terms.fence
    sigma = volatility([(bar.high, bar.low) for bar in bars], timedelta(minutes=BAR_MINUTES), span)
    said = (
        f"poll {wording.duration(poll)}, answers {2 * answer / timedelta(seconds=1):.1f} s, "
        f"a lost one {wording.duration(venue.write_terms.fence)}"
    )
    if sigma is None:
        return True, f"the price did not move in {len(bars)} bars: the time to react cannot be judged ({said})"
    trigger = float(verdict.trigger)
    sigmas = trigger / sigma
    text = (
        f"at {wording.distance(verdict.trigger)} you have {sigmas:.1f} sigmas to react "
        f"({said}; one sigma is {sigma:.2%} in {wording.duration(span)})"
    )
    if sigmas >= SIGMAS_ENOUGH:
        return True, text
    return False, f"{text}: raise the trigger to {SIGMAS_ENOUGH * sigma:.2%} or more"


def _poll_before(account: AccountSettings, verdict: PositionVerdict) -> timedelta:
    """Return how often a position is looked at before its trigger: the slow way, unless a rung stands before it."""
    ladder = account.terms.ladder if verdict.rule is None else verdict.rule.ladder
    warned_at = max((rung.distance for rung in ladder.rungs if rung.level >= Level.WARN), default=None)
    is_near = warned_at is not None and verdict.trigger is not None and verdict.trigger < warned_at
    return account.poll_near if is_near else account.poll_calm
