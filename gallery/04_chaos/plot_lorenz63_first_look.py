"""
First look: Lorenz-63 from one of its components
================================================

Three quantities change together, chaotically, and only the first is observed, at every eighth time
and with noise. The other two have to be found from how the first one changes. Three methods do it:
one that knows covariances, one that knows the equations, and a network that has learned from
examples.
"""

# %%
# Truth and observations
# ----------------------
# A Dataset of series has ``state`` with the dimensions sample, time and component. What was not
# observed is NaN. Time is in the model's own unit.
import matplotlib.pyplot as plt

import xdvarnet
from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.series_interpolation import SeriesOptimalInterpolation
from xdvarnet.methods.variational import WeakFourDVar

noise = 2**0.5
truth = lorenz63("test", samples=50)
obs = observe_series(truth, every=8, components=["x"], noise=noise, rng=0)
obs

# %%
# Three methods on one interface
# ------------------------------
# Optimal interpolation has the mean and the lagged covariances of training data. 4DVar has the
# equations, and looks for the trajectory that fits the observations best. ``lorenz63`` is a trained
# 4DVarNet: it was shown 10,000 other windows, and nothing of the equations.
training = lorenz63("training", samples=1000)
models = {
    "optimal interpolation": SeriesOptimalInterpolation(noise=noise).fit(training),
    "4DVarNet": xdvarnet.load_model("lorenz63"),
    "weak-constraint 4DVar": WeakFourDVar(
        Lorenz63(), noise=noise, climatology=Climatology.from_series(training), model_noise=0.01
    ),
}
found = {name: obs.dvarnet.reconstruct(model) for name, model in models.items()}

# %%
# One window
# ----------
# Interpolation is good at what is observed. It gives y and z no more than their correlation with x,
# which z does not have: the system stays the same when x and y change their signs.
colours = {"optimal interpolation": "tab:blue", "4DVarNet": "tab:red"}
colours["weak-constraint 4DVar"] = "tab:green"
figure, axes = plt.subplots(3, 1, figsize=(11, 8), sharex=True, layout="constrained")
for component, ax in zip("xyz", axes, strict=True):
    chosen = {"sample": 1, "component": "xyz".index(component)}
    ax.plot(truth["time"], truth["state"].isel(chosen), "k", linewidth=3, alpha=0.4, label="truth")
    for name, each in found.items():
        line = each["state"].isel(chosen)
        ax.plot(truth["time"], line, color=colours[name], linewidth=1.4, label=name)
    ax.plot(truth["time"], obs["state"].isel(chosen), "ko", markersize=4, label="observations")
    ax.set_ylabel(component)
axes[-1].set_xlabel("model time")
axes[0].legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, 1.25))
plt.show()

# %%
# The butterfly
# -------------
# All 50 windows, in the plane of x and z. R is the mean squared error over all windows, times and
# components; the observations have an error variance of 2, and the state one of some 70.
figure, axes = plt.subplots(
    1,
    4,
    figsize=(15, 4),
    sharex=True,
    sharey=True,
    layout="constrained",
    subplot_kw={"xlabel": "x"},
)
for (name, each), ax in zip({"truth": truth, **found}.items(), axes, strict=True):
    x, z = (each["state"].sel(component=component).T for component in "xz")
    ax.plot(x, z, color=colours.get(name, "black"), linewidth=0.5, alpha=0.7)
    error = float(((each - truth)["state"] ** 2).mean())
    ax.set_title(f"{name}, R = {error:.2f}" if error else name)
axes[0].set_ylabel("z")
plt.show()
