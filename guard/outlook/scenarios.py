"""What many joint price scenarios do to one margin pool: balance, requirement, and whether it is liquidated.

The arithmetic is that of `guard.margin`, in floats. The scenarios pass through the cache in blocks, each as one flat
run of numbers, row by row as they lie in memory. A requirement is one straight line per quote, and

- bends that many scenarios lie on both sides of are dense: `min(quote, start)`, or the quote from the start on, for
  all quotes at once, in layers;
- what few scenarios reach is sparse: they are found by two comparisons and put right one by one.

Which is which is judged by a sample. It decides how long it takes, and no figure.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guard.outlook.compiled_pool import CompiledPool, FloatArray, Quote, compile_pool

__all__ = ["CompiledPool", "Outcomes", "compile_pool", "evaluate"]

BLOCK_NUMBERS = 2**16  # 512 KiB: a block, a layer laid out beside it and what comes of both lie in the cache together.
SAMPLE = 2**7
STRAYS_AT_ONCE = 2**13

# What one scenario costs, in units of one dense number: measured by benchmarks/scenarios.py.
DENSE_JUMP = 1.5
STRAY = 100.0
SHARES = (0.5, 0.2, 0.05, 0.02)

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """One row per scenario, in the pool's currency."""

    margin_balance: FloatArray
    requirement: FloatArray
    liquidated: BoolArray  # The balance is at or below the requirement.


def evaluate(compiled: CompiledPool, factors: FloatArray) -> Outcomes:
    """Return what each scenario does. `factors`: a row per scenario, a column per coin, 1 is its present price.

    Factors are finite and not negative. Working memory does not grow with the number of scenarios; what comes back is
    17 bytes for each. Both figures are within 1e-12 of the sum of all amounts that they are made of, and a requirement
    is within 1e-9 of itself for factors from 1/1000 to 1000.

    Tiers that jump: a factor is compared with its floor exactly, so that a notional equal to a floor belongs to the
    tier above, and that of the float just below it does not. Where a quote is a quotient (inverse contracts, coins
    counted in coins) it is rounded first: a notional that lacks less than 1 part in 10^15 may count as at the floor.

    Raises ValueError if a balance or requirement is not finite.
    """
    count = len(factors)
    assert factors.shape == (count, len(compiled.coins))
    outcomes = Outcomes(
        margin_balance=np.empty(count), requirement=np.empty(count), liquidated=np.empty(count, dtype=np.bool_)
    )
    if count == 0:
        return outcomes
    with np.errstate(divide="ignore", invalid="ignore"):
        _Work(compiled, _plan(compiled, _sample(compiled, factors)), outcomes).evaluate(factors)
    np.less_equal(outcomes.margin_balance, outcomes.requirement, out=outcomes.liquidated)
    if not (_are_finite(outcomes.margin_balance) and _are_finite(outcomes.requirement)):
        raise ValueError("a scenario leaves a pool without finite figures: a price in it is zero or not a number")
    return outcomes


def _are_finite(figures: FloatArray) -> bool:
    return math.isfinite(figures.min()) and math.isfinite(figures.max())


# What is dense and what is sparse -----------------------------------------------------------------------------------


class _Layer(NamedTuple):
    """At most one dense bend of each quote."""

    starts: FloatArray
    excess_slopes: FloatArray
    whole_slopes: FloatArray


class _Plan(NamedTuple):
    """The straight line per quote with its dense bends, the bounds up to which that holds, and what is beyond them."""

    slopes: FloatArray
    constant: float
    layers: list[_Layer]
    lower: FloatArray  # A quote below this strays, or
    upper: FloatArray  # at this and above.
    stray_slopes: FloatArray  # By quote and piece: what is missing there.
    stray_constants: FloatArray


