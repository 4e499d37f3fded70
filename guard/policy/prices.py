"""Money across currencies: what the owner wrote, in the currency of a position's margin, and in US dollars."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from guard.margin.figures import AccountAssessment
from guard.policy.terms import Amount, AmountUnit
from guard.snapshot import DOLLAR_STABLECOINS

DollarPrices = Mapping[str, Decimal]  # By coin; a coin that is missing has no price, and no money moves by it.

_ONE = Decimal(1)


def dollar_prices(
    assessment: AccountAssessment, *, of_several: Callable[[Decimal, Decimal], Decimal] = max
) -> DollarPrices:
    """Return the dollar price of every coin that a position of the account is marked in; dollar stablecoins are 1.

    Of several marks the highest: a limit written in dollars is kept by each of them. A reserve is by the lowest (min).
    """
    prices = dict.fromkeys(DOLLAR_STABLECOINS, _ONE)
    for figures in assessment.positions:
        contract = figures.position.contract
        quote = contract.symbol.partition("/")[2].partition(":")[0]
        if quote in DOLLAR_STABLECOINS and contract.base not in DOLLAR_STABLECOINS:
            mark = figures.position.mark_price
            prices[contract.base] = of_several(prices.get(contract.base, mark), mark)
    return prices


def in_settle(
    amount: Amount,
    settle: str,
    *,
    initial_margin: Decimal | None,
    equity: Decimal | None,
    prices: DollarPrices,
    worth: DollarPrices | None = None,
) -> Decimal | None:
    """Return a written amount in the settle currency. None: a price, the initial margin or the equity is not known.

    `worth`: what an amount that is written in another coin is worth. None: by `prices`, too.
    """
    match amount.unit:
        case AmountUnit.INITIAL_MARGINS:
            return None if initial_margin is None else amount.value * initial_margin
        case AmountUnit.OF_EQUITY:
            return None if equity is None else amount.value * max(Decimal(0), equity)
        case AmountUnit.COIN:
            if amount.coin == settle:
                return amount.value
            dollars = in_dollars(amount.value, amount.coin or "", prices if worth is None else worth)
        case AmountUnit.DOLLARS:
            dollars = amount.value
    return None if dollars is None or settle not in prices else dollars / prices[settle]


def in_dollars(value: Decimal, coin: str, prices: DollarPrices) -> Decimal | None:
    """Return what an amount of a coin is worth in US dollars. None: the coin has no price."""
    return None if coin not in prices else value * prices[coin]
