"""A Gaussian field that solves a stochastic equation: samples, and exact posteriors."""

import logging
from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr

from xdvarnet._progress import show_progress
from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import (
    check_dataset,
    check_members,
    check_variable,
    units_factor,
)
from xdvarnet.grids.internal import DIMS, internal_grid, to_internal
from xdvarnet.grids.labels import field_attributes, model_attributes
from xdvarnet.grids.points import find_points
from xdvarnet.grids.values import trusted_values
from xdvarnet.methods.gaussian_field.domain import Domain
from xdvarnet.methods.gaussian_field.fitting import fit_field, usual_parameters
from xdvarnet.methods.gaussian_field.observations import (
    ErrorStd,
    error_std,
    gridded_cells,
    label_map,
    map_of_tracks,
    observed_at_sea,
    read_errors,
    track_cells,
)
from xdvarnet.methods.gaussian_field.process import posterior_costs
from xdvarnet.methods.gaussian_field.sampling import SampledField
from xdvarnet.spde.field import Posterior
from xdvarnet.spde.iterative import IterativePosterior
from xdvarnet.tracks.noise import add_noise, name_of_noise

logger = logging.getLogger("xdvarnet")


class SPDEField(SampledField):
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
    noise : str or float, optional
        Standard deviation of the error of an observation, such as ``"3 cm"``, a number being in
        `units`: of one cell and day in `solve`, of one point in `condition`. Or the name of a
        variable of the Dataset that holds that of each, such as ``"ssh_noise"`` of
        `xdvarnet.bin_tracks`, in units that convert. Samples of the prior need none.
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
        standard deviation from 100 draws or more, to 7 % or better. By default exact if that fits
        into `memory`; the logger ``xdvarnet`` says which.
    memory : str or float, optional
        Most memory that a posterior or samples may take, such as ``"4 GB"``; a number is in GB.
        What takes more is refused before any work. By default, and at most, half the memory of the
        machine; then a warning tells size and time of what takes more than 2 GB.
    history : xarray.Dataset, optional
        The trials that it was chosen of; `fit` makes it.

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

    def condition(
        self,
        observations: xr.Dataset,
        grid: xr.Dataset | None = None,
        *,
        noise: ErrorStd | None = None,
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
        noise : float, str, mapping or array, optional
            Standard deviation of the error in the units of the field, one for all or one for each
            observation: an array of the shape of the variable, or a DataArray with its dimensions
            in any order, in the units of its attribute ``units``. Or a quantity, or the name of a
            variable of the observations; of tracks also a mapping from the missions, as
            `xdvarnet.bin_tracks` takes it. By default that of the field.
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
            `members` is no number of at least 2, or it takes more memory than it may.

        Warns
        -----
        XdvarnetWarning
            If there is no observation; if it takes more than 2 GB and ``memory`` sets no limit.
        """
        check_members(members, return_members)
        domain, posterior, template, sea = self._posterior(observations, grid, noise, members)
        mean, std, drawn = domain.describe(posterior, members, default_rng(rng))
        name = self.variable
        fields = {"mean": mean, "std": std}
        if return_members and drawn is not None:
            fields["members"] = drawn
        factor = units_factor(template, self.variables[name])
        made = self.attributes(members)
        result = xr.Dataset(attrs=model_attributes(observations.attrs, "condition", self, made))
        for kind, values in fields.items():
            array = label_map(np.where(sea, values / factor, np.nan), template, name)
            array.attrs = field_attributes(
                template, name, kind, self.variables[name], made["xdvarnet_errors"]
            )
            result[name if kind == "mean" else f"{name}_{kind}"] = array
        result[name].attrs["ancillary_variables"] = f"{name}_std"
        return result

    def log_likelihood(
        self,
        observations: xr.Dataset,
        grid: xr.Dataset | None = None,
        *,
        noise: ErrorStd | None = None,
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

    @classmethod
    def fit(
        cls,
        observations: xr.Dataset,
        grid: xr.Dataset | None = None,
        *,
        variable: str = "ssh",
        start: "SPDEField | None" = None,
        noise: str | Mapping[Hashable, str | float] | None = None,
        trials: int = 100,
        progress: bool = False,
    ) -> "SPDEField":
        """Return the field of greatest likelihood, found by a simplex search.

        The correlation length and time, the standard deviation and the noise are sought, the latter
        where it is not given.

        Parameters
        ----------
        observations, grid
            Anomalies, as in `condition`; of a grid the places alone count, and all days of tracks.
        variable : str
            Name of the variable, where there is no `start`.
        start : SPDEField, optional
            Where the search starts; its direction, anisotropy, advection, engine and background
            stay. By default three deformation radii at the mean latitude, 20 days, and a noise of a
            third of the standard deviation of the observations.
        noise : str or mapping, optional
            What the errors are, where they are not sought: the name of a variable of the
            observations, or, of tracks, a mapping from the missions to quantities or numbers. The
            field then reads the variable of this name, or ``<variable>_noise``.
        trials : int
            Most evaluations of the likelihood.
        progress : bool
            Whether to show a bar over the trials.

        Returns
        -------
        SPDEField
            ``history`` has the trials: the parameters and ``log_likelihood``.

        Raises
        ------
        InvalidInputError
            As `log_likelihood` does; if `trials` is no positive number; if one of the parameters
            that are sought is a map, or the noise is not there to start from.

        Warns
        -----
        XdvarnetWarning
            If the search had not converged after all trials.
        """
        if start is None:
            start = cls(**usual_parameters(observations, variable), variable=variable)
        if noise is not None:
            start = start.replace(noise=name_of_noise(noise, start.variable))
        if isinstance(noise, Mapping):
            observations = add_noise(observations, start.variable, noise)
        with show_progress(progress):
            return fit_field(start, observations, grid, trials)

    def _posterior(
        self,
        observations: xr.Dataset,
        grid: xr.Dataset | None,
        noise: ErrorStd | None,
        members: int | None = None,
        *,
        required: bool = False,
    ) -> tuple[Domain, Posterior | IterativePosterior, xr.DataArray, np.ndarray]:
        """Return the domain, the posterior, a field like the result, and the mask of the sea.

        Where there must be observations (`required`), none is an error, else the prior.
        """
        check_dataset(observations)
        name = self.variable
        trusted = trusted_values(check_variable(observations, name))
        observations = observations.assign({name: trusted})
        noise = self.known_noise() if noise is None else noise
        noise = read_errors(noise, observations, name, self.units)
        errors = error_std(noise, observations[name], self.units)
        on_grid = observations if grid is None else map_of_tracks(observations[[name]], grid, name)
        known = to_internal(on_grid, self.variables)
        days, latitude, longitude = (known[dim].values for dim in DIMS)
        costs = posterior_costs(members, int(np.isfinite(observations[name].values).sum()))
        domain = self._domain(days, latitude, longitude, known["sea"].values, costs)
        if grid is None:
            values, places, weights = gridded_cells(known, name, domain)
            arranged = internal_grid(on_grid).arrange(errors).values
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
