"""Volatility from bars: numbers worked out by hand, and a random walk whose volatility is known."""

import math
import random
from datetime import timedelta

import pytest

from guard.outlook.volatility import volatility

QUARTER = timedelta(minutes=15)


def test_one_bar_by_hand():
    # ln(1.02)^2 / (4 ln 2) = 0.00039214 / 2.772589 = 0.000141435; its root is 1.18927 %.
    assert volatility([(102.0, 100.0)], QUARTER, QUARTER) == pytest.approx(0.0118927, rel=1e-4)
    assert volatility([(102.0, 100.0)], QUARTER, timedelta(minutes=60)) == pytest.approx(2 * 0.0118927, rel=1e-4)


def test_bars_without_a_move_say_nothing():
    assert volatility([(100.0, 100.0)] * 5, QUARTER, QUARTER) is None
    assert volatility([], QUARTER, QUARTER) is None


def test_a_random_walk_is_measured_as_it_was_made():
    dice, bars, price = random.Random(7), [], 0.0  # noqa: S311 - a walk, not a secret.
    for _ in range(400):
        walk = [price]
        for _ in range(900):
            walk.append(walk[-1] + dice.gauss(0, 0.01 / 30))  # 1 % in 900 steps.
        bars.append((math.exp(max(walk)), math.exp(min(walk))))
        price = walk[-1]
    assert volatility(bars, QUARTER, QUARTER) == pytest.approx(0.01, rel=0.1)
