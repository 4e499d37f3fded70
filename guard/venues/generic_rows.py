"""What of a row of ccxt's is the exchange's own, where an exchange has no file. For guard.venues.generic."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from guard.margin import contract_value
from guard.snapshot import Contract, ContractKind, Liquidation, LiquidationKind
from guard.venues.rows import Number, Row, RowError, read_row

NOTIONAL_TOLERANCE = Decimal("0.2")  # At the entry, at the mark or in dollars: less apart than any wrong unit.


class _Price(Row):
    price: Number


def contract_of(market: Mapping[str, Any]) -> Contract | str:
    """Return a contract, or why it is not one of the kinds that are described here."""
    size = number_of(market.get("contractSize"))
    if market.get("option"):
        return "options are not described here"
    if not (market.get("linear") or market.get("inverse")) or (market.get("linear") and market.get("inverse")):
        return "it is neither linear nor inverse (quanto)"
    if size is None or size <= 0:
        return f"its contract size is {market.get('contractSize')!r}"
    return Contract(
        symbol=market["symbol"],
        kind=ContractKind.LINEAR if market["linear"] else ContractKind.INVERSE,
        base=market["base"],
        settle=market["settle"],
        contract_size=size,
    )


def liquidation_of(value: object, stated: set[Decimal]) -> tuple[Liquidation, str]:
    """Return the exchange's own liquidation price, and why it is not known; empty when it is."""
    price = number_of(value)
    if price is None:
        return Liquidation(kind=LiquidationKind.UNKNOWN), "the exchange states none"
    if abs(price) not in stated:
        return Liquidation(kind=LiquidationKind.UNKNOWN), "not the exchange's own: what ccxt works out is not used"
    if price == 0:  # As exchanges write both; ccxt leaves most of them out.
        return Liquidation(kind=LiquidationKind.UNKNOWN), "the exchange states 0: there is none, or not told"
    if price < 0:
        return Liquidation(kind=LiquidationKind.NONE), ""
    return Liquidation(kind=LiquidationKind.AT, price=price), ""


def quantity_of(stated: Decimal, contract: Contract, mark: Decimal, notional: Decimal | None) -> tuple[Decimal, str]:
    """Return a size in contracts, and why it is not the one that is stated; empty when it is.

    Some exchanges (Deribit, ccxt 4.5.90) state it in what a contract is an amount of. The row's own notional tells,
    which may be an amount of the settle currency, of dollars or of coins.
    """
    size = contract.contract_size
    if notional is None or notional <= 0:
        return stated, ""
    in_coins = stated / size
    fits, other = (_fits(notional, quantity, contract, mark) for quantity in (stated, in_coins))
    if fits and other and in_coins != stated:  # A contract of 10 coins at 0.1 is worth 1.
        return stated, f"in contracts or in coins, of which a contract has {size:f}: its notional fits both"
    if other and not fits:
        return in_coins, f"by its notional no contracts: divided by the contract size {size:f}"
    return stated, ""


def _fits(notional: Decimal, quantity: Decimal, contract: Contract, mark: Decimal) -> bool:
    values = (quantity * contract.contract_size, contract_value(contract, quantity, mark))
    return any(abs(notional - value) <= NOTIONAL_TOLERANCE * value for value in values)


def is_flat(raw: object) -> bool:
    size = number_of(raw.get("contracts")) if isinstance(raw, Mapping) else None
    return size == 0


def number_of(value: object) -> Decimal | None:
    """Return a finite decimal. ccxt hands numbers on as floats, whose shortest text is what the exchange wrote."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return read_row(_Price, {"price": text_of(value)}).price
    except RowError:
        return None


def text_of(value: object) -> object:
    return repr(value) if isinstance(value, float) else value


def numbers_in(info: object) -> Iterator[Decimal]:
    """Yield the size of every number that stands in the exchange's own row."""
    inner: Iterable[object] = (
        info.values() if isinstance(info, Mapping) else info if isinstance(info, list | tuple) else ()
    )
    for value in inner:
        if isinstance(value, Mapping | list | tuple):
            yield from numbers_in(value)
        elif (number := number_of(value)) is not None:
            yield abs(number)
