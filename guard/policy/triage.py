"""Who is saved when several positions need the same money: all or nothing for each.

A position is saved when it can get what brings it back to its clear level (law 9). While there is money for everybody's
target, nothing is decided here. Where there is not:

1. The owner's `priority` comes first, then the loss avoided per unit of money: what a liquidation would take (the
   margin balance) over what the clear level costs. What is equal goes by symbol and side.
2. In this order each position that every limit still has room for is saved. One that does not fit is passed over, and
   the money goes on to the next: nobody is passed over whom the money left by those better placed would have saved.
3. What is left brings the saved ones, in the same order, on towards their targets. A position that cannot be saved
   gets some of it only where its rule says `when_short = "spend"`.

This is greedy, and the best set can avoid a larger loss: with 100 to spend, a position that keeps 10 for 1 comes before
one that keeps 500 for 100, which then does not fit. It is taken all the same: it is what the owner can foretell from
one line, the best set turns over with small moves of the marks, and a rescue made in several acts keeps its place here,
as every act makes the rest cheaper and the balance larger. A `priority` is the owner's way to say otherwise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from guard.policy.allotment import Allotment, Candidate
from guard.policy.budget import Case, Desk
from guard.policy.decision import Contender, TopUp, Triage, Withheld, WithheldReason
from guard.policy.left_out import left_out, share_a_limit
from guard.policy.rescue import clear_level, judge, margin_needed, rounded_up
from guard.snapshot import PositionKey

ZERO = Decimal(0)


def triage(breached: Iterable[Case], desk: Desk) -> Triage:
    """Judge every breached position, and decide who is saved where they need more money than there is."""
    cases = sorted(breached, key=lambda case: (-case.top_up.priority, case.figures.distance or ZERO, case.key))
    alone = {case.key: judge(case, desk) for case in cases}
    candidates = [one for case in cases if (one := _candidate(case, alone[case.key], desk)) is not None]
    allotment = Allotment.of(candidates, desk)
    offers = allotment.offers
    answers = alone | allotment.given
    for one in allotment.left_out:
        if one.key not in allotment.given and not one.waits:
            answers[one.key] = left_out(one.case, offers, desk.beside(allotment.claims_of_others(one)))
    return Triage(
        answers=answers,
        top_ups=tuple(allotment.given[key] for key in allotment.order if key in allotment.given),
        contenders=_contenders(allotment, offers),
    )


def _candidate(case: Case, alone: TopUp | Withheld, desk: Desk) -> Candidate | None:
    """Return a position that may get money, now or when it has cooled down. None: it may not, whatever others need."""
    waits = isinstance(alone, Withheld) and alone.reason is WithheldReason.COOLING_DOWN
    if waits:
        assert case.life is not None, "it remembers when it was topped up"
        case = replace(case, life=replace(case.life, last_top_up_at=None))
        alone = judge(case, desk)
    if isinstance(alone, Withheld):
        return None
    clear = clear_level(case)
    to_clear = margin_needed(case, clear)
    offer = Contender(
        key=case.key,
        currency=case.settle,
        mode=case.mode,
        priority=case.top_up.priority,
        is_saved=False,
        amount=None,
        clear=clear,
        money_to_clear=None if to_clear is None else max(case.step, rounded_up(to_clear, case.step)),
        money_to_target=margin_needed(case, case.top_up.target),
        loss_avoided=max(ZERO, case.figures.margin_balance or ZERO),
    )
    return Candidate(case=case, alone=alone, waits=waits, offer=offer)


def _contenders(allotment: Allotment, offers: Mapping[PositionKey, Contender]) -> tuple[Contender, ...]:
    """Return those left out, and those saved who take from the same limits. Nobody is left out: nobody contends."""
    lost = allotment.left_out
    return tuple(
        offers[one.key]
        for one in allotment.ranked
        if one in lost or any(share_a_limit(other.case, allotment.claims[one.key]) for other in lost)
    )
