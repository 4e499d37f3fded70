"""The keys of an account file (design 4.3), as pydantic reads them. One table's own contradictions are found here."""

import re
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationInfo, field_validator

_SYMBOL = re.compile(r"[^/:\s]+/[^/:\s]+:[^/:\s-]+(?:-[^/:\s]+)?")
_EXPONENT_MAX = 40  # Beyond it no price, size or wallet of this world lies, but a slip of the finger does.


def symbol_parts(symbol: str) -> tuple[str, str, str]:
    """Return base, quote and settle currency of a unified symbol that was already accepted."""
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    return base, quote, settle.partition("-")[0]


def _number(value: object) -> Decimal:
    if not isinstance(value, str):
        raise ValueError('expected a decimal in quotes, as "0.5"')  # noqa: TRY004  pydantic turns only ValueError into a problem.
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        raise ValueError('expected a decimal such as "0.5" or "1e-8"') from None
    if not number.is_finite():
        raise ValueError("expected a finite decimal")
    if number and abs(number.adjusted()) > _EXPONENT_MAX:
        raise ValueError(f"expected a size between 1e-{_EXPONENT_MAX} and 1e{_EXPONENT_MAX}")
    return number


def _positive(number: Decimal) -> Decimal:
    if number <= 0:
        raise ValueError("expected more than 0")
    return number


def _not_negative(number: Decimal) -> Decimal:
    if number < 0:
        raise ValueError("expected 0 or more")
    return number


def _fraction(number: Decimal) -> Decimal:
    if not 0 <= number <= 1:
        raise ValueError('expected a fraction from 0 to 1: "0.05" is 5 %')
    return number


Number = Annotated[Decimal, PlainValidator(_number)]
Positive = Annotated[Number, AfterValidator(_positive)]
NotNegative = Annotated[Number, AfterValidator(_not_negative)]
Fraction = Annotated[Number, AfterValidator(_fraction)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class HaircutTierTable(_Table):
    balance_floor: NotNegative  # Asset units: what is above it counts with this haircut.
    haircut: Fraction


class CollateralTable(_Table):
    asset: str = Field(min_length=1)
    wallet_balance: Number  # Negative: a debt.
    price: Positive
    haircut: Fraction = Decimal(0)
    haircut_tiers: list[HaircutTierTable] = []
    surcharge: Fraction = Decimal(0)  # On a debt, and on the requirement of what settles in it.

    @field_validator("haircut_tiers")
    @classmethod
    def _is_a_ladder(cls, tiers: list[HaircutTierTable]) -> list[HaircutTierTable]:
        floors = [tier.balance_floor for tier in tiers]
        if floors and (floors[0] != 0 or any(low >= high for low, high in pairwise(floors))):
            raise ValueError("expected balance_floors that begin at 0 and ascend")
        return tiers


class TierTable(_Table):
    notional_floor: NotNegative
    notional_cap: Positive
    maintenance_margin_rate: Fraction
    maintenance_amount: NotNegative | None = None


class PositionTable(_Table):
    symbol: str
    contract: Literal["linear", "inverse"]
    side: Literal["long", "short"]
    margin_mode: Literal["cross", "isolated"]
    quantity: Positive
    contract_size: Positive = Decimal(1)
    entry_price: Positive
    mark_price: Positive
    isolated_wallet: Number | None = Field(default=None, validate_default=True)
    liquidation_fee_rate: Fraction = Decimal(0)
    maintenance_basis: Literal["mark", "entry", "current"] = "mark"
    tier_basis: Literal["notional", "contracts", "contracts_together", "contracts_net"] = "notional"
    hedge_netting: Literal["none", "larger", "net"] = "none"
    beta: Number = Decimal(1)
    wallet: str = ""  # By its name, which of several wallets of its settle currency: a dex of Hyperliquid.
    leverage: Positive | None = None  # For compare and whatif: initial margin = entry notional / leverage.
    tiers: list[TierTable]

    @field_validator("symbol")
    @classmethod
    def _is_unified(cls, symbol: str) -> str:
        if _SYMBOL.fullmatch(symbol) is None:
            raise ValueError("expected a unified symbol such as 'BTC/USDT:USDT' or 'BTC/USD:BTC'")
        return symbol

    @field_validator("contract")
    @classmethod
    def _fits_symbol(cls, contract: str, info: ValidationInfo) -> str:
        if "symbol" in info.data:
            base, _, settle = symbol_parts(info.data["symbol"])
            fitting = "inverse" if base == settle else "linear"
            if contract != fitting:
                raise ValueError(f"expected '{fitting}': {info.data['symbol']} settles in {settle}")
        return contract

    @field_validator("isolated_wallet")
    @classmethod
    def _fits_margin_mode(cls, wallet: Decimal | None, info: ValidationInfo) -> Decimal | None:
        mode = info.data.get("margin_mode")
        if mode == "isolated" and wallet is None:
            raise ValueError("is missing, expected the margin in this isolated position")
        if mode == "cross" and wallet is not None:
            raise ValueError("expected none: a cross position leans on [[collateral]]")
        return wallet

    @field_validator("tiers")
    @classmethod
    def _is_a_ladder(cls, tiers: list[TierTable]) -> list[TierTable]:
        if not tiers:
            raise ValueError("expected at least one tier")
        expected_floor = Decimal(0)
        for index, tier in enumerate(tiers):
            if tier.notional_floor != expected_floor:
                where = "where the one before ends" if index else "where every table begins"
                raise ValueError(
                    f"tier {index} begins at {tier.notional_floor:f}, expected {expected_floor:f}, {where}"
                )
            if tier.notional_cap <= tier.notional_floor:
                raise ValueError(f"tier {index} ends at {tier.notional_cap:f}, expected more than its notional_floor")
            expected_floor = tier.notional_cap
        if len({tier.maintenance_amount is None for tier in tiers}) > 1:
            raise ValueError("maintenance_amount stands in some tiers only, expected it in all or in none")
        return tiers


class AccountTable(_Table):
    """The whole of one account. Its rows are read one by one, so that a bad row does not hide another's fault."""

    collateral: list[dict[str, Any]] = []
    positions: list[dict[str, Any]]
    other_maintenance_margin: NotNegative = Decimal(0)
    other_unrealized_pnl: Number = Decimal(0)
    order_margin: NotNegative = Decimal(0)
    funding_due: Number = Decimal(0)
    currency: str | None = None  # What the cross pool is counted in. None: what its positions settle in.
    haircut_basis: Literal["wallet", "equity"] = "wallet"
