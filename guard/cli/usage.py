"""Wrong usage that only a command itself can see: one line, and the status of every other wrong usage."""

import sys
from typing import NoReturn

EXIT_USAGE = 2


def refuse_usage(text: str) -> NoReturn:
    """End the command, saying what was found and what was expected."""
    print(f"guard: {text}", file=sys.stderr)
    sys.exit(EXIT_USAGE)
