"""A simulated ocean to test methods on: heights, temperatures and currents that obey equations."""

import hashlib
import importlib.metadata
import os
import tempfile
from dataclasses import asdict
from dataclasses import fields as fields_of
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import xarray as xr

from xdvarnet._random import default_rng
from xdvarnet.dynamics.advection import WithTracer
from xdvarnet.dynamics.quasigeostrophic import TwoLayerQG
from xdvarnet.dynamics.seas import EARTH_RADIUS, LENGTH, SEAS, SIZES, Sea
from xdvarnet.dynamics.spectral import DAY, advance
from xdvarnet.dynamics.spin_up import spin_up
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_counts, check_kind, check_known

VERSION = 2
"""Of the simulation: another one makes other oceans."""

STORED_SIZE = 128
"""Cells of a side of the states that come with the package."""

OWN = "own"
"""Name of a sea of a user's settings."""

ADJUSTMENT = (50, 10)
"""Days from the mixed state to the first day, on the grid of that state and on the own one."""

REFERENCES = (
    "doi 10.1175/1520-0485(2004)034<2257:BUGTAH>2.0.CO;2, "
    "doi 10.1175/1520-0485(1998)028<0433:GVOTFB>2.0.CO;2"
)

ATTRIBUTES = {
    "ssh": {
        "standard_name": "sea_surface_height_above_sea_level",
        "long_name": "sea surface height above that of the uniform mean current",
        "units": "m",
    },
    "sst": {
        "standard_name": "sea_surface_temperature",
        "long_name": "sea surface temperature",
        "units": "degC",
    },
    "u": {
        "standard_name": "eastward_sea_water_velocity",
        "long_name": "eastward surface current about the uniform mean current",
        "units": "m/s",
    },
    "v": {
        "standard_name": "northward_sea_water_velocity",
        "long_name": "northward surface current",
        "units": "m/s",
    },
    "ssh_lower": {
        "long_name": "pressure height of the deep layer, whose mean current is zero",
        "units": "m",
    },
}


def twin_ocean(
    sea: str | Sea = "gulf-stream",
    *,
    days: int = 60,
    seed: int = 0,
    size: int = 256,
    start: str | np.datetime64 = "2020-01-01",
    cache: bool | str | os.PathLike = True,
) -> xr.Dataset:
    """Simulate an ocean of eddies, one map a day, where everything is known everywhere.

    Two-layer quasi-geostrophic turbulence on a beta plane, fed by the instability of a vertical
    shear of the mean current and damped by bottom drag, stirs a surface temperature with a mean
    gradient (`xdvarnet.dynamics.quasigeostrophic.TwoLayerQG`,
    `xdvarnet.dynamics.advection.WithTracer`; settings with their sources in
    `xdvarnet.dynamics.seas.SEAS`). It is made for twin experiments: sample it as satellites would,
    and compare maps with the truth.

    What it is not: the plane is square, 1280 km wide, without coasts and periodic in both
    directions: what leaves in the east comes back in the west, and likewise in the south and the
    north, where only the mean of the temperature has a step. It is seen as a grid of equal steps in
    degrees, with 5 km at the central latitude. The Coriolis parameter of the currents is that
    latitude's, and so is the width of a degree of longitude: currents that are computed with the
    latitude of each row differ from ``u`` and ``v`` towards the south and north, by up to 16 % at
    the edges. There are no seasons, tides or winds, and no scales below 15 km.

    Parameters
    ----------
    sea : str or Sea
        ``"gulf-stream"``, energetic, or ``"northeast-atlantic"``, quiet; or settings of your own,
        such as ``Sea(latitude=15, deformation_radius=45e3, shear=-0.1, drag=5e-7)``
        (`xdvarnet.dynamics.seas.Sea`).
    days : int
        Number of daily maps.
    seed : int
        Zero or more; each makes another ocean of the same statistics, so that one may train on
        some and test on others. Of a sea with a name, a seed shifts two copies of a spun-up state
        by random distances, mirrors each of them or not (northward becomes southward and every
        anomaly changes sign, which the equations allow), mixes them and lets them adjust for 60
        days. After these, two seeds are no more alike than unrelated maps, wherever one is shifted
        to. A sea of your own is spun up from random eddies of the seed, on 128 cells at most, and
        adjusts to finer ones for 10 days: at 10 km and 0.15 m/s that takes one core about half a
        minute.
    size : int
        Cells of a side, of the same 1280 km: 256, or 32, 64, 128 for trying things out (eddies are
        hardly resolved and weaker), or 512.
    start : str or numpy.datetime64
        First day.
    cache : bool or path
        Whether to keep the result on disk, or the folder to keep it in. By default that is
        the folder in the environment variable ``XDVARNET_CACHE``, or else ``~/.cache/xdvarnet``.
        A day has 1.3 MB at 256 cells, and takes one core about a second.

    Returns
    -------
    xarray.Dataset
        Of float32 on (time, lat, lon): ``ssh`` (m) and currents ``u`` and ``v`` (m/s) about the
        uniform mean current, whose speed is the attribute ``mean_current`` of ``u``; ``sst``
        (degC); and ``ssh_lower`` (m), the pressure height of the deep layer. The currents are
        geostrophic, with the divergent part of the next order
        (`TwoLayerQG.divergent_velocity`), whose divergence is 0.1 to 0.5 % of f: take it from the
        Fourier series of the maps (`xdvarnet.dynamics.spectral.SpectralGrid`), since differences of
        neighbouring cells leave an error of this size in the geostrophic part. The boolean
        coordinate ``sea`` (lat, lon) is True.

    Raises
    ------
    UnknownNameError
        If there is no such sea.
    InvalidInputError
        If days, seed, size or start is not accepted; or if the shear of your own sea feeds no
        eddies, or they die, or grow without an end.
    InvalidTypeError
        If sea is neither a name nor a `Sea`, or cache neither a truth value nor a path.

    Warns
    -----
    XdvarnetWarning
        If a file of the cache is damaged, and is made anew; or if none can be written.

    Examples
    --------
    A toy that is ready at once:

    >>> from xdvarnet.datasets import twin_ocean
    >>> ocean = twin_ocean(days=3, size=32, cache=False)
    >>> dict(ocean.sizes)
    {'time': 3, 'lat': 32, 'lon': 32}
    >>> list(ocean)
    ['ssh', 'sst', 'u', 'v', 'ssh_lower']
    """
    first = _check(sea, days, seed, size, start)
    check_kind(isinstance(cache, bool | str | os.PathLike), "cache", cache, "True, False or a path")
    name, own = (OWN, sea) if isinstance(sea, Sea) else (sea, SEAS[sea])
    settings = {"sea": name, **asdict(own), "days": days, "seed": seed, "size": size}
    settings |= {"start": str(first), "version": VERSION}
    if cache is False:
        return _simulate(settings)
    path = _folder(cache) / _file_name(settings)
    found = _read(path)
    if found is None:
        found = _simulate(settings)
        try:
            _write(found, path)
        except OSError as error:
            warn(f"the ocean is not kept ({error}); give a folder with space for it as cache=.")
    return found


