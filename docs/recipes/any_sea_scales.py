"""Scales of an interpolation fitted to observations of a sea, beside those of its correlation.

    python docs/recipes/any_sea_scales.py FOLDER [--names east-1 west-9]

Prints what `OptimalInterpolation.fit` finds on the standard grid, over the 100 km and 8 days that
the correlation of the maps gives: 1 where both agree. These ratios are `FITTED` of any_sea_seas.py.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from any_sea_data import DEGREES, SIDE
from any_sea_seas import load
from any_sea_tracks import Errors, observe, random_missions
from any_sea_truths import standard_maps

import xdvarnet

DAYS, NOISE = 60, 0.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--names", nargs="+", default=["east-1", "east-9", "west-4", "west-9"])
    parser.add_argument("--trials", type=int, default=40)
    arguments = parser.parse_args()
    place = DEGREES * (np.arange(SIDE) - (SIDE - 1) / 2)
    coords = {
        "time": pd.date_range("2020-01-01", periods=DAYS, unit="ns"),
        "lat": ("lat", place, {"units": "degrees_north"}),
        "lon": ("lon", place, {"units": "degrees_east"}),
    }
    for name in arguments.names:
        rng = np.random.default_rng(0)
        source = load(name, arguments.folder)
        days = min(DAYS, int(8 * (len(source.maps) - 1) / source.time))
        truth = standard_maps(source, days, SIDE, rng, off=0.0)
        errors = Errors(white=NOISE, constant=0.0, correlated=0.0, reach=1.0, cutoff=None)
        seen = observe(truth, np.ones((SIDE, SIDE), bool), random_missions(rng), errors, rng)
        maps = xr.Dataset(
            {"ssh": (("time", "lat", "lon"), seen, {"units": "1"})},
            {**coords, "time": coords["time"][:days]},
        )
        oi = xdvarnet.OptimalInterpolation.fit(maps, covariance="gaussian", trials=arguments.trials)
        scales = oi.correlation_length / 100, oi.correlation_time / 8, oi.noise / NOISE
        print("{}: length {:.2f}, time {:.2f}, noise {:.2f}".format(name, *scales), flush=True)


if __name__ == "__main__":
    main()
