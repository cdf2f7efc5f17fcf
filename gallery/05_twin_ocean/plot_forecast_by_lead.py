"""
Maps of today, and of the next five days
========================================

In real time there are no observations of tomorrow. How fast does a forecast get worse, and for how
long is it better than to hold the map of today?
"""

# %%
# What is known on a day
# ----------------------
# Lead 0 is the last observed day, lead 3 the third after it. ``currents-twin`` saw windows in its
# training whose last five days were hidden. ``model.with_options(lead=3)`` maps each day of a
# record from what was known three days before; ``xdvarnet.with_lead`` does so for methods without a
# window, such as optimal interpolation. Days to come are days of the dataset without observations.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import xdvarnet

ocean = xdvarnet.datasets.twin_ocean(days=30, seed=100)
truth = ocean[["ssh", "u", "v"]].isel(lat=slice(64, 192), lon=slice(64, 192))
nadirs = ["jason3", "sentinel3a", "sentinel3b", "saral"]
obs = truth[["ssh"]].dvarnet.observe(nadirs, noise=0.02, rng=0)
network = xdvarnet.load_model("currents-twin")
interpolation = xdvarnet.OptimalInterpolation(
    "ssh",
    correlation_length="100 km",
    correlation_time="9 days",
    noise=0.03,
    background=network.background,
    time_window=21,
)

# %%
# Three days ahead
# ----------------
# The map of 19 January from what was known on the 16th, and what is wrong with it. It has to beat
# persistence: the map of the 16th, lead 0, held in place for three days. (The first three days of
# these nine have nothing before them, and a warning says so.)
day, today = "2020-01-19", "2020-01-16"
recent = obs.sel(time=slice("2020-01-11", day))
ahead = recent.dvarnet.reconstruct(network.with_options(lead=3)).sel(time=day)
known = recent.sel(time=slice(None, today))
held = known.dvarnet.reconstruct(network.with_options(lead=0)).sel(time=today, drop=True)
error = {"ahead": 100 * (ahead - truth.sel(time=day)), "held": 100 * (held - truth.sel(time=day))}
shown = {f"truth, {day}": truth.sel(time=day), "forecast": ahead}
shown |= {"error of the map of the 16th": error["held"], "error of the forecast": error["ahead"]}
figure, axes = plt.subplots(
    1, 4, figsize=(16, 4), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
for (name, each), ax in zip(shown.items(), axes, strict=True):
    limit = 25 if "error" in name else 0.8
    each.dvarnet.plot_map("ssh", ax=ax, vmin=-limit, vmax=limit, title=name, colorbar=False)
for pair, text in ((axes[:2], "sea surface height (m)"), (axes[2:], "error (cm)")):
    figure.colorbar(pair[0].collections[0], ax=pair, label=text, extend="both", shrink=0.7)
plt.show()

# %%
# Error by lead
# -------------
# Of five dates. One window of eleven days has all leads of a date: its first six days are observed,
# its last five are not. The interpolation has ten days more of the past, on squares of 10 km; it
# gives no currents. The dashed line is the size of the signal.


def known_on(today: int, past: int) -> xr.Dataset:
    """Return the observations until today, and five days without any."""
    days = truth["time"][today - past : today + 6]
    return obs.sel(time=days[: past + 1]).reindex(time=days)


def forecast(today: int) -> dict[str, xr.Dataset]:
    """Return the maps of today and of the next five days, by method."""
    maps = known_on(today, 5).dvarnet.reconstruct(network).isel(time=slice(5, None))
    coarse = known_on(today, 15).drop_vars("sea").coarsen(lat=2, lon=2).mean(keep_attrs=True)
    smooth = coarse.dvarnet.reconstruct(interpolation).isel(time=slice(15, None))
    place = {"lat": truth["lat"], "lon": truth["lon"]}
    smooth = smooth.interp(place, kwargs={"fill_value": "extrapolate"})
    held = maps.isel(time=[0] * 6).assign_coords(time=maps["time"])
    return {"4DVarNet": maps, "4DVarNet of lead 0, held": held, "optimal interpolation": smooth}


forecasts = [forecast(today) for today in range(15, 25, 2)]
figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
for names, ax in ((["ssh"], axes[0]), (["u", "v"], axes[1])):
    for method in list(forecasts[0])[: 4 - len(names)]:
        errors = [(each[method][names] - truth[names]).to_dataarray() for each in forecasts]
        squares = [(error**2).mean(("variable", "lat", "lon")) for error in errors]
        ax.plot(range(6), 100 * np.sqrt(np.mean(squares, axis=0)), "o-", label=method)
    signal = 100 * float(np.sqrt((truth[names].to_dataarray() ** 2).mean()))
    ax.axhline(signal, color="0.4", linestyle="--")
    ax.set(xlabel="lead (days)", ylim=(0, None))
axes[0].set_ylabel("error of the height (cm)")
axes[1].set_ylabel("error of a component of the currents (cm/s)")
axes[0].legend()
plt.show()
