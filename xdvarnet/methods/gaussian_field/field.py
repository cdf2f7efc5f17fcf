"""A Gaussian field that solves a stochastic equation: samples, and exact posteriors."""

import logging
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
    check_known,
    check_members,
    check_regular,
    check_times,
    check_units,
    check_variable,
    units_factor,
)
from xdvarnet.grids.coords import find_grid
from xdvarnet.grids.history import add_history
from xdvarnet.grids.internal import DIMS, to_internal
from xdvarnet.grids.labels import field_attributes, model_attributes
from xdvarnet.grids.points import find_points
from xdvarnet.mapping.background import Background, ObservedBackground, check_background
from xdvarnet.mapping.protocol import Analysis, Observations, Reconstructor
from xdvarnet.methods.gaussian_field.domain import Domain, extend, extended_mesh, margin_cells
from xdvarnet.methods.gaussian_field.observations import (
    empty_map,
    error_std,
    gridded_cells,
    label_map,
    map_of_tracks,
    observed_at_sea,
    track_cells,
)
from xdvarnet.methods.gaussian_field.parameters import (
    Parameter,
    axis_on_grid,
    describe_parameter,
    on_grid,
    read_number,
    read_parameter,
    warn_if_apart,
)
from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.field import (
    Posterior,
    Prior,
    check_exact_memory,
    exact_memory,
    fits_exactly,
)
from xdvarnet.spde.iterative import IterativePosterior
from xdvarnet.spde.mesh import Mesh

logger = logging.getLogger("xdvarnet")

FIRST_STEP = 1.5
"""Factor on each parameter in the first simplex of `SPDEField.fit`."""

MARGIN = 2.0
"""Width of the margin around a domain, in correlation lengths."""

LEAST_STEPS = 2
"""Steps of the grid in a correlation length, below which a warning is given."""

SECONDS = 86400.0
"""In a day."""

ENGINES = ("exact", "iterative")
"""Ways to condition a field."""

FITTED = ("correlation_length", "correlation_time", "std", "noise")
"""Parameters that `SPDEField.fit` seeks."""


