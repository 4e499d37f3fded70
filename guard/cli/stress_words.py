"""Sentences and figures of a stress, from the rows of `stress --json`."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from guard.cli.tables import NOT_KNOWN
from guard.notify import wording
from guard.policy.phrases import short_name
from guard.snapshot import PositionKey, Side

DOLLARS = "USD"
MOVES_MAX = 3

Row = Mapping[str, Any]


def death_words(death: Row) -> str:
    """Word what dies: the position that costs most, what goes with it, and the pool they lean on."""
    first, *others = [short(key) for key in death["positions"]]
    if death["margin_mode"] == "isolated":
        return f"{first} isolated"
    by = "" if death["driver"] or not death["trigger_coin"] else f"{death['trigger_coin']} as collateral takes "
    along = f", and with it {_listed(others)}" if others else ""
    return f"{by}{first}{along} ({death['pool']})"


def where(death: Row, scenario: Row) -> str:
    """Word at which move something dies: the market's, or those of the named coins that its pool depends on."""
    if Decimal(death["way"]) == 0:
        return "now, past its liquidation"
    moves = [] if death["market_move"] is None else [("market ", death["market_move"])]
    moves += [(f"{coin} ", move) for coin, move in death["moves"].items() if coin in scenario["coins"]]
    if not scenario["coins"]:
        moves = [("", death["market_move"])]
    words = [f"{name}{signed_move(move)}" for name, move in moves[:MOVES_MAX]]
    return f"at {', '.join(words)}{', …' if len(moves) > MOVES_MAX else ''}"


def lost_hedge_words(death: Row, scenario: Row) -> str | None:
    """Word what would become of a dying pool if it kept its hedges. None: the same."""
    if not scenario["closures"]:
        return None
    if death["only_by_auto_deleveraging"]:
        return "with its hedges it would live"
    hedged = next(one for one in scenario["deaths_without_closures"] if one["pool"] == death["pool"])
    return None if hedged["way"] == death["way"] else f"with its hedges it would die {where(hedged, scenario)}"


def closure_words(closure: Row, scenario: Row) -> str:
    way = wording.share(Decimal(scenario["auto_deleveraging_at"]))
    realized = money(closure["realized"], closure["currency"])
    price = wording.price(Decimal(closure["price"]))
    return f"auto-deleveraging, {way} of the way: {short(closure['position'])} closed at {price}, {realized} realized"


def left_words(scenario: Row) -> str | None:
    """Word all equity after and before. None: it cannot be summed up."""
    before, after, currency = totals(scenario)
    if before is None or after is None:
        return None
    return f"{money(after, currency)} of {money(before, currency)}"


def totals(scenario: Row) -> tuple[Decimal | None, Decimal | None, str]:
    """Return all equity before and after: in the one currency there is, else in dollars. None: no price is known."""
    held = {pool["currency"] for pool in scenario["pools"] if pool["positions"]}
    currencies = held | {pool["currency"] for pool in scenario["pools"] if pool["currency"] not in scenario["unpriced"]}
    if len(currencies) == 1:
        (currency,) = currencies
        counted = [pool for pool in scenario["pools"] if pool["currency"] == currency]
        sums = [sum((Decimal(pool[key]) for pool in counted), Decimal(0)) for key in _EQUITY]
        return sums[0], sums[1], currency
    before, after = (None if scenario[key] is None else Decimal(scenario[key]) for key in _EQUITY)
    return before, after, DOLLARS


_EQUITY = ("equity_before", "equity_after")


def unpriced(scenarios: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each currency that is not in the sums."""
    for currency in dict.fromkeys(currency for scenario in scenarios for currency in scenario["unpriced"]):
        if all(totals(scenario)[2] != currency for scenario in scenarios):
            yield f"not summed up: {currency}, which has no price in dollars here"


def money(amount: Decimal | str, currency: str) -> str:
    return wording.free(Decimal(amount), currency)


def signed_money(amount: Decimal, currency: str) -> str:
    return f"{'+' if amount > 0 else ''}{money(amount, currency)}"


def lost_money(death: Row) -> str:
    """Word what was put in and is gone. Profit that the pool had is not in it: that shows in what is left."""
    what = "margin" if death["margin_mode"] == "isolated" else "wallet"
    return f"its {what} is lost, {wording.required(Decimal(death['lost']), death['currency'])}"


def signed_move(move: str | None) -> str:
    return NOT_KNOWN if move is None else wording.signed_move(Decimal(move))


def short(key: str) -> str:
    """Name a position as traders do: `BTC long`."""
    symbol, _, side = key.rpartition(" ")
    return short_name(PositionKey(symbol, Side[side.upper()]))


def pool_name(pool: Row) -> str:
    """Name a pool: an isolated one by its position."""
    return f"{short(pool['positions'][0])} isolated" if pool["margin_mode"] == "isolated" else str(pool["pool"])


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
