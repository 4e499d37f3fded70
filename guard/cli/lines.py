"""Lines of a report: a lead, and a text that wraps beside it on a terminal and is one line in a pipe."""

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_line(console: Console, lead: Text, body: Text) -> None:
    """Print one line of a report: on a terminal what wraps stays right of the lead, elsewhere `grep` finds it whole."""
    if not console.is_terminal:
        console.print(Text.assemble(lead, "  ", body), soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(lead, body)
    console.print(grid)
