"""
Does an ensemble tell the truth?
================================

In a perfect ensemble the truth is one more draw of what the members are drawn from. Two figures
show how far an ensemble is from that: how often the truth lies above so many members, and how large
the error of the mean is where the members are close together and where they are far apart.
"""

# %%
# Two standard deviations for the same sea
# ----------------------------------------
# Optimal interpolation has a formal error. The network of ``med-ssh``, which is at ``model.model``,
# starts from that interpolation, and its calibration has learned from known maps of other days how
# large its errors are where the formal error is so large, and over what distance they are alike.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import xdvarnet
from xdvarnet.metrics.calibration import (
    binned_spread_skill,
    coverage,
    expected_coverage,
    rank_histogram,
    spread_skill_ratio,
)
from xdvarnet.metrics.proper_scores import fair_crps
from xdvarnet.plot.ensembles import plot_ranks, plot_spread_skill

known = xdvarnet.datasets.mediterranean().sel(lat=slice(30, 45), lon=slice(10, 37))
days = known.sel(time=slice("2005-05-31", "2005-06-30"))
obs = days.dvarnet.observe(["jason1", "envisat", "gfo", "topex_interleaved"], noise=0.02, rng=0)
model = xdvarnet.load_model("med-ssh")
oi = model.model.first_guess.with_options(background=model.background)
truth = days["ssh"].sel(time=slice("2005-06-10", "2005-06-20", 2))

maps = obs.dvarnet.reconstruct(model, members=19, return_members=True, rng=0)
formal = obs.dvarnet.reconstruct(oi)
white = np.random.default_rng(0).standard_normal((19, *formal["ssh"].shape))
formal["ssh_members"] = formal["ssh"] + formal["ssh_std"] * xr.DataArray(
    white, dims=("member", *formal["ssh"].dims)
)
methods = {"4DVarNet, calibrated": maps, "OI, formal error": formal}
methods = {name: each.sel(time=truth["time"]) for name, each in methods.items()}
{name: float(spread_skill_ratio(each["ssh_members"], truth)) for name, each in methods.items()}

# %%
# Ranks, and the error in bins of the spread
# ------------------------------------------
# A truth that is often above or below all members says that they are too close together. The band
# holds 95 % of the counts of a perfect ensemble if the points are independent, so those that count
# here are 100 km apart. In the lower figures all cells are sorted by their spread, and cut into ten
# bins: a spread that is right is on the line in each of them.
far = {"time": slice(None, None, 5), "lat": slice(None, None, 8), "lon": slice(None, None, 10)}
figure, axes = plt.subplots(2, 2, figsize=(11, 9), layout="constrained")
for (name, each), column in zip(methods.items(), axes.T, strict=True):
    ranks = rank_histogram(each["ssh_members"].isel(far), truth.isel(far), rng=0)
    plot_ranks(ranks, ax=column[0]).set_title(name)
    plot_spread_skill(binned_spread_skill(each["ssh"], each["ssh_std"], truth), ax=column[1])
plt.show()

# %%
# Scores
# ------
# The share of the truth in the central 90 % of the members would be the expected coverage. The
# continuous ranked probability score (cm) is lower for members that are close to the truth and
# whose spread is right.
table = {
    name: {
        "covered": float(coverage(each["ssh_members"], truth)),
        "expected": expected_coverage(0.9, 19),
        "CRPS (cm)": 100 * float(fair_crps(each["ssh_members"], truth)),
    }
    for name, each in methods.items()
}
pd.DataFrame(table).T.round(3)
