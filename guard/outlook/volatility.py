"""How far a price moves in a span of time, measured from bars of it. Floats: never for money."""

import math
from collections.abc import Sequence
from datetime import timedelta


def volatility(bars: Sequence[tuple[float, float]], bar: timedelta, horizon: timedelta) -> float | None:
    """Return one standard deviation of the log price over a horizon, from the (high, low) of bars of one length.

    Parkinson's estimator: the mean of ln(high / low)^2 / (4 ln 2), scaled by the square root of time. Source:
    M. Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return, 1980. None: no bar moved.
    """
    ranges = [math.log(high / low) ** 2 for high, low in bars if high >= low > 0]
    if not ranges or not any(ranges):
        return None
    return math.sqrt(sum(ranges) / len(ranges) / (4 * math.log(2)) * (horizon / bar))
