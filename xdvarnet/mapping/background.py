"""Backgrounds: what is removed from the observations before the analysis and added after.

Both kinds end with the running mean of the observed basin, so that a seasonal rise of the whole
basin (some centimetres in a month) is not left to a model of eddies.
"""

from abc import ABC, abstractmethod

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, warn
from xdvarnet.grids.checks import (
    DAY_TOLERANCE,
    check_dataset,
    check_positive,
    check_regular,
    check_variable,
    quantity,
    units_factor,
)
from xdvarnet.grids.coords import around_the_globe, find_grid
from xdvarnet.grids.internal import DIMS
from xdvarnet.grids.smoothing import local_mean
from xdvarnet.grids.values import trusted_values
from xdvarnet.mapping.description import check_storable

SHORTEST = 7.0
"""Days of a record from which on a smooth map of its observations is their mean."""


class Background(ABC):
    """What `estimate` returns is removed before a model solves, and added after.

    One of your own keeps the arguments of its constructor as attributes of the same names, so that
    model files can hold it: another is refused by the models that it is given to.
    """

    def check_days(self, days: np.ndarray) -> None:  # noqa: B027  most take any record
        """Warn of a record, by its days, that this is not made for; by default of none."""

    @abstractmethod
    def estimate(self, observed: xr.DataArray) -> xr.DataArray:
        """Estimate the background of `observed` (time, latitude, longitude); lazy if it is lazy."""


def check_background(background: object) -> Background:
    """Return `background` if it is one.

    Raises
    ------
    InvalidTypeError
        If it is none, the class of one, or one that a model file could not hold.
    """
    if not isinstance(background, Background):
        raise InvalidTypeError(
            f"background={background!r} is no background; give one such as ObservedBackground() or "
            "MeanMapBackground(mean_maps), an object and not its class, or one of a subclass of "
            "xdvarnet.mapping.Background."
        )
    check_storable(background, "background")
    return background


def running_basin_mean(anomalies: xr.DataArray, days: float) -> xr.DataArray:
    """Mean of all observations of the domain within `days` centred on each day.

    Parameters
    ----------
    anomalies : xarray.DataArray
        Dims (time, latitude, longitude), NaN where unobserved; times in days, increasing.
    days : float
        Length of the running window, from ``days / 2`` before (included) to ``days / 2`` after
        (excluded); an odd number is symmetric for daily fields.

    Returns
    -------
    xarray.DataArray
        Dims (time,), the units of the anomalies; the mean of the whole period where a window has no
        observation, and 0 where there is none at all.
    """
    space = DIMS[1:]
    total = anomalies.sum(space, dtype=float)
    count = anomalies.notnull().sum(space).astype(float)

    def combine(total: np.ndarray, count: np.ndarray, time: np.ndarray) -> np.ndarray:
        first, last = (
            np.searchsorted(time, time + half - DAY_TOLERANCE) for half in (-days / 2, days / 2)
        )
        running = np.cumsum([total, count], axis=1)
        running = np.pad(running, ((0, 0), (1, 0)))
        totals, counts = running[:, last] - running[:, first]
        whole = total.sum() / max(count.sum(), 1.0)
        return np.where(counts > 0, totals / np.maximum(counts, 1.0), whole)

    return xr.apply_ufunc(
        combine,
        total.chunk({"time": -1}) if total.chunks else total,
        count.chunk({"time": -1}) if count.chunks else count,
        anomalies["time"],
        input_core_dims=[["time"]] * 3,
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[float],
    )


class NoBackground(Background):
    """Nothing is removed: for methods that know the mean of their states."""

    def __repr__(self) -> str:
        return "NoBackground()"

    def estimate(self, observed: xr.DataArray) -> xr.DataArray:
        """Return zero everywhere."""
        return xr.zeros_like(observed)


