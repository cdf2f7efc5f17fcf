"""Train the shipped model `med-ssh` on the Mediterranean maps of April and May 2005.

Usage: python docs/recipes/train_med_ssh.py FILE.safetensors [--epochs N] [--checkpoint FILE]

A training that was stopped goes on from its checkpoint when it is started again.
"""

import argparse
import logging

import numpy as np
import torch
import xarray as xr

import xdvarnet

DAYS = 31
MISSIONS = ["jason1", "envisat", "gfo", "topex_interleaved"]
NOISE = 0.02  # m, of one measurement

# tuned on the validation days, see docs/recipes/tune_med_oi.py
OPTIMAL = {
    "correlation_length": "68 km",
    "correlation_time": "13 days",
    "noise": 0.0135,
    "std_length": "75 km",
}


def build() -> xdvarnet.DVarNet:
    """Build the untrained model: an optimal interpolation, and what the network adds to it."""
    torch.manual_seed(0)
    solver = xdvarnet.VariationalSolver(
        xdvarnet.BilinearAutoencoder(DAYS, hidden=32, downscale=2),
        xdvarnet.MaskedObservation(),
        xdvarnet.ConvLSTMStep(DAYS, hidden=48, context=3 * DAYS + 1, downscale=2),
        iterations=4,
    )
    return xdvarnet.DVarNet(
        solver,
        variables={"ssh": "m"},
        window=xdvarnet.Window(DAYS, 64, 64, halo=(0, 8, 8), stride=(5, 40, 40)),
        first_guess=xdvarnet.OptimalInterpolation("ssh", time_window=DAYS, **OPTIMAL),
        precision="bfloat16",
    )


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--epochs", type=int, default=38)
    parser.add_argument("--checkpoint", default=None)
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    truth = xdvarnet.datasets.mediterranean()
    known = truth.sel(time=slice("2005-04-01", "2005-05-31"))

    def simulate(rng: np.random.Generator) -> xr.Dataset:
        return xdvarnet.datasets.random_sea(known, rng=rng)

    model = build()
    model.fit(
        known,
        observe=xdvarnet.ObservingSystem(MISSIONS, noise=NOISE),
        validation=truth.sel(time=slice("2005-05-10", "2005-06-09")),
        validation_period=slice("2005-06-01", "2005-06-09"),
        simulate=simulate,
        epochs=arguments.epochs,
        steps_per_epoch=80,
        loss=xdvarnet.ReconstructionLoss(field=1.0, gradient=2.0, prior=0.02),
        checkpoint=arguments.checkpoint,
        rng=0,
    )
    model.provenance["citation"] = "Fablet et al. 2021, doi 10.1029/2021MS002572"
    model.with_options(precision="float32").save(arguments.file)


if __name__ == "__main__":
    main()
