"""Maps of each day from the observations until some days before it alone.

Lead 0 is near-real-time mapping: nothing is known of the days after. A greater lead is a forecast.
"""

import warnings
from collections.abc import Mapping

import numpy as np
import xarray as xr

from xdvarnet._progress import track
from xdvarnet._random import stream
from xdvarnet.errors import InvalidInputError, InvalidTypeError, XdvarnetWarning, warn
from xdvarnet.grids.checks import check_counts, check_times
from xdvarnet.grids.coords import Grid
from xdvarnet.grids.internal import DIMS
from xdvarnet.grids.series import STATE
from xdvarnet.mapping.anomalies import take_anomalies, units_of_input
from xdvarnet.mapping.background import Background, NoBackground
from xdvarnet.mapping.observations import Analysis, Fields, Observations
from xdvarnet.mapping.protocol import Reconstructor, analyse, check_model


class Lead(Reconstructor):
    """A model as it is when the last days before each map are not yet observed.

    Every day of a Dataset is mapped on its own, from the observations until `days` days before it:
    with 0 those of the day itself are the last (near-real-time), with 3 it is a forecast three days
    ahead. Days that are to be forecast after the last observation are days of the Dataset without
    observations: ``dataset.reindex(time=...)`` adds them.

    A `DVarNet` sees the last observed day where it was in its training, at the place
    ``window.time - 1 - leads`` of its window; other methods are given the observations of 31 days.
    The background is estimated from the same observations, day by day. The members of two days are
    independent. The first `days` maps of a record are made of no observation: leave them out.

    Parameters
    ----------
    model : Reconstructor
        A `DVarNet` that was trained for leads, or any model without a window, such as
        `OptimalInterpolation`. Errors are calibrated for a lead: ``calibrate(Lead(model, 3), ...)``
        and not the other way round.
    days : int
        0 or more.

    Raises
    ------
    InvalidInputError
        If these are no whole days, or the model was not made for this lead.
    InvalidTypeError
        If this is no model of maps.

    Examples
    --------
    >>> import xdvarnet
    >>> oi = xdvarnet.OptimalInterpolation(
    ...     "ssh", correlation_length="100 km", correlation_time="12 days", noise=0.02
    ... )
    >>> forecast = xdvarnet.Lead(oi, 3)
    >>> truth = xdvarnet.datasets.mediterranean().isel(time=slice(9), lon=slice(200, 240))
    >>> obs = xdvarnet.observe(truth, ["jason1", "envisat"], noise=0.02, rng=0)
    >>> maps = obs.dvarnet.reconstruct(forecast)
    """

    def __init__(self, model: Reconstructor, days: int) -> None:
        check_model(model)
        if STATE in model.variables:
            raise InvalidTypeError(f"{model!r} is of series; give Lead a model of maps.")
        check_counts({"days": days}, least=0)
        self.model, self.days = model, int(days)
        self._before, self._after = model.days_around(self.days)
        self.variables = model.variables
        self.background = NoBackground()
        self.gives_std = model.gives_std
        self.halo = self.days + self._before

    def __repr__(self) -> str:
        return f"Lead({self.model!r}, {self.days})"

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
    ) -> "Lead":
        """Return the same lead of the model with other options: see its `with_options`."""
        model = self.model.with_options(
            background=background, device=device, precision=precision, stride=stride
        )
        return Lead(model, self.days)

    @property
    def observed(self) -> tuple[str, ...]:
        """Those of the model."""
        return tuple(self.model.observed)

    @property
    def error_variables(self) -> Mapping[str, str]:
        """Those of the model."""
        return self.model.error_variables

    @property
    def gives_formal_std(self) -> bool:
        """As the model."""
        return self.model.gives_formal_std

    def check(self, grid: Grid) -> None:
        """Refuse days that are not one apart, and what the model refuses."""
        assert grid.days is not None and grid.axes.time is not None
        check_times(grid.days, grid.axes.time, daily=True)
        self.model.check(grid)

    def days_around(self, lead: int) -> tuple[int, int]:
        """Refuse a lead of a lead."""
        raise InvalidInputError(f"{self!r} has a lead already; give Lead its model.")

    def attributes(self, members: int | None) -> dict[str, str | int]:
        """Return those of the model, and the lead."""
        return {**self.model.attributes(members), "xdvarnet_lead": self.days}

    def summary(self) -> dict[str, object]:
        """Return the rows of the model, and the lead."""
        return {"lead": f"{self.days} day(s)", **self.model.summary()}

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Analyse every day from what was observed until so many days before it.

        The observations are as they are: no background was removed from them.
        """
        days = range(observations.used.start, observations.used.stop)
        silent = first = 0
        found: list[Analysis] = []
        for day in track(days, "day"):
            part, background = self._anomalies(observations, day - self.days)
            seen = any(np.isfinite(values).any() for values in part.values.values())
            # the first days of a record have none before them
            silent += observations.offset + day >= self.days and not seen
            first += observations.offset + day < self.days
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", XdvarnetWarning)  # of windows, for each day anew
                own = stream(rng, observations.offset + day)
                analysis = analyse(self.model, part, members=members, rng=own)
            found.append(_add(analysis.take(part.used), background))
        if first and self.model.learns:
            warn(
                f"the first {self.days} day(s) have no observation {self.days} day(s) before, from "
                "which their standard deviation could be estimated: it is that of the noise there, "
                "and much too small, and the maps are the background. Leave these days out, "
                f"maps.isel(time=slice({self.days}, None)), or give the model std=..."
            )
        if silent:
            warn(
                f"{silent} of {len(found)} days, the first {self.days} not counted, have no "
                f"observation until {self.days} day(s) before; there the maps are the background "
                "and what the model makes of it."
            )
        return _join(found, observations)

    def _anomalies(self, observations: Observations, last: int) -> tuple[Observations, Fields]:
        """Anomalies around the day `last`, NaN after it, and the background of the wanted day."""
        units = units_of_input(self.variables, self.error_variables)
        positions = np.arange(last - self._before, last + self._after + 1)
        count = observations.days.size
        known = (positions >= 0) & (positions < count) & (positions <= last)
        rows = positions.clip(0, count - 1)
        axes = (observations.days[0] + positions, observations.latitude, observations.longitude)
        seen = {
            name: np.where(known[:, None, None], values[rows], np.float32(np.nan))
            for name, values in observations.values.items()
        }
        seen |= {name: errors[rows] for name, errors in observations.errors.items()}
        part = xr.Dataset(
            {name: (DIMS, values, {"units": units[name]}) for name, values in seen.items()},
            dict(zip(DIMS, axes, strict=True)),
        ).assign(sea=(DIMS[1:], observations.sea))
        anomalies, backgrounds = take_anomalies(
            part, self.model.background, self.variables, observations.errors
        )
        place = self._before + self.days
        wanted = slice(place, place + 1)
        return (
            anomalies.take(slice(0, positions.size), wanted=wanted),
            {name: array.values[wanted] for name, array in backgrounds.items()},
        )


def _add(analysis: Analysis, background: Fields) -> Analysis:
    """Add the background to the mean and the members."""
    mean = {name: array + background[name] for name, array in analysis.mean.items()}
    members = {name: array + background[name] for name, array in analysis.members.items()}
    return Analysis(mean, analysis.std, members, analysis.first_guess)


def _join(days: list[Analysis], observations: Observations) -> Analysis:
    """Put the analyses of single days one after the other, zero where no day is wanted."""

    def join(parts: list[np.ndarray]) -> np.ndarray:
        known = np.concatenate(parts, axis=-3)
        whole = np.zeros((*known.shape[:-3], *observations.shape), known.dtype)
        whole[..., observations.used, :, :] = known
        return whole

    fields = {
        kind: {name: join([day.kinds[kind][name] for day in days]) for name in first}
        for kind, first in days[0].kinds.items()
    }
    guess = None
    if days[0].first_guess is not None:
        guess = _join([day.first_guess for day in days if day.first_guess], observations)
    return Analysis(**fields, first_guess=guess)
