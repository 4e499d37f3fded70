"""The account as it would be with one more order in it: `guard whatif`.

What is assumed, and what `guard whatif` says in its answer:

- The order is filled whole, at its price, while every mark stands where it is. No fee is counted, nor the exchange's
  limits of leverage, size and price.
- A same-side position of the symbol is added to, at the average entry. An opposite one is made smaller, closed or
  turned in one-way mode; in hedge mode the order is a leg of its own.
- The margin of an isolated position comes out of the wallet of its settle currency: what was stated, else notional /
  leverage. It must be available there, and so must the initial margin of a cross position, where a leverage is known.
- Making an isolated position smaller gives back its margin in proportion; what it realizes goes to the wallet.
- `available` afterwards is the exchange's own figure less what the order takes, plus what it gives back.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from guard.margin.arithmetic import ZERO, exact, finished
from guard.margin.books.book import Book, BookPool, Holding
from guard.margin.books.figures import PoolState, states_of
from guard.margin.books.moves import as_isolated, missing_from, unstated
from guard.margin.books.order import Effect, Market, Order, Outcome, Refusal, RefusalKind, Shift, Terms
from guard.margin.books.till import Till
from guard.margin.figures import PositionFigures
from guard.margin.liquidation import UNKNOWN
from guard.margin.pool import Leg
from guard.margin.requirement import contract_value, gain_between
from guard.snapshot import ContractKind, MarginMode, Position, PositionKey, Side


@exact
def what_if(book: Book, order: Order, market: Market, available: Decimal | None) -> Outcome:
    """Return the account with the order in it, or why it cannot be.

    `available`: the exchange's own figure for the settle currency's wallet; None: an account written by hand, where
    what lies above the requirement, and in the wallet, is taken for it.
    """
    contract = market.contract
    till = Till(pools=list(book.pools), currency=contract.settle, available=available, wallet=contract.wallet)
    terms = _terms(till, order, market)
    refusal = _obstacle(book, order, terms)
    if refusal is None:
        refusal = _fill(till, order, terms)
    before = replace(book, pools=tuple(one if one in till.pools else _unstated(one) for one in book.pools))
    return Outcome(
        before=states_of(before),
        after=states_of(replace(book, pools=tuple(till.pools))) if refusal is None else None,
        terms=terms,
        refusal=refusal,
        margin=till.taken,
        released=finished(till.released),
        realized=finished(till.realized),
        available_before=available,
        available_after=till.available if refusal is None else None,
    )


# What the order means ------------------------------------------------------------------------------------------------


def _terms(till: Till, order: Order, market: Market) -> Terms:
    contract, price = market.contract, order.price or market.mark_price
    quantity = order.quantity
    if quantity is None:
        assert order.worth is not None, "an order says how much"
        each = price if contract.kind is ContractKind.LINEAR else Decimal(1)
        quantity = finished(order.worth / (each * contract.contract_size))
    mine, theirs = till.holding(order.key), _opposite(till, order)
    known = mine or theirs or till.holding(_other_side(order.key))
    before = known.position.leverage if known is not None else None
    mode = order.margin_mode or (known.position.margin_mode if known is not None else MarginMode.ISOLATED)
    return Terms(
        market=market,
        quantity=quantity,
        price=price,
        notional=finished(contract_value(contract, quantity, price)),
        margin_mode=mode,
        leverage=order.leverage or before,
        leverage_before=before,
        effect=_effect(quantity, mine, theirs),
    )


def _effect(quantity: Decimal, mine: Holding | None, theirs: Holding | None) -> Effect:
    if theirs is None:
        return Effect.OPENS if mine is None else Effect.ADDS
    held = theirs.position.quantity
    if quantity == held:
        return Effect.CLOSES
    return Effect.REDUCES if quantity < held else Effect.FLIPS


def _other_side(key: PositionKey) -> PositionKey:
    return PositionKey(key.symbol, Side(-key.side))


def _opposite(till: Till, order: Order) -> Holding | None:
    """Return the position that the order is against; None: there is none, or both sides are kept apart."""
    held = [holding for pool in till.pools for holding in pool.holdings]
    keys = {holding.key for holding in held}
    is_hedged = any(holding.position.hedged or _other_side(holding.key) in keys for holding in held)
    return None if is_hedged else till.holding(_other_side(order.key))


def _obstacle(book: Book, order: Order, terms: Terms) -> Refusal | None:
    currency = terms.market.contract.settle
    unseen = next((gap for gap in book.gaps if gap.key is not None and gap.key.symbol == order.symbol), None)
    reason = missing_from(book, *terms.market.contract.purse)
    if reason is None and unseen is not None:
        reason = f"{unseen.subject}: {unseen.reason}"
    if reason is not None:
        return Refusal(kind=RefusalKind.NOT_MODELLED, currency=currency, text=reason)
    modes = {one.position.margin_mode for one in book.holdings() if one.leg.contract.symbol == order.symbol}
    if modes and terms.margin_mode not in modes:
        return Refusal(kind=RefusalKind.OTHER_MODE, currency=currency)
    return None


# Filling it ----------------------------------------------------------------------------------------------------------


def _fill(till: Till, order: Order, terms: Terms) -> Refusal | None:
    rest = terms.quantity
    against = _opposite(till, order)
    if against is not None:
        part = min(rest, against.position.quantity)
        _reduce(till, against, part, terms)
        rest -= part
    if not rest:
        return None
    return _open(till, order, terms, rest)


def _reduce(till: Till, holding: Holding, part: Decimal, terms: Terms) -> None:
    position, spot = holding.position, till.find(holding.key)
    assert spot is not None, "it was found a moment ago"
    closed = replace(position, quantity=part)
    realized = gain_between(closed, position.entry_price, terms.price)
    left = position.quantity - part
    wallet = till.pools[spot[0]].pool.collateral[0].wallet_balance if till.pools[spot[0]].is_isolated else None
    released = ZERO if wallet is None else wallet * part / position.quantity
    now = _with_size(holding, left, position.entry_price) if left else None
    till.replace_holding(spot, now, None if wallet is None else wallet - released)
    till.pay(released + realized)
    till.released, till.realized = till.released + released, till.realized + realized
    if wallet is not None:
        till.move_available(released + realized)
    elif position.leverage is None:
        till.move_available(None)
    else:
        reserved = contract_value(position.contract, part, position.mark_price) / position.leverage
        till.move_available(reserved + gain_between(closed, position.mark_price, terms.price))


def _open(till: Till, order: Order, terms: Terms, quantity: Decimal) -> Refusal | None:
    contract = terms.market.contract
    worth = contract_value(contract, quantity, terms.price)
    initial = None if terms.leverage is None else finished(worth / terms.leverage)
    is_isolated = terms.margin_mode is MarginMode.ISOLATED
    margin = order.margin if is_isolated and order.margin is not None else initial
    if is_isolated and margin is None:
        return Refusal(kind=RefusalKind.NO_MARGIN, currency=contract.settle)
    there = till.spendable()
    if margin is not None and there is not None and margin > there:
        return Refusal(kind=RefusalKind.SHORT, currency=contract.settle, needed=margin, available=finished(there))
    new = _new_holding(order.side, terms, quantity, margin if is_isolated else None)
    _add(till, new, terms.price)
    if is_isolated and margin is not None:
        till.pay(-margin)
    till.taken = margin
    at_once = ZERO if is_isolated else gain_between(new.position, terms.price, terms.market.mark_price)
    till.move_available(None if margin is None else at_once - margin)
    return None


def _add(till: Till, new: Holding, price: Decimal) -> None:
    """Put new contracts into the position of their side; where there is none, they are one."""
    spot, margin = till.find(new.key), new.position.isolated_wallet
    if spot is None and margin is not None:
        till.pools.append(as_isolated(new, margin))
    elif spot is None:
        till.put_into_cross(new)
    else:
        pool = till.pools[spot[0]]
        wallet = None if margin is None else pool.pool.collateral[0].wallet_balance + margin
        till.replace_holding(spot, _averaged(pool.holdings[spot[1]], new.position.quantity, price), wallet)


def _averaged(held: Holding, quantity: Decimal, price: Decimal) -> Holding:
    """Return a position with more contracts: what was paid for all of them, over their number."""
    contract, had = held.leg.contract, held.position.quantity
    worth = contract_value(contract, had, held.position.entry_price) + contract_value(contract, quantity, price)
    size = (had + quantity) * contract.contract_size
    entry = worth / size if contract.kind is ContractKind.LINEAR else size / worth
    return _with_size(held, had + quantity, finished(entry))


def _with_size(held: Holding, quantity: Decimal, entry_price: Decimal) -> Holding:
    return unstated(
        replace(
            held,
            position=replace(held.position, quantity=quantity, entry_price=entry_price),
            leg=replace(held.leg, quantity=quantity, entry_price=entry_price),
        )
    )


def _new_holding(side: Side, terms: Terms, quantity: Decimal, margin: Decimal | None) -> Holding:
    market = terms.market
    leg = Leg(
        contract=market.contract,
        side=side,
        quantity=quantity,
        entry_price=terms.price,
        mark_price=market.mark_price,
        tiers=market.tiers,
        rule=market.rule,
    )
    position = Position(
        contract=market.contract,
        side=side,
        margin_mode=terms.margin_mode,
        quantity=quantity,
        entry_price=terms.price,
        mark_price=market.mark_price,
        isolated_wallet=margin,
        leverage=terms.leverage,
        hedged=False,
        auto_add_margin=None,
        exchange_liquidation=UNKNOWN,
        exchange_maintenance_margin=None,
        updated_at=None,
    )
    return Holding(position=position, leg=leg)


def _unstated(pool: BookPool) -> BookPool:
    return replace(pool, holdings=tuple(unstated(holding) for holding in pool.holdings))


def shifts(outcome: Outcome, order: Order) -> tuple[Shift, ...]:
    """Return the positions that the order is not about and that it moves nearer to liquidation or farther from it."""
    before, after = _by_key(outcome.before), _by_key(outcome.after or ())
    about = {order.key}
    if outcome.terms.effect not in {Effect.OPENS, Effect.ADDS}:
        about.add(_other_side(order.key))
    return tuple(
        Shift(before=row, after=after[key])
        for key, row in before.items()
        if key in after and key not in about and row.crossings != after[key].crossings
    )


def _by_key(states: Sequence[PoolState]) -> dict[PositionKey, PositionFigures]:
    return {row.key: row for state in states for row in state.positions}
