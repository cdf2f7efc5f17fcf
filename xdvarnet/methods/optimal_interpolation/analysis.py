"""The analysis of optimal interpolation: what `OptimalInterpolation` is below its options."""

from dataclasses import replace

import numpy as np

from xdvarnet.grids.checks import DAY_TOLERANCE
from xdvarnet.grids.plausible import warn_of_noise
from xdvarnet.mapping.observations import Analysis, Fields, Observations, Record
from xdvarnet.mapping.protocol import Reconstructor, no_members
from xdvarnet.methods.optimal_interpolation.blended import BlendedAnalysis
from xdvarnet.methods.optimal_interpolation.covariance import CORRELATIONS, Correlation
from xdvarnet.methods.optimal_interpolation.nodes import Partition, rows_of_nodes
from xdvarnet.methods.optimal_interpolation.scaling import Scaled, nearest_cells, prior_std, scale

NODE_SPACING = 1.0, 0.7
"""Distance and time between nodes, in correlation lengths and times."""

NODES_IN_WINDOW = 3
"""Least number of nodes within a time window."""

UNKNOWN = 1.0
"""Standard deviation of the anomaly, in its units, where there is nothing to tell it."""


class LocalInterpolation(Reconstructor):
    """Local analyses, blended: the numbers are attributes, which a subclass sets."""

    gives_std = True
    variable: str
    units: str
    correlation_length: float
    correlation_time: float
    noise: str | float
    std: float | None
    std_length: float | None
    time_window: float
    neighbours: int
    covariance: str
    device: str

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
        """Analyse one window; the mean and the formal error of every sea cell.

        Where some days alone are wanted, others are unfinished.

        Raises
        ------
        InvalidInputError
            If members are asked for: this method gives a variance, and members once calibrated; or
            if a local analysis does not fit into memory.
        """
        if members is not None:
            raise no_members(self)
        scaled = self.scale(observations)
        mean, variance = self._blend(scaled, observations, observations.used)
        return self._analysis(mean, variance, scaled.prior, observations.shape)

    def analyse_at(
        self,
        observations: Observations,
        days: np.ndarray,
        latitude: np.ndarray,
        longitude: np.ndarray,
    ) -> tuple[Analysis, np.ndarray]:
        """Analyse at other days and places than those of the observations, on land as on sea.

        Parameters
        ----------
        observations : Observations
            Anomalies.
        days, latitude, longitude : numpy.ndarray
            Increasing, shapes (day,), (row,) and (column,).

        Returns
        -------
        analysis : Analysis
            Fields (day, row, column).
        prior : numpy.ndarray
            Standard deviation of the anomaly, shape (row, column).
        """
        everywhere = np.ones((latitude.size, longitude.size), bool)
        target = replace(
            observations,
            values={},
            days=days,
            latitude=latitude,
            longitude=longitude,
            sea=everywhere,
        )
        scaled = self.scale(observations)
        prior = nearest_cells(scaled.prior, observations.place, target.place)
        mean, variance = self._blend(scaled.at(target, self.lengths), target, slice(0, days.size))
        return self._analysis(mean, variance, prior, target.shape), prior

    def _blend(
        self, scaled: Scaled, target: Observations, used: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and error variance at the cells of a target, relative to the prior."""
        length, time = self.lengths
        return BlendedAnalysis(
            scaled,
            rows_of_nodes(*target.place, target.sea, NODE_SPACING[0] * length),
            Partition.of(target.days, self.node_days),
            self.correlation,
            self.neighbours,
            (self.time_window / 2 + DAY_TOLERANCE) / time,
        ).solve(used)

    def _analysis(
        self,
        mean: np.ndarray,
        variance: np.ndarray,
        prior: np.ndarray,
        shape: tuple[int, int, int],
    ) -> Analysis:
        fields = (
            {self.variable: (prior * each.reshape(shape)).astype(np.float32)}
            for each in (mean, np.sqrt(variance))
        )
        return Analysis(next(fields), next(fields))

    @property
    def lengths(self) -> tuple[float, float]:
        """Correlation length (km) and time (days)."""
        return self.correlation_length, self.correlation_time

    @property
    def correlation(self) -> Correlation:
        """The correlation function."""
        return CORRELATIONS[self.covariance]

    @property
    def halo(self) -> float:
        """Two bins of nodes and half a window: what the nodes around a day see."""
        return 2 * self.node_days + self.time_window / 2 + DAY_TOLERANCE

    @property
    def node_days(self) -> float:
        """Days between nodes, beyond which a node has no weight."""
        return min(NODE_SPACING[1] * self.correlation_time, self.time_window / NODES_IN_WINDOW)

    @property
    def learns(self) -> tuple[str, ...]:
        """The standard deviation of the anomaly, where it was not given."""
        return () if self.std is not None else (repr(self),)

    def learn(self, record: Record) -> Fields:
        """Estimate the standard deviation of the anomaly."""
        if not self.learns:
            return {}
        name, noise = self.variable, self.noise
        values = record.values[name]
        errors = record.errors[noise] if isinstance(noise, str) else np.full(values.shape, noise)
        place = record.latitude, record.longitude
        if not values.size:
            return {repr(self): np.full((place[0].size, place[1].size), UNKNOWN)}
        return {repr(self): prior_std(record.cells[name], values, errors, place, self.std_length)}

    def scale(self, observations: Observations) -> Scaled:
        """Return observations and cells in units of the lengths and the standard deviation."""
        values = observations.values[self.variable]
        noise = observations.noise_of(self.variable, self.noise)
        if self.std is not None:
            prior = np.full(observations.sea.shape, self.std)
        else:
            prior = self._estimated_std(observations, noise)
        return scale(observations, values, prior, noise, self.lengths, self.device)

    def _estimated_std(self, observations: Observations, noise: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the whole record; of the errors where there is none."""
        if repr(self) in observations.learned:
            return observations.learned[repr(self)]
        record = Record.of(observations, self.error_variables)
        errors = noise[np.isfinite(noise)]
        if not record.values[self.variable].size and errors.size:
            return np.full(observations.sea.shape, errors.mean())
        return self.learn(record)[repr(self)]
