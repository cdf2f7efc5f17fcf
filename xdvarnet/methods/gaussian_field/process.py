"""The parameters of a Gaussian field, and the field on the days and cells of a domain."""

from collections.abc import Callable, Mapping
from typing import Self

import numpy as np
import torch
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import (
    check_history,
    check_known,
    check_regular,
    check_times,
    check_units,
    describe_noise,
    quantity,
    read_noise,
)
from xdvarnet.grids.plausible import warn_of_noise
from xdvarnet.mapping.background import Background, ObservedBackground, check_background
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.methods.gaussian_field.domain import (
    Domain,
    Margin,
    extend,
    extended_mesh,
    find_margin,
)
from xdvarnet.methods.gaussian_field.engine import ENGINES, choose_engine, limit_in_bytes
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
from xdvarnet.spde.cost import Cost, FieldSize
from xdvarnet.spde.field import Prior
from xdvarnet.spde.mesh import Mesh

MARGIN = 2.0
"""Width of the margin around a domain, in correlation lengths."""

LEAST_STEPS = 2
"""Steps of the grid in a correlation length, below which a warning is given."""

SECONDS = 86400.0
"""In a day."""

Costs = Callable[[FieldSize], Mapping[str, Cost]]
"""What a computation takes by each engine."""


class GaussianField(Reconstructor):
    """A Gaussian field with its parameters, which `SPDEField` describes: its base class."""

    gives_std = True

    def __init__(
        self,
        *,
        correlation_length: str | float | xr.DataArray,
        correlation_time: str | float | xr.DataArray,
        std: str | float | xr.DataArray,
        noise: str | float | None = None,
        variable: str = "ssh",
        units: str = "m",
        anisotropy: float | xr.DataArray = 1.0,
        angle: float | xr.DataArray = 0.0,
        advection: tuple[float | xr.DataArray, float | xr.DataArray] = (0.0, 0.0),
        background: Background | None = None,
        engine: str | None = None,
        memory: str | float | None = None,
        history: xr.Dataset | None = None,
    ) -> None:
        self.correlation_length = read_parameter(correlation_length, "correlation_length", "km")
        self.correlation_time = read_parameter(correlation_time, "correlation_time", "days")
        self.variables = {variable: check_units(units)}
        self.std = read_parameter(std, "std", units)
        self.noise = None if noise is None else _read_noise(noise, variable, units)
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
        self.memory = None if memory is None else quantity(memory, "GB", "memory")
        self.history = check_history(history)
        self.background = (
            ObservedBackground() if background is None else check_background(background)
        )

    @property
    def variable(self) -> str:
        """Name of the field."""
        return next(iter(self.variables))

    @property
    def units(self) -> str:
        """Units of the field."""
        return self.variables[self.variable]

    @property
    def _parameters(self) -> tuple[Parameter, ...]:
        """All that may be maps."""
        lengths = (self.correlation_length, self.correlation_time)
        return (*lengths, self.std, self.anisotropy, self.angle, *self.advection)

    def __repr__(self) -> str:
        described = {
            name: describe_parameter(getattr(self, name)) for name in ("std", "anisotropy", "angle")
        }
        noise = None if self.noise is None else describe_noise(self.noise)
        length, time = map(describe_parameter, (self.correlation_length, self.correlation_time))
        advection = ", ".join(map(describe_parameter, self.advection))
        return (
            f"{type(self).__name__}(correlation_length='{length} km', "
            f"correlation_time='{time} days', "
            f"std={described['std']}, noise={noise}, variable={self.variable!r}, "
            f"units={self.units!r}, anisotropy={described['anisotropy']}, "
            f"angle={described['angle']}, advection=({advection}), "
            f"background={self.background!r}, engine={self.engine!r}, memory={self.memory})"
        )

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
    ) -> Self:
        """Return the same field with another background.

        Raises
        ------
        InvalidInputError
            If a device, a precision or a stride is given: it runs on the CPU, in float64.
        """
        super().with_options(device=device, precision=precision, stride=stride)
        return self.replace(background=self.background if background is None else background)

    @property
    def error_variables(self) -> Mapping[str, str]:
        """The variable that `noise` names, if it does."""
        return {self.noise: self.variable} if isinstance(self.noise, str) else {}

    def known_noise(self) -> str | float:
        """Return the standard deviation of the noise, or its name, or say that there is none."""
        if self.noise is None:
            raise InvalidInputError(
                f"this field has no noise, and observations have; give their standard deviation in "
                f"{self.units}: SPDEField(..., noise=0.02), or noise= of "
                "`condition`."
            )
        return self.noise

    def check_values(self, observations: Observations) -> None:
        """Warn of a noise that is larger than the anomalies."""
        if isinstance(self.noise, float):
            values = observations.values[self.variable]
            warn_of_noise(self.noise, values, self.variable, self.units)

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
            If the days are not one apart, or it takes more memory than it may.

        Warns
        -----
        XdvarnetWarning
            If it takes more than 2 GB and ``memory`` sets no limit, with size and time.
        """
        values = observations.values[self.variable]
        seen = np.isfinite(values) & observations.sea
        domain = self._domain(
            observations.days,
            *observations.place,
            observations.sea,
            posterior_costs(members, int(seen.sum())),
        )
        if not seen.any():
            warn("no observation; the result is the prior.")
        places = domain.places(*np.nonzero(seen))[None]
        noise = observations.noise_of(self.variable, self.known_noise())[seen]
        posterior = domain.condition(places, np.ones(places.shape), values[seen], noise)
        mean, std, drawn = domain.describe(posterior, members, rng)
        name = self.variable
        return Analysis({name: mean}, {name: std}, {} if drawn is None else {name: drawn})

    def _domain(
        self,
        days: np.ndarray,
        latitude: np.ndarray,
        longitude: np.ndarray,
        sea: np.ndarray,
        costs: Costs,
    ) -> Domain:
        """Return the field on a domain, if what is to be done with it fits into memory."""
        if not sea.any():
            raise InvalidInputError(
                "the mask sea is False everywhere; there is nothing to map. It is True on sea."
            )
        check_times(days, "time", daily=True)
        check_regular(longitude, "longitude", "SPDEField")
        stretch = np.sqrt(np.maximum(np.max(self.anisotropy), 1 / np.min(self.anisotropy)))
        longest = float(np.max(self.correlation_length))
        width = MARGIN * 1e3 * longest * float(stretch)
        size = self._size(days.size, latitude, longitude, width)
        exact = choose_engine(size, costs(size), self.engine, self.memory) == "exact"
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

    def _size(
        self, times: int, latitude: np.ndarray, longitude: np.ndarray, width: float
    ) -> FieldSize:
        """Return the size of the field, and refuse one of which not even a day fits."""
        margin = find_margin(latitude, longitude, width)
        domain = (latitude.size, longitude.size)
        shape = (
            domain[0] + margin.south + margin.north,
            domain[1] + margin.west + margin.east,
        )
        of_equation = (self.correlation_length, self.correlation_time, self.anisotropy, self.angle)
        changes = any(
            isinstance(each, xr.DataArray) and each.sizes.get("time", 1) > 1
            for each in (*of_equation, *self.advection)
        )
        moves = any(bool(np.any(velocity != 0)) for velocity in self.advection)
        size = FieldSize(
            times, *shape, times if changes else 1, not (changes or moves), margin.ring
        )
        limit, one_day = limit_in_bytes(self.memory), size.one_time.memory
        if one_day > limit:
            raise InvalidInputError(
                f"the correlation length of {float(np.max(self.correlation_length)):.3g} km asks "
                f"for a margin of {max(margin.south, margin.north)} x "
                f"{max(margin.west, margin.east)} cells on each side of the domain of "
                f"{domain[0]} x {domain[1]} cells, and the factor of one day of {shape[0]} x "
                f"{shape[1]} cells takes {one_day / 1e9:.3g} GB, and the limit is "
                f"{limit / 1e9:.3g} GB; use a shorter correlation length, a coarser grid or a "
                "smaller domain."
            )
        return size

    def _warn_of_scales(self, shortest: float, longest: float, mesh: Mesh, margin: Margin) -> None:
        """Warn of correlation lengths, in km, that the grid or the domain does not hold."""
        step = float(max(mesh.east_distance.max(), mesh.north_distance.max())) / 1e3
        if shortest < LEAST_STEPS * step:
            warn(
                f"the correlation length of {shortest:.3g} km is shorter than two steps of the "
                f"grid, of {step:.3g} km: the field is nearly noise, and its covariance that of "
                "the grid. Use a finer grid or a longer correlation length."
            )
        rows, columns = (
            size - sum(counts) for size, counts in zip(mesh.shape, margin.widths, strict=True)
        )
        height = float(mesh.north_distance.mean()) * rows / 1e3
        width = float(mesh.east_distance.mean()) * columns / 1e3
        if longest > max(height, width):
            warn(
                f"the correlation length of {longest:.3g} km is longer than the domain, of "
                f"{height:.3g} by {width:.3g} km: the field is nearly constant in it, and the "
                f"margin makes {mesh.shape[0]} x {mesh.shape[1]} cells of {rows} x {columns}. Use "
                "a larger domain, a shorter correlation length, or a background."
            )


def _read_noise(noise: str | float | xr.DataArray, variable: str, units: str) -> str | float:
    if isinstance(noise, str):
        return read_noise(noise, variable, units)
    return read_number(noise, "noise", units)


def posterior_costs(members: int | None, observations: int) -> Costs:
    """Return what a posterior takes by each engine, of a field of any size."""

    def costs(size: FieldSize) -> dict[str, Cost]:
        exact, iterative = size.exact(members or 0), size.iterative(members or 0, observations)
        return dict(zip(ENGINES, (exact, iterative), strict=True))

    return costs


def sample_costs(members: int) -> Costs:
    """Return what samples of the prior take by each engine, of a field of any size."""

    def costs(size: FieldSize) -> dict[str, Cost]:
        both = (size.samples(members, exact=exact) for exact in (True, False))
        return dict(zip(ENGINES, both, strict=True))

    return costs