def _check(sea: str | Sea, days: int, seed: int, size: int, start: Any) -> np.datetime64:
    """Return the first day."""
    check_kind(isinstance(sea, str | Sea), "sea", sea, "a name, or Sea(...)")
    if isinstance(sea, str):
        check_known(sea, SEAS, "sea")
    check_counts({"days": days})
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InvalidInputError(f"seed={seed!r} is not accepted; give a whole number, 0 or more.")
    if not isinstance(size, int | np.integer) or size not in SIZES:
        raise InvalidInputError(
            f"size={size!r} is not accepted; give one of {', '.join(map(str, SIZES))}."
        )
    refusal = InvalidInputError(f"start={start!r} is no day; give one as '2020-01-01'.")
    if isinstance(start, int | float) or pd.isna(start):  # pandas would count from 1970
        raise refusal
    try:
        first = pd.Timestamp(start).to_datetime64().astype("datetime64[D]")
        pd.date_range(first, periods=days, unit="ns")
    except (TypeError, ValueError) as error:  # pandas.OutOfBoundsDatetime is a ValueError
        raise refusal from error
    return first


def _simulate(settings: dict) -> xr.Dataset:
    sea = Sea(**{part.name: settings[part.name] for part in fields_of(Sea)})
    model = sea.model(settings["size"])
    with torch.no_grad():
        state = _start(sea, settings)
        maps = []
        for day in range(settings["days"]):
            state = advance(model, state, DAY) if day else state
            maps.append(_observables(model, state))
    fields = torch.stack(maps, 1).numpy()
    return _label(dict(zip(ATTRIBUTES, fields, strict=True)), sea, settings)


def _start(sea: Sea, settings: dict) -> torch.Tensor:
    """State on the first day, on the grid of the settings."""
    size = settings["size"]
    coarse, seed = min(size, STORED_SIZE), settings["seed"]
    if settings["sea"] == OWN:
        state = spin_up(sea, coarse, torch.Generator().manual_seed(seed))
        if size == coarse:
            return state
    else:
        state = _mix(sea, _stored(settings["sea"]), default_rng(seed), coarse)
        state = advance(sea.model(coarse), state, ADJUSTMENT[0] * DAY)
    return advance(sea.model(size), _resample(state, size), ADJUSTMENT[1] * DAY)


