"""Print the matrix of docs/exchanges.md."""

import sys

from guard.venues.capabilities import page

sys.stdout.write(page() + "\n")