class MeanMapBackground(Background):
    """A known mean map plus the running basin mean of the observations.

    Parameters
    ----------
    mean_maps : xarray.Dataset
        One map for each variable, dims (latitude, longitude), in the units of the model or with an
        attribute ``units`` that converts to them. Where it is NaN, as on land, the nearest value of
        the row is taken, or the mean of the map.
    days : float
        Length of the running basin mean.

    Raises
    ------
    InvalidInputError
        If there is no map, or one has no finite value or an infinite one.

    Examples
    --------
    >>> import xdvarnet
    >>> truth = xdvarnet.datasets.mediterranean()
    >>> background = xdvarnet.mapping.MeanMapBackground(truth.sel(time="2005-04").mean("time"))
    """

    def __init__(self, mean_maps: xr.Dataset, *, days: float = 31) -> None:
        check_dataset(mean_maps)
        grid = find_grid(mean_maps, time=False)
        dims = grid.axes.dims[-2:]
        maps = {}
        for name, array in mean_maps.data_vars.items():
            if set(array.dims) != set(dims):
                continue
            values = grid.arrange(trusted_values(array)).values.astype(np.float32)
            if np.isnan(values).all():
                raise InvalidInputError(f"the mean map of {name!r} has no finite value.")
            units = {key: array.attrs[key] for key in ("units",) if key in array.attrs}
            maps[name] = (DIMS[1:], values, units)
        if not maps:
            raise InvalidInputError(
                f"no variable of {sorted(map(str, mean_maps.data_vars))} is a map with the "
                f"dimensions {dims}; average over the others: dataset.mean('time')."
            )
        self.mean_maps = xr.Dataset(
            maps, coords={"latitude": grid.latitude, "longitude": grid.longitude}
        )
        self.days = check_positive(days, "days", "days")

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.mean_maps))
        return f"MeanMapBackground(mean maps of {names}, days={self.days:g})"

    def estimate(self, observed: xr.DataArray) -> xr.DataArray:
        """Estimate the background of `observed`.

        Parameters
        ----------
        observed : xarray.DataArray
            Dims (time, latitude, longitude), NaN where unobserved; its name chooses the map, and
            its attribute ``units`` those of the result.

        Raises
        ------
        UnknownNameError
            If there is no mean map of this variable.
        InvalidInputError
            If the mean map does not reach over the domain, or its units do not convert.
        """
        mean = self._on(observed)
        background = mean + running_basin_mean(observed - mean, self.days)
        return background.transpose(*DIMS).astype(np.float32)

    def _on(self, observed: xr.DataArray) -> xr.DataArray:
        known = around_the_globe(check_variable(self.mean_maps, str(observed.name)))
        if "units" in observed.attrs:
            known = known * units_factor(known, observed.attrs["units"])
        latitude, longitude = observed["latitude"].values, observed["longitude"].values
        shift = 360 * np.round((known["longitude"].values.mean() - longitude.mean()) / 360)
        places = {}
        for name, wanted in (("latitude", latitude), ("longitude", longitude + shift)):
            have = known[name].values
            margin = np.median(np.diff(have))
            if wanted.min() < have.min() - margin or wanted.max() > have.max() + margin:
                raise InvalidInputError(
                    f"the mean map of the background spans {have.min():g}..{have.max():g} degrees "
                    f"of {name} and the data {wanted.min():g}..{wanted.max():g}; use a background "
                    "made from the observations: "
                    "model.with_options(background=ObservedBackground())."
                )
            places[name] = wanted.clip(have.min(), have.max())
        # coastal cells that the map lacks take the nearest known value along the row
        filled = known.interpolate_na("longitude", method="nearest", fill_value="extrapolate")
        filled = filled.fillna(float(known.mean()))
        on_grid = filled.interp(places)
        return on_grid.assign_coords(latitude=latitude, longitude=longitude).astype(np.float32)


class ObservedBackground(Background):
    """A smooth mean map of the observations themselves plus their running basin mean.

    The mean map is the average of all observations of the period, weighted with a Gaussian of the
    given length: it follows the mean dynamic topography where no trustworthy mean map is at hand.
    The length is a distance on the sphere: a globe has no edge where it is cut nor at a pole, and
    latitudes may have any steps.

    In a record of less than a week a place is observed by a pass or two, and what these measured is
    taken for the mean. Where the true mean varies much (the Mediterranean) this is better than the
    mean of the basin; where it does not and eddies are strong, maps of a single day are up to 7 %
    better with `MeanMapBackground`, and the anomalies have less variance than the true ones.

    Parameters
    ----------
    length : str or float
        Standard deviation of the Gaussian, such as ``"150 km"``; a number is in km.
    days : float
        Length of the running basin mean.
    """

    def __init__(self, *, length: str | float = "150 km", days: float = 31) -> None:
        self.length = quantity(length, "km", "length")
        self.days = check_positive(days, "days", "days")

    def __repr__(self) -> str:
        return f"ObservedBackground(length='{self.length:g} km', days={self.days:g})"

    def check_days(self, days: np.ndarray) -> None:
        """Warn of a record of less than a week."""
        length = float(np.ptp(days)) + 1
        if length < SHORTEST:
            warn(
                f"the background is a smooth map of observations of {length:g} day(s): what "
                "single passes measured is taken for the mean and spread around them, and too "
                "little is left to the anomalies and their standard deviation. Give a week of "
                "observations or more, or a known mean: "
                "model.with_options(background=xdvarnet.mapping.MeanMapBackground(mean_maps))."
            )

    def estimate(self, observed: xr.DataArray) -> xr.DataArray:
        """Estimate the background of `observed` (time, latitude, longitude).

        Raises
        ------
        InvalidInputError
            If longitudes have no equal steps.
        """
        check_regular(observed["longitude"].values, "longitude", "ObservedBackground")
        basin = running_basin_mean(observed, self.days)
        # float64 sums of single precision are exact but for the smallest: no order changes them
        anomalies = (observed - basin).astype(np.float32)
        mean = xr.apply_ufunc(
            local_mean,
            anomalies.sum("time", dtype=float),
            anomalies.notnull().sum("time").astype(float),
            observed["latitude"],
            observed["longitude"],
            input_core_dims=[DIMS[1:], DIMS[1:], ["latitude"], ["longitude"]],
            output_core_dims=[DIMS[1:]],
            dask="parallelized",
            kwargs={"length": self.length},
            output_dtypes=[float],
            dask_gufunc_kwargs={"allow_rechunk": True},
        )
        return (mean + basin).transpose(*DIMS).astype(np.float32)
