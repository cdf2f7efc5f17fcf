"""Check scores, regridding and currents against real files, and draw two of them.

Usage: python docs/recipes/altimetry_checks.py FOLDER

FOLDER has oi_gulfstream_201701.nc and dt_gulfstream_c2_phy_l3_20161220_20170126.nc (an optimal
interpolation, and the CryoSat-2 points that the mapping challenge 2021a withholds),
nemo_eorca1_tos_201501.nc (sea surface temperature on the tripolar grid) and
dt_blacksea_allsat_phy_l4_20160707.nc (DUACS maps with their currents). Writes
docs/results/altimetry_checks_tables.md and the figures beside it.
"""

import sys
import time
import warnings
from pathlib import Path

import cartopy.crs as ccrs
import cmocean
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from comparison import markdown

import xdvarnet
from xdvarnet.grids.regrid.fields import regrid_weights
from xdvarnet.metrics.spectra import effective_resolution, power_spectrum_along_track

RESULTS = Path(__file__).parents[1] / "results"


def challenge(folder: Path) -> tuple[pd.DataFrame, xr.Dataset, xr.Dataset]:
    """Return the scores of the 2021a challenge, the maps and the harmonised tracks."""
    maps = xr.load_dataset(folder / "oi_gulfstream_201701.nc").rename(c2="ssh")
    maps["ssh"].attrs["units"] = "m"
    raw = xr.load_dataset(folder / "dt_gulfstream_c2_phy_l3_20161220_20170126.nc")
    scores = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xdvarnet.XdvarnetWarning)  # no segment of 1000 km
        for name, tracks in (("raw file", raw), ("harmonised", raw.dvarnet.harmonise())):
            scored = maps.dvarnet.score(tracks, kind="ose2021a")
            scores[f"xdvarnet, {name}"] = [
                f"{float(scored[each]):.4f}" for each in ("mu", "sigma", "rmse")
            ] + [str(int(scored["n_points"]))]
    scores["the challenge's own code"] = ["0.9088", "0.0327", "0.074", "503"]
    table = pd.DataFrame(scores, index=["mu", "sigma", "RMSE (m)", "points"]).T
    return table, maps, raw.dvarnet.harmonise()


def draw_challenge(maps: xr.Dataset, tracks: xr.Dataset) -> None:
    """Draw the map of a day with the points around it, and the longest piece of track."""
    at = maps.dvarnet.sample_tracks(tracks)["ssh"]
    day = np.datetime64("2017-01-14")
    figure = plt.figure(figsize=(11, 4.6), layout="constrained")
    left = figure.add_subplot(1, 2, 1, projection=ccrs.PlateCarree())
    limits = {"vmin": 0.2, "vmax": 1.0, "cmap": cmocean.cm.haline}
    maps.dvarnet.plot_map(
        "ssh", time=day, ax=left, title=f"{day}: OI, CryoSat-2 of all days", **limits
    )
    observed = tracks.assign(ssh=tracks["ssh"] - tracks["lwe"])
    observed.dvarnet.plot_tracks("ssh", ax=left, colorbar=False, title="", **limits)
    left.set_title(f"OI of {day}, CryoSat-2 points of all days")
    right = figure.add_subplot(1, 2, 2)
    passes = (tracks["time"].diff("time") > np.timedelta64(60, "s")).cumsum("time")
    known = at.isel(time=slice(1, None)).notnull()
    number = int(passes.where(known).to_series().value_counts().idxmax())
    here = {"time": np.flatnonzero((passes == number).values) + 1}
    right.plot(
        tracks["lat"][here], 100 * observed["ssh"][here], ".", color="0.4", label="CryoSat-2"
    )
    right.plot(
        tracks["lat"][here], 100 * at[here], color="C3", label="OI, linear in space and time"
    )
    right.set(xlabel="latitude (°N)", ylabel="sea surface height (cm)")
    right.set_title(f"pass of {str(tracks['time'][here].values[0])[:16].replace('T', ', ')} UTC")
    right.legend()
    figure.savefig(RESULTS / "altimetry_gulfstream.png", dpi=110)


def resolution() -> pd.DataFrame:
    """Return the resolution found on simulated tracks, and the one put in."""
    rows = {}
    for scale in (120.0, 200.0):
        found = [simulated_resolution(scale, seed) for seed in range(8)]
        rows[f"{scale:g}"] = [f"{np.mean(found):.1f}", f"{np.std(found, ddof=1):.1f}"]
    columns = ["found, mean of 8 draws (km)", "their standard deviation (km)"]
    return pd.DataFrame(rows, index=columns).T.rename_axis("put in (km)")


