"""Recognise the heights and temperatures of real products.

A variable is recognised by its ``standard_name``. Names decide only where that attribute is absent,
unknown, or shared by several quantities (the mean dynamic topography of altimetry products has the
standard name of the absolute one).
"""

import re
from collections.abc import Hashable
from dataclasses import dataclass

import xarray as xr

from xdvarnet.errors import InvalidInputError

_SURFACE = 10.0  # m
_VERTICAL = r"(depth\w?|z|z_?lev\w*|lev|level|s_rho|altitude|st_ocean|z_l|height)"
_BELOW = (
    "sea_water_potential_temperature",
    "sea_water_temperature",
    "sea_water_conservative_temperature",
)


@dataclass(frozen=True)
class Role:
    """A quantity of the convention.

    Attributes
    ----------
    units : str
        Units in the result.
    standard_names : tuple of str
        Those that mean this quantity; the first is given to a variable without one of them.
    names : tuple of str
        Names of variables in products, in lower case, the preferred first.
    """

    units: str
    standard_names: tuple[str, ...]
    names: tuple[str, ...]


ROLES = {
    "ssh": Role(
        "m",
        (
            "sea_surface_height_above_geoid",
            "sea_surface_height",
            "sea_surface_height_above_geopotential_datum",
            "sea_surface_elevation",
        ),
        tuple("ssh adt_unfiltered adt zos sossheig zeta eta_t surf_el adt_filtered".split()),
    ),
    "sla": Role(
        "m",
        ("sea_surface_height_above_sea_level", "sea_surface_height_above_mean_sea_level"),
        (
            *("sla_unfiltered", "ssha_unfiltered", "ssha", "sla", "ssha_unedited"),
            *("sla_filtered", "ssha_filtered", "ssha_noiseless"),
        ),
    ),
    "mdt": Role("m", (), ("mdt", "mean_dynamic_topography")),
    "lwe": Role("m", (), ("lwe",)),
    "sst": Role(
        "degC",
        (
            "sea_surface_temperature",
            "sea_surface_foundation_temperature",
            "sea_surface_subskin_temperature",
            "sea_surface_skin_temperature",
        ),
        tuple("sst analysed_sst sea_surface_temperature tos sosstsst thetao".split()),
    ),
}
"""The quantities of the convention by their names in the result."""

_NO_VALUE = r"err.*|.*(_err|error|uncertainty|_std|bias)|mss\w*|mean_sea_surface|geoid\w*"
_OTHER = ("sea_surface_temperature_anomaly", "sea_surface_height_above_reference_ellipsoid")


def drop_depth(dataset: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Make a vertical dimension of size one a scalar coordinate."""
    single = [dim for dim, n in dataset.sizes.items() if n == 1 and _is_vertical(dataset, dim)]
    if not single:
        return dataset, []
    return dataset.squeeze(single), [f"dimension {dim} of size one dropped" for dim in single]


def _is_vertical(dataset: xr.Dataset | xr.DataArray, name: Hashable) -> bool:
    attributes = dataset.coords[name].attrs if name in dataset.coords else {}
    return (
        attributes.get("axis") == "Z"
        or attributes.get("standard_name") in ("depth", "height", "altitude")
        or re.fullmatch(_VERTICAL, str(name).lower()) is not None
    )


def find_roles(dataset: xr.Dataset) -> dict[str, list[str]]:
    """Find the variables of each quantity.

    Parameters
    ----------
    dataset : xarray.Dataset
        A product, decoded.

    Returns
    -------
    dict of str to list of str
        For each quantity of `ROLES` that there is, its variables, the preferred first; those after
        the first are variants of the same quantity (filtered, for instance).

    Raises
    ------
    InvalidInputError
        If no height, anomaly, mean topography or temperature is recognised, or two variables are
        the same quantity and none is preferred.
    """
    found: dict[str, list[str]] = {}
    for name in dataset.data_vars:
        role = _role_of(str(name), dataset[name])
        if role is not None:
            found.setdefault(role, []).append(str(name))
    if not set(found) - {"lwe"}:
        raise InvalidInputError(_nothing_found(dataset))
    return {role: _rank(role, found[role]) for role in ROLES if role in found}


def _role_of(name: str, array: xr.DataArray) -> str | None:
    standard_name = standard_name_of(array)
    by_name = next((role for role in ROLES if name.lower() in ROLES[role].names), None)
    if array.dtype.kind not in "iuf" or not array.dims or "flag_meanings" in array.attrs:
        return None
    if " " in standard_name or (by_name is None and re.fullmatch(_NO_VALUE, name.lower())):
        return None  # a blank stands before a modifier, as in "... standard_error"
    if by_name in ("mdt", "lwe"):
        return by_name
    role = next((role for role in ROLES if standard_name in ROLES[role].standard_names), by_name)
    if standard_name in _BELOW:
        role = "sst"
    if standard_name in _OTHER and role != "sla":
        return None
    return None if role == "sst" and not _at_surface(array) else role


def standard_name_of(array: xr.DataArray) -> str:
    """Return the standard name of a variable, spelled with underscores; empty without one."""
    name = str(array.attrs.get("standard_name", "")).strip().lower()
    return name if "_" in name else name.replace(" ", "_")


def _at_surface(array: xr.DataArray) -> bool:
    if any(_is_vertical(array, str(dim)) for dim in array.dims):
        return False
    depths = [c for n, c in array.coords.items() if c.ndim == 0 and _is_vertical(array, str(n))]
    return all(abs(float(depth)) <= _SURFACE for depth in depths)


def _rank(role: str, names: list[str]) -> list[str]:
    known = ROLES[role].names
    listed = sorted((n for n in names if n.lower() in known), key=lambda n: known.index(n.lower()))
    ranked = listed or names
    if len(ranked) > 1 and (not listed or ranked[0].lower() == ranked[1].lower()):
        raise InvalidInputError(
            f"variables {', '.join(map(repr, sorted(ranked)))} may each be {role!r} (standard name "
            f"{ROLES[role].standard_names[0]!r}), and none is preferred; keep one of them with "
            f"dataset.drop_vars, or rename the right one: dataset.rename({{...: {role!r}}})."
        )
    return ranked


def _nothing_found(dataset: xr.Dataset) -> str:
    there = [
        f"{name!r} ({array.attrs.get('standard_name', 'no standard_name')})"
        for name, array in dataset.data_vars.items()
    ]
    return (
        f"no sea surface height or temperature is recognised among the variables "
        f"{', '.join(there) or '(none)'}; say which it is: dataset.rename({{...: 'ssh'}}) (or "
        "'sla', 'mdt', 'sst'), or give it the CF attribute standard_name, such as "
        f"{ROLES['ssh'].standard_names[0]!r}. Of a temperature at several depths take the "
        "uppermost with dataset.isel."
    )
