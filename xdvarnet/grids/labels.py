"""Attributes of the maps that a model makes."""

import importlib.metadata
from collections.abc import Mapping

import xarray as xr

from xdvarnet.grids.provenance import derived, lasting

UNFINISHED = "xdvarnet_unfinished"
"""Attribute of maps of which not all days are computed yet."""

FORMAL = "formal error of the analysis, not calibrated; often too small"
"""What the attributes say of a standard deviation that was never compared with errors."""

OF_MODELS = ("xdvarnet_ensemble", "xdvarnet_errors", "xdvarnet_lead")
"""Attributes that some models give their maps; those of an input are of another model."""


def is_formal(std: xr.DataArray) -> bool:
    """Whether a standard deviation says that it was not calibrated."""
    return str(std.attrs.get("comment", "")).startswith("formal error")


def field_attributes(
    like: xr.DataArray, name: str, kind: str, units: str, errors: str | int | None = None
) -> dict:
    """Return the attributes of a field made from observations.

    Parameters
    ----------
    like : xarray.DataArray
        The observations.
    name : str
        Of the variable, for its ``long_name`` where it has none.
    kind : str
        ``"mean"``, ``"std"`` or ``"members"``.
    units : str
        Where the observations have none.
    errors : str or None
        What a standard deviation is, for its ``comment``: see `xdvarnet.mapping.Reconstructor`.
    """
    long_name = like.attrs.get("long_name", name)
    if kind == "mean":
        return {"units": units, **lasting(like.attrs)}
    named = {"std": "standard deviation of {}", "members": "members of {}"}[kind]
    attributes = {
        "units": like.attrs.get("units", units),
        "long_name": named.format(long_name),
    }
    if kind == "std" and errors is not None:
        attributes["comment"] = errors
    if "standard_name" in like.attrs:
        modifier = " standard_error" if kind == "std" else ""
        attributes["standard_name"] = like.attrs["standard_name"] + modifier
    return attributes


def model_attributes(
    attributes: Mapping, action: str, model: object, of_model: Mapping[str, str | int]
) -> dict:
    """Return the attributes of what a model made: its title, model, version, source and history.

    Parameters
    ----------
    attributes : mapping
        Of the input.
    action : str
        What was done, for the history.
    model : object
        Which made the maps.
    of_model : mapping
        What the model says of its maps.
    """
    version = importlib.metadata.version("xdvarnet")
    name = type(model).__name__
    kept = {name: value for name, value in attributes.items() if name not in OF_MODELS}
    return {
        "title": f"{name} analysis",
        **derived(kept, f"{action} {model!r}", f"{name} of xdvarnet {version}"),
        "xdvarnet_version": version,
        "xdvarnet_model": repr(model),
        **of_model,
    }
