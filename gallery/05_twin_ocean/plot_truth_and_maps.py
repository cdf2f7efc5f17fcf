"""
Truth, tracks and maps
======================

Four altimeters fly over the twin ocean. Two methods make daily maps of what they measured, and
since the ocean is simulated, the error of a map is known in every cell.
"""

# %%
# The same data for all
# ---------------------
# The ocean of 5 km is averaged to cells of 10 km, those of the network, for thirty days. No network
# was trained on this ocean: the training had others of the same statistics, and the interpolation
# was tuned on one more. Both methods have the same background, the running mean of the
# observations. A flat sea is what one has without a method: every place of this ocean is like any
# other, so that its mean map is flat, and the observations give its level.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

import xdvarnet
from xdvarnet.methods import MeanMapOffset

ocean = xdvarnet.datasets.twin_ocean(days=30, seed=100)
truth = ocean[["ssh"]].drop_vars("sea").coarsen(lat=2, lon=2).mean(keep_attrs=True)
obs = truth.dvarnet.observe(["jason3", "sentinel3a", "sentinel3b", "saral"], noise=0.02, rng=0)

network = xdvarnet.load_model("ssh-twin")
interpolation = xdvarnet.OptimalInterpolation(
    "ssh",
    correlation_length="100 km",
    correlation_time="9 days",
    noise=0.03,
    background=network.background,
    time_window=21,
    neighbours=100,
)
maps = {
    "flat sea": obs.dvarnet.reconstruct(MeanMapOffset(xr.zeros_like(truth), days=11)),
    "optimal interpolation": obs.dvarnet.reconstruct(interpolation),
    "4DVarNet": obs.dvarnet.reconstruct(network),
}

# %%
# Scores
# ------
# The first and the last five days have observations on one side only, and are left out. Errors of
# the height are in cm; those of the gradient, which is what currents are made of, in cm per 100 km.
middle = slice(5, 25)
table = {}
for name, each in maps.items():
    scores = each.isel(time=middle).dvarnet.score(truth)
    table[name] = {
        "error (cm)": 100 * float(scores["rmse"]),
        "error of the gradient": 100 * float(scores["gradient_rmse"]),
        "explained variance": float(scores["explained_variance"]),
    }
pd.DataFrame(table).T.round(3)

# %%
# A day
# -----
# Errors are largest where no track has been for days.
day = str(truth["time"].values[15])[:10]
near = obs.isel(time=slice(12, 19))
height, wrong = ({"vmin": -limit, "vmax": limit, "colorbar": False} for limit in (0.8, 20))
figure, axes = plt.subplots(
    2, 3, figsize=(13, 8), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
truth.dvarnet.plot_map("ssh", time=day, ax=axes[0, 0], title=f"truth, {day}", **height)
near.dvarnet.plot_tracks("ssh", ax=axes[1, 0], title="tracks of 7 days, colours as above", **height)
for name, column in zip(list(maps)[1:], axes.T[1:], strict=True):
    error = (100 * (maps[name][["ssh"]] - truth)).sel(time=[day])
    error["ssh"].attrs = {"long_name": "error", "units": "cm"}
    maps[name].dvarnet.plot_map("ssh", time=day, ax=column[0], title=name, **height)
    error.dvarnet.plot_map("ssh", ax=column[1], title=f"error of the {name}", **wrong)
colours = {"extend": "both", "shrink": 0.9}
figure.colorbar(axes[0, 0].collections[0], ax=axes[0], label="sea surface height (m)", **colours)
figure.colorbar(axes[1, 2].collections[0], ax=axes[1], label="error (cm)", **colours)
plt.show()
