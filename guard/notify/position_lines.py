"""The lines that say how a position or a pool stands: how far, what it costs, what guard does, what to do."""

from collections.abc import Iterator
from decimal import Decimal

from guard.notify import wording
from guard.policy.decision import Decision, PoolVerdict, PositionVerdict, TopUp
from guard.policy.phrases import short_name
from guard.policy.stops import of_a_part_only
from guard.policy.terms import Level, Mode
from guard.snapshot import Liquidation, LiquidationKind, MarginMode, PositionKey

_CONTENDERS_MAX = 6
_ONLY_SAID = {
    Mode.OBSERVE: "mode observe: it only looks",
    Mode.SHADOW: "mode shadow: it only says so",
    Mode.APPROVE: "mode approve: it cannot ask yet, so it only says so",
}
_ANSWERS = {
    LiquidationKind.PAST: "past it",
    LiquidationKind.NONE: "at no price",
    LiquidationKind.UNKNOWN: "not known",
}


def where(verdict: PositionVerdict) -> str:
    """Return how far liquidation is, for a title."""
    figures = verdict.figures
    price = liquidation_in_force(verdict)
    if price is not None and figures.distance is not None:
        mark = figures.position.mark_price
        return f"{wording.distance(figures.distance)} from liquidation ({wording.liquidation_price(price, mark=mark)})"
    return without_price(figures.liquidation.kind)


def without_price(kind: LiquidationKind) -> str:
    if kind is LiquidationKind.PAST:
        return "at or past liquidation"
    if kind is LiquidationKind.NONE:
        return "no liquidation price"
    return "liquidation not known"


def liquidation_in_force(verdict: PositionVerdict) -> Decimal | None:
    """Return the price that the distance goes by. None: none, past or unknown."""
    figures = verdict.figures
    if figures.distance_basis == "exchange":
        return figures.position.exchange_liquidation.price
    return figures.liquidation.price


def how_far(verdict: PositionVerdict) -> Iterator[str]:
    figures = verdict.figures
    mark = figures.position.mark_price
    ours, theirs = figures.crossings.nearest, figures.position.exchange_liquidation
    yield f"Mark {wording.price(mark)}, {where(verdict)}."
    yield _both_say(ours, theirs, mark, is_theirs_nearer=figures.distance_basis == "exchange")
    yield from _how_fast(verdict)
    if verdict.stop is not None:
        at = wording.price(verdict.stop.trigger_price)
        by = f" by the {verdict.stop.trigger_by} price" if verdict.stop.trigger_by else ""
        note = "it lies behind liquidation" if verdict.stop_trouble else "it comes before liquidation"
        yield f"Your stop is at {at}{by}: {note}."
        part = of_a_part_only(verdict.stop)
        if part is not None:
            yield f"But {part}."
    if verdict.stop_unpriced is not None:
        yield f"{verdict.stop_unpriced[0].upper()}{verdict.stop_unpriced[1:]}."


def liquidation_price_text(verdict: PositionVerdict) -> str:
    """Return the price that the distance goes by, for people."""
    price = liquidation_in_force(verdict)
    mark = verdict.figures.position.mark_price
    return "its liquidation price" if price is None else wording.liquidation_price(price, mark=mark)


def _both_say(ours: Liquidation, theirs: Liquidation, mark: Decimal, *, is_theirs_nearer: bool) -> str:
    """Compare as a person reads: what no figure shows is no difference."""
    own, other = _answer(ours, mark), _answer(theirs, mark)
    if own == other and ours.price is not None:
        return f"Our model and the exchange say the same: {own}."
    said = f"Our model: {own}; the exchange: {other}."
    return f"{said} The exchange's is nearer and counts." if is_theirs_nearer else said


def _answer(liquidation: Liquidation, mark: Decimal) -> str:
    if liquidation.price is not None:
        return wording.liquidation_price(liquidation.price, mark=mark)
    return _ANSWERS[liquidation.kind]


