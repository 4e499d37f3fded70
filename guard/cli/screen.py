"""Where people read: the console of every command, and lines of a report."""

from rich.console import Console
from rich.table import Table
from rich.text import Text


class Screen(Console):
    """Standard output for people: only what is styled has colour, and a reader that goes away ends the command."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line's last door: rich itself would exit with 1."""
        raise  # noqa: PLE0704 - rich calls this while it handles the BrokenPipeError.


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
