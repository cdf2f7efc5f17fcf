"""The oceans of the twin experiments (docs/results/twin.md), and how they are observed.

    python docs/recipes/twin_data.py            simulate all, into the cache of `twin_ocean`

Seeds 1 to 8 train, seed 10 chooses between models and tunes the interpolation, seeds 20 to 22
test. With ``coarsen=2`` the maps have 128 x 128 cells of 10 km, which two cores can train on.
"""

import time

import xarray as xr

import xdvarnet
from xdvarnet.datasets import twin_ocean
from xdvarnet.observing.clouds import CloudySST
from xdvarnet.observing.combined import CombinedSystem

SEAS = ("gulf-stream", "northeast-atlantic")
SEEDS = {"training": (1, 2, 3, 4, 5, 6, 7, 8), "validation": (10,), "test": (20, 21, 22)}
DAYS = {"training": 120, "validation": 40, "test": 60}
SCORED = {"validation": slice(8, 36), "test": slice(9, 51)}
"""Days that are scored, whole weeks: those at the ends have observations on one side alone."""

NADIRS = ("jason3", "sentinel3a", "sentinel3b", "saral")
NOISE = 0.02  # m, of one measurement of a nadir altimeter or of one pixel of a swath
SST_NOISE = 0.4  # K

SYSTEMS = {
    "nadirs": CombinedSystem({"ssh": xdvarnet.ObservingSystem(NADIRS, noise=NOISE)}),
    "nadirs + SWOT": CombinedSystem(
        {"ssh": xdvarnet.ObservingSystem((*NADIRS, "swot_nadir", "swot"), noise=NOISE)}
    ),
    "nadirs + SST": CombinedSystem(
        {
            "ssh": xdvarnet.ObservingSystem(NADIRS, noise=NOISE),
            "sst": CloudySST(noise=SST_NOISE),
        }
    ),
}


def ocean(sea: str, part: str, seed: int, *, coarsen: int = 2) -> xr.Dataset:
    """Return one simulated ocean, averaged over squares of cells."""
    truth = twin_ocean(sea, days=DAYS[part], seed=seed)
    if coarsen == 1:
        return truth
    coarse = truth.drop_vars("sea").coarsen(lat=coarsen, lon=coarsen).mean(keep_attrs=True)
    return coarse.astype("float32")


def main() -> None:
    for sea in SEAS:
        for part, seeds in SEEDS.items():
            for seed in seeds:
                start = time.process_time()
                truth = ocean(sea, part, seed)
                spread = float(truth["ssh"].std())
                seconds = time.process_time() - start
                print(sea, part, seed, f"std {100 * spread:.1f} cm, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