def _how_fast(verdict: PositionVerdict) -> Iterator[str]:
    if verdict.outlook.sigmas is not None:
        yield f"In the coin's own terms: {verdict.outlook.sigmas:.1f} sigmas of a day away."
    chances = verdict.outlook.touch_probability
    if chances:
        told = ", ".join(f"{wording.chance(chance)} within {horizon}" for horizon, chance in chances.items())
        yield f"Chance to touch it: {told}."


def what_it_costs(verdict: PositionVerdict) -> Iterator[str]:
    figures = verdict.figures
    position = figures.position
    currency = position.contract.settle
    if position.margin_mode is MarginMode.CROSS:
        if figures.margin_balance is not None:
            balance = wording.free(figures.margin_balance, currency)
            yield f"At stake: the whole balance of {figures.pool_name}, {balance}."
        return
    if position.isolated_wallet is not None:
        yield f"At stake: its margin, {wording.required(position.isolated_wallet, currency)}."
    if figures.margin_balance is not None and figures.requirement is not None:
        yield (
            f"Margin balance {wording.free(figures.margin_balance, currency)}, "
            f"required {wording.required(figures.requirement, currency)}."
        )
    terms = verdict.rule.top_up if verdict.rule is not None else None
    if terms is not None and verdict.money_to_target:  # Nothing to say where it is beyond its target already.
        yield f"Back to {wording.distance(terms.target)} costs {wording.required(verdict.money_to_target, currency)}."
    if terms is not None:
        left, now = _known(verdict.budget_left, currency), _known(verdict.spendable, currency)
        yield f"Budget left: {left}; to spend now: {now}."
    guarded = verdict.guarded_liquidation_price
    if guarded is not None and guarded != figures.crossings.nearest.price:  # The same: no budget moves it.
        at = wording.liquidation_price(guarded, mark=position.mark_price)
        yield f"With all that its budget and the wallet allow: liquidated at {at}."


def _known(amount: Decimal | None, currency: str) -> str:
    return "not known" if amount is None else wording.free(amount, currency)


def what_guard_does(verdict: PositionVerdict) -> str:
    if verdict.top_up is not None:
        return _of_top_up(verdict.top_up, mark=verdict.figures.position.mark_price)
    if verdict.withheld is not None:
        return f"guard adds no money: {verdict.withheld.text}"
    if verdict.trigger is not None:
        note = f" ({verdict.trigger_note})" if verdict.trigger_note else ""
        return f"The trigger for adding margin is at {wording.distance(verdict.trigger)}{note}."
    return "guard only watches it: no budget is written for it."


def _of_top_up(top_up: TopUp, *, mark: Decimal) -> str:
    amount = wording.required(top_up.amount, top_up.currency)
    effect = f"{wording.distance(top_up.distance_before)} → {wording.distance(top_up.distance_after)}"
    if top_up.liquidation_after is not None:
        effect += f", liquidation then {wording.liquidation_price(top_up.liquidation_after, mark=mark)}"
    cut = f" Made smaller by {top_up.cut_by}." if top_up.cut_by else ""
    if top_up.mode is Mode.ACT:
        return f"guard is adding {amount} ({effect}).{cut} A message follows when it is done."
    return f"guard would add {amount} ({effect}) but does not ({_ONLY_SAID[top_up.mode]}).{cut}"


def what_to_do(verdict: PositionVerdict) -> str:
    if verdict.figures.liquidation.kind is LiquidationKind.PAST:
        return "To do: open the exchange now. It may be liquidating already."
    if verdict.level is Level.UNKNOWN:
        return "To do: look at it at the exchange. guard cannot say how far it is."
    if verdict.level <= Level.WARN:
        return "To do: nothing at once. Less size or more margin moves it away."
    if verdict.top_up is not None and verdict.top_up.mode is Mode.ACT:
        return "To do: nothing if the next message says it worked. Else add margin yourself."
    if verdict.figures.position.margin_mode is MarginMode.CROSS:
        currency = verdict.figures.position.contract.settle
        return f"To do: bring {currency} into the futures wallet, make a position smaller, or close one."
    return "To do: add margin at the exchange, make the position smaller, or close it."