def _mix(sea: Sea, stored: torch.Tensor, rng: np.random.Generator, size: int) -> torch.Tensor:
    """State of two shifted copies of the stored one."""
    copies = []
    for _ in range(2):
        shift = tuple(int(n) for n in rng.integers(STORED_SIZE, size=2))
        copy = torch.roll(stored, shift, (-2, -1))
        copies.append(-copy.flip(-2) if rng.integers(2) else copy)
    mixed = _resample((copies[0] + copies[1]) / 2**0.5, size)
    flow = sea.model(size).flow
    assert isinstance(flow, TwoLayerQG)
    return torch.cat([flow.potential_vorticity(mixed[:-1]), mixed[-1:]])


def _stored(name: str) -> torch.Tensor:
    """Stream functions and temperature (field, y, x) of the state in the package."""
    resource = files("xdvarnet.datasets") / f"twin_ocean_{name.replace('-', '_')}.nc"
    with as_file(resource) as path, xr.open_dataset(path, engine="h5netcdf") as stored:
        fields = stored["packed"] * stored["scale"]
        return torch.from_numpy(fields.transpose("field", "y", "x").values.astype(np.float32))


def _resample(fields: torch.Tensor, size: int) -> torch.Tensor:
    """Fields (..., y, x) on another number of cells, with the same Fourier series where it fits."""
    rows = fields.shape[-1]
    centred = torch.fft.fftshift(torch.fft.fft2(fields), dim=(-2, -1))
    margin = (size - rows) // 2
    fitted = torch.nn.functional.pad(centred, (margin, margin, margin, margin))
    spectrum = torch.fft.ifftshift(fitted, dim=(-2, -1))
    return torch.fft.ifft2(spectrum).real * (size / rows) ** 2


def _observables(model: WithTracer, state: torch.Tensor) -> torch.Tensor:
    """Fields in the order of `ATTRIBUTES`, the mean temperature missing, (field, y, x)."""
    flow, vorticity = model.flow, state[:-1]
    assert isinstance(flow, TwoLayerQG)
    height = flow.pressure_height(vorticity)
    u, v = flow.velocity(vorticity)
    u_divergent, v_divergent = flow.divergent_velocity(vorticity)
    u, v = u[0] - flow.zonal[0] + u_divergent, v[0] + v_divergent
    return torch.stack([height[0], state[-1], u, v, height[1]])


def _label(fields: dict[str, np.ndarray], sea: Sea, settings: dict) -> xr.Dataset:
    days, size = settings["days"], settings["size"]
    steps = np.arange(size) - (size - 1) / 2
    degrees = np.rad2deg(LENGTH / size / EARTH_RADIUS)
    northward = sea.temperature_gradient * LENGTH / size * steps[:, np.newaxis]
    fields["sst"] = (sea.temperature + northward + fields["sst"]).astype(np.float32)
    attributes: dict[str, dict[str, str | float]] = {
        name: {**own} for name, own in ATTRIBUTES.items()
    }
    attributes["u"]["mean_current"] = sea.shear
    coords = {
        "time": (
            "time",
            pd.date_range(settings["start"], periods=days, unit="ns"),
            {"standard_name": "time", "axis": "T"},
        ),
        "lat": (
            "lat",
            sea.latitude + degrees * steps,
            {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
        ),
        "lon": (
            "lon",
            sea.longitude + degrees / np.cos(np.deg2rad(sea.latitude)) * steps,
            {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
        ),
        "sea": (("lat", "lon"), np.ones((size, size), bool), {"long_name": "sea, and no land"}),
    }
    named = {key: value for key, value in settings.items() if key != "version"}
    return xr.Dataset(
        {
            name: (("time", "lat", "lon"), values, attributes[name])
            for name, values in fields.items()
        },
        coords,
        {
            "title": f"Twin ocean: two-layer quasi-geostrophic turbulence, {settings['sea']}",
            "references": REFERENCES,
            "xdvarnet_version": importlib.metadata.version("xdvarnet"),
            "simulation_version": settings["version"],
            **named,
        },
    )


def _folder(cache: Literal[True] | str | os.PathLike) -> Path:
    if cache is not True:
        return Path(cache)
    return Path(os.environ.get("XDVARNET_CACHE") or Path.home() / ".cache" / "xdvarnet")


def _file_name(settings: dict) -> str:
    key = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:16]
    return f"twin_ocean_{settings['sea']}_{settings['seed']}_{key}.nc"


def _read(path: Path) -> xr.Dataset | None:
    """Return what the file holds, or None without a file that can be read."""
    if not path.exists():
        return None
    try:
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            return stored.load().drop_encoding()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        warn(f"{path} is damaged ({error}); it is made anew.")
        return None


def _write(ocean: xr.Dataset, path: Path) -> None:
    """Write a file that is whole, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    chunks = (1, ocean.sizes["lat"], ocean.sizes["lon"])
    encoding = {name: {"fletcher32": True, "chunksizes": chunks} for name in ocean}
    try:
        ocean.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
