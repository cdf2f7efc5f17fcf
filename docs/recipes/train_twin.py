"""Train the models of the twin ocean that come with the package, on its 5 km grid.

    python docs/recipes/train_twin.py ssh-twin FILE [--epochs 40]
    python docs/recipes/train_twin.py ssh-sst-twin FILE
    python docs/recipes/train_twin.py currents-twin FILE

The oceans are those of docs/recipes/twin_data.py: seeds 1 to 4 train, seed 10 validates. A
training that was stopped goes on from its checkpoint when it is started again.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn
from twin_data import SEEDS, SYSTEMS, ocean

import xdvarnet
from xdvarnet.solver.inversions.direct_map import DirectInversion
from xdvarnet.solver.multiscale import UNet, UNetStep

SEA = "gulf-stream"
DAYS, SIDE = 11, 128
STEPS, BATCH = 50, 4
UNITS = {"ssh": "m", "sst": "degC", "u": "m/s", "v": "m/s", "ssh_lower": "m"}

MODELS = {
    "ssh-twin": ("nadirs", ("ssh",), None),
    "ssh-sst-twin": ("nadirs + SST", ("ssh", "sst"), None),
    "currents-twin": ("nadirs", ("ssh", "u", "v", "ssh_lower"), 5),
}
"""Observing system, variables, and days of the forecast."""


def build_solver(variables: int) -> nn.Module:
    """Return the untrained solver: a learned first guess, and a descent on several scales.

    Cells are taken in squares of 4 x 4 (20 km), which is finer than the eddies.
    """
    channels = DAYS * variables
    context = xdvarnet.DVarNet.context_channels(DAYS, variables=variables)
    guess = UNet(2 * channels + context, channels, hidden=32, depth=2, downscale=4)
    return xdvarnet.VariationalSolver(
        xdvarnet.BilinearAutoencoder(channels, hidden=24, downscale=4),
        xdvarnet.MaskedObservation(),
        UNetStep(channels, hidden=24, context=context, downscale=4),
        iterations=3,
        first_guess=DirectInversion(guess, context=context),
    )


def build(name: str, background: xdvarnet.MeanMapBackground) -> xdvarnet.DVarNet:
    """Return an untrained model."""
    _, names, leads = MODELS[name]
    torch.manual_seed(0)
    return xdvarnet.DVarNet(
        build_solver(len(names)),
        variables={name: UNITS[name] for name in names},
        observed=[name for name in names if name in ("ssh", "sst")],
        window=xdvarnet.Window(DAYS, SIDE, SIDE, stride=(5, 64, 64), halo=(2, 16, 16)),
        leads=leads,
        background=background,
        precision="bfloat16",
    )


def make_background(oceans: list[xr.Dataset]) -> xdvarnet.MeanMapBackground:
    """Zero, but for the temperature, whose mean depends on the latitude, and a basin mean."""
    means = xr.zeros_like(oceans[0].isel(time=0, drop=True).drop_vars("sea"))
    if "sst" in means:
        every = xr.concat([each["sst"] for each in oceans], "time")
        means["sst"] = (means["sst"] + every.mean(("time", "lon"))).assign_attrs(units="degC")
    return xdvarnet.MeanMapBackground(means, days=DAYS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=MODELS)
    parser.add_argument("file")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    system, names, _ = MODELS[arguments.name]
    first, *others = (
        ocean(SEA, "training", seed, coarsen=1)[list(names)] for seed in SEEDS["training"]
    )
    validation = ocean(SEA, "validation", 10, coarsen=1)[list(names)].isel(
        time=slice(25), lat=slice(0, 128), lon=slice(0, 192)
    )
    # another ocean, and so other days
    validation = validation.assign_coords(time=validation["time"] + np.timedelta64(1000, "D"))
    model = build(arguments.name, make_background([first, *others]))
    model.fit(
        first,
        observe=SYSTEMS[system],
        validation=validation,
        validation_period=slice(*validation["time"].values[[7, 17]].astype(str)),
        simulate=lambda rng: others[rng.integers(len(others))],
        epochs=arguments.epochs,
        steps_per_epoch=STEPS,
        batch_size=BATCH,
        learning_rate=1e-3,
        loss=xdvarnet.ReconstructionLoss(field=1.0, gradient=2.0, prior=0.0),
        augmentation=xdvarnet.Augmentation(mixing=False, background_days=None, flips=False),
        checkpoint=arguments.checkpoints / f"{arguments.name}.pt",
        rng=0,
    )
    model.provenance["training data"] = f"twin_ocean({SEA!r}), seeds 1 to 4, 120 days each"
    model.provenance["validation data"] = f"twin_ocean({SEA!r}), seed 10"
    model.provenance["recipe"] = f"docs/recipes/train_twin.py {arguments.name}"
    model.provenance["citation"] = "Fablet et al. 2021, doi 10.1029/2021MS002572"
    model.with_options(precision="float32").save(arguments.file)


if __name__ == "__main__":
    main()
