"""
Equations from trajectories
===========================

What if the equations are not known? Lorenz-63 is quadratic. A quadratic model has ten coefficients
for each component, and few trajectories tell them. Analogs do without any form: they forecast what
followed the most similar states of a catalogue.
"""

# %%
# Find the equations
# ------------------
# ``fit`` looks for the coefficients by which steps of the model go from each state to the next.
# Those that should be zero are 0.001 at most.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.dynamics.integration import rk4_step
from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.dynamics.quadratic import QuadraticDynamics
from xdvarnet.methods.analog import AnalogForecast
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.ensemble_kalman import EnKF, EnsembleKalmanSmoother
from xdvarnet.methods.variational import WeakFourDVar

training = lorenz63("training", samples=100)
states = torch.from_numpy(training["state"].values)
learned = QuadraticDynamics(3).fit(states, dt=0.01)
monomials = ["1", "x", "y", "z", "xx", "xy", "xz", "yy", "yz", "zz"]
table = pd.DataFrame(
    learned.coefficients.detach().numpy(), index=["dx/dt", "dy/dt", "dz/dt"], columns=monomials
)
table.round(3) + 0.0

# %%
# Forecasts
# ---------
# Errors grow by a factor of e in 1.1 units of time, whatever the model, until a forecast is no
# better than a state that is taken at random. What a better model gains is a smaller error to begin
# with. The error of the true model is that of its Runge-Kutta steps.
test = torch.from_numpy(lorenz63("test", samples=100, steps=801)["state"].values)
analogs = AnalogForecast().fit(training)
forecasts = {
    "analogs": lambda state: analogs.forecast(state, 0.01),
    "learned equations": lambda state: rk4_step(learned, state, 0.01),
    "true equations": lambda state: rk4_step(Lorenz63(), state, 0.01),
    "persistence": lambda state: state,
}
figure, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
for name, forecast in forecasts.items():
    state, errors = test[:, 0], []
    for now in test[:, 1:].unbind(1):
        with torch.no_grad():
            state = forecast(state)
        errors.append((state - now).square().mean().sqrt())
    ax.semilogy(0.01 * np.arange(1, 801), errors, label=name)
climate = Climatology.from_series(training)
random_state = np.sqrt(2 * np.trace(climate.covariance) / 3)
ax.axhline(random_state, color="black", linestyle=":", label="a random state")
ax.set(xlabel="lead time (model time)", ylabel="root mean squared error", xlim=(0, 8))
ax.legend()
plt.show()

# %%
# States from observations
# ------------------------
# 4DVar with the learned equations is 4DVar with the true ones. It needs derivatives of the model,
# which analogs do not have; an ensemble smoother does without them, and takes errors as Gaussian,
# which costs some accuracy. With analogs it is AnDA (Lguensat et al. 2017), where the error of a
# forecast is a noise that the smoother is told.
noise = 2**0.5
truth = lorenz63("test", samples=20)
obs = observe_series(truth, every=8, components=["x"], noise=noise, rng=0)
common = {"noise": noise, "climatology": climate}
models = {
    "4DVar, true equations": WeakFourDVar(Lorenz63(), model_noise=0.01, **common),
    "4DVar, learned equations": WeakFourDVar(learned, model_noise=0.01, **common),
    "smoother, true equations": EnsembleKalmanSmoother(
        EnKF(Lorenz63(), members=50, inflation=1.02, **common)
    ),
    "smoother, analogs": EnsembleKalmanSmoother(
        EnKF(analogs, members=50, model_noise=0.05, **common)
    ),
}
scores = {}
for name, model in models.items():
    square = ((obs.dvarnet.reconstruct(model, rng=0) - truth)["state"] ** 2).mean(
        ("sample", "time")
    )
    scores[name] = {"R": float(square.mean())} | square.to_series().to_dict()
pd.DataFrame(scores).T.round(2)
