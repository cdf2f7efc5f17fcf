"""A Gaussian field that solves a stochastic equation: samples, and exact posteriors."""

import copy
import itertools
import logging
import math
import warnings

import numpy as np
import torch
import xarray as xr
from scipy import optimize

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, XdvarnetWarning, warn
from xdvarnet.grids.checks import (
    check_counts,
    check_dataset,
    check_positive,
    check_regular,
    check_times,
    check_units,
    check_variable,
    quantity,
    units_factor,
)
from xdvarnet.grids.coords import find_grid
from xdvarnet.grids.history import add_history
from xdvarnet.grids.internal import DIMS, to_internal
from xdvarnet.grids.points import find_points
from xdvarnet.models.background import Background, ObservedBackground, check_background
from xdvarnet.models.base import Analysis, Observations
from xdvarnet.models.spde_domain import Domain, extended_mesh, torch_generator
from xdvarnet.spde.field import Posterior, matern_prior
from xdvarnet.spde.mesh import Mesh
from xdvarnet.tracks.bin import bin_tracks
from xdvarnet.tracks.sample import wrap_longitude

logger = logging.getLogger("xdvarnet")

FIRST_STEP = 1.5
"""Factor on each parameter in the first simplex of `SPDEField.fit`."""

MARGIN = 2.0
"""Width of the margin around a domain, in correlation lengths."""

LEAST_STEPS = 2
"""Steps of the grid in a correlation length, below which a warning is given."""

SECONDS = 86400.0
"""In a day."""


