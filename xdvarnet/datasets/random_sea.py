"""Random seas: Gaussian fields whose scales differ from place to place, to train on."""

import numpy as np
import xarray as xr
from scipy import fft

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_times
from xdvarnet.grids.coords import Grid, find_grid
from xdvarnet.grids.units import EARTH_RADIUS

LENGTHS = (45.0, 120.0)
"""Correlation lengths of the eddies, km."""

TIMES = (8.0, 30.0)
"""Correlation times of the eddies, days."""

ANISOTROPY = 2.0
"""Largest ratio of the longer to the shorter correlation length."""

SPEED = 6.0
"""Largest propagation of the eddies, km a day (7 cm/s)."""

STD = (0.02, 0.06)
"""Standard deviation of the whole field, m."""

SLOW = (400.0, 60.0, 0.3)
"""Length (km), time (days) and share of the standard deviation of the slow large-scale part."""

COMPONENTS = 3
"""Number of eddy fields, each with scales of its own, that dominate in different places."""


def random_sea(like: xr.Dataset, *, rng: RandomState = None) -> xr.Dataset:
    """Simulate sea surface height on a grid: a sum of Gaussian fields with random scales.

    Each field has the covariance ``exp(-|S (r - c t)|^2 - (t / T)^2)`` with a random length and
    anisotropy S, propagation c and time T. They are weighted with smooth random maps, whose
    logarithms are Gaussian fields of 200 km, so that amplitude and scales differ from place to
    place. A slow large-scale field is added. The ranges are the constants of this module. Nothing
    in it obeys the dynamics of the ocean.

    Parameters
    ----------
    like : xarray.Dataset
        Gives the days, the grid (at the spacing of its middle latitude) and the mask ``sea``.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the scales and of the fields.

    Returns
    -------
    xarray.Dataset
        ``ssh`` (time, latitude, longitude) in m, with the names and coordinates of `like`, NaN on
        land.

    Raises
    ------
    InvalidInputError
        If `like` has no grid or days that are not one after the other.

    Examples
    --------
    >>> from xdvarnet.datasets import mediterranean, random_sea
    >>> sea = random_sea(mediterranean().isel(time=slice(0, 5)), rng=0)
    >>> sea["ssh"].shape
    (5, 128, 344)
    """
    grid = find_grid(like)
    if grid.days is None or grid.days.size == 0:
        raise InvalidInputError("the dataset has no days; give one with a time axis.")
    check_times(grid.days, str(grid.axes.time), daily=True)
    generator = default_rng(rng)
    shape = (grid.days.size, *grid.shape)
    spacing = _spacing(grid)
    field = np.zeros(shape, np.float32)
    for _ in range(COMPONENTS):
        length, time = (np.exp(generator.uniform(*np.log(span))) for span in (LENGTHS, TIMES))
        heading, speed = generator.uniform(0, 2 * np.pi), generator.uniform(0, SPEED)
        eddies = _gaussian_field(
            shape,
            spacing,
            length,
            time,
            generator,
            stretch=generator.uniform(1, ANISOTROPY),
            angle=generator.uniform(0, np.pi),
            velocity=(speed * np.sin(heading), speed * np.cos(heading)),
        )
        weight = _gaussian_field((1, *grid.shape), spacing, 200.0, 1.0, generator)
        field += eddies * np.exp(0.7 * weight)
    length, time, share = SLOW
    field += share * field.std() * _gaussian_field(shape, spacing, length, time, generator)
    field *= np.exp(generator.uniform(*np.log(STD))) / field.std()
    dims = dict(zip(("time", "latitude", "longitude"), grid.axes.dims, strict=True))
    template = xr.DataArray(
        np.empty(shape, np.float32),
        dims=tuple(dims.values()),
        coords={name: like[name] for name in grid.axes.dims},
    )
    ssh = grid.restore(xr.DataArray(field, dims=tuple(dims.values())), template)
    attributes = {"units": "m", "long_name": "simulated sea surface height"}
    dataset = xr.Dataset({"ssh": ssh.assign_attrs(attributes)}, attrs={"title": "Random sea"})
    if "sea" in like.coords:
        dataset = dataset.assign_coords(sea=like["sea"])
        dataset["ssh"] = dataset["ssh"].where(dataset["sea"])
    return dataset


def _spacing(grid: Grid) -> tuple[float, float, float]:
    """Days, and km in latitude and longitude at the middle latitude, between cells."""
    degree = np.deg2rad(1.0) * EARTH_RADIUS
    rows, columns = grid.spacing
    return 1.0, degree * rows, degree * columns * float(np.cos(np.deg2rad(grid.latitude.mean())))


def _gaussian_field(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    length: float,
    time: float,
    rng: np.random.Generator,
    *,
    stretch: float = 1.0,
    angle: float = 0.0,
    velocity: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """White noise on a torus, filtered to a Gaussian covariance of unit variance.

    The filter is ``exp(-2 Q)`` where the covariance is ``exp(-Q)``: a Gaussian convolved with
    itself has half the exponent. The torus is longer than the domain by twice the scales.
    """
    scales = (time, length, length)
    sizes = [
        fft.next_fast_len(n + int(2 * scale / step) if n > 1 else 1)
        for n, scale, step in zip(shape, scales, spacing, strict=True)
    ]
    t, y, x = (
        fft.fftfreq(n, 1 / n).reshape(axis) * step
        for n, step, axis in zip(sizes, spacing, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    y, x = y - velocity[0] * t, x - velocity[1] * t
    along = (np.cos(angle) * x + np.sin(angle) * y) / (length * np.sqrt(stretch))
    across = (np.cos(angle) * y - np.sin(angle) * x) / (length / np.sqrt(stretch))
    kernel = np.exp(-2 * (along**2 + across**2 + (t / time) ** 2)).astype(np.float32)
    kernel /= np.sqrt(np.square(kernel).sum())
    noise = rng.standard_normal(sizes, dtype=np.float32)
    filtered = fft.irfftn(fft.rfftn(noise) * fft.rfftn(kernel), s=sizes)
    return filtered[tuple(slice(0, n) for n in shape)]
