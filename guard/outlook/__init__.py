"""What may happen next: volatility, distance in sigmas, chance of touching liquidation.

The figures come with the issue on foresight. Until then the room gives the one honest answer: an Outlook without
figures and the gap that says so. Nothing here ever decides an amount of money.

`guard.outlook.scenarios` judges many joint price scenarios at once. It needs numpy, so that only what asks for it
imports it: the daemon and every `--help` start without.
"""

from dataclasses import dataclass

from guard.snapshot import Gap, PositionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How far liquidation is in the coin's own terms. None: not known; `gap` says why."""

    sigmas: float | None  # |ln(mark / liquidation)| over the volatility of 24 h.
    touch_probability: dict[str, float] | None  # By horizon: "1h", "8h", "24h".
    gap: Gap | None


def without_candles(key: PositionKey) -> Outlook:
    """Return the outlook of a position for which no price history was read."""
    return Outlook(
        sigmas=None,
        touch_probability=None,
        gap=Gap(subject=f"{key} outlook", reason="volatility is not measured yet: sigmas are not known", key=key),
    )
