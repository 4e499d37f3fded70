"""The status document of `status --json`, as tables that a person reads in one look: worst first, in any width."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from guard.notify import wording
from guard.notify.position_lines import price_to_save
from guard.policy.phrases import short_name
from guard.policy.terms import Mode
from guard.snapshot import PositionKey, Side

LEVEL_STYLES = {
    "ok": "green",
    "watch": "cyan",
    "warn": "yellow",
    "unknown": "magenta",
    "danger": "bold red",
    "critical": "bold white on red",
}
SEVERITY = {level: rank for rank, level in enumerate(LEVEL_STYLES)}
UNSEEN = "magenta"

COLUMNS = (
    "level", "position or pool", "mark", "liquidation", "exchange's", "distance", "ratio", "to target",
    "budget left",
)  # fmt: skip
GIVEN_UP = ("exchange's", "ratio", "budget left", "to target", "mark")  # In this order, where it is narrow.

UNBOUNDED = 1000

NOT_KNOWN = "\N{EN DASH}"

Row = Mapping[str, Any]
Cells = Mapping[str, Text | str]


class StatusView:
    """The whole document: accounts one below the other, with as many columns as the terminal has room for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._accounts: list[Row] = sorted(document["accounts"], key=lambda row: -SEVERITY[row["level"]])
        gaps = [{_gap_line(gap) for gap in account["gaps"]} for account in self._accounts]
        self._everywhere = set.intersection(*gaps) if gaps else set()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw with the most columns that fit; in a terminal too narrow for any, cells break."""
        for given_up in range(len(GIVEN_UP) + 1):
            columns = [name for name in COLUMNS if name not in GIVEN_UP[:given_up]]
            parts = [part for account in self._accounts for part in self._account(account, columns)]
            if max((_width(part, console, options) for part in parts), default=0) <= options.max_width:
                break
        yield from parts
        yield from (_note(line, "dim") for line in sorted(self._everywhere))

    def _account(self, account: Row, columns: Sequence[str]) -> Iterator[RenderableType]:
        yield _head(account)
        units = worst_first(account)
        if any(units):
            yield _table([cells for unit in units for cells in _unit_cells(unit)], columns)
        elif account["state"] == "fresh":
            yield _note("no open positions", "dim")
        yield from _notes(account)
        lines = dict.fromkeys(_gap_line(gap) for gap in account["gaps"])
        yield from (_note(line, UNSEEN) for line in lines if line not in self._everywhere)
        yield Text("")


def print_status(document: Mapping[str, Any], console: Console) -> None:
    console.print(StatusView(document))


def worst_first(account: Row) -> list[list[Row]]:
    """Return isolated positions, and cross pools each with its positions, by level and then by distance.

    What has no liquidation comes last in its level. Pools that nothing leans on are left out.
    """
    positions: Sequence[Row] = account["positions"]
    units: list[list[Row]] = [[row] for row in positions if row["pool"] is None]
    for pool in account["pools"]:
        members = [row for row in positions if row["pool"] == pool["pool"]]
        if members:
            units.append([pool, *sorted(members, key=_badness)])
    return sorted(units, key=lambda unit: _badness(unit[0]))


def level_text(level: str) -> Text:
    return Text(f" {level} ", style=LEVEL_STYLES[level])


def short_row_name(row: Row) -> str:
    """Name a position as traders do: `BTC long`."""
    return short_name(_key(row))


def _key(row: Row) -> PositionKey:
    return PositionKey(row["symbol"], Side[row["side"].upper()])


def known(text: str | None, word: Callable[[Decimal], str]) -> str:
    """Word a figure of the document; one that is not known is a dash."""
    return NOT_KNOWN if text is None else word(Decimal(text))


def liquidation(row: Row) -> str:
    """Word a position's liquidation price, rounded towards the mark, or the answer that stands in its place."""
    if row["liquidation"] != "at":
        return str(row["liquidation"])
    return known(row["liquidation_price"], partial(wording.liquidation_price, mark=Decimal(row["mark_price"])))


def shocks(row: Row) -> str:
    """Word by how much all prices together must move to liquidate a pool."""
    moves = [wording.signed_move(Decimal(move)) for move in (row["shock_down"], row["shock_up"]) if move is not None]
    return f"all {' / '.join(moves)}" if moves else str(row["liquidation"])


