"""
From altimeter tracks to maps
=============================

Altimeters measure sea surface height along narrow tracks. Here four of them observe the
Mediterranean Sea, a trained 4DVarNet and an optimal interpolation fill what lies between the tracks,
and both are compared with the truth.
"""

# %%
# The truth, and what the altimeters see of it
# --------------------------------------------
# The package comes with 91 daily maps of real sea surface height, from April to June 2005, in metres.
# ``observe`` flies the missions of that year over them: the maps are sampled along the tracks, with a
# noise of 2 cm, and averaged in each cell and day. All other cells are NaN. ``rng`` draws the noise
# and where each orbit begins.
#
# The network knows April and May, and was chosen on the first days of June. The test is on the three
# weeks after that.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import pandas as pd

import xdvarnet

truth = xdvarnet.datasets.mediterranean()
obs = truth.dvarnet.observe(["jason1", "envisat", "gfo", "topex_interleaved"], noise=0.02, rng=0)

test = slice("2005-06-10", "2005-06-30")
earlier, truth, obs = truth.sel(time=slice(None, "2005-06-09")), truth.sel(time=test), obs.sel(time=test)
obs

# %%
# Four ways to make maps
# ----------------------
# Whatever the method, the call is the same, and so is what comes back: complete maps on the grid of
# the observations. A fair comparison gives the methods the same background, here that of the trained
# model: the mean map of April and May plus the running mean of the observations over the basin. The
# lengths of the optimal interpolation were tuned on the first days of June.
model = xdvarnet.load_model("med-ssh")
methods = {
    "mean map + offset": xdvarnet.MeanMapOffset(earlier.sel(time=slice(None, "2005-05-31"))),
    "persistence": xdvarnet.Persistence(earlier),
    "optimal interpolation": xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length="65 km",
        correlation_time="13 days",
        noise=0.0135,
        background=model.background,
    ),
    "4DVarNet": model,
}
maps = {name: obs.dvarnet.reconstruct(method) for name, method in methods.items()}

# %%
# Scores
# ------
# Errors are in cm, those of the gradient in cm per 100 km. ``mu`` is 1 for perfect maps, and ``sigma``
# is its spread from day to day. *Mean map + offset* and *persistence* (the map of the day before the
# test) use the observations for the level of the basin only: a useful method is better than they are.
scores = {name: made.dvarnet.score(truth).to_pandas() for name, made in maps.items()}
table = pd.DataFrame(scores).T[["rmse", "gradient_rmse", "mu", "sigma"]]
table[["rmse", "gradient_rmse"]] *= 100
table.round(3)

# %%
# One day
# -------
# The observations are those of the five days around it, the others hold three times as many.
day = "2005-06-20"
figure, axes = plt.subplots(
    3, 2, figsize=(13, 9.5), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
height = {"vmin": -0.3, "vmax": 0.3, "colorbar": False}
near = obs.sel(time=slice("2005-06-18", "2005-06-22"))
truth.dvarnet.plot_map("ssh", time=day, ax=axes[0, 0], title="truth", **height)
near.dvarnet.plot_tracks("ssh", ax=axes[0, 1], title="observations of 18 to 22 June", **height)
for column, name in zip(axes.T, ["optimal interpolation", "4DVarNet"], strict=True):
    maps[name].dvarnet.plot_map("ssh", time=day, ax=column[1], title=name, **height)
    error = 100 * (maps[name] - truth)
    error.dvarnet.plot_map("ssh", time=day, ax=column[2], vmin=-5, vmax=5, colorbar=False, title=f"{name}: error")
for row, label in [(slice(0, 2), "sea surface height (m)"), (2, "map minus truth (cm)")]:
    drawn = axes[row].flat[0].collections[0]
    figure.colorbar(drawn, ax=axes[row], label=label, extend="both", shrink=0.8)
figure.suptitle(f"Sea surface height of the Mediterranean, {day}")
plt.show()
