"""Correlation length and time of an interpolation that is fitted to observations of each sea.

    python docs/recipes/any_sea_scales.py FOLDER                 of the simulated seas, into FOLDER
    python docs/recipes/any_sea_scales.py FOLDER --gaussian 4    of Gaussian ones, printed alone

`OptimalInterpolation.fit` sees 60 days, on a grid on which the correlation of the maps falls to 1/e
at ten cells and eight days. What is printed and kept are its scales over these: about the same
length, and a time that is half as long in seas with an eastward shear.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from any_sea_data import DEGREES, SIDE
from any_sea_seas import TRAINING, VALIDATION, Source, file_of
from any_sea_tracks import Errors, altimeters, observe
from any_sea_truths import FITTED_GAUSSIAN, gaussian_source, standard_maps

import xdvarnet

DAYS, MISSIONS, NOISE, TRIALS = 60, 5, 0.15, 25


def fit(source: Source, rng: np.random.Generator) -> dict[str, float]:
    """Return length, time and noise of the fit, over those of the source."""
    days = min(DAYS, int(8 * (len(source.maps) - 1) / source.time))
    truth = standard_maps(source, days, SIDE, rng, exact=True)
    errors = Errors(white=NOISE, constant=0.0, correlated=0.0, reach=1.0, cutoff=None)
    sea = np.ones((SIDE, SIDE), bool)
    seen = observe(truth, sea, altimeters(MISSIONS, rng), errors, rng)
    place = DEGREES * (np.arange(SIDE) - (SIDE - 1) / 2)
    maps = xr.Dataset(
        {"ssh": (("time", "lat", "lon"), seen, {"units": "1"})},
        {
            "time": pd.date_range("2020-01-01", periods=days, unit="ns"),
            "lat": ("lat", place, {"units": "degrees_north"}),
            "lon": ("lon", place, {"units": "degrees_east"}),
        },
    )
    oi = xdvarnet.OptimalInterpolation.fit(maps, covariance="gaussian", trials=TRIALS)
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
    for name in [] if gaussian else VALIDATION | TRAINING:
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
