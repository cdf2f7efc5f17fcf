"""Measure what the days between the windows of ``ssh-twin`` cost in time and in error.

Usage: OMP_NUM_THREADS=1 python docs/recipes/network_stride.py

The test oceans of the Gulf Stream of docs/recipes/twin_data.py, by four altimeters. Prints a table:
seconds of the processor for the windows of 60 days, on one thread and without the first guess;
error in the scored days; both over those of a stride of one day, as the mean and the range over the
oceans.
"""

from time import process_time

import numpy as np
import pandas as pd
import torch
from twin_data import NADIRS, NOISE, SCORED, SEEDS, ocean

import xdvarnet
from xdvarnet.training.data import Validation
from xdvarnet.training.draws import draw

STRIDES = (1, 2, 3, 4, 5, 7)
"""Days; the core of a window has seven."""


def measure(seed: int) -> pd.DataFrame:
    """Return seconds and error of one ocean, by stride."""
    truth = ocean("gulf-stream", "test", seed)
    model = xdvarnet.load_model("ssh-twin")
    assert isinstance(model, xdvarnet.DVarNet)
    system = xdvarnet.ObservingSystem(NADIRS, noise=NOISE)
    rng = np.random.default_rng(seed)
    seen = draw(truth[["ssh"]], system, model, rng, first_guess=model.first_guess)
    rows = {}
    for stride in STRIDES:
        scored = Validation(model.with_options(stride=stride), seen, SCORED["test"])
        start = process_time()
        error = scored.rmse()
        rows[stride] = {"seconds": process_time() - start, "error_cm": 100 * error}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("stride")


def main() -> None:
    torch.set_num_threads(1)
    tables = pd.concat({seed: measure(seed) for seed in SEEDS["test"]}, names=["seed"])
    print(tables.round(3).to_string())
    first = tables.xs(1, level="stride")
    print((tables / first).groupby("stride").agg(["mean", "min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
