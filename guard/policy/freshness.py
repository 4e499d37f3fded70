"""How old the facts are, as a state: old facts are never a big distance."""

from datetime import timedelta

from guard.policy.decision import DataState
from guard.policy.terms import DataAgeLimits


def data_state(age: timedelta | None, limits: DataAgeLimits) -> DataState:
    """Return the state of facts of an age. None: nothing was ever read, which is blind.

    Facts from the future by more than `spend_within` mean that the clock stepped back: their age is not known.
    """
    if age is None or age > limits.blind_after:
        return DataState.BLIND
    return DataState.FRESH if -limits.spend_within <= age <= limits.stale_after else DataState.STALE


def may_be_spent_on(age: timedelta, limits: DataAgeLimits) -> bool:
    """Say whether facts of an age may move money; a clock that stepped back makes them unfit as well."""
    return abs(age) <= limits.spend_within
