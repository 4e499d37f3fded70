"""How an exchange computes what it holds a balance against, as data: an exchange is a value, not a branch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from guard.snapshot import MarginMode, Side


class MaintenanceBasis(StrEnum):
    """At which price the requirement and its tier are taken."""

    MARK = "mark"  # At the price asked about.
    ENTRY = "entry"  # Frozen at the entry notional.
    CURRENT = "current"  # Frozen at the present mark, so that the liquidation price drifts with it.


class TierBasis(StrEnum):
    """What a tier is looked up by."""

    NOTIONAL = "notional"  # The position's own, at the price of `maintenance_basis`.
    CONTRACTS = "contracts"  # Its own quantity: the floors count contracts, and no price changes the tier.
    CONTRACTS_TOGETHER = "contracts_together"  # The quantities of all contracts of its coin in the pool, added up.
    CONTRACTS_NET = "contracts_net"  # Longs less shorts of its symbol.

    @property
    def is_by_notional(self) -> bool:
        return self is TierBasis.NOTIONAL


class HedgeNetting(StrEnum):
    """What is charged where a pool holds both sides of one symbol."""

    NONE = "none"  # Both legs.
    LARGER = "larger"  # The larger leg only.
    NET = "net"  # What the larger leg has more than the smaller one.


class ShownPrice(StrEnum):
    """How the exchange rounds the liquidation price that it shows: a tick earlier is nearer to the mark."""

    UNROUNDED = "unrounded"
    TICK_EARLY = "tick_early"  # A long's up to the tick, a short's down.
    ONE_TICK_EARLY = "one_tick_early"  # Unrounded, and then a whole tick earlier.


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRule:
    """How an exchange computes a requirement. The defaults are Binance's. Known rules: `guard.margin.rules`."""

    liquidation_fee_rate: Decimal = Decimal(0)  # Fraction of notional that the requirement counts for closing.
    maintenance_basis: MaintenanceBasis = MaintenanceBasis.MARK
    tier_basis: TierBasis = TierBasis.NOTIONAL
    hedge_netting: HedgeNetting = HedgeNetting.NONE
    shown_price: ShownPrice = ShownPrice.UNROUNDED
    valid_from: date | None = None  # None: since ever.
    valid_until: date | None = None  # The first day on which it no longer holds. None: it holds today.

    def holds_on(self, day: date) -> bool:
        """Say whether the exchange computed by this rule on a day (UTC)."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day < self.valid_until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """The rules that one account's positions are held to: by margin mode, and by symbol where a symbol has its own."""

    isolated: MarginRule
    cross: MarginRule
    by_symbol: Mapping[str, tuple[MarginRule, MarginRule]] = field(default_factory=dict)  # Isolated, cross.

    @classmethod
    def uniform(cls, rule: MarginRule) -> "RuleBook":
        """Return the book of an exchange with one rule for everything."""
        return cls(isolated=rule, cross=rule)

    def of(self, symbol: str, margin_mode: MarginMode) -> MarginRule:
        isolated, cross = self.by_symbol.get(symbol) or (self.isolated, self.cross)
        return isolated if margin_mode is MarginMode.ISOLATED else cross


def shown_price(price: Decimal, side: Side, rule: MarginRule, tick: Decimal) -> Decimal:
    """Return the liquidation price that the exchange shows for ours: rounded, if it rounds, towards the mark.

    `tick` is the step of the symbol's price. Source: recorded answers of each exchange (`guard.margin.rules`).
    """
    if rule.shown_price is ShownPrice.UNROUNDED:
        return price
    if rule.shown_price is ShownPrice.ONE_TICK_EARLY:
        return price + int(side) * tick
    rounding = ROUND_CEILING if side is Side.LONG else ROUND_FLOOR
    return (price / tick).to_integral_value(rounding) * tick
