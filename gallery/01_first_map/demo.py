"""Run `plot_first_map.py` and keep what it makes: maps.nc, maps.png and the table of scores.

Usage: python gallery/01_first_map/demo.py FOLDER
"""

import runpy
import sys
from pathlib import Path

import matplotlib


def main(folder: Path) -> None:
    """Write the maps of the 4DVarNet and the figure into `folder`, and print the scores."""
    matplotlib.use("Agg")
    made = runpy.run_path(str(Path(__file__).with_name("plot_first_map.py")))
    folder.mkdir(parents=True, exist_ok=True)
    made["maps"]["4DVarNet"].to_netcdf(folder / "maps.nc", engine="h5netcdf")
    made["figure"].savefig(folder / "maps.png", dpi=110)
    print(made["table"].to_string())
    print(f"\nWrote {folder / 'maps.nc'} and {folder / 'maps.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
