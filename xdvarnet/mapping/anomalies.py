"""Labelled observations as anomalies from a background, in plain arrays."""

from collections.abc import Iterable, Mapping

import xarray as xr

from xdvarnet.mapping.background import Background
from xdvarnet.mapping.observations import Observations


def units_of_input(
    variables: Mapping[str, str], error_variables: Mapping[str, str]
) -> dict[str, str]:
    """Return the names and units of what a model reads: its variables, and errors of these."""
    return {**variables, **{name: variables[of] for name, of in error_variables.items()}}


def take_anomalies(
    observed: xr.Dataset,
    background: Background,
    variables: Mapping[str, str],
    error_variables: Iterable[str] = (),
) -> tuple[Observations, dict[str, xr.DataArray]]:
    """Remove the background from observations of `to_internal`, and take their errors along.

    Returns
    -------
    observations : Observations
        Anomalies.
    backgrounds : dict of str to xarray.DataArray
        What was removed from each variable.
    """
    backgrounds = {name: background.estimate(observed[name]) for name in variables}
    observations = Observations(
        values={name: (observed[name] - mean).values for name, mean in backgrounds.items()},
        days=observed["time"].values,
        latitude=observed["latitude"].values,
        longitude=observed["longitude"].values,
        sea=observed["sea"].values,
        errors={name: observed[name].values for name in error_variables},
    )
    return observations, backgrounds
