"""Backgrounds: what is removed from the observations before the analysis and added after.

Both kinds end with the running mean of the observed basin, so that a seasonal rise of the whole
basin (some centimetres in a month) is not left to a model of eddies.
"""

from typing import Protocol

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_positive, check_variable, quantity
from xdvarnet.grids.coords import EARTH_RADIUS, find_grid
from xdvarnet.grids.internal import DIMS

class Background(Protocol):
    """What `estimate` returns is removed before a model solves, and added after."""

    def estimate(self, observed: xr.DataArray) -> xr.DataArray:
        """Estimate the background of `observed` (time, latitude, longitude), lazily if it is lazy."""
        ...


def running_basin_mean(anomalies: xr.DataArray, days: int) -> xr.DataArray:
    """Mean of all observations of the domain within `days` centred on each day.

    Parameters
    ----------
    anomalies : xarray.DataArray
        Dims (time, latitude, longitude), NaN where unobserved.
    days : int
        Length of the running window; an odd number is symmetric.

    Returns
    -------
    xarray.DataArray
        Dims (time,), the units of the anomalies; the mean of the whole period where a window has no
        observation, and 0 where there is none at all.
    """
    space = DIMS[1:]
    total = anomalies.sum(space, dtype=float)
    count = anomalies.notnull().sum(space).astype(float)

    def smooth(series: np.ndarray) -> np.ndarray:
        padded = np.pad(series, (days // 2, (days - 1) // 2))
        return np.convolve(padded, np.ones(days), mode="valid")

    def combine(total: np.ndarray, count: np.ndarray) -> np.ndarray:
        whole = total.sum() / max(count.sum(), 1.0)
        totals, counts = smooth(total), smooth(count)
        return np.where(counts > 0, totals / np.maximum(counts, 1.0), whole)

    return xr.apply_ufunc(
        combine,
        total.chunk({"time": -1}) if total.chunks else total,
        count.chunk({"time": -1}) if count.chunks else count,
        input_core_dims=[["time"], ["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[float],
    )


class MeanMapBackground:
    """A known mean map plus the running basin mean of the observations.

    Parameters
    ----------
    mean_maps : xarray.Dataset
        One map for each variable, dims (latitude, longitude) in degrees, in the units of the model;
        NaN on land.
    days : int
        Length of the running basin mean.

    Examples
    --------
    >>> import xdvarnet
    >>> truth = xdvarnet.datasets.mediterranean()
    >>> background = xdvarnet.MeanMapBackground(truth.sel(time="2005-04").mean("time"))
    """

    def __init__(self, mean_maps: xr.Dataset, *, days: int = 31) -> None:
        grid = find_grid(mean_maps, time=False)
        self.mean_maps = xr.Dataset(
            {
                name: (DIMS[1:], grid.arrange(array).values.astype(np.float32))
                for name, array in mean_maps.data_vars.items()
                if set(array.dims) == set(grid.axes.dims[-2:])
            },
            coords={"latitude": grid.latitude, "longitude": grid.longitude},
        )
        self.days = int(check_positive(days, "days", "days"))

    def __repr__(self) -> str:
        return f"MeanMapBackground(mean maps of {', '.join(self.mean_maps)}, days={self.days})"

    def estimate(self, observed: xr.DataArray) -> xr.DataArray:
        """Estimate the background of `observed`.

        Parameters
        ----------
        observed : xarray.DataArray
            Dims (time, latitude, longitude), NaN where unobserved; its name chooses the map.

        Raises
        ------
        UnknownNameError
            If there is no mean map of this variable.
        InvalidInputError
            If the mean map does not reach over the domain.
        """
        mean = self._on(observed)
        background = mean + running_basin_mean(observed - mean, self.days)
        return background.transpose(*DIMS).astype(np.float32)

    def _on(self, observed: xr.DataArray) -> xr.DataArray:
        known = check_variable(self.mean_maps, str(observed.name))
        latitude, longitude = observed["latitude"].values, observed["longitude"].values
        shift = 360 * np.round((known["longitude"].values.mean() - longitude.mean()) / 360)
        for name, wanted in (("latitude", latitude), ("longitude", longitude + shift)):
            have = known[name].values
            margin = np.median(np.diff(have))
            if wanted.min() < have.min() - margin or wanted.max() > have.max() + margin:
                raise InvalidInputError(
                    f"the mean map of the background spans {have.min():g}..{have.max():g} degrees of "
                    f"{name} and the data {wanted.min():g}..{wanted.max():g}; use a background made "
                    "from the observations: model.with_options(background=ObservedBackground())."
                )
        # coastal cells that the map lacks take the nearest known value along the row
        filled = known.interpolate_na("longitude", method="nearest", fill_value="extrapolate")
        filled = filled.fillna(float(known.mean()))
        on_grid = filled.interp(
            latitude=latitude,
            longitude=longitude + shift,
            kwargs={"fill_value": None},
        )
        return on_grid.assign_coords(latitude=latitude, longitude=longitude).astype(np.float32)


class ObservedBackground:
    """A smooth mean map of the observations themselves plus their running basin mean.

    The mean map is the average of all observations of the period, weighted with a Gaussian of the
    given length: it follows the mean dynamic topography where no trustworthy mean map is at hand.

    Parameters
    ----------
    length : str or float
        Standard deviation of the Gaussian, such as ``"150 km"``; a number is in km.
    days : int
        Length of the running basin mean.
    """

    def __init__(self, *, length: str | float = "150 km", days: int = 31) -> None:
        self.length = quantity(length, "km", "length")
        self.days = int(check_positive(days, "days", "days"))

    def __repr__(self) -> str:
        return f"ObservedBackground(length='{self.length:g} km', days={self.days})"

    def estimate(self, observed: xr.DataArray) -> xr.DataArray:
        """Estimate the background of `observed` (time, latitude, longitude)."""
        basin = running_basin_mean(observed, self.days)
        anomalies = observed - basin
        mean = xr.apply_ufunc(
            self._smooth,
            anomalies.sum("time", dtype=float),
            anomalies.notnull().sum("time").astype(float),
            observed["latitude"],
            observed["longitude"],
            input_core_dims=[DIMS[1:], DIMS[1:], ["latitude"], ["longitude"]],
            output_core_dims=[DIMS[1:]],
            dask="parallelized",
            output_dtypes=[float],
            dask_gufunc_kwargs={"allow_rechunk": True},
        )
        return (mean + basin).transpose(*DIMS).astype(np.float32)

    def _smooth(
        self, total: np.ndarray, count: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
    ) -> np.ndarray:
        degree = np.deg2rad(1.0) * EARTH_RADIUS
        sigma = (
            self.length / (degree * np.median(np.diff(latitude))),
            self.length / (degree * np.cos(np.deg2rad(latitude.mean())) * np.median(np.diff(longitude))),
        )
        # one observation of weight 0.01 with value zero holds cells far from any track at the mean
        weight = gaussian_filter(count, sigma, mode="constant") + 0.01 * count.mean()
        return gaussian_filter(total, sigma, mode="constant") / np.maximum(weight, 1e-12)