class SPDEField:
    r"""A Gaussian field with a physical covariance, and kriging with it.

    The field is the stationary solution of

    .. math:: \partial_t v + (r S + m \cdot \nabla) v = \text{noise}, \qquad S x = v, \qquad
        S = \kappa^2 - \nabla \cdot H \nabla

    with no flux through coasts, so land separates what it separates in nature. Without
    propagation its correlation at lag zero is Matérn of smoothness 2. As a reconstructor it gives
    the exact posterior mean, standard deviation and members of the whole domain at once: kriging.

    Parameters
    ----------
    correlation_length : str or float
        e-folding distance at lag zero, such as ``"150 km"``; a number is in km. Of an anisotropic
        field the geometric mean of those along and across its axis.
    correlation_time : str or float
        e-folding time at one place, such as ``"10 days"``; a number is in days.
    std : float
        Standard deviation of the field, in `units`.
    noise : float
        Standard deviation of the error of an observation, in `units`: of one cell and day in
        `solve`, of one point in `condition`.
    variable, units : str
        What the field is, and the units of `std` and `noise`.
    anisotropy : float
        Correlation length along the axis over that across it.
    angle : float
        Direction of the axis in degrees, counterclockwise from east.
    propagation : tuple of float
        Eastward and northward velocity in m/s at which features propagate (centimetres per second,
        not the current). The scheme adds the diffusion ``|m| spacing / 2 + m^2 day / 2``.
    background : Background, optional
        Removed before and added after by `reconstruct`; by default `ObservedBackground()`.

    Raises
    ------
    InvalidInputError
        If a parameter is not positive, not finite, or of other units.

    References
    ----------
    Lindgren, Rue & Lindström (2011), doi 10.1111/j.1467-9868.2011.00777.x; Clarotto et al. (2024),
    arXiv 2208.14015; Beauchamp et al. (2024), arXiv 2402.01855.

    Examples
    --------
    >>> import xdvarnet
    >>> field = SPDEField(
    ...     correlation_length="60 km", correlation_time="20 days", std=0.05, noise=0.02
    ... )
    >>> sea = xdvarnet.datasets.mediterranean()
    >>> days = sea.isel(time=[0, 1], lat=slice(50, 70), lon=slice(60, 90))
    >>> draws = field.sample(days, members=3, rng=0)
    >>> dict(draws["ssh"].sizes)
    {'member': 3, 'time': 2, 'lat': 20, 'lon': 30}
    """

    window = None
    first_guess = None
    training_grid = None
    gives_std = True

    def __init__(
        self,
        *,
        correlation_length: str | float,
        correlation_time: str | float,
        std: float,
        noise: float,
        variable: str = "ssh",
        units: str = "m",
        anisotropy: float = 1.0,
        angle: float = 0.0,
        propagation: tuple[float, float] = (0.0, 0.0),
        background: Background | None = None,
    ) -> None:
        self.correlation_length = quantity(correlation_length, "km", "correlation_length")
        self.correlation_time = quantity(correlation_time, "days", "correlation_time")
        self.variables = {variable: check_units(units)}
        self.std = check_positive(std, "std", units)
        self.noise = check_positive(noise, "noise", units)
        self.anisotropy = check_positive(anisotropy, "anisotropy", "no units")
        self.angle = _finite(angle, "angle", "degrees")
        self.propagation = tuple(_finite(each, "propagation", "m/s") for each in propagation)
        if len(self.propagation) != 2:
            raise InvalidInputError(
                f"propagation={propagation!r}; give an eastward and a northward velocity in m/s."
            )
        self.background = (
            ObservedBackground() if background is None else check_background(background)
        )

    @property
    def _variable(self) -> str:
        return next(iter(self.variables))

    def __repr__(self) -> str:
        return (
            f"SPDEField(correlation_length='{self.correlation_length:g} km', "
            f"correlation_time='{self.correlation_time:g} days', std={self.std:g}, "
            f"noise={self.noise:g}, variable={self._variable!r}, "
            f"units={self.variables[self._variable]!r}, anisotropy={self.anisotropy:g}, "
            f"angle={self.angle:g}, propagation={self.propagation}, background={self.background!r})"
        )

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Condition the field on the observations of a domain.

        Raises
        ------
        InvalidInputError
            If the days are not one apart, or the factor does not fit into memory.
        """
        domain = self._domain(
            observations.days, observations.latitude, observations.longitude, observations.sea
        )
        values = observations.values[self._variable]
        seen = np.isfinite(values) & observations.sea
        if not seen.any():
            warn("no observation; the result is the prior.")
        places = domain.places(*np.nonzero(seen))
        operator = domain.operator(places[None], np.ones((1, seen.sum())))
        noise = torch.full((int(seen.sum()),), self.noise, dtype=torch.float64)
        posterior = domain.prior.condition(
            operator, torch.as_tensor(values[seen], dtype=torch.float64), noise
        )
        mean, std, drawn = domain.describe(posterior, members, rng)
        name = self._variable
        return Analysis({name: mean}, {name: std}, {} if drawn is None else {name: drawn})

    def sample(self, grid: xr.Dataset, *, members: int, rng: RandomState = None) -> xr.Dataset:
        """Draw members of the prior.

        Parameters
        ----------
        grid : xarray.Dataset
            Days, latitude and longitude, and the coordinate ``sea`` where there is one; coordinates
            suffice.
        members : int
            How many.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the members; two calls with one seed are equal.

        Returns
        -------
        xarray.Dataset
            The variable along ``member``, time, latitude and longitude, NaN on land.

        Raises
        ------
        InvalidTypeError
            If `grid` is no Dataset.
        InvalidInputError
            If an axis is missing, the days are not one apart, or the factor does not fit into
            memory.
        """
        check_dataset(grid)
        check_counts({"members": members})
        template = _template(grid, self._variable, self.variables[self._variable])
        known = to_internal(template, self.variables)
        domain = self._domain(*(known[dim].values for dim in DIMS), known["sea"].values)
        drawn = domain.crop(
            domain.prior.factor().sample(members, torch_generator(default_rng(rng)))
        )
        drawn[:, :, ~known["sea"].values] = np.nan
        array = _labelled(drawn, template[self._variable], self._variable)
        result = array.to_dataset(name=self._variable)
        result.attrs = add_history(grid.attrs, f"sample of {self!r}")
        return result

    def condition(
        self,
        observations: xr.Dataset,
        grid: xr.Dataset | None = None,
        *,
        noise: float | np.ndarray | xr.DataArray | None = None,
        members: int | None = None,
        rng: RandomState = None,
        return_members: bool = False,
    ) -> xr.Dataset:
        """Condition the field on observations, as they are: no background is removed.

        Parameters
        ----------
        observations : xarray.Dataset
            On a grid, one field a day, NaN where unobserved; or, with `grid`, points along tracks,
            each bilinear between four cells and of the nearest day.
        grid : xarray.Dataset, optional
            Longitude, latitude and ``sea`` of the result, for tracks.
        noise : float or array, optional
            Standard deviation of the error in the units of the field, one for all or one for each
            observation (of the shape of the variable); by default that of the field.
        members : int, optional
            Number of members, at least 2.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the members.
        return_members : bool
            Whether to return them.

        Returns
        -------
        xarray.Dataset
            The variable (posterior mean), ``<variable>_std``, and ``<variable>_members``.

        Raises
        ------
        InvalidTypeError, UnknownNameError
            If this is no Dataset, or lacks the variable.
        InvalidInputError
            If axes or days are not as they must be, a noise is not positive, or the factor does
            not fit into memory.
        """
        domain, posterior, template, sea = self._posterior(observations, grid, noise)
        mean, std, drawn = domain.describe(posterior, members, default_rng(rng))
        name = self._variable
        fields = {name: mean, f"{name}_std": std}
        if return_members and drawn is not None:
            fields[f"{name}_members"] = drawn
        factor = units_factor(template, self.variables[name])
        result = xr.Dataset(
            {
                each: _labelled(np.where(sea, values / factor, np.nan), template, name)
                for each, values in fields.items()
            }
        )
        result.attrs = add_history(observations.attrs, f"condition {self!r}")
        return result

    def log_likelihood(
        self,
        observations: xr.Dataset,
        grid: xr.Dataset | None = None,
        *,
        noise: float | np.ndarray | xr.DataArray | None = None,
    ) -> float:
        """Return the logarithm of the density of observations under the field and its noise.

        Parameters
        ----------
        observations, grid, noise
            As in `condition`.
        """
        _, posterior, _, _ = self._posterior(observations, grid, noise)
        return float(posterior.log_likelihood())

    def fit(
        self, observations: xr.Dataset, grid: xr.Dataset | None = None, *, trials: int = 100
    ) -> "SPDEField":
        """Return the field of greatest likelihood, found by a simplex search from this one.

        The correlation length and time, the standard deviation and the noise are sought; direction,
        anisotropy and propagation stay as they are.

        Parameters
        ----------
        observations, grid
            As in `condition`.
        trials : int
            Most evaluations of the likelihood, each of which factors three times.

        Returns
        -------
        SPDEField
            With other parameters.

        Raises
        ------
        InvalidInputError
            As `log_likelihood` does; if `trials` is no positive number.
        """
        check_counts({"trials": trials})
        names = ("correlation_length", "correlation_time", "std", "noise")

        def field(logarithms: np.ndarray) -> SPDEField:
            other = copy.copy(self)
            vars(other).update(zip(names, np.exp(logarithms).tolist(), strict=True))
            return other

        start = np.log([getattr(self, name) for name in names])
        simplex = np.vstack([start, start + np.log(FIRST_STEP) * np.eye(len(names))])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", XdvarnetWarning)  # of short lengths on the way
            found = optimize.minimize(
                lambda logarithms: -field(logarithms).log_likelihood(observations, grid),
                start,
                method="Nelder-Mead",
                options={
                    "maxfev": trials,
                    "initial_simplex": simplex,
                    "xatol": 0.01,
                    "fatol": 0.01,
                },
            )
        logger.info("log-likelihood %.6g after %d trials", -found.fun, found.nfev)
        return field(found.x)

    def _domain(
        self, days: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, sea: np.ndarray
    ) -> Domain:
        check_times(days, "time", daily=True)
        for name, axis in (("latitude", latitude), ("longitude", longitude)):
            check_regular(axis, name, "SPDEField")
        length = 1e3 * self.correlation_length
        mesh, margin = extended_mesh(
            latitude, longitude, sea, MARGIN * length * math.sqrt(self.anisotropy)
        )
        self._warn_of_scales(mesh)
        east, north = (velocity * SECONDS for velocity in self.propagation)
        prior = matern_prior(
            mesh,
            days.size,
            length=length,
            time=self.correlation_time,
            std=self.std,
            anisotropy=self.anisotropy,
            angle=math.radians(self.angle),
            propagation=(east, north),
        )
        shape = (days.size, latitude.size, longitude.size)
        return Domain(prior.normalise(self.std), shape, margin)

    def _warn_of_scales(self, mesh: Mesh) -> None:
        shortest = self.correlation_length / math.sqrt(self.anisotropy)
        step = float(max(mesh.east_distance.max(), mesh.north_distance.max())) / 1e3
        if shortest < LEAST_STEPS * step:
            warn(
                f"the correlation length of {shortest:.3g} km is shorter than two steps of the "
                f"grid, of {step:.3g} km: the field is nearly noise, and its covariance that of "
                "the grid. Use a finer grid or a longer correlation length."
            )

    def _posterior(
        self,
        observations: xr.Dataset,
        grid: xr.Dataset | None,
        noise: float | np.ndarray | xr.DataArray | None,
    ) -> tuple[Domain, Posterior, xr.DataArray, np.ndarray]:
        """Return the domain, the posterior, a field like the result, and the mask of the sea."""
        check_dataset(observations)
        name = self._variable
        check_variable(observations, name)
        on_grid = observations if grid is None else bin_tracks(observations[[name]], grid)
        known = to_internal(on_grid[[name]], self.variables)
        domain = self._domain(*(known[dim].values for dim in DIMS), known["sea"].values)
        if grid is None:
            values, places, weights = _cells(known, name, domain)
            errors = _errors(self.noise if noise is None else noise, on_grid[name])
            arranged = find_grid(on_grid).arrange(errors).values.reshape(-1)
            errors = arranged[np.isfinite(known[name].values.reshape(-1))]
        else:
            factor = units_factor(observations[name], self.variables[name])
            values, places, weights, inside = _points(observations, name, known, domain)
            values = factor * values
            errors = _errors(self.noise if noise is None else noise, observations[name])
            errors = find_points(observations).flatten(errors)[inside]
        if not values.size:
            warn("no observation; the result is the prior.")
        posterior = domain.prior.condition(
            domain.operator(places, weights),
            torch.as_tensor(values, dtype=torch.float64),
            torch.as_tensor(errors, dtype=torch.float64),
        )
        return domain, posterior, on_grid[name], known["sea"].values


def _cells(
    known: xr.Dataset, name: str, domain: Domain
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the values, the cells and the weights of gridded observations."""
    seen = np.isfinite(known[name].values)
    places = domain.places(*np.nonzero(seen))[None]
    return known[name].values[seen], places, np.ones(places.shape)