class SPDEField(Reconstructor):
    r"""A Gaussian field with a physical covariance, and kriging with it.

    The field is the stationary solution of

    .. math:: \partial_t v + (r S + m \cdot \nabla) v = \text{noise}, \qquad S x = v, \qquad
        S = \kappa^2 - \nabla \cdot H \nabla

    with no flux through coasts, so land separates what it separates in nature. Without
    propagation its correlation at lag zero is Matérn of smoothness 2. As a reconstructor it gives
    the posterior mean, standard deviation and members of the whole domain at once: kriging.

    Parameters of the field may be maps: a DataArray with latitude, longitude and perhaps time, in
    the units given here or in those of its attribute ``units``. They are interpolated linearly,
    and continued beyond their edges.

    Parameters
    ----------
    correlation_length : str, float or xarray.DataArray
        e-folding distance at lag zero, such as ``"150 km"``; a number is in km. Of an anisotropic
        field the geometric mean of those along and across its axis.
    correlation_time : str, float or xarray.DataArray
        e-folding time at one place, such as ``"10 days"``; a number is in days.
    std : float or xarray.DataArray
        Standard deviation of the field, in `units`.
    noise : float, optional
        Standard deviation of the error of an observation, in `units`: of one cell and day in
        `solve`, of one point in `condition`. Samples of the prior need none.
    variable, units : str
        What the field is, and the units of `std` and `noise`.
    anisotropy : float or xarray.DataArray
        Correlation length along the axis over that across it.
    angle : float or xarray.DataArray
        Direction of the axis in degrees, counterclockwise from east.
    advection : tuple of float or xarray.DataArray
        Eastward and northward velocity in m/s at which features propagate (centimetres per second,
        not the current). The scheme adds the diffusion ``|m| spacing / 2 + m^2 day / 2``.
    background : Background, optional
        Removed before and added after by `reconstruct`; by default `ObservedBackground()`.
    engine : str, optional
        How to condition: ``"exact"``, by a Cholesky factor, or ``"iterative"``, by conjugate
        gradients to a hundredth of the posterior standard deviation; the latter estimates the
        standard deviation from 100 draws or more, to 7 % or better. By default exact if the factor
        fits into half the memory of the machine; the logger ``xdvarnet`` says which.

    Raises
    ------
    InvalidInputError
        If a parameter is not positive, not finite, or of other units, with its place in a map.
    UnknownNameError
        If there is no such engine.

    Notes
    -----
    The standard deviation is exactly that asked for in every cell, also beside coasts, of a field
    that is stationary in time. Where parameters change in time or features propagate, it is so
    with the exact engine. With the iterative one, and in `sample` of a domain whose exact factor
    does not fit, it is that of the stationary field of each day: after five days of a propagation
    of 6 cm/s it was found within 1 % far from coasts and 6 % beside them, and 17 % too small where
    the correlation time doubled within these days.

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

    gives_std = True

    def __init__(
        self,
        *,
        correlation_length: str | float | xr.DataArray,
        correlation_time: str | float | xr.DataArray,
        std: float | xr.DataArray,
        noise: float | None = None,
        variable: str = "ssh",
        units: str = "m",
        anisotropy: float | xr.DataArray = 1.0,
        angle: float | xr.DataArray = 0.0,
        advection: tuple[float | xr.DataArray, float | xr.DataArray] = (0.0, 0.0),
        background: Background | None = None,
        engine: str | None = None,
    ) -> None:
        self.correlation_length = read_parameter(
            correlation_length, "correlation_length", "km", texts=True
        )
        self.correlation_time = read_parameter(
            correlation_time, "correlation_time", "days", texts=True
        )
        self.variables = {variable: check_units(units)}
        self.std = read_parameter(std, "std", units)
        self.noise = None if noise is None else read_number(noise, "noise", units)
        self.anisotropy = read_parameter(anisotropy, "anisotropy", "1")
        self.angle = read_parameter(angle, "angle", "degrees", positive=False)
        try:
            east, north = advection
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"advection={advection!r}; give an eastward and a northward velocity in m/s."
            ) from error
        self.advection = tuple(
            read_parameter(each, "advection", "m/s", positive=False) for each in (east, north)
        )
        if engine is not None:
            check_known(engine, ENGINES, "engine")
        self.engine = engine
        self.background = (
            ObservedBackground() if background is None else check_background(background)
        )

    @property
    def _variable(self) -> str:
        return next(iter(self.variables))

    @property
    def _parameters(self) -> tuple[Parameter, ...]:
        """All that may be maps."""
        lengths = (self.correlation_length, self.correlation_time)
        return (*lengths, self.std, self.anisotropy, self.angle, *self.advection)

    def __repr__(self) -> str:
        described = {
            name: describe_parameter(getattr(self, name)) for name in ("std", "anisotropy", "angle")
        }
        noise = None if self.noise is None else describe_parameter(self.noise)
        length, time = map(describe_parameter, (self.correlation_length, self.correlation_time))
        advection = ", ".join(map(describe_parameter, self.advection))
        return (
            f"SPDEField(correlation_length='{length} km', correlation_time='{time} days', "
            f"std={described['std']}, noise={noise}, variable={self._variable!r}, "
            f"units={self.variables[self._variable]!r}, anisotropy={described['anisotropy']}, "
            f"angle={described['angle']}, advection=({advection}), "
            f"background={self.background!r}, engine={self.engine!r})"
        )

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> "SPDEField":
        """Return the same field with another background.

        Raises
        ------
        InvalidInputError
            If a device or a precision is given: it runs on the CPU, in float64.
        """
        super().with_options(device=device, precision=precision)
        return self._replace(background=self.background if background is None else background)

    def _replace(self, **changes: object) -> "SPDEField":
        """Return another field, with some arguments of this one changed."""
        arguments = {
            "correlation_length": self.correlation_length,
            "correlation_time": self.correlation_time,
            "std": self.std,
            "noise": self.noise,
            "variable": self._variable,
            "units": self.variables[self._variable],
            "anisotropy": self.anisotropy,
            "angle": self.angle,
            "advection": self.advection,
            "background": self.background,
            "engine": self.engine,
        }
        return SPDEField(**{**arguments, **changes})

    def _known_noise(self) -> float:
        if self.noise is None:
            raise InvalidInputError(
                f"this field has no noise, and observations have; give their standard deviation in "
                f"{self.variables[self._variable]}: SPDEField(..., noise=0.02), or noise= of "
                "`condition`."
            )
        return self.noise

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
            If the days are not one apart, or the exact factor does not fit into memory.
        """
        domain = self._domain(
            observations.days, observations.latitude, observations.longitude, observations.sea
        )
        values = observations.values[self._variable]
        seen = np.isfinite(values) & observations.sea
        if not seen.any():
            warn("no observation; the result is the prior.")
        places = domain.places(*np.nonzero(seen))[None]
        noise = np.full(places.shape[1], self._known_noise())
        posterior = domain.condition(places, np.ones(places.shape), values[seen], noise)
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
            If an axis is missing, the days are not one apart, there is no sea, or the factors do
            not fit into memory.
        """
        check_dataset(grid)
        check_counts({"members": members})
        units = {"units": self.variables[self._variable]}
        template = empty_map(grid, self._variable, units)
        known = to_internal(template, self.variables)
        domain = self._domain(*(known[dim].values for dim in DIMS), known["sea"].values)
        drawn = domain.sample(members, default_rng(rng))
        drawn[:, :, ~known["sea"].values] = np.nan
        array = label_map(drawn, template[self._variable], self._variable)
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
            Longitude, latitude and ``sea`` of the result, for tracks. Where it has days, they are
            those of the result, and points of other days are left out; else the days are those of
            the tracks.
        noise : float or array, optional
            Standard deviation of the error in the units of the field, one for all or one for each
            observation: an array of the shape of the variable, or a DataArray with its dimensions
            in any order, in the units of its attribute ``units``. By default that of the field.
        members : int, optional
            Number of members, at least 2.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the members.
        return_members : bool
            Whether to return them.

        Returns
        -------
        xarray.Dataset
            The variable (posterior mean), ``<variable>_std``, and ``<variable>_members``, labelled
            as `reconstruct` does.

        Raises
        ------
        InvalidTypeError, UnknownNameError
            If this is no Dataset, or lacks the variable; if `noise` is no number and no array.
        InvalidInputError
            If axes or days are not as they must be, a noise is not positive or of another shape,
            `members` is no number of at least 2, or the factors do not fit into memory.

        Warns
        -----
        XdvarnetWarning
            If there is no observation.
        """
        check_members(members, return_members)
        domain, posterior, template, sea = self._posterior(observations, grid, noise)
        mean, std, drawn = domain.describe(posterior, members, default_rng(rng))
        name = self._variable
        fields = {"mean": mean, "std": std}
        if return_members and drawn is not None:
            fields["members"] = drawn
        factor = units_factor(template, self.variables[name])
        result = xr.Dataset(attrs=model_attributes(observations.attrs, "condition", self))
        for kind, values in fields.items():
            array = label_map(np.where(sea, values / factor, np.nan), template, name)
            array.attrs = field_attributes(template, name, kind, self.variables[name])
            result[name if kind == "mean" else f"{name}_{kind}"] = array
        result[name].attrs["ancillary_variables"] = f"{name}_std"
        result[name].attrs.pop("cell_methods", None)  # of averages in cells, which these are not
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

        Raises
        ------
        InvalidInputError
            As `condition` does; if there is no observation; if the engine is the iterative one,
            which has no determinant.
        """
        _, posterior, _, _ = self._posterior(observations, grid, noise, required=True)
        if isinstance(posterior, IterativePosterior):
            raise InvalidInputError(
                "the likelihood needs the exact engine, and this is the iterative one; take a "
                "smaller or coarser domain, or engine='exact' where memory is large enough."
            )
        return float(posterior.log_likelihood())

    def fit(
        self, observations: xr.Dataset, grid: xr.Dataset | None = None, *, trials: int = 100
    ) -> "SPDEField":
        """Return the field of greatest likelihood, found by a simplex search from this one.

        The correlation length and time, the standard deviation and the noise are sought; direction,
        anisotropy and advection stay as they are.

        Parameters
        ----------
        observations, grid
            As in `condition`.
        trials : int
            Most evaluations of the likelihood.

        Returns
        -------
        SPDEField
            With other parameters.

        Raises
        ------
        InvalidInputError
            As `log_likelihood` does; if `trials` is no positive number; if one of the parameters
            that are sought is a map, or the noise is not there to start from.
        """
        check_counts({"trials": trials})
        self._known_noise()
        maps = [name for name in FITTED if isinstance(getattr(self, name), xr.DataArray)]
        if maps:
            raise InvalidInputError(
                f"{', '.join(maps)}: a map is not fitted; start from a field of numbers."
            )

        def field(logarithms: np.ndarray) -> SPDEField:
            return self._replace(**dict(zip(FITTED, np.exp(logarithms).tolist(), strict=True)))

        start = np.log([getattr(self, name) for name in FITTED])
        simplex = np.vstack([start, start + np.log(FIRST_STEP) * np.eye(len(FITTED))])
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
        if not sea.any():
            raise InvalidInputError(
                "the mask sea is False everywhere; there is nothing to map. It is True on sea."
            )
        check_times(days, "time", daily=True)
        for name, axis in (("latitude", latitude), ("longitude", longitude)):
            check_regular(axis, name, "SPDEField")
        stretch = np.sqrt(np.maximum(np.max(self.anisotropy), 1 / np.min(self.anisotropy)))
        longest = float(np.max(self.correlation_length))
        width = MARGIN * 1e3 * longest * float(stretch)
        exact = self._is_exact(days.size, latitude, longitude, width)
        mesh, margin = extended_mesh(latitude, longitude, sea, width)
        place = (days, latitude, longitude)
        for parameter in self._parameters:
            warn_if_apart(parameter, *place)

        def field(parameter: Parameter) -> torch.Tensor:
            return extend(on_grid(parameter, *place), margin)

        length, anisotropy = field(self.correlation_length), field(self.anisotropy)
        shortest = (length / torch.maximum(anisotropy, 1 / anisotropy).sqrt()).min()
        self._warn_of_scales(float(shortest), longest, mesh, margin)
        east, north = (SECONDS * field(velocity) for velocity in self.advection)
        std = field(self.std)
        chain = matern_chain(
            mesh,
            days.size,
            length=1e3 * length,
            time=field(self.correlation_time),
            std=std,
            anisotropy=anisotropy,
            angle=extend(axis_on_grid(self.angle, *place), margin),
            propagation=(east, north),
        )
        prior = Prior(chain).normalise(std) if exact else Prior(chain.normalise(std))
        return Domain(prior, (days.size, latitude.size, longitude.size), margin, exact)

    def _is_exact(
        self, times: int, latitude: np.ndarray, longitude: np.ndarray, width: float
    ) -> bool:
        """Choose the engine, and refuse what does not fit into memory, before any work."""
        size = (latitude.size, longitude.size)
        rows, columns = margin_cells(latitude, longitude, width)
        shape = (size[0] + 2 * rows, size[1] + 2 * columns)
        if not fits_exactly(1, *shape):
            raise InvalidInputError(
                f"the correlation length of {float(np.max(self.correlation_length)):.3g} km asks "
                f"for a margin of {rows} x {columns} cells on each side of the domain of "
                f"{size[0]} x {size[1]} cells, and the factor of one day of {shape[0]} x "
                f"{shape[1]} cells takes {exact_memory(1, *shape) / 1e9:.3g} GB, more than half "
                "the memory of the machine; use a shorter correlation length, a coarser grid or a "
                "smaller domain."
            )
        if self.engine == "exact":
            check_exact_memory(times, *shape)
        exact = fits_exactly(times, *shape) if self.engine is None else self.engine == "exact"
        logger.info(
            "engine=%r for %d x %d x %d cells, of which the exact factor takes %.3g GB",
            ENGINES[0] if exact else ENGINES[1],
            times,
            *shape,
            exact_memory(times, *shape) / 1e9,
        )
        return exact

    def _warn_of_scales(
        self, shortest: float, longest: float, mesh: Mesh, margin: tuple[int, int]
    ) -> None:
        """Warn of correlation lengths, in km, that the grid or the domain does not hold."""
        step = float(max(mesh.east_distance.max(), mesh.north_distance.max())) / 1e3
        if shortest < LEAST_STEPS * step:
            warn(
                f"the correlation length of {shortest:.3g} km is shorter than two steps of the "
                f"grid, of {step:.3g} km: the field is nearly noise, and its covariance that of "
                "the grid. Use a finer grid or a longer correlation length."
            )
        rows, columns = (size - 2 * count for size, count in zip(mesh.shape, margin, strict=True))
        height = float(mesh.north_distance.mean()) * rows / 1e3
        width = float(mesh.east_distance.mean()) * columns / 1e3
        if longest > max(height, width):
            warn(
                f"the correlation length of {longest:.3g} km is longer than the domain, of "
                f"{height:.3g} by {width:.3g} km: the field is nearly constant in it, and the "
                f"margin makes {mesh.shape[0]} x {mesh.shape[1]} cells of {rows} x {columns}. Use "
                "a larger domain, a shorter correlation length, or a background."
            )

    def _posterior(
        self,
        observations: xr.Dataset,
        grid: xr.Dataset | None,
        noise: float | np.ndarray | xr.DataArray | None,
        *,
        required: bool = False,
    ) -> tuple[Domain, Posterior | IterativePosterior, xr.DataArray, np.ndarray]:
        """Return the domain, the posterior, a field like the result, and the mask of the sea.

        Where there must be observations (`required`), none is an error, else the prior.
        """
        check_dataset(observations)
        name = self._variable
        check_variable(observations, name)
        noise = self._known_noise() if noise is None else noise
        errors = error_std(noise, observations[name], self.variables[name])
        on_grid = observations if grid is None else map_of_tracks(observations[[name]], grid, name)
        known = to_internal(on_grid, self.variables)
        domain = self._domain(*(known[dim].values for dim in DIMS), known["sea"].values)
        if grid is None:
            values, places, weights = gridded_cells(known, name, domain)
            arranged = find_grid(on_grid).arrange(errors).values
            errors = arranged[observed_at_sea(known, name)]
        else:
            factor = units_factor(observations[name], self.variables[name])
            values, places, weights, inside = track_cells(observations, name, known, domain)
            values = factor * values
            errors = find_points(observations).flatten(errors)[inside]
        if required and not values.size:
            raise InvalidInputError(
                f"{name!r} has no observation at sea on these days: there is nothing to learn "
                "from. Check the region, the period and the mask."
            )
        if not values.size:
            warn("no observation; the result is the prior.")
        posterior = domain.condition(places, weights, values, errors)
        return domain, posterior, on_grid[name], known["sea"].values
