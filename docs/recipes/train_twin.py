"""Train the model of the twin ocean that comes with the package, on its 5 km grid.

    python docs/recipes/train_twin.py FILE [--epochs 60]

The oceans are those of docs/recipes/twin_data.py: seeds 1 to 4 train, seed 10 validates. A draw is
a part of the plane for 40 days. A training that was stopped goes on from its checkpoint when it
is started again.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from twin_data import SEEDS, SYSTEMS, ocean

import xdvarnet
from xdvarnet.solver.multiscale import UNetStep

SEA = "gulf-stream"
DAYS, SIDE = 11, 96  # of a window
PART, PERIOD = 160, 40  # cells and days of a draw
STEPS, BATCH = 60, 4

# tuned on the validation ocean, see docs/recipes/twin.py
OPTIMAL = {"correlation_length": "100 km", "correlation_time": "9 days", "noise": 0.03}


def build(mean_map: xr.Dataset) -> xdvarnet.DVarNet:
    """Return the untrained model: an optimal interpolation, and a descent on several scales.

    The network takes cells in squares of 4 x 4 (20 km), which is finer than the eddies.
    """
    torch.manual_seed(0)
    background = xdvarnet.MeanMapBackground(mean_map, days=DAYS)
    guess = xdvarnet.OptimalInterpolation(
        "ssh", **OPTIMAL, background=background, time_window=21, neighbours=100
    )
    context = xdvarnet.DVarNet.context_channels(DAYS, guess)
    solver = xdvarnet.VariationalSolver(
        xdvarnet.BilinearAutoencoder(DAYS, hidden=16, downscale=4),
        xdvarnet.MaskedObservation(),
        UNetStep(DAYS, hidden=44, context=context, downscale=4),
        iterations=2,
    )
    return xdvarnet.DVarNet(
        solver,
        variables={"ssh": "m"},
        window=xdvarnet.Window(DAYS, SIDE, SIDE, stride=(5, 48, 48), halo=(2, 12, 12)),
        background=background,
        first_guess=guess,
        precision="bfloat16",
    )


def part(whole: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return some days of a part of an ocean, at random."""
    row, column = rng.integers(whole.sizes["lat"] - PART, size=2)
    day = rng.integers(whole.sizes["time"] - PERIOD)
    return whole.isel(
        time=slice(day, day + PERIOD), lat=slice(row, row + PART), lon=slice(column, column + PART)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    oceans = [ocean(SEA, "training", seed, coarsen=1)[["ssh"]] for seed in SEEDS["training"]]
    rng = np.random.default_rng(0)
    validation = ocean(SEA, "validation", 10, coarsen=1)[["ssh"]].isel(
        time=slice(25), lat=slice(0, PART), lon=slice(0, PART)
    )
    # another ocean, and so other days
    validation = validation.assign_coords(time=validation["time"] + np.timedelta64(1000, "D"))
    model = build(xr.zeros_like(oceans[0].isel(time=0, drop=True).drop_vars("sea")))
    model.fit(
        part(oceans[0], rng),
        observe=SYSTEMS["nadirs"],
        validation=validation,
        validation_period=slice(*validation["time"].values[[7, 17]].astype(str)),
        simulate=lambda rng: part(oceans[rng.integers(len(oceans))], rng),
        epochs=arguments.epochs,
        steps_per_epoch=STEPS,
        batch_size=BATCH,
        learning_rate=1e-3,
        loss=xdvarnet.ReconstructionLoss(field=1.0, gradient=2.0, prior=0.0),
        augmentation=xdvarnet.Augmentation(mixing=False, background_days=None),
        checkpoint=arguments.checkpoints / "ssh-twin.pt",
        rng=0,
    )
    model.provenance["training data"] = f"twin_ocean({SEA!r}), seeds 1 to 4, 120 days each"
    model.provenance["validation data"] = f"twin_ocean({SEA!r}), seed 10"
    model.provenance["recipe"] = "docs/recipes/train_twin.py"
    model.provenance["citation"] = "Fablet et al. 2021, doi 10.1029/2021MS002572"
    model.with_options(precision="float32").save(arguments.file)


if __name__ == "__main__":
    main()