def simulated_resolution(scale: float, seed: int, *, passes: int = 40, points: int = 900) -> float:
    """Return lambda_x of maps that hold the share exp(-ln 2 (k scale)^2) of the reference.

    The error has the spectrum of the reference times 1 - that share, and both are drawn apart: the
    score is 0.5 at the wavelength `scale`.
    """
    rng = np.random.default_rng(seed)
    step = 6.77 * 0.9434
    wavenumber = np.fft.rfftfreq(points, step)
    power = 1 / (1 + (250 * wavenumber) ** 4)
    kept = np.exp(-np.log(2) * (wavenumber * scale) ** 2)

    def series(spectrum: np.ndarray) -> np.ndarray:
        white = np.fft.rfft(rng.standard_normal((passes, points)))
        return np.fft.irfft(white * np.sqrt(spectrum), points).ravel()

    seconds = (np.arange(passes)[:, None] * 6000 + np.arange(points) * 0.9434).ravel()
    latitude = np.tile(np.linspace(-25, 26, points), passes)
    tracks = xr.Dataset(
        {"reference": ("time", series(power)), "error": ("time", series(power * (1 - kept)))},
        {
            "time": np.datetime64("2017-01-01", "ns") + (1e9 * seconds).astype("timedelta64[ns]"),
            "longitude": ("time", np.zeros(latitude.size)),
            "latitude": ("time", latitude),
        },
    )
    error, reference = (
        power_spectrum_along_track(tracks, name, spacing=step) for name in ("error", "reference")
    )
    return float(effective_resolution(error, reference)["lambda_x"])


def regridding(folder: Path) -> pd.DataFrame:
    """Regrid the tripolar temperature, draw it, and return ranges, means and times."""
    nemo = xr.open_dataset(folder / "nemo_eorca1_tos_201501.nc", decode_times=False).load()
    nemo["tos"] = nemo["tos"].astype(float)
    target = xr.Dataset(
        coords={
            "lat": ("lat", np.arange(-89.5, 90), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(0.5, 360), {"units": "degrees_east"}),
        }
    )
    rows, fields = {}, {}
    for method in ("linear", "nearest", "conservative", "conservative_normed"):
        start = time.perf_counter()
        weights = regrid_weights(nemo, target, method=method)
        middle = time.perf_counter()
        fields[method] = (
            nemo[["tos", "nav_lat", "nav_lon"]]
            .dvarnet.regrid(target, method=method, weights=weights)["tos"]
            .squeeze()
        )
        end = time.perf_counter()
        values = fields[method]
        rows[method] = [
            f"{float(values.min()):.2f} to {float(values.max()):.2f}",
            int(values.count()),
            f"{integral_error(nemo, values, weights):.1e}" if method == "conservative" else "",
            f"{middle - start:.1f}",
            f"{end - middle:.2f}",
        ]
    rows["source"] = [
        f"{float(nemo['tos'].min()):.2f} to {float(nemo['tos'].max()):.2f}",
        int(nemo["tos"].count()),
        *[""] * 3,
    ]
    draw_regridding(nemo, fields["conservative_normed"])
    columns = ["range (°C)", "cells", "change of the integral", "weights (s)", "product (s)"]
    return pd.DataFrame(rows, index=columns).T


def integral_error(nemo: xr.Dataset, values: xr.DataArray, weights: xr.Dataset) -> float:
    """Return the relative change of the integral over the sphere."""
    before = nemo["tos"].values.ravel() * weights["area_a"].values * weights["frac_a"].values
    after = values.values.ravel() * weights["area_b"].values
    return float(abs(np.nansum(after) / np.nansum(before) - 1))


def draw_regridding(nemo: xr.Dataset, regridded: xr.DataArray) -> None:
    """Draw the source on its own axes of cells, and the result as a map."""
    figure = plt.figure(figsize=(11, 3.6), layout="constrained")
    colours = {"cmap": cmocean.cm.thermal, "vmin": -2, "vmax": 30}
    left = figure.add_subplot(1, 2, 1)
    left.pcolormesh(nemo["tos"].squeeze(), **colours)
    left.set(title="NEMO eORCA1, January 2015", xlabel="column", ylabel="row")
    right = figure.add_subplot(1, 2, 2, projection=ccrs.Robinson(central_longitude=180))
    drawn = right.pcolormesh(
        regridded["lon"], regridded["lat"], regridded, transform=ccrs.PlateCarree(), **colours
    )
    right.set_title("conservative_normed, 1° x 1°")
    figure.colorbar(drawn, ax=right, label="sea surface temperature (°C)", shrink=0.8)
    figure.savefig(RESULTS / "altimetry_nemo.png", dpi=110)


def currents(folder: Path) -> pd.DataFrame:
    """Compare the geostrophic currents with those of DUACS."""
    duacs = xr.load_dataset(folder / "dt_blacksea_allsat_phy_l4_20160707.nc")
    ours = duacs[["adt"]].dvarnet.geostrophic("adt")
    rows = {}
    for name in ("ugos", "vgos"):
        both = ours[name].notnull() & duacs[name].notnull()
        one, other = (each[name].values[both.values] for each in (ours, duacs))
        rows[name] = [
            np.corrcoef(one, other)[0, 1],
            np.sqrt(np.mean((one - other) ** 2)),
            other.std(),
        ]
    columns = ["correlation", "RMS difference (m/s)", "standard deviation (m/s)"]
    return pd.DataFrame(rows, index=columns).T


def main() -> None:
    """Write the tables and the figures."""
    folder = Path(sys.argv[1])
    scores, maps, tracks = challenge(folder)
    draw_challenge(maps, tracks)
    text = f"""The score of the mapping challenge 2021a:

{markdown(scores)}

The shortest wavelength resolved, on simulated tracks with a known spectrum:

{markdown(resolution().rename_axis(None))}

The tripolar sea surface temperature on a grid of 1 degree (one core):

{markdown(regridding(folder))}

Geostrophic currents of the DUACS height, against those in the same file:

{markdown(currents(folder))}
"""
    (RESULTS / "altimetry_checks_tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
