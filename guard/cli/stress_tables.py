"""The rows of `stress --json` for people: what dies at which move, with what, and what is left; worst first."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from guard.cli.stress_words import (
    closure_words,
    death_words,
    left_words,
    lost_hedge_words,
    lost_money,
    money,
    pool_name,
    signed_money,
    signed_move,
    totals,
    unpriced,
    where,
)
from guard.cli.tables import NOT_KNOWN, UNSEEN
from guard.notify import wording

DEAD, ALIVE, SAID = "bold red", "green", "yellow"
FATE_STYLES = {"alive": "", "dead": DEAD, "closed": SAID}
PHONE = 60  # Columns: below it a table of sentences is no table any more.
FARTHEST = Decimal("Infinity")

Row = Mapping[str, Any]


class StressView:
    """All accounts one below the other, the one whose nearest pool ends first on top."""

    def __init__(self, accounts: Sequence[Row], *, is_ladder: bool) -> None:
        self._accounts = sorted(accounts, key=_nearest_end)
        self._is_ladder = is_ladder

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw one scenario in full, several as a table, or on a phone as lines."""
        for account in self._accounts:
            yield _head(account)
            if account["scenarios"]:
                yield from self._account(account, is_phone=options.max_width < PHONE)
            yield from (_note(f"not stressed: {gap['subject']}: {gap['reason']}", UNSEEN) for gap in account["gaps"])
            yield Text("")

    def _account(self, account: Row, *, is_phone: bool) -> Iterator[RenderableType]:
        scenarios: Sequence[Row] = account["scenarios"]
        if not any(pool["positions"] for pool in account["pools"]):
            yield _note("no open positions", "dim")
            return
        if len(scenarios) == 1:
            yield from _whole_story(scenarios[0])
        else:
            ordered = scenarios if self._is_ladder else sorted(scenarios, key=_left)
            yield from _lines(ordered) if is_phone else [_summary(ordered)]
            yield Text("")
            yield _ends(account["pools"])
        yield from _notes(scenarios)


# One scenario in full ----------------------------------------------------------------------------------------------


def _whole_story(scenario: Row) -> Iterator[RenderableType]:
    yield Text(scenario["name"], style="bold")
    yield from (_note(closure_words(closure, scenario), SAID) for closure in scenario["closures"])
    for death in scenario["deaths"]:
        yield _note(f"dies {where(death, scenario)}: {death_words(death)}: {lost_money(death)}", DEAD)
        hedged = lost_hedge_words(death, scenario)
        if hedged is not None:
            yield _note(f"  {hedged}", DEAD)
    if not scenario["deaths"]:
        yield _note("nothing dies", ALIVE)
    yield _outcomes(scenario["pools"])
    left = left_words(scenario)
    if left is not None:
        yield _note(f"left: {left}", "bold")


def _outcomes(pools: Sequence[Row]) -> Table:
    table = _table("pool", "before", "after", "then to go")
    for pool in sorted(pools, key=lambda row: (row["fate"] != "dead", Decimal(row["distance_left"] or FARTHEST))):
        left = NOT_KNOWN if pool["distance_left"] is None else wording.distance(Decimal(pool["distance_left"]))
        table.add_row(
            pool_name(pool),
            money(pool["equity_before"], pool["currency"]),
            money(pool["equity_after"], pool["currency"]),
            Text(left)
            if pool["fate"] == "alive"
            else Text(pool["fate"], style=DEAD if pool["fate"] == "dead" else SAID),
        )
    return table


# Several scenarios -------------------------------------------------------------------------------------------------


def _summary(scenarios: Sequence[Row]) -> Table:
    table = _table("move", "dies", "change", "left")
    table.columns[1].justify = "left"
    for column in (table.columns[2], table.columns[3]):
        column.no_wrap = True
    for scenario in scenarios:
        deaths = _death_lines(scenario)
        style = DEAD if deaths else ALIVE
        change, left = _change_and_left(scenario)
        what = Text("\n".join(deaths) or "nothing", style=style)
        table.add_row(Text(scenario["name"], style=style), what, change, left)
    return table


def _lines(scenarios: Sequence[Row]) -> Iterator[RenderableType]:
    for scenario in scenarios:
        deaths = _death_lines(scenario)
        style = DEAD if deaths else ALIVE
        yield Text.assemble((scenario["name"], style), f"  {_change_and_left(scenario)[1]} left")
        yield from (_note(line, DEAD) for line in deaths)


def _death_lines(scenario: Row) -> list[str]:
    lines = []
    for death in scenario["deaths"]:
        hedged = lost_hedge_words(death, scenario)
        lines.append(f"{death_words(death)} {where(death, scenario)}{f' ({hedged})' if hedged else ''}")
    return lines


def _change_and_left(scenario: Row) -> tuple[str, str]:
    before, after, currency = totals(scenario)
    if before is None or after is None:
        return NOT_KNOWN, NOT_KNOWN
    return signed_money(after - before, currency), money(after, currency)


def _ends(pools: Sequence[Row]) -> Table:
    table = _table("pool", "ends if all fall", "if all rise")
    for pool in sorted((pool for pool in pools if pool["positions"]), key=_nearness):
        past = Text("past", style=DEAD)
        is_past = pool["liquidation"] == "past"
        down, up = (past if is_past else signed_move(pool[key]) for key in ("market_down", "market_up"))
        table.add_row(pool_name(pool), down, up)
    return table


# Parts -------------------------------------------------------------------------------------------------------------


def _head(account: Row) -> Text:
    if "state" not in account:
        return Text(account["account"], style="bold")
    age = account["data_age_s"]
    read = "never read" if age is None else f"read {wording.duration(timedelta(seconds=age))} ago"
    return Text.assemble(
        (account["account"], "bold"),
        (f"  {account['exchange']}, ", "dim"),
        (f"{account['state']}, {read}", "dim" if account["state"] == "fresh" else f"bold {UNSEEN}"),
    )


def _notes(scenarios: Sequence[Row]) -> Iterator[RenderableType]:
    for coin in dict.fromkeys(coin for scenario in scenarios for coin in scenario["unmoved"]):
        yield _note(f"nothing here moves with {coin}", SAID)
    asked = [scenario for scenario in scenarios if scenario["auto_deleveraging_at"] is not None]
    if asked and not any(scenario["closures"] for scenario in asked):
        yield _note("auto-deleveraging finds no hedge leg in profit to close", "dim")
    yield from (_note(line, UNSEEN) for line in unpriced(scenarios))


def _left(scenario: Row) -> Decimal:
    """Return what is left, so that the worst scenario comes first."""
    after = totals(scenario)[1]
    return FARTHEST if after is None else after


def _nearest_end(account: Row) -> Decimal:
    return min(map(_nearness, account["pools"]), default=FARTHEST)


def _nearness(pool: Row) -> Decimal:
    if pool["liquidation"] == "past":
        return Decimal(0)
    moves = (pool["market_down"], pool["market_up"])
    return min((abs(Decimal(move)) for move in moves if move is not None), default=FARTHEST)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", overflow="fold")
    return table


def _note(text: str, style: str) -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2), expand=False)  # Padded, so that what wraps stays indented.
