"""Correlation length and time of an interpolation that is fitted to tracks over each sea.

    python docs/recipes/any_sea_scales.py FOLDER                 of the simulated seas, into FOLDER
    python docs/recipes/any_sea_scales.py FOLDER --gaussian 4    of Gaussian ones, printed alone

`OptimalInterpolation.fit` sees four altimeters for 60 days, on a grid on which the correlation of
the maps falls to 1/e at ten cells and eight days. What is printed and kept are its scales over
these.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from any_sea_seas import HOME, TRAINING, VALIDATION, Source, file_of
from any_sea_tracks import Errors, Place, fly
from any_sea_truths import FITTED_GAUSSIAN, gaussian_source, standard_maps
from scipy import ndimage

import xdvarnet
from xdvarnet.mapping.background import NoBackground
from xdvarnet.networks.training_grid import DEGREE

DAYS, SIDE, NOISE = 60, 96, 0.15
MISSIONS = ["jason3", "sentinel3a", "sentinel3b", "saral"]
PLACE = Place(latitude=37.0, cell=10.0, step=1.0, finest=10.0)


def fit(source: Source, rng: np.random.Generator) -> dict[str, float]:
    """Return length, time and noise of the fit, over those of the source."""
    days = min(DAYS, int(8 * (len(source.maps) - 1) / source.time))
    truth = standard_maps(source, days, SIDE, rng, exact=True)
    passes = fly(PLACE, MISSIONS, days, SIDE, rng)
    heights = ndimage.map_coordinates(truth, passes.points, order=1, mode="nearest")
    order = np.argsort(passes.days)
    stamps = np.datetime64("1950-01-01", "ns") + (passes.days * 86400e9).astype("timedelta64[ns]")
    tracks = xr.Dataset(
        {"ssh": ("time", Errors(NOISE).measure(heights, passes, rng)[order], {"units": "1"})},
        {
            "time": stamps[order],
            "longitude": ("time", passes.longitude[order], {"units": "degrees_east"}),
            "latitude": ("time", passes.latitude[order], {"units": "degrees_north"}),
            "mission": ("time", passes.missions[order]),
        },
    )
    north = PLACE.cell / DEGREE * (np.arange(SIDE) - (SIDE - 1) / 2)
    east = north / np.cos(np.deg2rad(PLACE.latitude))
    grid = xr.Dataset(
        coords={
            "lat": ("lat", PLACE.latitude + north, {"units": "degrees_north"}),
            "lon": ("lon", east, {"units": "degrees_east"}),
        }
    )
    oi = xdvarnet.OptimalInterpolation.fit(
        tracks, grid, covariance="gaussian", background=NoBackground()
    )
    return {
        "length": round(oi.correlation_length / 100, 3),
        "time": round(oi.correlation_time / 8, 3),
        "noise": round(oi.noise / NOISE, 3),
    }


def seas(folder: Path, gaussian: int) -> Iterator[tuple[str, Source, Path | None]]:
    """Yield the seas to fit, and where the result is kept."""
    for number in range(gaussian):
        source = gaussian_source(np.random.default_rng(number))
        yield f"Gaussian {number}", source.scaled(*(1 / np.array(FITTED_GAUSSIAN))), None
    for name in [] if gaussian else [*VALIDATION, *TRAINING, *HOME]:
        path = file_of(name, folder)
        if path.exists() and not path.with_suffix(".json").exists():
            yield name, Source.of(np.load(path).astype(np.float32)), path.with_suffix(".json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gaussian", type=int, default=0)
    arguments = parser.parse_args()
    for name, source, path in seas(arguments.folder, arguments.gaussian):
        scales = fit(source, np.random.default_rng(0))
        print(name, scales, flush=True)
        if path is not None:
            path.write_text(json.dumps(scales))


if __name__ == "__main__":
    main()
