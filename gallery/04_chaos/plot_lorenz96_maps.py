"""
Lorenz-96 in time and around a circle
=====================================

Forty components on a circle of latitude, of which twenty are observed every fourth time: one value
in eight. A trained 4DVarNet and an ensemble Kalman smoother that knows the equations are given the
same observations; the smoother says how wrong it may be.
"""

# %%
# Data and models
# ---------------
# The components that are observed are drawn anew each time. An ensemble of 30 in a space of 40
# needs a localisation: components far from each other are taken as uncorrelated. The smoother takes
# a few later observations into account, and the filter none.
import cmocean
import matplotlib.pyplot as plt
import numpy as np

import xdvarnet
from xdvarnet.datasets import lorenz96, observe_series
from xdvarnet.dynamics.lorenz import Lorenz96
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.ensemble_kalman import ETKF, EnsembleKalmanSmoother
from xdvarnet.methods.localisation import Localisation

noise = 2**0.5
truth = lorenz96("test", samples=10, rng=1)
obs = observe_series(truth, every=4, components=20, noise=noise, rng=0)
kalman_filter = ETKF(
    Lorenz96(),
    noise=noise,
    climatology=Climatology.from_series(lorenz96("training", samples=50)),
    members=30,
    inflation=1.05,
    localisation=Localisation(6),
)
models = {
    "4DVarNet": xdvarnet.load_model("lorenz96"),
    "ensemble filter": kalman_filter,
    "ensemble smoother": EnsembleKalmanSmoother(kalman_filter, lag=20),
}
found = {name: obs.dvarnet.reconstruct(model, rng=0) for name, model in models.items()}
{name: float(((each - truth)["state"] ** 2).mean()) for name, each in found.items()}

# %%
# Maps of one window
# ------------------
# Waves go around the circle, and break. Errors are in patches that last for some time and drift.
# The spread of the ensemble tells where its errors are likely; it is largest at both ends of the
# window, where all observations are on one side.
smoothed = found["ensemble smoother"]
panels = {
    "truth": truth["state"],
    "observations": obs["state"],
    "4DVarNet": found["4DVarNet"]["state"],
    "error of the 4DVarNet": found["4DVarNet"]["state"] - truth["state"],
    "ensemble smoother, mean": smoothed["state"],
    "its error": smoothed["state"] - truth["state"],
    "its spread": smoothed["state_std"],
}
state = {"cmap": cmocean.cm.balance, "vmin": -12, "vmax": 12}
error = {"cmap": cmocean.cm.balance, "vmin": -3, "vmax": 3}
spread = {"cmap": cmocean.cm.amp, "vmin": 0, "vmax": 3}
figure, axes = plt.subplots(
    len(panels), 1, figsize=(11, 15), sharex=True, sharey=True, layout="constrained"
)
for (name, each), ax in zip(panels.items(), axes, strict=True):
    style = spread if "spread" in name else error if "error" in name else state
    image = ax.pcolormesh(
        truth["time"], truth["component"], each.isel(sample=0).T, shading="nearest", **style
    )
    label = "spread" if "spread" in name else "error" if "error" in name else "state"
    figure.colorbar(image, ax=ax, label=label, extend="max" if style is spread else "both")
    ax.set(title=name, ylabel="component")
axes[-1].set_xlabel("model time")
plt.show()

# %%
# Densities of the errors
# -----------------------
# Of all windows, times and components. The large errors are few, and most of R is theirs.
edges = np.linspace(-4, 4, 81)
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, each in found.items():
    errors = (each - truth)["state"]
    density, _ = np.histogram(errors, edges, density=True)
    ax.stairs(density, edges, label=f"{name}, R = {float((errors**2).mean()):.2f}", linewidth=1.5)
ax.set(xlabel="error", ylabel="density", yscale="log", xlim=(-4, 4))
ax.legend()
plt.show()
