"""DINEOF: gaps filled with the leading patterns of the data themselves."""

from collections.abc import Mapping

import numpy as np

from xdvarnet._progress import track
from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_counts, check_units
from xdvarnet.mapping.background import Background, ObservedBackground, check_background
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor, no_members

SHARE, LEAST = 0.03, 40
"""Share of the observations that choose the number of modes, and the fewest of them."""

PATIENCE = 3
"""Numbers of modes tried in vain before the search ends."""

TOLERANCE, TURNS = 1e-3, 300
"""Change of the filled values, over the size of all, at which a filling ends; and most turns."""


class DINEOF(Reconstructor):
    """Data interpolating empirical orthogonal functions.

    The anomalies are a matrix of days and cells, zero where nothing was observed. Its `modes`
    leading singular vectors give what is missing, which changes the vectors, until nothing changes
    any more. The number of modes is the one with the smallest error at observations that are set
    aside. Observed values stay as they are: there is no noise, and no standard deviation.

    Parameters
    ----------
    variable : str
        Name of the variable.
    modes : int, optional
        Number of modes; by default chosen by cross-validation, up to `largest`.
    largest : int
        Most modes that are tried.
    units : str
        Of the variable.
    background : Background, optional
        By default `ObservedBackground()`.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the choice of the observations that are set aside; by default the seed 0.

    Raises
    ------
    InvalidInputError
        If a number is no count.

    References
    ----------
    Beckers and Rixen 2003, doi 10.1175/1520-0426(2003)020<1839:ECADFF>2.0.CO;2; Alvera-Azcárate et
    al. 2005, doi 10.1016/j.ocemod.2004.08.001.

    Examples
    --------
    >>> import xdvarnet
    >>> truth = xdvarnet.datasets.mediterranean().isel(lat=slice(40, 60), lon=slice(60, 90))
    >>> obs = xdvarnet.observe(truth, ["jason1", "envisat", "gfo"], noise=0.02, rng=0)
    >>> maps = obs.dvarnet.reconstruct(xdvarnet.methods.DINEOF("ssh", modes=3))
    """

    def __init__(
        self,
        variable: str,
        *,
        modes: int | None = None,
        largest: int = 20,
        units: str = "m",
        background: Background | None = None,
        rng: RandomState = 0,
    ) -> None:
        check_counts({"largest": largest} | ({} if modes is None else {"modes": modes}))
        self.variable, self.units = variable, check_units(units)
        self.modes, self.largest, self.rng = modes, largest, rng
        self.variables: Mapping[str, str] = {variable: units}
        self.background = check_background(
            ObservedBackground() if background is None else background
        )

    def __repr__(self) -> str:
        return f"DINEOF({self.variable!r}, modes={self.modes}, largest={self.largest})"

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
    ) -> "DINEOF":
        """Return the same method with another background.

        Raises
        ------
        InvalidInputError
            If a device, a precision or a stride is given: it runs on the CPU, in float64.
        """
        super().with_options(device=device, precision=precision, stride=stride)
        return DINEOF(
            self.variable,
            modes=self.modes,
            largest=self.largest,
            units=self.units,
            background=self.background if background is None else background,
            rng=self.rng,
        )

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Fill the gaps of a domain.

        Raises
        ------
        InvalidInputError
            If members are asked for, or there are too few observations to choose the modes with.
        """
        if members is not None:
            raise no_members(self)
        values = observations.values[self.variable][:, observations.sea].astype(float)
        seen = np.isfinite(values)
        modes = self.modes or self._choose(values, seen)
        mean = np.zeros(observations.shape, np.float32)
        mean[:, observations.sea] = fill(np.where(seen, values, 0), seen, modes)
        return Analysis({self.variable: mean})

    def _choose(self, values: np.ndarray, seen: np.ndarray) -> int:
        """Return the number of modes with the smallest error at observations set aside."""
        places = np.argwhere(seen)
        count = max(round(SHARE * len(places)), LEAST)
        if len(places) < 2 * count:
            raise InvalidInputError(
                f"{len(places)} observations are too few to choose the number of modes with; give "
                "one: DINEOF(..., modes=3)."
            )
        aside = tuple(default_rng(self.rng).choice(places, count, replace=False).T)
        kept = seen.copy()
        kept[aside] = False
        field, errors = np.where(kept, values, 0), []
        for modes in track(range(1, min(self.largest, *values.shape) + 1), "mode"):
            field = fill(field, kept, modes)
            errors.append(float(np.square(field - values)[aside].mean()))
            if len(errors) - int(np.argmin(errors)) > PATIENCE:
                break
        return int(np.argmin(errors)) + 1


def fill(field: np.ndarray, seen: np.ndarray, modes: int) -> np.ndarray:
    """Return a matrix whose values that were not `seen` are those of its leading patterns.

    Where nothing was seen, it stays as it is.
    """
    field = field.copy()
    if not seen.any():
        return field
    size = max(float(np.sqrt(np.square(field[seen]).mean())), np.finfo(float).tiny)
    for _ in track(range(TURNS), "turn"):
        left, strength, right = np.linalg.svd(field, full_matrices=False)
        patterns = (left[:, :modes] * strength[:modes]) @ right[:modes]
        change = (patterns - field)[~seen]
        field[~seen] += change
        if not change.size or np.sqrt(np.square(change).mean()) < TOLERANCE * size:
            break
    return field
