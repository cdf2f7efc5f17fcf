"""Make all tables of docs/results/interpolation.md, one after the other.

Usage: python docs/recipes/interpolation_all.py TRACKS.nc FOLDER

TRACKS.nc is ``med_l3_adt_20140515_20140524.nc``. Each step is a recipe of its own, whose text says
what it does; what is kept in FOLDER is not made again. Needs ``pip install sverdrup``. Two hours of
one core, and 10 GB.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run the recipes, and stop at the first that fails."""
    tracks, folder = sys.argv[1:]
    for step in (
        ["interpolation.py", "dense"],
        ["interpolation.py", "tracks", tracks, folder],
        ["interpolation_peers.py", "simulated", folder],
        ["interpolation_peers.py", "tracks", folder, tracks],
        ["interpolation_errors.py", tracks],
        ["interpolation_missions.py", tracks],
    ):
        print(*step, flush=True)
        subprocess.run([sys.executable, HERE / step[0], *step[1:]], check=True)


if __name__ == "__main__":
    main()
