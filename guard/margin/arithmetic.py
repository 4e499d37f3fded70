"""The one precision in which the model computes, so that no figure depends on a caller's decimal context."""

from collections.abc import Callable
from decimal import ROUND_CEILING, Context, Decimal, getcontext, setcontext
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
        callers = getcontext()
        if callers.prec == _WORKING.prec:
            return function(*args, **kwargs)
        setcontext(_WORKING)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(callers)

    return in_working_precision


finished = _FINISHED.plus  # A quotient of the model with its guard digits dropped: 50 significant digits, never a tick.
finished_up = _FINISHED_UP.plus  # The same for what is required: the last digit never falls short.
