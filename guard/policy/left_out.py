"""What is said of a position whose money goes to others: who is saved instead, and what saving this one costs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from guard.policy.budget import Case, Claim, Desk, Room, rooms, smallest
from guard.policy.decision import Contender, Withheld, WithheldReason
from guard.policy.phrases import money_left, money_needed, percent, ratio, short_name
from guard.snapshot import PositionKey

NAMED_MAX = 3
_SHARED_LIMITS = (
    WithheldReason.RULE_DAY_BUDGET_SPENT,
    WithheldReason.TOTAL_DAY_BUDGET_SPENT,
    WithheldReason.RESERVE,
)


def left_out(case: Case, offers: Mapping[PositionKey, Contender], desk: Desk) -> Withheld:
    """Return why a position gets nothing. `desk` bears the claims of all others, `offers` are best placed first."""
    found = rooms(case, desk)
    assert not isinstance(found, Withheld), "a limit that is not known would have kept it from being a candidate"
    tightest = smallest([room for room in found if any(desk.claimed(case, room.reason))])
    assert tightest is not None, "without a claim on its limits it would not be left out"
    offer = offers[case.key]
    went = list(_went(case, offer, offers.values(), tightest, desk))
    text = f"not saved: the money goes to {_and(_first(went))}; {_price(offer, tightest)}"
    return Withheld(reason=WithheldReason.OTHERS_FIRST, text=f"{text} ({tightest.text})")


def share_a_limit(case: Case, claim: Claim) -> bool:
    """Say whether a claim leaves a position less of any limit, written or not."""
    return any(claim.takes_from(case, limit) for limit in _SHARED_LIMITS)


def already_added(case: Case, limit: WithheldReason, desk: Desk) -> str:
    """Return who got money of the same currency in the last day, for the end of a sentence. Empty: nobody else."""
    if limit not in _SHARED_LIMITS and limit is not WithheldReason.CROSS_POOL_NEEDS_IT:
        return ""
    since = desk.now - timedelta(days=1)
    lives = [life for key, life in desk.memory.lives.items() if key != case.key and key.settle == case.settle]
    added = [life for life in lives if life.spent and life.last_top_up_at is not None and life.last_top_up_at >= since]
    added.sort(key=lambda life: (-life.spent, life.key))
    named = [f"{money_left(life.spent, case.settle)} to {short_name(life.key)}" for life in added]
    return f"; added before: {_and(_first(named))}" if named else ""


def _went(case: Case, offer: Contender, offers: Iterable[Contender], tightest: Room, desk: Desk) -> Iterator[str]:
    is_earlier = True
    for other in offers:
        is_earlier = is_earlier and other.key != offer.key
        claim = next((claim for claim in desk.claims if claim.key == other.key), None)
        if claim is not None and claim.takes_from(case, tightest.reason):
            why = _why(other, offer) if is_earlier else "it fits what is left"
            yield f"{short_name(other.key)} ({money_needed(claim.amount, claim.currency)}, {why})"


def _why(other: Contender, offer: Contender) -> str:
    if other.priority > offer.priority:
        return f"priority {other.priority}"
    if other.worth > offer.worth:
        return f"keeps {ratio(other.worth)} per unit spent, this {ratio(offer.worth)}"
    return "worth as much, first by name"


def _price(offer: Contender, tightest: Room) -> str:
    clear = percent(offer.clear)
    if offer.money_to_clear is None:
        return f"no amount of margin brings this to {clear}"
    return f"this needs {money_needed(offer.money_to_clear - tightest.left, offer.currency)} more to reach {clear}"


def _first(names: Sequence[str]) -> list[str]:
    more = [f"{len(names) - NAMED_MAX} more"] if len(names) > NAMED_MAX else []
    return [*names[:NAMED_MAX], *more]


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
