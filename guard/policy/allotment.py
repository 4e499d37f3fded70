"""The money of one decision in the order of triage: first what saves each, then towards their targets what is left."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import takewhile
from typing import Self

from guard.policy.budget import Case, Claim, Desk, in_full_dollars, most_left, rooms
from guard.policy.decision import Contender, TopUp, Withheld
from guard.policy.rescue import judge, rounded_down, top_up_of
from guard.policy.terms import Mode
from guard.snapshot import PositionKey

HEADROOM = Decimal("1.1")  # Marks move between two acts: the last cent of the clear level is no comfort for another.
CUT_BY_OTHERS = "what others need to be saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A position that may get money."""

    case: Case
    alone: TopUp  # What it would get if nobody else needed money.
    waits: bool  # It cools down: it keeps its place and its claim, and gets nothing now.
    offer: Contender

    @property
    def key(self) -> PositionKey:
        return self.case.key

    @property
    def mode(self) -> Mode:
        return self.case.mode

    @property
    def rank(self) -> tuple[int, Decimal, PositionKey]:
        return -self.offer.priority, -self.offer.worth, self.key

    @property
    def least(self) -> Decimal:
        """Return what it gets now at least if it is saved: one act may spend less than its clear level costs."""
        return min(self.alone.amount, self.offer.money_to_clear or self.alone.amount)

    def is_saved_by(self, amount: Decimal) -> bool:
        return self.offer.money_to_clear is not None and amount >= self.offer.money_to_clear

    def whole(self, desk: Desk) -> Decimal:
        """Return what it takes where there is money for all; what several acts need for its clear level counts."""
        to_clear = self.offer.money_to_clear
        if to_clear is None or not self.has_room_for(to_clear, desk):
            return self.alone.amount
        return max(self.alone.amount, to_clear)

    def has_room_for(self, amount: Decimal, desk: Desk) -> bool:
        """Say whether every limit leaves so much beside the claims on the desk."""
        found = rooms(self.case, desk)
        assert not isinstance(found, Withheld), "a limit that is not known would have kept it from being a candidate"
        left = most_left(found)
        return left is None or amount <= rounded_down(left, self.case.step)

    def claim(self, amount: Decimal, desk: Desk) -> Claim:
        return Claim(
            key=self.key,
            rule=self.case.rule.name,
            purse=self.case.purse,
            amount=amount,
            dollars=in_full_dollars(amount, self.case, desk),
            mode=self.mode,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """Who has a claim to how much (the saved, and those told to spend anyway), and who gets how much of it now."""

    ranked: Sequence[Candidate]  # Best placed first.
    desk: Desk
    saved: set[PositionKey] = field(default_factory=set)
    claims: dict[PositionKey, Claim] = field(default_factory=dict)
    given: dict[PositionKey, TopUp] = field(default_factory=dict)
    order: list[PositionKey] = field(default_factory=list)  # In which they are to be topped up.
    short: set[Mode] = field(default_factory=set)  # The modes in which there is too little money.

    @classmethod
    def of(cls, candidates: Sequence[Candidate], desk: Desk) -> Self:
        """Allot the money. `candidates` are in the order that holds while there is money for all.

        The freest mode comes first, whole: what is only said takes nothing from what is done.
        """
        made = cls(ranked=sorted(candidates, key=lambda one: one.rank), desk=desk)
        for mode in sorted({one.mode for one in candidates}, reverse=True):
            made._allot([one for one in candidates if one.mode is mode], mode)
        return made

    @property
    def offers(self) -> dict[PositionKey, Contender]:
        """Return what became of each, best placed first."""
        return {
            one.key: replace(
                one.offer,
                is_saved=one.key in self.saved,
                amount=self.given[one.key].amount if one.key in self.given else None,
            )
            for one in self.ranked
        }

    @property
    def left_out(self) -> list[Candidate]:
        """Return those that the money does not save although it would save each of them alone, or that spend anyway."""
        return [one for one in self.ranked if one.mode in self.short and one.key not in self.saved]

    def claims_of_others(self, one: Candidate) -> Iterator[Claim]:
        return (claim for key, claim in self.claims.items() if key != one.key)

    def _allot(self, alike: Sequence[Candidate], mode: Mode) -> None:
        whole = self._whole(alike)
        if whole is None:
            self.short.add(mode)
            alike = [one for one in self.ranked if one.mode is mode]
            self._save(alike)
            self._fill(alike)
        else:
            self.claims.update(whole)
            self.saved.update(one.key for one in alike if one.is_saved_by(whole[one.key].amount))
            self.given.update({one.key: one.alone for one in alike if not one.waits})
        self.order.extend(one.key for one in alike)

    def _whole(self, alike: Iterable[Candidate]) -> Mapping[PositionKey, Claim] | None:
        """Return the claims of all, one after the other, where each gets what it would get alone. None: too little."""
        claims: dict[PositionKey, Claim] = {}
        for one in alike:
            amount = one.whole(self.desk)
            if not one.has_room_for(amount, self.desk.beside([*self.claims.values(), *claims.values()])):
                return None
            claims[one.key] = one.claim(amount, self.desk)
        return claims

    def _save(self, alike: Iterable[Candidate]) -> None:
        for one in alike:
            to_clear = one.offer.money_to_clear
            before = self.desk.beside(self.claims[other.key] for other in self._better(one))
            if to_clear is not None and one.has_room_for(to_clear, before):
                self.saved.add(one.key)
                self.claims[one.key] = one.claim(to_clear, self.desk)

    def _fill(self, alike: Sequence[Candidate]) -> None:
        """Give each what it gets now, and let its claim grow to that."""
        for index, one in enumerate(alike):
            if one.waits:
                continue
            later = [other for other in alike[index + 1 :] if other.key in self.saved]
            top_up = self._top_up(one, later)
            if top_up is not None:
                self.given[one.key] = top_up
                self.claims[one.key] = self._grown(one, top_up)

    def _top_up(self, one: Candidate, later: Sequence[Candidate]) -> TopUp | None:
        """Return what is left for one towards its target: its clear level at least if it is saved. None: nothing."""
        better, is_saved = self._better(one), one.key in self.saved
        before = [self.claims[other.key] for other in better]
        answer = judge(one.case, self.desk.beside(map(self._reserved, [*better, *later])))
        enough = one.least if is_saved else Decimal(0)
        if (
            isinstance(answer, TopUp)
            and answer.amount >= enough
            and self._all_fit(later, [*before, self._grown(one, answer)])
        ):
            return answer
        if not is_saved:
            return None
        # Nothing is left above the clear levels, or another rule keeps a larger reserve in the same wallet, which does
        # not show in this one's own limits.
        cut_by = CUT_BY_OTHERS if one.least < one.alone.amount else one.alone.cut_by
        return top_up_of(one.case, self.desk, one.least, cut_by)

    def _all_fit(self, later: Iterable[Candidate], claims: list[Claim]) -> bool:
        """Say whether all that come later are still saved, one after the other."""
        for other in later:
            claim = self.claims[other.key]
            if not other.has_room_for(claim.amount, self.desk.beside(claims)):
                return False
            claims = [*claims, claim]
        return True

    def _reserved(self, other: Candidate) -> Claim:
        """Return what is kept from others' comfort; for an act to come a little more than its clear level costs now."""
        claim = self.claims[other.key]
        if other.key in self.given:
            return claim
        amount = max(claim.amount, min(claim.amount * HEADROOM, other.alone.amount))
        return other.claim(amount, self.desk)

    def _better(self, one: Candidate) -> list[Candidate]:
        """Return those with a claim who are better placed."""
        better = takewhile(lambda other: other.key != one.key, self.ranked)
        return [other for other in better if other.key in self.claims]

    def _grown(self, one: Candidate, top_up: TopUp) -> Claim:
        """Return a claim that covers an act; what later acts need for the clear level stays claimed."""
        claim = self.claims.get(one.key)
        return claim if claim is not None and claim.amount >= top_up.amount else one.claim(top_up.amount, self.desk)
