"""Afterwards: what would have kept a position alive, held against each limit that its owner had written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from guard.margin.arithmetic import exact
from guard.policy.phrases import money_left, money_needed
from guard.policy.prices import DollarPrices, in_settle
from guard.policy.rules import mode_in_force
from guard.policy.terms import Amount, Mode, Rule, Terms

ZERO = Decimal(0)
Spending = Iterable[tuple[str, str | None, Decimal]]  # Account, rule, dollars.


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidFrom:
    """The wallet that would have paid, as last seen. In its currency."""

    available: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One position that is gone, and what was known of its money then. In its settle currency."""

    account: str
    settle: str
    prices: DollarPrices
    initial_margin: Decimal | None
    spent_on_it: Decimal
    spent_that_day: Spending
    wallet: PaidFrom | None  # None: not known.


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAgainst:
    """One limit, and whether what was left of it would have been enough."""

    limit: str
    left: Decimal | None  # Settle currency. None: no amount, or not known.
    is_enough: bool | None  # None: not known.
    text: str


@exact
def held_against(needed: Decimal, rule: Rule | None, terms: Terms, loss: Loss) -> tuple[HeldAgainst, ...]:
    """Return each limit in the order in which guard asks them; with no budget only that there is none."""
    if rule is None or rule.top_up is None:
        name = "no rule matches it" if rule is None else f"rule {rule.name} has no top_up"
        return (
            HeldAgainst(limit="a budget", left=ZERO, is_enough=needed <= 0, text=f"{name}: guard never adds to it"),
        )
    return (_mode(needed, rule, terms), *_amounts(needed, rule, terms, loss))


def _mode(needed: Decimal, rule: Rule, terms: Terms) -> HeldAgainst:
    mode = mode_in_force(terms, rule)
    acts = mode is Mode.ACT
    text = "guard may add" if acts else "guard sends nothing in this mode"
    return HeldAgainst(limit=f"mode {mode.word}", left=None, is_enough=acts or needed <= 0, text=text)


def _amounts(needed: Decimal, rule: Rule, terms: Terms, loss: Loss) -> Iterator[HeldAgainst]:
    assert rule.top_up is not None
    top_up = rule.top_up
    others = {one.name for one in terms.rules} - {rule.name}
    that_day = tuple(loss.spent_that_day)
    by_rule = sum((d for who, name, d in that_day if who == loss.account and name not in others), ZERO)
    dollars = loss.prices.get(loss.settle)
    if top_up.max_per_action is not None:
        yield _one_act(top_up.max_per_action, needed, loss)
    written = (
        ("max_per_position", top_up.max_per_position, loss.spent_on_it),
        (f"max_per_day of rule {rule.name}", top_up.max_per_day, None if not dollars else by_rule / dollars),
        (
            "[limits] max_per_day",
            terms.max_per_day_all,
            None if not dollars else sum((d for _, _, d in that_day), ZERO) / dollars,
        ),
    )
    for name, amount, spent in written:
        if amount is not None:
            yield _limit(name, amount, spent, needed, loss)
    yield _reserve(top_up.reserve, needed, loss)


def _one_act(written: Amount, needed: Decimal, loss: Loss) -> HeldAgainst:
    """Return what one act may add: less than needed only means that several had to follow each other in time."""
    one = _limit("max_per_action", written, ZERO, needed, loss)
    if one.left is None or one.is_enough or not one.left:
        return one
    acts = (needed / one.left).to_integral_value(ROUND_CEILING)
    text = f"{money_left(one.left, loss.settle)} at once: {acts} acts in a row were needed"
    return HeldAgainst(limit=one.limit, left=one.left, is_enough=None, text=text)


def _limit(name: str, written: Amount, spent: Decimal | None, needed: Decimal, loss: Loss) -> HeldAgainst:
    most = in_settle(written, loss.settle, initial_margin=loss.initial_margin, equity=None, prices=loss.prices)
    if most is None or spent is None:
        text = f"{written.written}: what that was in {loss.settle} is not known"
        return HeldAgainst(limit=name, left=None, is_enough=None, text=text)
    left = max(ZERO, most - spent)
    text = f"{money_left(most, loss.settle)} written, {money_left(spent, loss.settle)} spent"
    return _judged(name, left, needed, loss, text)


def _reserve(written: Amount, needed: Decimal, loss: Loss) -> HeldAgainst:
    name = "the reserve"
    if loss.wallet is None:
        text = "what the wallet had then is not known"
        return HeldAgainst(limit=name, left=None, is_enough=None, text=text)
    reserve = in_settle(
        written, loss.settle, initial_margin=loss.initial_margin, equity=loss.wallet.equity, prices=loss.prices
    )
    if reserve is None:
        text = f"{written.written}: what that was in {loss.settle} is not known"
        return HeldAgainst(limit=name, left=None, is_enough=None, text=text)
    left = max(ZERO, loss.wallet.available - max(ZERO, reserve))
    text = f"{money_left(loss.wallet.available, loss.settle)} available, {money_left(reserve, loss.settle)} must stay"
    return _judged(name, left, needed, loss, text)


def _judged(name: str, left: Decimal, needed: Decimal, loss: Loss, text: str) -> HeldAgainst:
    enough = left >= needed
    short = "" if enough else f", {money_needed(needed - left, loss.settle)} short"
    return HeldAgainst(
        limit=name, left=left, is_enough=enough, text=f"{text}: {money_left(left, loss.settle)} left{short}"
    )
