"""
Learned descent and plain descent
=================================

A 4DVarNet learns a cost and how to descend it. The same cost can be handed to an ordinary
optimiser. Where do the two go? The figure is that of Fablet et al. (2021): cost and error, from one
iteration to the next.
"""

# %%
# The same cost, the same windows, the same first guess
# -----------------------------------------------------
# ``inputs`` gives what the solver is given: a first guess that interpolates the observations, and
# the data. ``Minimisation`` takes the prior of the trained solver and the weights of its cost.
import cmocean
import matplotlib.pyplot as plt
import torch

import xdvarnet
from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.solver import MaskedObservation
from xdvarnet.solver.minimisation import Minimisation

truth = lorenz63("test", samples=10)
obs = observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=0)
model = xdvarnet.load_model("lorenz63")
solver = model.solver
guess, data, context = model.inputs(obs)


def descend(optimiser: str, rate: float) -> list[torch.Tensor]:
    """Return the iterates of 100 steps of an optimiser."""
    weights = solver.log_weights.exp().tolist()
    options = {"optimiser": optimiser, "rate": rate, "iterations": 100, "weights": weights}
    descent = Minimisation(solver.prior, MaskedObservation(), **options)
    return list(descent.path(guess, data))


with torch.no_grad():
    paths = {"4DVarNet": list(solver.iterates(guess, data, context))}
paths |= {"fixed step": descend("sgd", 0.1), "Adam": descend("adam", 0.05)}
paths["L-BFGS"] = descend("lbfgs", 1.0)

# %%
# Cost against error
# ------------------
# Every path begins at the first guess. The optimisers reach a far lower cost than the truth has,
# and it helps little: the minimum of the learned cost is elsewhere. The learned step takes three
# iterations, and goes where the truth is.
known = torch.from_numpy(model.normalizer.normalize("state", truth["state"].values))[
    :, None
].float()
scale = torch.tensor(model.normalizer.std["state"])


def measure(state: torch.Tensor) -> tuple[float, float]:
    """Return the cost of a state, and its mean squared error in the units of the state."""
    with torch.no_grad():
        cost = solver.cost(state, data).mean().item()
    return cost, (scale * (state - known)).square().mean().item()


figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
for name, path in paths.items():
    costs, errors = zip(*map(measure, [guess, *path]), strict=True)
    style = {"marker": "o", "zorder": 3} if name == "4DVarNet" else {}
    axes[0].plot(costs, label=name, **style)
    axes[1].plot(errors, label=name, **style)
    axes[2].plot(costs, errors, label=name, **style)
axes[2].plot(*measure(guess), "ks", label="first guess")
axes[2].axvline(measure(known)[0], color="black", linestyle="--", label="cost of the truth")
axes[0].set(xlabel="iteration", ylabel="variational cost", xscale="symlog", yscale="log")
axes[1].set(xlabel="iteration", ylabel="mean squared error", xscale="symlog", yscale="log")
axes[2].set(xlabel="variational cost", ylabel="mean squared error", xscale="log", yscale="log")
for ax in axes[1:]:
    ax.set_yticks([0.5, 1, 2, 5, 10, 20, 50], [0.5, 1, 2, 5, 10, 20, 50])
    ax.yaxis.minorticks_off()
axes[2].legend()
plt.show()

# %%
# The iterates of one window
# --------------------------
# Of the component z, which nothing observes.
restored = [
    model.normalizer.restore("state", each[4, 0].numpy()) for each in (guess, *paths["4DVarNet"])
]
figure, ax = plt.subplots(figsize=(11, 4), layout="constrained")
ax.plot(truth["time"], truth["state"][4, :, 2], "k", linewidth=3, alpha=0.4, label="truth")
for number, state in enumerate(restored):
    colour = cmocean.cm.matter(0.2 + 0.8 * number / len(restored))
    label = f"iteration {number}" if number else "first guess"
    ax.plot(truth["time"], state[:, 2], color=colour, label=label)
ax.set(xlabel="model time", ylabel="z")
ax.legend()
plt.show()