def _sample(compiled: CompiledPool, factors: FloatArray) -> FloatArray:
    chosen = np.asarray(factors[:: max(1, len(factors) // SAMPLE)], dtype=np.float64)
    return _quoted(compiled, chosen, np.empty((len(chosen), len(compiled.quotes))))


def _plan(compiled: CompiledPool, sample: FloatArray) -> _Plan:
    reached = (sample[:, :, None] >= compiled.starts).mean(axis=0)  # The share of scenarios that reach each bend.
    share = min(SHARES, key=lambda share: _cost(compiled, reached, share))
    first, last = _dense(reached, share)
    rows = np.arange(len(compiled.quotes))
    pieces = np.arange(compiled.piece_slopes.shape[1])
    known = np.clip(pieces, first[:, None], last[:, None])
    bounds = np.pad(compiled.starts, ((0, 0), (1, 1)), constant_values=((0, 0), (-np.inf, np.inf)))
    layers = [_layer(compiled, first + depth, last) for depth in range(int((last - first).max(initial=0)))]
    return _Plan(
        slopes=compiled.piece_slopes[rows, first] + sum(layer.excess_slopes for layer in layers),
        constant=compiled.requirement_constant + float(compiled.piece_constants[rows, first].sum()),
        layers=layers,
        lower=bounds[rows, first],
        upper=bounds[rows, last + 1],
        stray_slopes=compiled.piece_slopes - np.take_along_axis(compiled.piece_slopes, known, axis=1),
        stray_constants=compiled.piece_constants - np.take_along_axis(compiled.piece_constants, known, axis=1),
    )


def _dense(reached: FloatArray, share: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first dense bend of each quote and the one behind its last: each side has this share of scenarios."""
    return (reached > 1 - share).sum(axis=1), (reached >= share).sum(axis=1)


def _cost(compiled: CompiledPool, reached: FloatArray, share: float) -> float:
    first, last = _dense(reached, share)
    bends = np.arange(reached.shape[1])
    is_dense = (bends >= first[:, None]) & (bends < last[:, None])
    layers = int((last - first).max(initial=0))
    jumps = int((is_dense & (compiled.whole_slopes != 0)).sum(axis=1).max(initial=0))
    strays = float(np.minimum(reached, 1 - reached)[~is_dense].sum())
    return len(reached) * (layers + DENSE_JUMP * jumps) + STRAY * strays


def _layer(compiled: CompiledPool, bends: NDArray[np.intp], last: NDArray[np.intp]) -> _Layer:
    rows, there = np.arange(len(bends)), bends < last
    bends = np.where(there, bends, 0)
    return _Layer(
        starts=np.where(there, compiled.starts[rows, bends], 1.0),
        excess_slopes=np.where(there, compiled.excess_slopes[rows, bends], 0.0),
        whole_slopes=np.where(there, compiled.whole_slopes[rows, bends], 0.0),
    )


# One block after the other ------------------------------------------------------------------------------------------


def _quoted(compiled: CompiledPool, factors: FloatArray, into: FloatArray) -> FloatArray:
    """Return the quotes of some scenarios: the factors themselves, or else what is written into an array."""
    for index, quote in enumerate(compiled.quotes):
        above = 1.0 if quote.of is None else factors[:, quote.of]
        into[:, index] = above if quote.terms is None else above / factors[:, quote.terms]
    return into


class _Work:
    """The arrays in which one block after the other is evaluated. All of a block is used, also where less is asked."""

    def __init__(self, compiled: CompiledPool, plan: _Plan, outcomes: Outcomes) -> None:
        count, width = len(outcomes.requirement), len(compiled.quotes)
        self.rows = max(1, min(count, BLOCK_NUMBERS // max(1, width)))
        self._compiled, self._plan, self._outcomes = compiled, plan, outcomes
        self._are_factors = compiled.quotes == tuple(Quote(column, None) for column in range(len(compiled.coins)))
        shape = (self.rows, width)
        self._held: FloatArray | None = None
        self._bent, self._beyond, self._below = np.empty(shape), np.empty(shape, np.bool_), np.empty(shape, np.bool_)
        self._lines, self._layered = np.empty((self.rows, 2)), np.empty(self.rows)
        self._weights = np.stack([compiled.balance_slopes, plan.slopes], axis=1)
        self._layers = [layer._replace(starts=self._laid_out(layer.starts)) for layer in plan.layers]
        self._lower = self._laid_out(plan.lower) if np.isfinite(plan.lower).any() else None
        self._upper = self._laid_out(plan.upper) if np.isfinite(plan.upper).any() else None
        self._strays: list[tuple[NDArray[np.intp], FloatArray]] = []
        self._stray_count = 0

    def _laid_out(self, by_quote: FloatArray) -> FloatArray:
        """Return the same for each scenario of a block: numpy is at its best over two flat arrays."""
        return np.tile(by_quote, (self.rows, 1))

    def evaluate(self, factors: FloatArray) -> None:
        for start in range(0, len(factors), self.rows):
            block = slice(start, min(start + self.rows, len(factors)))
            quotes = self._quotes(factors[block])
            self._add_lines(quotes, self._outcomes.margin_balance[block], self._outcomes.requirement[block])
            self._note_strays(quotes, block)
            if self._stray_count > STRAYS_AT_ONCE:
                self._add_strays()
        self._add_strays()

    def _quotes(self, factors: FloatArray) -> FloatArray:
        is_block = len(factors) == self.rows and factors.dtype == np.float64 and factors.flags.c_contiguous
        if self._are_factors and is_block:
            return factors
        if self._held is None:
            self._held = np.ones((self.rows, len(self._compiled.quotes)))
        _quoted(self._compiled, factors, self._held[: len(factors)])
        return self._held

    def _add_lines(self, quotes: FloatArray, balance: FloatArray, required: FloatArray) -> None:
        """Write what holds within the bounds, for as many scenarios of the block as there are."""
        count = len(balance)
        np.dot(quotes, self._weights, out=self._lines)
        np.add(self._lines[:count, 0], self._compiled.balance_constant, out=balance)
        for fold in self._compiled.folds:
            balance += (np.dot(quotes, fold.slopes) + fold.constants).min(axis=1)[:count]
        np.add(self._lines[:count, 1], self._plan.constant, out=required)
        for layer in self._layers:
            if layer.excess_slopes.any():
                np.minimum(quotes, layer.starts, out=self._bent)
                required -= np.dot(self._bent, layer.excess_slopes, out=self._layered)[:count]
            if layer.whole_slopes.any():
                np.greater_equal(quotes, layer.starts, out=self._beyond)
                np.multiply(quotes, self._beyond, out=self._bent)
                required += np.dot(self._bent, layer.whole_slopes, out=self._layered)[:count]

    def _note_strays(self, quotes: FloatArray, block: slice) -> None:
        if self._upper is None and self._lower is None:
            return
        if self._upper is not None:
            np.greater_equal(quotes, self._upper, out=self._beyond)
        if self._lower is not None:
            np.less(quotes, self._lower, out=self._below)
        if self._upper is None:
            found = np.flatnonzero(self._below)
        else:
            if self._lower is not None:
                np.logical_or(self._beyond, self._below, out=self._beyond)
            found = np.flatnonzero(self._beyond)
        width = quotes.shape[1]
        found = found[: np.searchsorted(found, (block.stop - block.start) * width)]
        if len(found):
            self._strays.append((found + block.start * width, quotes.reshape(-1)[found]))
            self._stray_count += len(found)

    def _add_strays(self) -> None:
        if not self._strays:
            return
        places, quotes = (np.concatenate(parts) for parts in zip(*self._strays, strict=True))
        self._strays, self._stray_count = [], 0
        scenarios, columns = np.divmod(places, len(self._compiled.quotes))
        pieces = (quotes[:, None] >= self._compiled.starts[columns]).sum(axis=1)
        missing = self._plan.stray_slopes[columns, pieces] * quotes + self._plan.stray_constants[columns, pieces]
        np.add.at(self._outcomes.requirement, scenarios, missing)
