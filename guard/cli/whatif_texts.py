"""What `guard whatif` says in sentences: what the order does, what it needs, and whom else it moves."""

from collections.abc import Iterator

from guard.margin import PositionFigures
from guard.margin.books import Effect, Order, Outcome, Refusal, RefusalKind, Shift
from guard.notify import wording
from guard.policy.phrases import short_name
from guard.snapshot import ContractKind, LiquidationKind, MarginMode, PositionKey, Side


def understood(order: Order, outcome: Outcome) -> str:
    """Return the order as it was understood, in one line."""
    terms = outcome.terms
    contract, currency = terms.market.contract, terms.market.contract.settle
    leverage = "" if terms.leverage is None else f", {terms.leverage:f}x"
    size = terms.quantity * contract.contract_size
    unit = contract.base if contract.kind is ContractKind.LINEAR else "USD"
    return (
        f"{order.side.word} {wording.price(terms.quantity)} {contract.symbol} ({wording.price(size)} {unit}) "
        f"at {wording.price(terms.price)}: {wording.required(terms.notional, currency)}{leverage}, "
        f"{terms.margin_mode.value}. It {_effect(order, outcome)}."
    )


def _effect(order: Order, outcome: Outcome) -> str:
    other = short_name(_other_side(order))
    currency = outcome.terms.market.contract.settle
    gained = wording.free(outcome.realized, currency)
    realized = "" if outcome.refusal is not None else f" and realizes {gained}"
    match outcome.terms.effect:
        case Effect.OPENS:
            return "opens a position"
        case Effect.ADDS:
            return f"adds to {short_name(order.key)}, at the average entry"
        case Effect.REDUCES:
            return f"makes {other} smaller (one-way mode){realized}"
        case Effect.CLOSES:
            return f"closes {other} (one-way mode){realized}"
        case Effect.FLIPS:
            return f"closes {other} (one-way mode){realized}, and opens {short_name(order.key)} with the rest"


def _other_side(order: Order) -> PositionKey:
    return PositionKey(order.symbol, Side(-order.side))


def _open_before(outcome: Outcome) -> set[PositionKey]:
    return {row.key for state in outcome.before for row in state.positions}


def refusal_text(refusal: Refusal, order: Order) -> str:
    """Return why the account cannot be told with this order in it."""
    match refusal.kind:
        case RefusalKind.SHORT:
            assert refusal.needed is not None, "a wallet is short of something"
            assert refusal.available is not None, "and has something"
            missing = wording.required(refusal.needed - refusal.available, refusal.currency)
            there = wording.free(refusal.available, refusal.currency)
            needed = wording.required(refusal.needed, refusal.currency)
            return f"the wallet does not back it: it takes {needed}, {there} is available, {missing} is missing"
        case RefusalKind.OTHER_MODE:
            mode = MarginMode.CROSS if order.margin_mode is MarginMode.ISOLATED else MarginMode.ISOLATED
            return f"{order.symbol} has an open position that is {mode.value}: a symbol keeps its mode while it is open"
        case RefusalKind.NO_MARGIN:
            return "an isolated position needs a margin or a leverage, as in 10x, or isolated 800"
        case RefusalKind.NOT_MODELLED:
            return f"not modelled: {refusal.text}"


def notes(order: Order, outcome: Outcome) -> Iterator[str]:
    """Yield what was assumed, and what is odd, in plain words."""
    terms = outcome.terms
    yield "Filled whole, at its price, while every mark stands. No fee, and no limit of the exchange, is counted."
    if order.margin_mode is None and terms.effect in {Effect.OPENS, Effect.FLIPS}:
        yield f"No margin mode was stated: taken as {terms.margin_mode.value}."
    if terms.effect in {Effect.OPENS, Effect.ADDS} and _other_side(order) in _open_before(outcome):
        yield "Long and short of the symbol are kept apart (hedge mode): neither reduces the other."
    yield from _of_margin(order, outcome)
    is_larger = terms.effect not in {Effect.REDUCES, Effect.CLOSES}
    if is_larger and order.leverage is not None and terms.leverage_before not in {None, order.leverage}:
        yield (
            f"{order.symbol} stands at {terms.leverage_before:f}x now: at most exchanges one leverage holds for the "
            "symbol, and what that changes for the position that is open is not counted."
        )
    if order.worth is not None:
        yield "The exchange would round the quantity to its step."


def _of_margin(order: Order, outcome: Outcome) -> Iterator[str]:
    terms, currency = outcome.terms, outcome.terms.market.contract.settle
    is_isolated = terms.margin_mode is MarginMode.ISOLATED
    if outcome.refusal is not None:
        return
    if outcome.released:
        yield f"{wording.free(outcome.released, currency)} of its margin goes back to the wallet."
    if terms.effect in {Effect.REDUCES, Effect.CLOSES}:
        return
    if outcome.margin is None:
        yield "No leverage is known: whether the wallet can carry the initial margin is not checked."
        return
    source = "as stated" if is_isolated and order.margin is not None else "notional / leverage"
    verb = "moves out of the wallet into it" if is_isolated else "of the wallet is reserved for it"
    yield f"{wording.required(outcome.margin, currency)} {verb} ({source})."
    if is_isolated and order.margin is not None and order.leverage is not None:
        initial = terms.notional / order.leverage
        if terms.effect is not Effect.FLIPS and order.margin < initial:
            asked = wording.required(initial, currency)
            yield f"At {order.leverage:f}x an exchange asks for {asked}; it lets you add margin, not hold back."
    if outcome.available_before is None:
        yield "Available is not known in an account file: what lies above the requirement was taken for it."


def shift_text(shift: Shift) -> str:
    """Return how far another position is afterwards: `ETH long: 12.1 % -> 8.4 % from liquidation`."""
    before, after = _how_far(shift.before), _how_far(shift.after)
    return f"{short_name(shift.before.key)}: {before} \N{RIGHTWARDS ARROW} {after} from liquidation"


def _how_far(figures: PositionFigures) -> str:
    if figures.distance is not None:
        return wording.distance(figures.distance)
    return "nowhere near" if figures.liquidation.kind is LiquidationKind.NONE else "not known"
