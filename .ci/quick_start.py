"""Run the quick start of README, without the line that draws: as whoever installs no extras."""

import re
import sys
from pathlib import Path

readme = Path(__file__).parents[1] / "README.md"
(block,) = re.findall(r"## Quick start\n\n```python\n(.*?)```", readme.read_text("utf-8"), re.S)
lines = [line for line in block.splitlines() if "plot_map" not in line]
sys.path = [path for path in sys.path if Path(path).resolve() != readme.parent]
exec("\n".join(lines))
