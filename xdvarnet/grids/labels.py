"""Attributes of the maps that a model makes."""

import importlib.metadata
from collections.abc import Mapping

import xarray as xr

from xdvarnet.grids.provenance import derived, lasting


def field_attributes(like: xr.DataArray, name: str, kind: str, units: str) -> dict:
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
    """
    long_name = like.attrs.get("long_name", name)
    if kind == "mean":
        return {"units": units, **lasting(like.attrs)}
    named = {"std": "standard deviation of {}", "members": "members of {}"}[kind]
    attributes = {
        "units": like.attrs.get("units", units),
        "long_name": named.format(long_name),
    }
    if "standard_name" in like.attrs:
        modifier = " standard_error" if kind == "std" else ""
        attributes["standard_name"] = like.attrs["standard_name"] + modifier
    return attributes


def model_attributes(attributes: Mapping, action: str, model: object) -> dict:
    """Return the attributes of what a model made: its title, model, version, source and history.

    Parameters
    ----------
    attributes : mapping
        Of the input.
    action : str
        What was done, for the history.
    model : object
        Which made the maps.
    """
    version = importlib.metadata.version("xdvarnet")
    name = type(model).__name__
    return {
        "title": f"{name} analysis",
        **derived(attributes, f"{action} {model!r}", f"{name} of xdvarnet {version}"),
        "xdvarnet_version": version,
        "xdvarnet_model": repr(model),
    }
