import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # tests/ is no package; this room's tests share their modules.
