"""Train the shipped model `med-ssh` on the Mediterranean maps of April and May 2005.

Usage: python docs/recipes/train_med_ssh.py FILE [--checkpoints FOLDER] [--without-first-guess]

A training that was stopped goes on from its checkpoints when it is started again.
Without the optimal interpolation as first guess, a short training shows what the network finds
alone.
"""

import argparse
import logging
from pathlib import Path

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


def build(*, with_first_guess: bool) -> xdvarnet.DVarNet:
    """Build the untrained model: an optimal interpolation, and what the network adds to it."""
    torch.manual_seed(0)
    guess = xdvarnet.OptimalInterpolation("ssh", time_window=DAYS, **OPTIMAL)
    guess = guess if with_first_guess else None
    context = xdvarnet.DVarNet.context_channels(DAYS, guess)
    solver = xdvarnet.solver.VariationalSolver(
        xdvarnet.solver.BilinearAutoencoder(DAYS, hidden=32, downscale=2),
        xdvarnet.solver.MaskedObservation(),
        xdvarnet.solver.ConvLSTMStep(DAYS, hidden=48, context=context, downscale=2),
        iterations=4,
    )
    return xdvarnet.DVarNet(
        solver,
        variables={"ssh": "m"},
        window=xdvarnet.mapping.Window(DAYS, 64, 64, halo=(0, 8, 8), stride=(5, 40, 40)),
        first_guess=guess,
        precision="bfloat16",
    )


def main() -> None:
    """Train on real and simulated maps in turn, then on the real ones alone, and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    parser.add_argument("--without-first-guess", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    truth = xdvarnet.datasets.mediterranean()
    known = truth.sel(time=slice("2005-04-01", "2005-05-31"))

    def simulate(rng: np.random.Generator) -> xr.Dataset:
        return xdvarnet.datasets.random_sea(known, rng=rng)

    model = build(with_first_guess=not arguments.without_first_guess)
    stages = {"first": (simulate, 38, 1e-3, 0), "second": (None, 12, 3e-4, 1)}
    if arguments.without_first_guess:
        stages = {"without": (simulate, 10, 1e-3, 0)}
    for stage, (simulation, epochs, learning_rate, seed) in stages.items():
        model = model.fit(
            known,
            observe=xdvarnet.ObservingSystem(MISSIONS, noise=NOISE),
            validation=truth.sel(time=slice("2005-05-10", "2005-06-09")),
            validation_period=slice("2005-06-01", "2005-06-09"),
            simulate=simulation,
            schedule=xdvarnet.Schedule(
                epochs=epochs,
                steps_per_epoch=80,
                learning_rate=learning_rate,
                loss=xdvarnet.solver.ReconstructionLoss(field=1.0, gradient=2.0, prior=0.02),
                patience=10,
            ),
            checkpoint=arguments.checkpoints / f"med-ssh-{stage}.pt",
            rng=seed,
        )
    model.provenance["recipe"] = "docs/recipes/train_med_ssh.py, stages " + " and ".join(stages)
    model.provenance["citation"] = "Fablet et al. 2021, doi 10.1029/2021MS002572"
    xdvarnet.save_model(model.with_options(precision="float32"), arguments.file)


if __name__ == "__main__":
    main()
