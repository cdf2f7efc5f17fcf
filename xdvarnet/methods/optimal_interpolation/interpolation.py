"""Optimal interpolation: the linear analysis with a prescribed covariance."""

from collections.abc import Hashable, Mapping

import xarray as xr

from xdvarnet._progress import show_progress
from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError, InvalidTypeError, warn
from xdvarnet.grids.checks import (
    check_counts,
    check_dataset,
    check_history,
    check_known,
    check_units,
    check_variable,
    describe_noise,
    quantity,
    read_noise,
)
from xdvarnet.mapping.background import Background, ObservedBackground, check_background
from xdvarnet.methods.optimal_interpolation.analysis import LocalInterpolation
from xdvarnet.methods.optimal_interpolation.covariance import CORRELATIONS
from xdvarnet.methods.optimal_interpolation.tuning import tune
from xdvarnet.solver.device import check_device
from xdvarnet.tracks.noise import add_noise, name_of_noise


class OptimalInterpolation(LocalInterpolation):
    """Local optimal interpolation in space and time.

    The anomaly from the background is a Gaussian field with covariance
    ``s s' exp(-(d / L)^2 - (dt / T)^2)``, or another `covariance`, observed with independent
    errors; s is its standard deviation, one for all or one for each place. The analysis is
    ``x = C_gy (C_yy + R)^-1 y``, with the formal error variance ``s^2 - C_gy (C_yy + R)^-1 C_yg``
    (Bretherton et al. 1976, doi 10.1016/0011-7471(76)90001-2, eqs. 9 and 13).

    It is local and without seams. At nodes, one correlation length and 0.7 correlation times apart,
    an analysis uses the `neighbours` observations that are nearest in the scaled distance
    ``(d / L)^2 + (dt / T)^2``, and within half a `time_window`; over the last tenth of
    the way to the farthest they fade out, by larger errors. A cell has the weighted mean of the
    analyses of the nodes around it, with weights that go smoothly to zero; its error variance is
    that of the nearest nodes before and after it. Days and latitudes need not be regular, and a
    globe is a ring.

    Parameters
    ----------
    variable : str
        Name of the variable in the Dataset.
    correlation_length, correlation_time : str or float
        Distance L and time T at which the correlation is 1/e, such as ``"60 km"`` and
        ``"20 days"``; numbers are in km and days. Distances are chords through the Earth, which are
        shorter than the arc by less than 0.02 % at 400 km.
    noise : str or float
        Standard deviation of the observation error, such as ``"3 cm"``; a number is in `units`. Or
        the name of a variable of the Dataset that holds that of each observation, such as
        ``"ssh_noise"`` of `xdvarnet.bin_tracks`, on the same grid and in units that convert.
    std : str or float, optional
        Standard deviation of the anomaly, as `noise`. By default it is estimated from the
        observations: their mean square less that of the noise, and at least the noise. Where errors
        differ, it is the estimate of greatest likelihood.
    std_length : str or float, optional
        Standard deviation of the Gaussian (km) over which that estimate is averaged, so that it
        differs between energetic and quiet places; by default one estimate for all.
    units : str
        Units in which the analysis is made; the data are converted and converted back.
    background : Background, optional
        By default `ObservedBackground()`.
    time_window : str or float
        Length in days, centred on a node, in which observations are used; nodes are at most a third
        of it apart.
    neighbours : int
        Number of observations in a local analysis. With all of them it is the dense analysis.
    covariance : str
        ``"gaussian"``, ``"matern52"`` or ``"matern32"``, from the smoothest fields to the roughest:
        the correlation in space and that in time, which are multiplied. All are 1/e at L and T.
    device : str
        Where the local analyses are solved, such as ``"cpu"`` or ``"cuda"``.
    history : xarray.Dataset, optional
        The trials that it was chosen of; `fit` makes it.

    Raises
    ------
    InvalidInputError
        If a length, a time, a noise, a number or the units are not accepted.
    InvalidTypeError
        If `variable` is no string, or `background` is no background.
    UnknownNameError
        If there is no such covariance.

    Examples
    --------
    >>> import xdvarnet
    >>> oi = xdvarnet.OptimalInterpolation(
    ...     "ssh", correlation_length="60 km", correlation_time="20 days", noise=0.02
    ... )
    """

    def __init__(
        self,
        variable: str,
        *,
        correlation_length: str | float,
        correlation_time: str | float,
        noise: str | float,
        std: str | float | None = None,
        std_length: str | float | None = None,
        units: str = "m",
        background: Background | None = None,
        time_window: str | float = 31,
        neighbours: int = 300,
        covariance: str = "gaussian",
        device: str = "cpu",
        history: xr.Dataset | None = None,
    ) -> None:
        if not isinstance(variable, str):
            raise InvalidTypeError(
                f"variable={variable!r} is no string; give the name of one variable, such as 'ssh'."
            )
        self.variable, self.units = variable, check_units(units)
        self.variables: Mapping[str, str] = {variable: units}
        self.correlation_length = quantity(correlation_length, "km", "correlation_length")
        self.correlation_time = quantity(correlation_time, "day", "correlation_time")
        self.noise = read_noise(noise, variable, units)
        self.std = None if std is None else quantity(std, units, "std")
        self.std_length = None if std_length is None else quantity(std_length, "km", "std_length")
        if std is not None and std_length is not None:
            raise InvalidInputError(
                f"std={std} and std_length={std_length!r} exclude each other: a given standard "
                "deviation is not estimated. Give one of them."
            )
        self.background = check_background(
            ObservedBackground() if background is None else background
        )
        self.time_window = quantity(time_window, "days", "time_window")
        check_counts({"neighbours": neighbours})
        self.neighbours = int(neighbours)
        check_known(covariance, CORRELATIONS, "covariance")
        self.covariance, self.device = covariance, check_device(device)
        self.history = check_history(history)

    def __repr__(self) -> str:
        return (
            f"OptimalInterpolation({self.variable!r}, "
            f"correlation_length='{self.correlation_length:g} km', "
            f"correlation_time='{self.correlation_time:g} days', "
            f"noise={describe_noise(self.noise)}, "
            f"std={self.std}, std_length={self.std_length}, units={self.units!r}, "
            f"time_window={self.time_window:g}, neighbours={self.neighbours}, "
            f"covariance={self.covariance!r}, device={self.device!r}, "
            f"background={self.background!r})"
        )

    @property
    def error_variables(self) -> Mapping[str, str]:
        """The variable that `noise` names, if it does."""
        return {self.noise: self.variable} if isinstance(self.noise, str) else {}

    @classmethod
    def fit(
        cls,
        observations: xr.Dataset,
        grid: xr.Dataset | None = None,
        *,
        variable: str = "ssh",
        covariance: str | None = None,
        background: Background | None = None,
        time_window: str | float = 31,
        noise: str | Mapping[Hashable, str | float] | None = None,
        trials: int = 60,
        rng: RandomState = 0,
        progress: bool = False,
    ) -> "OptimalInterpolation":
        """Return the interpolation that predicts observations best, each pass from the others.

        Correlation length and time and the noise are sought by a simplex, for each covariance, then
        a local standard deviation is tried. What is compared is the logarithm of the predictive
        density of 400 observations, drawn at random, each predicted from the 200 nearest that are
        not of its own pass: so the errors count as well as the means, and an error that a pass
        shares is no help. The noise is that of the mean of one cell and day, with what the cell
        means do not resolve.

        Parameters
        ----------
        observations : xarray.Dataset
            Tracks, harmonised, where there is a `grid`; else gridded observations. Of these the
            others of the same day are withheld from each up to a distance that is drawn from those
            of the cells in gaps to what is observed on their day; on all the day where there are no
            gaps.
        grid : xarray.Dataset, optional
            Longitude, latitude and ``sea`` of the maps that are to be made.
        variable : str
            Name of the variable.
        covariance : str, optional
            By default all are tried.
        background, time_window
            As above.
        noise : str or mapping, optional
            What the errors are, where they are not sought: the name of a variable of the
            observations; of tracks that of single measurements, or a mapping from the missions to
            quantities or numbers, as `xdvarnet.bin_tracks` takes them. The interpolation then reads
            the variable of this name, or ``<variable>_noise``, beside the observations.
        trials : int
            Most trials of each covariance.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Draws the observations that are predicted.
        progress : bool
            Whether to show a bar over the trials.

        Returns
        -------
        OptimalInterpolation
            In the units of the observations. ``history`` has the trials, none where there are too
            few observations: the parameters, ``rmse`` and ``log_score`` of the predictions, and
            ``spread``, the predicted errors over the actual ones; and the noise of single
            measurements by crossovers as an attribute, where there are 30 crossovers. With a
            `noise` of each observation it has no noise.

        Raises
        ------
        InvalidInputError, InvalidTypeError, UnknownNameError
            As `xdvarnet.reconstruct` and `xdvarnet.bin_tracks` do; if there are no two different
            values at sea.

        Warns
        -----
        XdvarnetWarning
            If there are too few observations to learn from, or they are not predicted by those of
            other passes: the length is then three deformation radii at the mean latitude, the time
            20 days, the noise a third of the standard deviation. If all are of one day: the time is
            then 20 days. If the best is at the edge of what was tried, or the correlation time is
            longer than the record. If the variable has no attribute ``units``.

        Examples
        --------
        >>> import xdvarnet
        >>> truth = xdvarnet.datasets.mediterranean().isel(time=slice(12), lon=slice(0, 90))
        >>> obs = xdvarnet.observe(truth, ["jason1", "envisat", "gfo"], noise=0.02, rng=0)
        >>> oi = xdvarnet.OptimalInterpolation.fit(obs, covariance="gaussian", trials=5)
        >>> oi.history.sizes["trial"]
        7
        """
        check_dataset(observations)
        attributes = check_variable(observations, variable, argument="variable").attrs
        if "units" not in attributes:
            warn(f"variable {variable!r} has no attribute 'units'; 'm' is assumed.")
        name = 1.0 if noise is None else name_of_noise(noise, variable)
        start = cls(
            variable,
            correlation_length=1,
            correlation_time=1,
            noise=name,
            units=attributes.get("units", "m"),
            background=background,
            time_window=time_window,
        )
        if isinstance(noise, Mapping):
            observations = add_noise(observations, variable, noise)
        if covariance is not None:
            check_known(covariance, CORRELATIONS, "covariance")
        covariances = list(CORRELATIONS) if covariance is None else [covariance]
        with show_progress(progress):
            return tune(start, observations, grid, covariances, trials, rng)

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
    ) -> "OptimalInterpolation":
        """Return the same method with another background, such as that of a trained model.

        Raises
        ------
        InvalidTypeError
            If it is no background.
        InvalidInputError
            If the device cannot be used, a precision is given, which follows from the noise, or a
            stride.
        """
        super().with_options(precision=precision, stride=stride)
        return self.replace(
            background=self.background if background is None else background,
            device=self.device if device is None else device,
        )
