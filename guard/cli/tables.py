"""The status document of `status --json`, as a table that a person reads in one look: worst first."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

LEVEL_STYLES = {
    "ok": "green",
    "watch": "cyan",
    "warn": "yellow",
    "unknown": "magenta",
    "danger": "bold red",
    "critical": "bold white on red",
}
SEVERITY = {level: rank for rank, level in enumerate(LEVEL_STYLES)}

NOT_KNOWN = "\N{EN DASH}"

Row = Mapping[str, Any]


def status_view(document: Mapping[str, Any]) -> RenderableType:
    """Return one renderable of the whole document: accounts one below the other, the worst first."""
    accounts: list[Row] = sorted(document["accounts"], key=lambda row: -SEVERITY[row["level"]])
    return Group(*(part for account in accounts for part in _account_parts(account)))


def print_status(document: Mapping[str, Any], console: Console) -> None:
    console.print(status_view(document))


def _account_parts(account: Row) -> list[RenderableType]:
    age = account["data_age_s"]
    head = Text.assemble(
        (f"{account['account']}", "bold"),
        f"  {account['exchange']}  mode {account['mode']}  ",
        (account["state"] if age is None else f"{account['state']}, read {float(age):.1f} s ago", "dim"),
        "  ",
        level_text(account["level"]),
    )
    parts: list[RenderableType] = [head]
    rows = worst_first([*account["pools"], *account["positions"]])
    if rows:
        parts.append(_table(rows))
    elif account["state"] == "fresh":
        parts.append(Text("  no open positions", style="dim"))
    parts.extend(_notes(rows))
    parts.extend(Text(f"  not seen: {gap['subject']}: {gap['reason']}", style="magenta") for gap in account["gaps"])
    parts.append(Text(""))
    return parts


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """Sort by level, then by distance; what has no liquidation comes last in its level."""
    return sorted(rows, key=lambda row: (-SEVERITY[row["level"]], Decimal(row["distance"] or "Infinity")))


def level_text(level: str) -> Text:
    return Text(f" {level} ", style=LEVEL_STYLES[level])


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("level")
    table.add_column("position or pool")
    for name in ("mark", "liquidation", "exchange's", "distance", "to target", "budget left", "margin ratio"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(level_text(row["level"]), *(_pool_cells(row) if "driver" in row else _position_cells(row)))
    return table


def _position_cells(row: Row) -> list[str]:
    mark = row["mark_price"]
    return [
        f"{row['symbol'].split(':')[0]} {row['side']} {row['margin_mode']}",
        price(mark),
        _liquidation(row, mark),
        price(row["exchange_liquidation_price"], towards=mark),
        percent(row["distance"]),
        money(row["money_to_target"], row["currency"], up=True),
        money(row["budget_left"], row["currency"]),
        percent(row["margin_ratio"], up=True),
    ]


def _pool_cells(row: Row) -> list[str]:
    return [
        row["pool"],
        "",
        _shocks(row),
        "",
        percent(row["distance"]),
        "",
        money(row["spendable"], row["currency"]),
        percent(row["margin_ratio"], up=True),
    ]


def _liquidation(row: Row, mark: str) -> str:
    return price(row["liquidation_price"], towards=mark) if row["liquidation"] == "at" else str(row["liquidation"])


def _shocks(row: Row) -> str:
    """Show by how much all prices together must move."""
    if row["liquidation"] in {"past", "unknown"}:
        return str(row["liquidation"])
    moves = [f"{Decimal(move) * 100:+.1f} %" for move in (row["shock_down"], row["shock_up"]) if move is not None]
    return "all " + " / ".join(moves) if moves else "none"


def _notes(rows: Sequence[Row]) -> list[Text]:
    """Below the table: why money is withheld, and why a level is what it is where that is not plain."""
    notes = []
    for row in rows:
        name = row.get("symbol") or row["pool"]
        if row.get("withheld"):
            notes.append(Text(f"  {name}: no top-up: {row['withheld']}", style="yellow"))
        if row["level"] == "unknown" and row.get("reason"):
            notes.append(Text(f"  {name}: {row['reason']}", style="magenta"))
    return notes


def price(text: str | None, *, towards: str | None = None) -> str:
    """Show a price with six significant digits; a liquidation price is rounded towards the mark, against ourselves."""
    if text is None:
        return NOT_KNOWN
    value = Decimal(text)
    if value == 0:
        return "0"
    step = Decimal(1).scaleb(min(0, value.adjusted() - 5) if value.adjusted() < 5 else 0)
    rounding = ROUND_CEILING if towards is not None and Decimal(towards) > value else ROUND_FLOOR
    return f"{value.quantize(step, rounding=rounding):,f}"


def percent(text: str | None, *, up: bool = False) -> str:
    """Show a fraction in percent: a distance rounded down, a ratio up."""
    if text is None:
        return NOT_KNOWN
    return f"{(Decimal(text) * 100).quantize(Decimal('0.01'), rounding=ROUND_CEILING if up else ROUND_FLOOR):f} %"


def money(text: str | None, currency: str, *, up: bool = False) -> str:
    """Show an amount with its currency: what is needed rounded up, what is free rounded down."""
    if text is None:
        return NOT_KNOWN
    value = Decimal(text)
    step = Decimal("0.01") if currency in {"USDT", "USDC", "USD", "FDUSD"} else Decimal("0.00000001")
    return f"{value.quantize(step, rounding=ROUND_CEILING if up else ROUND_FLOOR):,f} {currency}"
