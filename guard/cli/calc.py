"""`guard calc FILE`: the model on an account written by hand. It asks no exchange and reads no config."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from guard.cli.screen import Screen
from guard.cli.tables import known, liquidation, shocks, short_row_name
from guard.config.account_file import WrittenAccount, read_account_file
from guard.margin import cross_figures, isolated_position, pool_fields, position_fields
from guard.margin.figures import PositionFigures
from guard.notify import wording
from guard.snapshot import MarginMode

Row = Mapping[str, Any]


def calc(file: Path, *, as_json: bool) -> None:
    """Print the figures of an account file, for people or (design 4.2 and 4.3) for programs.

    Raises ConfigError with everything that is wrong with the file.
    """
    written = read_account_file(file)
    answers = [figures(account) for account in written.accounts]
    if as_json:
        document = answers if written.is_list else answers[0]
        print(json.dumps(document, indent=2))
        return
    console = Screen()
    for answer in answers:
        for table in _tables(answer):
            console.print(table)


def figures(account: WrittenAccount) -> dict[str, list[dict[str, object]]]:
    """Return the rows of one account: its positions in the file's order, and its cross pool if there is one."""
    crossed = [entry.position for entry in account.positions if entry.position.margin_mode is MarginMode.CROSS]
    members: list[PositionFigures] = []
    pools = []
    if account.cross_pool is not None:
        members, pool = cross_figures(account.cross_pool, crossed, wallet=None)
        pools.append(pool_fields(pool))
    cross = iter(members)
    rows = [
        next(cross)
        if entry.position.margin_mode is MarginMode.CROSS
        else isolated_position(entry.position, entry.leg, entry.pool, None)
        for entry in account.positions
    ]
    return {"positions": [position_fields(row) for row in rows], "pools": pools}


def _tables(answer: Mapping[str, list[dict[str, object]]]) -> list[Table]:
    """Return what fits a narrow terminal, rounded against ourselves; the JSON has every figure."""
    positions = _table("position", "mark", "liquidation", "distance", "balance", "ratio")
    for row in answer["positions"]:
        positions.add_row(*_position_cells(row))
    pools = _table("pool", "liquidation", "driver", "distance", "balance", "ratio")
    for row in answer["pools"]:
        pools.add_row(*_pool_cells(row))
    return [table for table in (positions, pools) if table.row_count]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", overflow="fold")  # No figure loses its end.
    return table


def _position_cells(row: Row) -> list[str]:
    return [
        f"{short_row_name(row)} {row['margin_mode']}",
        known(row["mark_price"], wording.price),
        liquidation(row),
        known(row["distance"], wording.distance),
        known(row["margin_balance"], partial(wording.free, currency=row["currency"])),
        known(row["margin_ratio"], wording.share),
    ]


def _pool_cells(row: Row) -> list[str]:
    return [
        row["pool"],
        shocks(row),
        (row["driver"] or "").split(":")[0],
        known(row["distance"], wording.distance),
        known(row["margin_balance"], partial(wording.free, currency=row["currency"])),
        known(row["margin_ratio"], wording.share),
    ]
