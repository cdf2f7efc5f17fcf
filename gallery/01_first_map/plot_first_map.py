"""
From altimeter tracks to maps
=============================

Altimeters measure sea surface height along narrow tracks. Here four of them observe the
Mediterranean Sea; a trained 4DVarNet and an optimal interpolation fill what lies between the
tracks, and both are compared with the truth.
"""

# %%
# The truth, and what the altimeters see of it
# --------------------------------------------
# The package comes with 91 daily maps of real sea surface height, April to June 2005, in metres.
# ``observe`` flies the missions of that year over them: the maps are sampled along the tracks with
# a noise of 2 cm, and averaged in each cell and day. All other cells are NaN. ``rng`` draws the
# noise and where each orbit begins.
#
# The network learned from April and May, and the first days of June served to choose among
# settings. The test is on the three weeks after that, with the observations since 10 May.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import pandas as pd

import xdvarnet
from xdvarnet.methods import MeanMapOffset, Persistence

known = xdvarnet.datasets.mediterranean()
system = xdvarnet.ObservingSystem(["jason1", "envisat", "gfo", "topex_interleaved"], noise=0.02)
seen = known.dvarnet.observe(system, rng=0)

truth = known.sel(time=slice("2005-06-10", "2005-06-30"))
obs = seen.sel(time=slice("2005-05-10", "2005-06-30"))
obs

# %%
# Four ways to make maps
# ----------------------
# Whatever the method, the call is the same, and so is what comes back: complete maps on the grid of
# the observations, in their units. A fair comparison gives all the same background: the mean map of
# April and May plus the running mean of the observations over the basin. The optimal interpolation
# was tuned on the first days of June, and is calibrated, since its formal error is too small. The
# other two are references that a useful method must beat: an earlier map plus that running mean.
model = xdvarnet.load_model("med-ssh")
oi = xdvarnet.OptimalInterpolation(
    "ssh",
    correlation_length="68 km",
    correlation_time="13 days",
    noise=0.0135,
    std_length="75 km",
    background=model.background,
)
before = known.sel(time=slice("2005-05-26", "2005-06-09"))
oi = xdvarnet.calibrate(oi, before, observe=system, draws=1, rng=1)
methods = {
    "mean map + offset": MeanMapOffset(known.sel(time=slice("2005-04-01", "2005-05-31"))),
    "persistence of 9 June": Persistence(known.sel(time=slice(None, "2005-06-09"))),
    "optimal interpolation": oi,
    "4DVarNet": model,
}
maps = {name: obs.dvarnet.reconstruct(each).sel(time=truth.time) for name, each in methods.items()}

# %%
# Scores
# ------
# The root mean square error is in cm, that of the gradient in cm per 100 km. ``mu`` would be 1 for
# perfect maps; ``sigma`` is its spread from day to day. ``ssh_std`` has the size of the errors.
scores = {name: each.dvarnet.score(truth).to_pandas() for name, each in maps.items()}
titles = {"rmse": "rmse (cm)", "gradient_rmse": "gradient rmse (cm/100 km)"}
table = pd.DataFrame(scores).T[["rmse", "gradient_rmse", "mu", "sigma"]].rename(columns=titles)
table.iloc[:, :2] *= 100
for name in ["optimal interpolation", "4DVarNet"]:
    table.loc[name, "ssh_std (cm)"] = 100 * float((maps[name]["ssh_std"] ** 2).mean() ** 0.5)
table = table.round(3)
table

# %%
# One day
# -------
# The panel of observations shows three days; the maps of this day rest on a month of them.
day = "2005-06-20"
figure, axes = plt.subplots(
    3, 2, figsize=(13, 8), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
height = {"vmin": -0.25, "vmax": 0.25, "colorbar": False}
error = {"vmin": -5, "vmax": 5, "colorbar": False}

truth.dvarnet.plot_map("ssh", time=day, ax=axes[0, 0], title="truth", **height)
near = obs.sel(time=slice("2005-06-19", "2005-06-21"))
near.dvarnet.plot_tracks("ssh", ax=axes[0, 1], title="observations, 19 to 21 June", **height)
for name, column in zip(["optimal interpolation", "4DVarNet"], axes.T, strict=True):
    maps[name].dvarnet.plot_map("ssh", time=day, ax=column[1], title=name, **height)
    in_cm = 100 * (maps[name] - truth)
    in_cm.dvarnet.plot_map("ssh", time=day, ax=column[2], title=f"error of {name}", **error)

for rows, label in [(axes[:2], "sea surface height (m)"), (axes[2:], "map minus truth (cm)")]:
    drawn = rows[-1, 0].collections[0]
    figure.colorbar(drawn, ax=rows, label=label, extend="both", aspect=14 * len(rows))
figure.suptitle(f"Mediterranean Sea, {day}", fontsize="x-large")
plt.show()