def _points(
    tracks: xr.Dataset, name: str, known: xr.Dataset, domain: Domain
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the values, the four cells and their weights of points, and which points count."""
    points = find_points(tracks)
    values = points.flatten(tracks[name]).astype(float)
    axes = {
        "time": points.days,
        "latitude": points.latitude,
        "longitude": wrap_longitude(points.longitude, float(known["longitude"][0]) - 1e-6),
    }
    place = {
        dim: np.interp(at, known[dim].values, np.arange(known.sizes[dim]), np.nan, np.nan)
        for dim, at in axes.items()
        if dim != "time"
    }
    day = np.floor(points.days - float(known["time"][0]) + 0.5)
    inside = np.isfinite(values + place["latitude"] + place["longitude"])
    inside &= (day >= 0) & (day < known.sizes["time"])
    row, column = (place[dim][inside] for dim in DIMS[1:])
    south = np.minimum(row.astype(int), known.sizes["latitude"] - 2)
    west = np.minimum(column.astype(int), known.sizes["longitude"] - 2)
    sea = known["sea"].values
    corners = []
    for up, right in itertools.product((0, 1), (0, 1)):
        weight = np.abs(1 - up - (row - south)) * np.abs(1 - right - (column - west))
        corners.append((south + up, west + right, weight * sea[south + up, west + right]))
    total = sum(weight for _, _, weight in corners)
    at_sea = total > 0
    places = [domain.places(day[inside].astype(int), r, c)[at_sea] for r, c, _ in corners]
    weights = [(weight / np.where(at_sea, total, 1))[at_sea] for _, _, weight in corners]
    inside[np.flatnonzero(inside)[~at_sea]] = False
    return values[inside], np.stack(places), np.stack(weights), inside


def _errors(noise: float | np.ndarray | xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Return the standard deviations of the errors, of the shape of `like`."""
    if np.ndim(noise) and np.shape(noise) != like.shape:
        raise InvalidInputError(
            f"noise has the shape {np.shape(noise)} and the observations {like.shape}; give one "
            "number, or one for each observation."
        )
    errors = xr.zeros_like(like, dtype=float) + noise
    wrong = ~(np.isfinite(errors) & (errors > 0)) & like.notnull()
    if wrong.any():
        raise InvalidInputError(
            f"noise has {int(wrong.sum())} value(s) that are not positive and finite; it is a "
            "standard deviation."
        )
    return errors


def _template(grid: xr.Dataset, name: str, units: str) -> xr.Dataset:
    """Return a field of zeros on a grid of which coordinates suffice."""
    axes = find_grid(grid).axes.dims
    zeros = xr.DataArray(
        np.zeros([grid.sizes[dim] for dim in axes], np.float32),
        {dim: grid[dim] for dim in axes} | ({"sea": grid["sea"]} if "sea" in grid.coords else {}),
        axes,
        attrs={"units": units},
    )
    return zeros.to_dataset(name=name)


def _labelled(values: np.ndarray, template: xr.DataArray, name: str) -> xr.DataArray:
    """Return fields (..., time, latitude, longitude) in the order and with the labels of a grid."""
    grid = find_grid(template)
    extra = ["member"] * (values.ndim - len(DIMS))
    array = xr.DataArray(values, dims=[*extra, *grid.axes.dims], name=name)
    order = {
        grid.axes.latitude: np.argsort(grid.latitude_order),
        grid.axes.longitude: np.argsort(grid.longitude_order),
    }
    array = array.isel(order).transpose(*extra, *template.dims).assign_coords(template.coords)
    return array.assign_attrs(template.attrs)


def _finite(value: float, name: str, units: str) -> float:
    if not np.isfinite(value):
        raise InvalidInputError(f"{name}={value!r} is not finite; give a number in {units}.")
    return float(value)