def _badness(row: Row) -> tuple[int, Decimal]:
    return -SEVERITY[row["level"]], Decimal(row["distance"] or "Infinity")


def _head(account: Row) -> Text:
    age = account["data_age_s"]
    read = "never read" if age is None else f"read {wording.duration(timedelta(seconds=age))} ago"
    fresh = account["state"] == "fresh"
    return Text.assemble(
        (account["account"], "bold"),
        "  ",
        level_text(account["level"]),
        (f"  {account['exchange']}, mode {account['mode']}, ", "dim"),
        (f"{account['state']}, {read}", "dim" if fresh else f"bold {UNSEEN}"),
    )


def _width(part: RenderableType, console: Console, options: ConsoleOptions) -> int:
    """Return how wide a table would like to be. Text wraps, so it asks for nothing."""
    if not isinstance(part, Table):
        return 0
    return Measurement.get(console, options.update_width(UNBOUNDED), part).maximum


def _table(rows: Sequence[Cells], columns: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        right = name not in {"level", "position or pool"}
        table.add_column(name, justify="right" if right else "left", no_wrap=set(GIVEN_UP) & set(columns) != set())
    for cells in rows:
        table.add_row(*(cells.get(name, "") for name in columns))
    return table


def _unit_cells(unit: Sequence[Row]) -> Iterator[Cells]:
    if "driver" in unit[0]:
        yield _pool_cells(unit[0])
        yield from (_position_cells(row, f"  {short_row_name(row)}") for row in unit[1:])
    else:
        yield _position_cells(unit[0], f"{short_row_name(unit[0])} isolated")


def _position_cells(row: Row, name: str) -> Cells:
    currency, mark = row["currency"], Decimal(row["mark_price"])
    return _shared_cells(row) | {
        "position or pool": name,
        "mark": wording.price(mark),
        "liquidation": liquidation(row),
        "exchange's": known(row["exchange_liquidation_price"], partial(wording.liquidation_price, mark=mark)),
        "to target": known(row["money_to_target"], partial(wording.required, currency=currency)),
        "budget left": known(row["budget_left"], partial(wording.free, currency=currency)),
    }


def _pool_cells(row: Row) -> Cells:
    return _shared_cells(row) | {"position or pool": row["pool"], "liquidation": shocks(row)}


def _shared_cells(row: Row) -> dict[str, Text | str]:
    return {
        "level": level_text(row["level"]),
        "distance": Text(known(row["distance"], wording.distance), style=LEVEL_STYLES[row["level"]]),
        "ratio": known(row["margin_ratio"], wording.share),
    }


def _notes(account: Row) -> Iterator[RenderableType]:
    """Yield what the table does not say: why no money comes, why a level is unknown, and what may be spent."""
    for row in account["positions"]:
        if row["withheld"] is not None and row["margin_mode"] == "isolated":
            yield _note(f"{short_row_name(row)}: no top-up: {row['withheld']}", "yellow")
        if row["level"] == "unknown" and row["pool"] is None:
            yield _note(f"{short_row_name(row)}: {row['reason']}", UNSEEN)
    for row in account["contenders"]:
        yield _note(f"too little money for all: {_price_to_save(row)}", "yellow")
    for row in account["pools"]:
        if row["level"] == "unknown":
            yield _note(f"{row['pool']}: {row['reason']}", UNSEEN)
        if row["available"] is not None:
            money = partial(wording.free, currency=row["currency"])
            spendable = "" if row["spendable"] is None else f", {known(row['spendable'], money)} above its reserve"
            name = row["pool"].removesuffix(" cross")
            yield _note(f"{name} wallet: {known(row['available'], money)} available{spendable}", "dim")


def _price_to_save(row: Row) -> str:
    return price_to_save(
        _key(row),
        currency=row["currency"],
        cost=None if row["money_to_clear"] is None else Decimal(row["money_to_clear"]),
        kept=Decimal(row["loss_avoided"]),
        is_saved=row["is_saved"],
        mode=Mode[row["mode"].upper()],
    )


def _gap_line(gap: Row) -> str:
    return f"not seen: {gap['subject']}: {gap['reason']}"


def _note(text: str, style: str) -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2), expand=False)  # Padded, so that what wraps stays indented.
