"""Decode the quantities of a product, and bring them to the names and units of the convention."""

from collections.abc import Hashable

import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.categories import is_category
from xdvarnet.grids.checks import units_factor
from xdvarnet.grids.harmonise.flags import keep_good
from xdvarnet.grids.harmonise.roles import ROLES, standard_name_of
from xdvarnet.grids.plausible import is_quantity
from xdvarnet.grids.values import PACKING, lasting_attributes, mask_fills

_FILTERED = {"adt_filtered", "sla_filtered", "ssha_filtered", "ssha_noiseless"}
_ZERO_CELSIUS = 273.15


def decode(dataset: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Decode packed integers, make fills NaN, and forget how the numbers were stored.

    Floating-point numbers are decoded already, whatever their attributes say. Dates are left as
    they are, and so are the values of axes.

    Returns
    -------
    xarray.Dataset, list of str
        The Dataset, and what was done.

    Warns
    -----
    XdvarnetWarning
        Of values that are not declared as missing, and are none (`mask_fills`).
    """
    packed = [
        name
        for name, variable in dataset.variables.items()
        if PACKING & set(variable.attrs) and variable.dtype.kind in "iu"
    ]
    done = ["packed values decoded"] if packed else []
    if packed:
        dataset = _assign(dataset, _decoded(dataset, packed))
    masked = {}
    for name in dataset.variables:
        array = dataset[name]
        if array.dtype.kind in "iu" and is_quantity(array):
            array = array.astype(float)
        if name in dataset.indexes or array.dtype.kind != "f" or is_category(array):
            continue
        array, steps = mask_fills(array)
        masked[name] = array.variable
        done += steps
    dataset = _assign(dataset, masked)
    for variable in dataset.variables.values():
        if variable.dtype.kind in "iuf":
            variable.attrs = lasting_attributes(variable.attrs)
    return dataset, done


def _decoded(dataset: xr.Dataset, packed: list[Hashable]) -> dict[Hashable, xr.Variable]:
    plain = dataset.reset_coords()[packed].drop_vars(
        set(dataset.indexes) - set(packed), errors="ignore"
    )
    decoded = xr.decode_cf(plain, decode_times=False, decode_coords=False)
    return {name: decoded.variables[name] for name in packed}


def _assign(dataset: xr.Dataset, variables: dict[Hashable, xr.Variable]) -> xr.Dataset:
    """Put variables in the place of those of the same names, coordinates as coordinates."""
    coords = {name: v for name, v in variables.items() if name in dataset.coords}
    return dataset.assign_coords(coords).assign(
        {name: v for name, v in variables.items() if name not in coords}
    )


def build(dataset: xr.Dataset, roles: dict[str, list[str]]) -> tuple[xr.Dataset, list[str]]:
    """Bring the recognised variables to their names and units, and complete the height.

    Parameters
    ----------
    dataset : xarray.Dataset
        A product, decoded.
    roles : dict of str to list of str
        As returned by `xdvarnet.grids.harmonise.roles.find_roles`.

    Returns
    -------
    xarray.Dataset, list of str
        With `ssh`, `sla`, `mdt`, `lwe` and `sst` as far as they are there, and what was done.

    Raises
    ------
    InvalidInputError
        If the units of one do not convert.
    """
    arrays, done = {}, []
    summed = _is_summed(roles)
    for role, names in roles.items():
        if role == "ssh" and summed:
            done += [f"{name} left out" for name in names]
            continue
        arrays[role], steps = _convert(dataset[names[0]], role)
        done += steps
        if role in ("ssh", "sla", "sst"):
            arrays[role], steps = keep_good(arrays[role], dataset, temperature=role == "sst")
            done += steps
        done += [f"{role} = {names[0]}"] if names[0] != role else []
        done += [f"{name} left out" for name in names[1:]]
    rest = dataset.drop_vars([name for names in roles.values() for name in names])
    if summed:
        arrays["ssh"] = _sum(arrays["sla"], arrays["mdt"])
        done.append(f"ssh = {roles['sla'][0]} + {roles['mdt'][0]}")
    if "lwe" in arrays:
        done.append("long-wavelength correction kept (lwe not subtracted)")
    return rest.assign({role: array.variable for role, array in arrays.items()}), done


def _is_summed(roles: dict[str, list[str]]) -> bool:
    """Whether the height is a sum: there is none, or only a filtered one and better terms."""
    filtered = {role: names[0].lower() in _FILTERED for role, names in roles.items()}
    better = filtered.get("ssh", True) and not (filtered.get("sla") and "ssh" in roles)
    return {"sla", "mdt"} <= set(roles) and better


def _sum(sla: xr.DataArray, mdt: xr.DataArray) -> xr.DataArray:
    attributes = {
        "standard_name": ROLES["ssh"].standard_names[0],
        "long_name": "sea surface height above geoid",
        "units": "m",
    }
    return (sla + mdt).astype(sla.dtype).assign_attrs(attributes)


def _convert(array: xr.DataArray, role: str) -> tuple[xr.DataArray, list[str]]:
    units, done = ROLES[role].units, []
    given = array.attrs.get("units")
    factor, offset = _temperature(array) if role == "sst" else (units_factor(array, units), 0.0)
    if (factor, offset) != (1.0, 0.0):
        kind = array.dtype if array.dtype.kind == "f" else float
        array = (array.astype(float) * factor + offset).astype(kind).assign_attrs(array.attrs)
        done.append(f"{array.name}: {given} -> {units}")
    elif given is None:
        done.append(f"{array.name}: without units, taken as {units}")
    attributes = {**array.attrs, "units": units}
    if role in ("ssh", "sla", "sst") and standard_name_of(array) not in ROLES[role].standard_names:
        attributes["standard_name"] = ROLES[role].standard_names[0]
    array = array.copy(deep=False)
    array.attrs = attributes
    return array, done


def _temperature(array: xr.DataArray) -> tuple[float, float]:
    """Return the factor and the offset to degrees Celsius; a factor alone cannot do it."""
    given = array.attrs.get("units", "degC")
    spelled = array.assign_attrs(units="degC") if given == "C" else array  # C is a coulomb else
    try:
        return units_factor(spelled, "degC"), 0.0
    except InvalidInputError:
        pass
    try:
        return units_factor(spelled, "K"), -_ZERO_CELSIUS
    except InvalidInputError as error:
        raise InvalidInputError(
            f"variable {array.name!r} is a temperature with units {given!r}, which do not convert "
            "to degC; accepted are degC and K. Correct the attribute 'units' or convert the values."
        ) from error
