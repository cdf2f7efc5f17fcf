"""
Train a 4DVarNet of your own
============================

A 4DVarNet has three parts: a prior, which says what a state looks like, an observation term, and a
step, which makes an update out of the gradient of their cost. Prior and step are learned together.
This one is trained on Lorenz-63, from 1000 windows, in a minute or two.
"""

# %%
# Data
# ----
# The observations are drawn anew in each epoch, so the training is given how to observe rather than
# observations. Validation has windows of its own, which are observed once.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import xarray as xr

import xdvarnet
from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.series_inversion import SeriesInversion
from xdvarnet.solver import MaskedObservation, VariationalSolver
from xdvarnet.solver.layout import Layout
from xdvarnet.solver.losses import PriorLoss
from xdvarnet.solver.networks import StridedUNet
from xdvarnet.solver.priors.gibbs import GibbsPrior
from xdvarnet.solver.steps import NetworkStep
from xdvarnet.training import SeriesSchedule


def observe(truth: xr.Dataset, rng: int | np.random.Generator) -> xr.Dataset:
    """Observe the first component at every eighth time, with a variance of 2."""
    return observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=rng)


training = lorenz63("training", samples=1000)
validation = lorenz63("validation", samples=100)

# %%
# Prior, step and solver
# ----------------------
# ``GibbsPrior`` predicts each state from those before and after it. ``NetworkStep`` is a U-Net over
# time that sees the gradient, the observations and the state. States are normalised inside.
torch.manual_seed(0)
prior = GibbsPrior(kernel=(11, 1), downscale=(4, 1), layout=Layout(components=3))
step = NetworkStep(StridedUNet(4, 1, hidden=16, layout=Layout(components=3)))
solver = VariationalSolver(prior, MaskedObservation(), step)
model = SeriesInversion(solver, Normalizer.from_series(training), dt=0.01, steps=200)

# %%
# The prior first, then everything with more and more iterations
# --------------------------------------------------------------
# ``fit`` returns a trained model, and leaves the one that it was called on as it is. To learn the
# prior alone needs no observations. Then few iterations are cheap, and more of them go on from what
# those have learned. ``history`` has the errors of each epoch.
data = {"observe": observe, "validation": validation, "rng": 0}
first = SeriesSchedule(epochs=2, batch_size=32, learning_rate=2e-3, loss=PriorLoss())
with_prior = model.fit(training, schedule=first, **data)
stages = {1: 4, 2: 4, 3: 4}  # epochs of so many iterations
then = SeriesSchedule(list(stages.values()), list(stages), batch_size=32, learning_rate=2e-3)
trained = with_prior.fit(training, schedule=then, **data)

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
errors = trained.history["validation_rmse"]
first = 0
for iterations, epochs in stages.items():
    stage = errors.isel(epoch=slice(first, first + epochs))
    ax.plot(stage["epoch"], stage, "o-", label=f"K = {iterations}")
    first += epochs
ax.set(
    xlabel="epoch", ylabel="validation error\n(standard deviations of the state)", ylim=(0, None)
)
ax.legend(title="iterations K of the solver")
plt.show()

# %%
# A file of its own
# -----------------
# It holds the weights and how the model is built; ``load_model`` needs nothing else. Other windows
# of 200 times or more can be given to it, of the same time step and components.
with tempfile.TemporaryDirectory() as folder:
    xdvarnet.save_model(trained, Path(folder) / "mine.safetensors")
    again = xdvarnet.load_model(Path(folder) / "mine.safetensors")
test = lorenz63("test", samples=100)
found = observe(test, rng=1).dvarnet.reconstruct(again)
print(f"mean squared error: {float(((found - test)['state'] ** 2).mean()):.2f}")
