"""
Which scales do maps resolve?
=============================

Maps of 10 km do not show eddies of 10 km. The effective resolution says down to which wavelength
and period the error of a map has less than half the power of the truth.
"""

# %%
# Maps, and the scores of the mapping challenge
# ---------------------------------------------
# Those of the data challenge 2020a: ``mu`` is 1 less the ratio of the error to the signal,
# ``lambda_x`` the shortest wavelength and ``lambda_t`` the shortest period on the line where half
# of the power is right. Degrees of longitude of the twin ocean have the width of its central
# latitude, 37 degrees. The interpolation was tuned on another ocean.
import cmocean
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import xdvarnet
from xdvarnet.metrics.spectra import wavenumber_frequency_spectrum
from xdvarnet.plot.spectra import plot_spectra

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
    "optimal interpolation": obs.dvarnet.reconstruct(interpolation),
    "4DVarNet": obs.dvarnet.reconstruct(network),
}
maps = {name: each[["ssh"]].isel(time=slice(5, 25)) for name, each in maps.items()}
kilometres = 111.2 * np.cos(np.deg2rad(37))  # in a degree of longitude
table = {}
for name, each in maps.items():
    scores = each.dvarnet.score(truth, kind="osse2020a")
    table[name] = {
        "mu": float(scores["mu"]),
        "lambda_x (km)": kilometres * float(scores["lambda_x"]),
        "lambda_t (days)": float(scores["lambda_t"]),
    }
pd.DataFrame(table).T.round(2)

# %%
# Spectra
# -------
# From the left: power over the wavelength from west to east, all periods together; the share of it
# that is right; and the same share over wavelength and period, where the line is that of the scores
# of the challenge. Where a map has no power, its error is the truth itself, and the share is zero.


def spectrum(field: xr.DataArray) -> xr.DataArray:
    """Return the power over frequency and wavenumber in cycles/km, of positive ones."""
    power = wavenumber_frequency_spectrum(field)
    power = power.assign_coords(wavenumber=power["wavenumber"] / kilometres)
    power["wavenumber"].attrs["units"] = "cycles/km"
    return power.isel({dim: power[dim] > 0 for dim in power.dims})


figure, axes = plt.subplots(2, 3, figsize=(15, 8), layout="constrained")
for (name, each), row in zip(maps.items(), axes, strict=True):
    known = truth["ssh"].sel(time=each["time"])
    fields = {"truth": known, "map": each["ssh"], "error": each["ssh"] - known}
    spectra = xr.Dataset({key: spectrum(field) for key, field in fields.items()})
    over_all = spectra.sum("frequency") * 2 * float(spectra["frequency"][0]) * kilometres
    for power in over_all.values():
        power.attrs["units"] = "m$^2$ km"
    plot_spectra(over_all, ax=row[:2])
    row[0].set(title=name, xlim=(1280, 20), ylim=(1e-7, 20))
    row[1].set(title="all periods together", xlim=(1280, 20))
    share = 1 - spectra["error"] / spectra["truth"]
    place = 1 / share["wavenumber"], 1 / share["frequency"]
    drawn = row[2].pcolormesh(*place, share, cmap=cmocean.cm.deep_r, vmin=0, vmax=1)
    row[2].contour(*place, share, levels=[0.5], colors="black")
    row[2].set(xlabel="wavelength (km)", ylabel="period (days)", xscale="log", yscale="log")
    row[2].set(title="by wavelength and period", xlim=(1280, 50), ylim=(20, 2))
    row[2].set_xticks([1000, 500, 200, 100, 50], [1000, 500, 200, 100, 50])
    row[2].set_yticks([20, 10, 5, 2], [20, 10, 5, 2])
    row[2].minorticks_off()
    figure.colorbar(drawn, ax=row[2], label="1 - error / truth")
plt.show()
