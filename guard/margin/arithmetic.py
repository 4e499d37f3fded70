"""The one precision in which the model computes, so that no figure depends on a caller's decimal context."""

from collections.abc import Callable
from decimal import ROUND_CEILING, Context, Decimal, getcontext, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

ZERO = Decimal(0)
ONE = Decimal(1)

_WORKING = Context(prec=60)
# Ten guard digits are dropped from a root, so that 3000 comes out as 3000 and not as 2999.999...
_FINISHED = Context(prec=50)
_FINISHED_UP = Context(prec=50, rounding=ROUND_CEILING)


def exact(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Run a function in the model's own precision of 60 digits, whatever the caller's context is."""

    @wraps(function)
    def in_working_precision(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if getcontext().prec == _WORKING.prec:
            return function(*args, **kwargs)
        with localcontext(_WORKING):
            return function(*args, **kwargs)

    return in_working_precision


def finished(value: Decimal) -> Decimal:
    """Return a quotient of the model with its guard digits dropped: 50 significant digits, never a tick."""
    return _FINISHED.plus(value)


def finished_up(value: Decimal) -> Decimal:
    """Return the same for what is required: the last digit never falls short."""
    return _FINISHED_UP.plus(value)
