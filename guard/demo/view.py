"""The demo's live picture: the price falling towards two liquidation prices, and what became of the two accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

CHART_ROWS = 12
CHART_COLUMNS = 72
LOG_LINES = 9

LEVEL_STYLES = {
    "ok": "green",
    "watch": "cyan",
    "warn": "yellow",
    "unknown": "magenta",
    "danger": "bold red",
    "critical": "bold white on red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One moment of the drawn market. None: no such price then (none, or the position is gone)."""

    mark: Decimal
    guarded_liquidation: Decimal | None
    unguarded_liquidation: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLine:
    """One position as the view shows it. Money in USDT."""

    symbol: str
    side: str
    margin: Decimal
    liquidation: Decimal | None
    distance: Decimal | None
    level: str | None  # None: nobody watches it.
    liquidated_at: Decimal | None  # The mark at which the exchange took it. None: alive.


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPane:
    equity_start: Decimal
    equity: Decimal
    positions: tuple[PositionLine, ...]
    spent: Decimal
    budget: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Everything the picture shows at one moment."""

    title: str
    clock: str
    share: float  # Of the whole run, 0 to 1.
    symbol: str
    samples: Sequence[Sample]
    guarded: AccountPane
    unguarded: AccountPane
    log: Sequence[tuple[str, str, str]]  # Clock, style, text; newest last.


def draw(frame: Frame) -> RenderableType:
    """Return the whole picture, 80 columns wide."""
    panes = Table.grid(expand=True, padding=(0, 1))
    panes.add_column(ratio=1)
    panes.add_column(ratio=1)
    panes.add_row(
        Panel(_pane(frame.guarded), title="[bold green]guarded", border_style="green", box=box.ROUNDED),
        Panel(_pane(frame.unguarded), title="[bold]the same account, unguarded", border_style="dim", box=box.ROUNDED),
    )
    return Group(_chart(frame), panes, Panel(_log(frame.log), title="what guard said and did", border_style="cyan"))


def _chart(frame: Frame) -> RenderableType:
    samples = _resample(frame.samples, CHART_COLUMNS)
    grid = [[(" ", "")] * CHART_COLUMNS for _ in range(CHART_ROWS)]
    prices = [price for sample in samples for price in (sample.mark, sample.guarded_liquidation) if price is not None]
    first = samples[0].unguarded_liquidation if samples else None
    prices += [first] if first is not None else []
    low, high = (min(prices), max(prices)) if prices else (Decimal(0), Decimal(1))
    span = (high - low) or Decimal(1)

    def put(column: int, price: Decimal | None, sign: str, style: str) -> None:
        if price is not None and low <= price <= high:
            row = CHART_ROWS - 1 - int((price - low) / span * (CHART_ROWS - 1))
            grid[row][column] = (sign, style)

    for column, sample in enumerate(samples):
        put(column, sample.unguarded_liquidation, "┄", "red")
        put(column, sample.guarded_liquidation, "━", "green")
        put(column, sample.mark, "●", "bold white")
    body = Text()
    for index, row in enumerate(grid):
        label = f"{high - span * index / (CHART_ROWS - 1):>10,.1f} " if index % 3 == 0 else " " * 11
        body.append(label, style="dim")
        for sign, style in row:
            body.append(sign, style=style)
        body.append("\n")
    body.append(" " * 11 + _progress(frame.share), style="dim")
    legend = f"[bold]{frame.symbol}[/]  {frame.clock}   ● mark  [green]━ liquidation, guarded[/]  [red]┄ unguarded[/]"
    return Panel(body, title=frame.title, subtitle=legend, box=box.ROUNDED)


def _progress(share: float) -> str:
    done = int(share * CHART_COLUMNS)
    return "▪" * done + "·" * (CHART_COLUMNS - done)


def _resample(samples: Sequence[Sample], columns: int) -> list[Sample]:
    if len(samples) <= columns:
        return list(samples)
    return [samples[index * (len(samples) - 1) // (columns - 1)] for index in range(columns)]


def _pane(pane: AccountPane) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, expand=True)
    table.add_column()
    table.add_column(justify="right")
    change = pane.equity - pane.equity_start
    table.add_row(
        "equity", Text.assemble(f"{pane.equity:,.2f}  ", (f"{change:+,.2f}", "red" if change < 0 else "green"))
    )
    for line in pane.positions:
        table.add_row(*_position_rows(line))
        if line.liquidated_at is None:
            liquidation = "none" if line.liquidation is None else f"{line.liquidation:,.2f}"
            table.add_row("  liquidation", f"{liquidation}  {_distance(line.distance)}")
    if pane.budget > 0:
        table.add_row("added", _bar(pane.spent, pane.budget))
    return table


def _position_rows(line: PositionLine) -> tuple[RenderableType, RenderableType]:
    name = f"{line.symbol} {line.side}"
    if line.liquidated_at is not None:
        return Text(name, style="strike dim"), Text(
            f"LIQUIDATED at {line.liquidated_at:,.2f}", style="bold white on red"
        )
    margin = Text(f"margin {line.margin:,.2f} ")
    if line.level is not None:
        margin.append(f" {line.level} ", style=LEVEL_STYLES[line.level])
    return Text(name, style="bold"), margin


def _distance(distance: Decimal | None) -> str:
    return "" if distance is None else f"{distance * 100:5.1f} %"


def _bar(spent: Decimal, budget: Decimal) -> Text:
    cells = min(10, int(spent / budget * 10)) if budget else 0
    return Text.assemble((("█" * cells).ljust(10, "░"), "yellow"), f" {spent:,.2f} / {budget:,.2f}")


def _log(lines: Sequence[tuple[str, str, str]]) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for clock, style, words in lines[-LOG_LINES:]:
        text.append(f"{clock}  ", style="dim")
        text.append(f"{words}\n", style=style)
    for _ in range(LOG_LINES - min(LOG_LINES, len(lines))):
        text.append("\n")
    return text
