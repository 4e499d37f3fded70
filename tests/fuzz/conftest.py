import sys
from pathlib import Path

# tests/ is no package; this room's tests share their modules, and the servers of the contract suite.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "venue_contract")]