def who_else_needs_it(verdict: PositionVerdict, decision: Decision) -> Iterator[str]:
    """Yield what each of those that need the same money costs and is worth, where this position is one of them."""
    contenders = decision.contenders
    if all(one.key != verdict.key for one in contenders):
        return
    yield "Too little money for all of these:"
    for one in contenders[:_CONTENDERS_MAX]:
        cost, kept = one.money_to_clear, one.loss_avoided
        price = price_to_save(
            one.key, currency=one.currency, cost=cost, kept=kept, is_saved=one.is_saved, mode=one.mode
        )
        yield f"- {price}"
    if len(contenders) > _CONTENDERS_MAX:
        yield f"- {len(contenders) - _CONTENDERS_MAX} more."


def price_to_save(
    key: PositionKey, *, currency: str, cost: Decimal | None, kept: Decimal, is_saved: bool, mode: Mode
) -> str:
    """Return what saving a position costs, what that keeps, and whether it is done. `cost` None: no money saves it."""
    end = f"{'saved' if is_saved else 'not saved'}{'' if mode is Mode.ACT else ', only said'}"
    if cost is None:
        return f"{short_name(key)}: no money keeps its {wording.free(kept, currency)}: {end}."
    return f"{short_name(key)}: {wording.required(cost, currency)} keeps {wording.free(kept, currency)}: {end}."


def how_a_pool_stands(verdict: PoolVerdict, decision: Decision) -> Iterator[str]:
    figures = verdict.figures
    if figures.margin_balance is not None and figures.requirement is not None:
        yield (
            f"Balance {wording.free(figures.margin_balance, figures.currency)}, "
            f"required {wording.required(figures.requirement, figures.currency)}."
        )
    if figures.driver is not None:
        driver = next((row for row in decision.positions if row.key.symbol == figures.driver), None)
        price = figures.liquidation.price
        if driver is not None and price is not None:
            mark = driver.figures.position.mark_price
            at = wording.liquidation_price(price, mark=mark)
            yield f"Nearest: {figures.driver} alone at {at} (mark {wording.price(mark)})."
    moves = [wording.signed_move(move) for move in (figures.shock_down, figures.shock_up) if move is not None]
    if moves:
        yield f"All prices together: {' or '.join(moves)} liquidates it."
    if figures.exchange_margin_ratio is not None:
        ratio = wording.share(figures.exchange_margin_ratio)
        yield f"The exchange's own account ratio: {ratio} (100 % is liquidation)."
    leaning = ", ".join(short_name(row.key) for row in decision.positions if row.figures.pool_name == figures.name)
    if leaning:
        yield f"Falls together: {leaning}."


def pool_where(verdict: PoolVerdict) -> str:
    figures = verdict.figures
    if figures.distance is not None and figures.liquidation.kind is LiquidationKind.AT:
        by = f" ({figures.driver.partition('/')[0]})" if figures.driver is not None else ""
        return f"{wording.distance(figures.distance)} from liquidation{by}"
    if figures.exchange_margin_ratio is not None:
        return f"exchange's ratio {wording.share(figures.exchange_margin_ratio)}"
    return without_price(figures.liquidation.kind)


def pool_to_do(verdict: PoolVerdict) -> str:
    if verdict.figures.liquidation.kind is LiquidationKind.PAST:
        return "To do: open the exchange now. It may be liquidating already."
    if verdict.level is Level.UNKNOWN:
        return "To do: look at the account at the exchange. guard cannot say how far it is."
    if verdict.level <= Level.WARN:
        return "To do: nothing at once. Less size or more collateral moves it away."
    return f"To do: bring {verdict.figures.currency} into the wallet, make a position smaller, or close one."
