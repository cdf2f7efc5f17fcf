"""A network of one sea on another: in the units of an interpolation that was fitted to it."""

import logging
from dataclasses import replace
from numbers import Real

import numpy as np
import xarray as xr

from xdvarnet._progress import show_progress
from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_kind
from xdvarnet.grids.coords import Grid
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.holding import Holding
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor, no_members
from xdvarnet.methods.optimal_interpolation.interpolation import OptimalInterpolation
from xdvarnet.networks.dvarnet import DVarNet
from xdvarnet.networks.training_grid import DEGREE, TrainingGrid
from xdvarnet.networks.weight import weight_on_withheld_passes
from xdvarnet.networks.work_grid import WorkGrid

logger = logging.getLogger("xdvarnet")

NEAR_EQUATOR = 5.0
"""Degrees of latitude from the equator within which a warning is given."""

NOISY = 0.5
"""Noise over the standard deviation of the signal from which on a warning is given."""


class Scaled(Holding):
    """A network that maps a sea on which it was not trained.

    An optimal interpolation that was fitted to the sea tells its length, its time and its local
    standard deviation. In these units the sea is brought to a work grid, on which a correlation
    length has as many cells, and a correlation time as many steps, as in the training. A record
    that is shorter than the correlation time has these steps itself. On the work grid the network
    starts from the interpolation. The map is that of the interpolation on the own grid,
    plus the change that the network makes, times a weight:

    ``map = OI + weight x (network - OI on the work grid)``

    `fit` finds the weight on withheld passes, so that a network that does not suit a sea does
    little harm. The standard deviation is the formal one of the interpolation;
    `xdvarnet.calibrate` makes it that of the map.

    Parameters
    ----------
    network : DVarNet
        Of one variable, trained with an `OptimalInterpolation` as its first guess, such as
        ``load_model("ssh-any")``.
    interpolation : OptimalInterpolation
        Fitted to the sea.
    weight : float
        From 0, the interpolation alone, to 1.

    Raises
    ------
    InvalidTypeError
        If network or interpolation are of another kind.
    InvalidInputError
        If the network has several variables, another first guess or was not trained, or the weight
        is not from 0 to 1.

    Notes
    -----
    Cells of the work grid are as wide as high at the mean latitude of the domain alone, so a
    domain should not span more than some 20 degrees of latitude, and a globe is refused. The grid
    reaches beyond the domain until whole windows fit; cells and days there are filled by the
    interpolation, and so is land: to the network it is sea that nobody observes, whatever coasts it
    was trained with. South of the equator eddies of a high turn the other way: a network that was
    trained north of it sees these heights upside down.

    Examples
    --------
    >>> import xdvarnet
    >>> truth = xdvarnet.datasets.mediterranean().isel(time=slice(12), lon=slice(60, 160))
    >>> obs = xdvarnet.observe(truth, ["jason1", "envisat"], noise=0.02, rng=0)
    >>> oi = xdvarnet.OptimalInterpolation(
    ...     "ssh", correlation_length="68 km", correlation_time="13 days", noise=0.0135
    ... )
    >>> model = xdvarnet.networks.Scaled(xdvarnet.load_model("ssh-any"), oi, weight=0.5)
    >>> maps = obs.dvarnet.reconstruct(model)
    """

    gives_std = True

    def __init__(
        self, network: DVarNet, interpolation: OptimalInterpolation, *, weight: float = 1.0
    ) -> None:
        guess, grid = _check_parts(network, interpolation, weight)
        self.network, self.interpolation, self.weight = network, interpolation, float(weight)
        self.variables = interpolation.variables
        self.background = interpolation.background
        self._training_grid = grid
        self._spacing = (
            grid.spacing[0] * DEGREE * interpolation.correlation_length / guess.correlation_length
        )
        self._steps_in_time = guess.correlation_time  # its days are the steps of its training

    def __repr__(self) -> str:
        return f"Scaled({self.network!r}, {self.interpolation!r}, weight={self.weight:.3g})"

    @classmethod
    def fit(
        cls,
        network: DVarNet,
        tracks: xr.Dataset,
        grid: xr.Dataset,
        *,
        interpolation: OptimalInterpolation | None = None,
        rng: RandomState = 0,
        progress: bool = False,
    ) -> "Scaled":
        """Return the network for the sea of some tracks.

        The passes are withheld in four parts in turn. The best weight is that with which the change
        of the network predicts what the interpolation of the others leaves: the slope of a
        regression through zero. What is taken is this slope less its standard error, which the four
        parts tell, kept between 0 and 1: few passes do not tell a weight well, and too large a
        weight does harm where too small a one only gains less.

        Parameters
        ----------
        network : DVarNet
            As above.
        tracks : xarray.Dataset
            Harmonised points of nadir altimeters.
        grid : xarray.Dataset
            Longitude, latitude and ``sea`` of the maps.
        interpolation : OptimalInterpolation, optional
            By default ``OptimalInterpolation.fit(tracks, grid)``, of the variable of the network.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Draws the parts.
        progress : bool
            Whether to show a bar over the trials of the interpolation, and one over the parts.

        Raises
        ------
        InvalidInputError
            If these are no tracks, or have fewer than eight passes: give an interpolation and a
            weight then, ``Scaled(network, interpolation, weight=0.5)``.

        Warns
        -----
        XdvarnetWarning
            If the weight is 0, because the slope is not above its standard error: the maps are
            those of the interpolation.
        """
        if interpolation is None:
            (variable,) = network.variables
            interpolation = OptimalInterpolation.fit(
                tracks, grid, variable=variable, rng=rng, progress=progress
            )
        whole = cls(network, interpolation)
        with show_progress(progress):
            slope, error = weight_on_withheld_passes(
                whole.change, interpolation, tracks, grid, default_rng(rng)
            )
        logger.info("weight of the network: %.2f, with a standard error of %.2f", slope, error)
        weight = float(np.clip(slope - error, 0, 1))
        if weight == 0:
            warn(
                "the network does not surely help on withheld passes of this sea: its weight is "
                f"{slope:.2f}, with a standard error of {error:.2f}. It is set to 0, and the maps "
                "are those of the interpolation. More weeks of tracks may change it."
            )
        return cls(network, interpolation, weight=weight)

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
    ) -> "Scaled":
        """Return the same with other options of its parts; None keeps an option.

        Parameters
        ----------
        background : Background, optional
            Of the interpolation.
        device, precision : str, optional
            Where the network runs and the interpolation is solved, and how the network runs.
        stride : int, optional
            Days from one window of the network to the next.
        """
        network = self.network.with_options(device=device, precision=precision, stride=stride)
        interpolation = self.interpolation.with_options(background=background, device=device)
        return self.replace(network=network, interpolation=interpolation)

    def attributes(self, members: int | None) -> dict[str, str | int]:
        """Return the units of the sea and the weight."""
        oi = self.interpolation
        found = "given" if oi.history is None else "fitted to observations"
        noise = oi.noise if isinstance(oi.noise, str) else f"{oi.noise:.3g} {oi.units}"
        std = "of each place" if oi.std is None else f"{oi.std:.3g} {oi.units}"
        return {
            **super().attributes(members),
            "xdvarnet_scaled": (
                f"correlation length {oi.correlation_length:.3g} km, time "
                f"{oi.correlation_time:.3g} days, noise {noise}, "
                f"standard deviation {std}, {found}; weight of the network {self.weight:.3g}"
            ),
        }

    @property
    def held(self) -> list[Reconstructor]:
        """The interpolation; the network never solves a first guess of its own."""
        return [self.interpolation]

    @property
    def halo(self) -> float:
        """Days of the interpolation and, where the network counts, those of a window."""
        of_window = self.network.window.time * self._longest_step if self.weight else 0.0
        return of_window + self.interpolation.halo

    def check(self, grid: Grid) -> None:
        """Refuse a globe, and warn of a region that is small or close to the equator.

        Raises
        ------
        InvalidInputError
            If longitudes go around the globe.
        """
        self.interpolation.check(grid)
        if grid.is_ring:
            raise InvalidInputError(
                "a network on another sea is made for a basin, whose lengths are much alike, and "
                "this grid is a globe; take a region with dataset.sel(...), or the interpolation."
            )
        if self.weight:
            _warn_of_region(grid, self._spacing, self.network.window)

    def check_values(self, observations: Observations) -> None:
        """Warn as the interpolation does, and of a sea of which the network sees too little."""
        self.interpolation.check_values(observations)
        if self.weight:
            _warn_of_record(self.interpolation, observations)

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Interpolate, and add what the network changes.

        Raises
        ------
        InvalidInputError
            If members are asked for: it has them once calibrated.
        """
        if members is not None:
            raise no_members(self)
        analysis = self.interpolation.solve(observations)
        if self.weight == 0:
            return analysis
        name = self.interpolation.variable
        mean = analysis.mean[name] + self.weight * self.change(observations)
        return replace(analysis, mean={name: mean.astype(np.float32)})

    @property
    def _longest_step(self) -> float:
        """Days of a step, where the record is not shorter than the correlation time."""
        return self.interpolation.correlation_time / self._steps_in_time

    def _step(self, observations: Observations) -> float:
        """Return the days of a step: of a shorter record, the network would see but a few."""
        return min(self._longest_step, _length(observations) / self._steps_in_time)

    def change(self, observations: Observations) -> np.ndarray:
        """Return what the network adds to the interpolation, shape (time, latitude, longitude)."""
        (name,) = self.network.variables
        grid, unit, domain = self.standardize(observations)
        assert domain.first_guess is not None
        change = self.network.solve(domain).mean[name] - domain.first_guess.mean[name]
        return grid.sample(change * unit, observations)

    def standardize(self, observations: Observations) -> tuple[WorkGrid, np.ndarray, Observations]:
        """Return what the network sees of anomalies.

        Returns
        -------
        grid : WorkGrid
            That of the network.
        unit : numpy.ndarray
            Heights for one unit of the network, shape (row, column): negative where eddies turn
            the other way than in its training, because the sea is in the other hemisphere.
        domain : Observations
            In these units, with the first guess.
        """
        name, (own_name,) = self.interpolation.variable, self.network.variables
        margin = self.interpolation.node_days
        grid = WorkGrid.over(
            observations,
            self._spacing,
            self._step(observations),
            self.network.window,
            margin=margin,
        )
        guess, prior = self.interpolation.analyse_at(
            observations, grid.days, grid.latitude, grid.longitude
        )
        trained = np.mean(self._training_grid.latitudes)
        turn = 1 if _is_southern(trained) == _is_southern(np.mean(observations.place[0])) else -1
        unit = (turn * prior / self.network.scaling.std[own_name]).astype(np.float32)
        steps, rows, columns = map(np.arange, grid.shape)
        north, east = self._training_grid.spacing
        domain = Observations(
            {own_name: grid.bin(observations, observations.values[name]) / unit},
            grid.offset + steps.astype(float),
            trained + north * (rows - rows.size / 2),
            east * columns,
            np.ones(grid.shape[1:], bool),
            first_guess=Analysis(
                {own_name: guess.mean[name] / unit}, {own_name: guess.std[name] / abs(unit)}
            ),
            wanted=grid.wanted,
            offset=grid.offset,
            record=grid.record,
        )
        return grid, unit, domain


def _length(observations: Observations) -> float:
    """Return the days of the record."""
    first, last = observations.period
    return last - first + 1


def _check_parts(
    network: DVarNet, interpolation: OptimalInterpolation, weight: float
) -> tuple[OptimalInterpolation, TrainingGrid]:
    """Return the first guess and the grid of the training, in whose units a network sees a sea."""
    hint = "a DVarNet such as load_model('ssh-any'); of a calibrated model, its model.model"
    check_kind(isinstance(network, DVarNet), "network", network, hint)
    check_kind(
        isinstance(interpolation, OptimalInterpolation),
        "interpolation",
        interpolation,
        "OptimalInterpolation.fit(tracks, grid)",
    )
    guess, grid = network.first_guess, network.training_grid
    if grid is None:
        raise InvalidInputError(
            "the network was not trained; call fit, or give one such as load_model('ssh-any')."
        )
    if not isinstance(guess, OptimalInterpolation) or len(network.variables) > 1:
        raise InvalidInputError(
            "the network does not say in which units it sees a sea: it takes one of one "
            "variable with an OptimalInterpolation as its first guess, such as "
            "load_model('ssh-any')."
        )
    check_kind(isinstance(weight, Real), "weight", weight, "a number from 0 to 1")
    if not 0 <= weight <= 1:
        raise InvalidInputError(f"weight={weight!r} is not accepted; give one from 0 to 1.")
    return guess, grid


def _warn_of_record(oi: OptimalInterpolation, observations: Observations) -> None:
    """Warn of much noise, and of days that are few beside the correlation time."""
    std = float(np.median(oi.scale(observations).prior))
    if isinstance(oi.noise, float) and oi.noise > NOISY * std:
        warn(
            f"the noise of {oi.noise:.3g} is more than half of the signal's standard deviation "
            f"of {std:.3g}; expect little of a network."
        )
    days = _length(observations)
    if days < oi.correlation_time:
        warn(
            f"the record has {days:g} days, and the correlation time is "
            f"{oi.correlation_time:.3g}: to the network it is as long as the record. More days are "
            "better."
        )


def _warn_of_region(grid: Grid, spacing: float, window: Window) -> None:
    """Warn of a region close to the equator, or smaller than a window, in cells of so many km."""
    south, north = grid.latitude[0], grid.latitude[-1]
    if south < NEAR_EQUATOR and north > -NEAR_EQUATOR:
        warn(
            f"latitudes {south:g} to {north:g} come within {NEAR_EQUATOR:g} degrees of the "
            "equator, where motions are not those that a network has learned: eddies turn the "
            "other way on the other side. Take a region on one side, or the interpolation."
        )
    across = np.cos(np.deg2rad((south + north) / 2)) * np.ptp(grid.longitude)
    rows, columns = (DEGREE * each / spacing for each in (north - south, across))
    if rows < window.latitude or columns < window.longitude:
        warn(
            f"the region has {rows:.0f} x {columns:.0f} cells of {spacing:.3g} km, and the network "
            f"sees {window.latitude} x {window.longitude} at once: what is around the region is "
            "filled by the interpolation, and the network helps less. A larger region is better."
        )


def _is_southern(latitude: float) -> bool:
    """Tell on which side of the equator a latitude is, with what rounding leaves of zero."""
    return bool(latitude < -1e-6)
