"""What `guard compare` says in sentences: which mode suits which aim, in the account's own numbers."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from guard.margin.books import Comparison, Hedge, Holding, MarginSource, PoolState, Reason, ReasonKind, Stand, Variant
from guard.notify import wording
from guard.policy.phrases import short_name
from guard.snapshot import Liquidation, LiquidationKind, MarginMode

ISOLATED_AIM = (
    "Isolated limits each loss to the margin in the position, and must be fed when the price runs against it."
)
_SOURCES = {
    MarginSource.LEVERAGE: "entry notional / leverage",
    MarginSource.SHARE: "its share of the wallet by notional: no leverage is stated",
}
CROSS_AIM = "Cross lives longer, lets gains pay for losses and suits hedges, and risks the whole deposit."


def aims(comparison: Comparison) -> Iterator[str]:
    """Yield which mode suits which aim, each with what it comes to for this account."""
    yield f"{ISOLATED_AIM} {_account(comparison.isolated, 'All isolated')}"
    yield f"{CROSS_AIM} {_account(comparison.cross, 'All cross')}"
    yield from (_hedge(hedge, comparison) for hedge in comparison.hedges if hedge.change > hedge.own_change)


def _account(variant: Variant, name: str) -> str:
    refused = next((stand.reason for stand in variant.stands if stand.reason is not None), None)
    if refused is not None:
        return f"{name} cannot be told: {reason_text(refused)}."
    said = f"{name}: {money(variant.at_risk())} at risk"
    free = {currency: amount for currency, amount in variant.free().items() if amount}
    if free:
        said += f", {money(free)} stays free"
    first = first_to_end(variant)
    if first is None:
        return f"{said}; no move of prices ends any of it."
    if first.figures.liquidation.kind is LiquidationKind.PAST:
        return f"{said}; {_pool_names(first)} would be past liquidation at once."
    distance = first.figures.distance or Decimal(0)
    how = ", if all prices move at once" if _takes_all_prices(first) else ""
    return f"{said}; first to end: {_pool_names(first)}, {wording.distance(distance)} away{how}."


def _takes_all_prices(state: PoolState) -> bool:
    """Say whether no coin alone liquidates a pool as soon as all of them together do."""
    if len({row.position.contract.base for row in state.positions}) == 1 or state.figures.distance is None:
        return False
    alone = [row.distance for row in state.positions if row.distance is not None]
    return all(state.figures.distance < distance for distance in alone)


def first_to_end(variant: Variant) -> PoolState | None:
    """Return the pool that lies nearest to its liquidation; None: nothing liquidates any of them."""
    ending = [state for state in variant.pools if state.positions and state.figures.distance is not None]
    return min(ending, key=lambda state: state.figures.distance or Decimal(0), default=None)


def _pool_names(state: PoolState) -> str:
    names = [short_name(key) for key in state.figures.falls_together]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} together"


def _hedge(hedge: Hedge, comparison: Comparison) -> str:
    names = [short_name(comparison.holdings[index].key) for index in hedge.members]
    dying = short_name(comparison.holdings[hedge.dying].key)
    if hedge.change == 0:
        together = "together they lose nothing"
    elif hedge.change > 0:
        together = f"together they are {wording.free(hedge.change, hedge.currency)} up by then"
    else:
        lost = wording.required(-hedge.change, hedge.currency)
        together = f"together they lose only {lost} of the {wording.free(-hedge.own_change, hedge.currency)} it loses"
    said = (
        f"{' and '.join(names)} are a hedge: isolated, {dying} is liquidated at {wording.signed_move(hedge.move)} "
        f"although {together}."
    )
    return f"{said} {_cross_end(hedge.coin, comparison.cross.stands[hedge.dying])}".rstrip()


def _cross_end(coin: str, stand: Stand) -> str:
    if stand.figures is None:
        return ""
    ending = stand.figures.crossings.nearest
    if ending.price is None:
        return f"In one cross pool no price of {coin} alone ends them." if ending.kind is LiquidationKind.NONE else ""
    mark = stand.figures.position.mark_price
    return f"In one cross pool {coin} alone ends them at {wording.signed_move(ending.price / mark - 1)}."


# One position --------------------------------------------------------------------------------------------------------


def advice(holding: Holding, isolated: Stand, cross: Stand) -> str:
    """Return what the choice means for one position, in its own numbers."""
    for stand, name in ((isolated, "Isolated"), (cross, "Cross")):
        if stand.reason is not None:
            return f"{name} cannot be told: {reason_text(stand.reason)}."
    assert isolated.figures is not None, "figures or a reason"
    assert cross.figures is not None, "figures or a reason"
    own, pooled = isolated.figures.crossings.nearest, cross.figures.crossings.nearest
    risks = f"{_at_risk(cross)} instead of {_at_risk(isolated)}"
    if _at_risk(cross) == _at_risk(isolated):
        risks = f"the same {_at_risk(cross)}"
    if own.price is not None and pooled.price is not None:
        return _two_prices(holding, own.price, pooled.price, risks)
    if LiquidationKind.PAST in {own.kind, pooled.kind}:
        return _past(own, pooled, risks)
    mark, coin = holding.leg.mark_price, holding.leg.contract.base
    if own.price is not None:
        at = wording.liquidation_price(own.price, mark=mark)
        return f"In cross no price of {coin} alone ends it (isolated: {at}), but it then risks {risks}."
    if pooled.price is not None:
        at = wording.liquidation_price(pooled.price, mark=mark)
        return f"Isolated: no price ends it, its margin covers all it can lose. Cross ends at {at} and risks {risks}."
    return f"No price of {coin} alone ends it in either mode. Cross risks {risks}."


def _two_prices(holding: Holding, own: Decimal, pooled: Decimal, risks: str) -> str:
    mark = holding.leg.mark_price
    own_text, pooled_text = (wording.liquidation_price(price, mark=mark) for price in (own, pooled))
    points = (abs(pooled - mark) - abs(own - mark)) / mark
    side = "" if (own < mark) is (pooled < mark) else f", on the other side of {wording.price(mark)},"
    if points > 0:
        farther = f"{_points(points)} farther"
        return f"Cross ends at {pooled_text}{side} instead of {own_text} ({farther}) but then risks {risks}."
    if points < 0:
        nearer = f"{_points(-points)} nearer"
        return f"Cross ends at {pooled_text}{side} instead of {own_text} ({nearer}) and risks {risks}."
    return f"Both end at {own_text}; cross risks {risks}."


def _past(own: Liquidation, pooled: Liquidation, risks: str) -> str:
    if own.kind is pooled.kind:
        return "It would be past liquidation in either mode."
    if own.kind is LiquidationKind.PAST:
        return (
            f"Isolated it would be past liquidation at once: its margin is too small. Cross lives, and risks {risks}."
        )
    return "In one cross pool it would be past liquidation at once; isolated it lives."


def _points(share: Decimal) -> str:
    return f"{wording.distance(share).removesuffix(' %')} points"


def _at_risk(stand: Stand) -> str:
    assert stand.state is not None, "it has figures"
    return wording.required(stand.state.capital_at_risk, stand.state.figures.currency)


# What is assumed -----------------------------------------------------------------------------------------------------


def assumptions(comparison: Comparison) -> Iterator[str]:
    """Yield every assumption behind the two other modes, in plain words."""
    yield "Prices: one coin moves while the others stand. Sizes, entries, marks and brackets stay; no fee is counted."
    joining = [h for h in comparison.holdings if h.position.margin_mode is MarginMode.ISOLATED]
    if joining:
        names = _listed(joining)
        yield f"All cross: {names}: the margin goes into the wallet, the position joins its currency's cross pool."
    both = list(zip(comparison.holdings, comparison.isolated.stands, strict=True))
    leaving = [_margin(holding, stand) for holding, stand in both if stand.margin_source in _SOURCES]
    if leaving:
        yield f"All isolated: {'; '.join(leaving)}. What the wallet has beyond that is free."
        yield "Profit or loss so far stays with its position, and its leverage is not changed."
    yield "Whether the exchange switches the mode while a position is open is another matter: Binance does not."


def _margin(holding: Holding, stand: Stand) -> str:
    assert stand.state is not None, "its margin has a source"
    margin = wording.required(stand.state.margin, holding.leg.contract.settle)
    source = _SOURCES[stand.margin_source or MarginSource.HELD]
    leverage = "" if holding.position.leverage is None else f", {holding.position.leverage:f}x"
    return f"{short_name(holding.key)} takes {margin} ({source}{leverage})"


def _listed(holdings: Sequence[Holding]) -> str:
    return ", ".join(short_name(holding.key) for holding in holdings)


def money(amounts: Mapping[str, Decimal]) -> str:
    """Word what is at risk or free, one amount for each currency."""
    return " and ".join(wording.required(amount, currency) for currency, amount in amounts.items()) or "nothing"


def reason_text(reason: Reason) -> str:
    """Say why a position has no figures in a mode."""
    if reason.kind is ReasonKind.NOT_MODELLED:
        return f"not modelled: {reason.text}"
    assert reason.needed is not None, "a wallet is short of something"
    assert reason.there is not None, "and holds something"
    there = wording.free(reason.there, reason.currency)
    if reason.needed <= reason.there:
        return f"the wallet has {there}, and nothing of it is left to share out as margin"
    return f"the margins come to {wording.required(reason.needed, reason.currency)}, and the wallet has {there}"
