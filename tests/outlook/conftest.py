"""The made-up pools of the margin tests are this room's as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "margin"))
