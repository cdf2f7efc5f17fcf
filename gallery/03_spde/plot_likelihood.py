"""
Parameters of a field, from gappy data
======================================

How likely is what was observed, if the correlation length is so and so? The exact engine gives the
likelihood of a few hundred observations in a fraction of a second. Its maximum is an estimate, and
its width says how far the estimate can be trusted.
"""

# %%
# A sea whose scales change
# -------------------------
# A field on one grid, drawn every second week for three days. Its correlation length goes up from
# 45 to 75 km and down again. One cell in four is observed, with a noise of 1 cm.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet import SPDEField

grid = xr.Dataset(coords={"lat": np.arange(33, 36, 0.2), "lon": np.arange(17, 21, 0.25)})
weeks = pd.date_range("2005-01-03", periods=8, freq="14D")
true_lengths = 60 - 15 * np.cos(2 * np.pi * np.arange(8) / 8)
rng = np.random.default_rng(0)


def field(length: float) -> SPDEField:
    """Return a field with this correlation length (km)."""
    return SPDEField(correlation_length=length, correlation_time=8, std=0.05, noise=0.01)


observed = []
for week, length in zip(weeks, true_lengths, strict=True):
    days = grid.assign_coords(time=pd.date_range(week, periods=3))
    sea = field(length).sample(days, members=1, rng=rng).isel(member=0)
    noisy = sea + 0.01 * rng.standard_normal(sea["ssh"].shape)
    observed.append(noisy.where(rng.random(sea["ssh"].shape) < 0.25))

# %%
# Log-likelihoods
# ---------------
# Of each period, for ten lengths; all else is known here, whereas ``SPDEField.fit`` seeks the
# correlation time, the standard deviation and the noise too. A parabola through the three highest
# values gives the estimate, and its curvature the standard error.
lengths = np.geomspace(32, 110, 10)
table = np.array([[field(each).log_likelihood(week) for each in lengths] for week in observed])
estimates, errors = [], []
for row in table:
    top = np.clip(row.argmax(), 1, lengths.size - 2) + np.arange(-1, 2)
    curvature, slope, _ = np.polyfit(np.log(lengths[top]), row[top], 2)
    estimates.append(np.exp(-slope / (2 * curvature)))
    errors.append(estimates[-1] / np.sqrt(-2 * curvature))

figure, (curves, series) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
for week, row in zip(weeks[:5:2], table[:5:2], strict=True):
    curves.plot(lengths, row - row.max(), "o-", label=f"{week:%-d %B}")
curves.set(
    xlabel="correlation length (km)", ylabel="log-likelihood, from the highest", ylim=(-30, 2)
)
curves.legend()
series.errorbar(weeks, estimates, np.array(errors), fmt="o", label="estimate, standard error")
series.plot(weeks, true_lengths, color="black", label="truth")
series.set(ylabel="correlation length (km)", ylim=(0, None))
series.legend(loc="lower right")
series.tick_params("x", rotation=30)
plt.show()
