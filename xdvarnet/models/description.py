"""Describe a model by class names and constructor arguments, and build it again.

An object is described as ``{"class": name, "arguments": {...}}`` from the attributes that carry
the names of its constructor's parameters; arrays are put aside under a name.
"""

import inspect
from collections.abc import Mapping

import numpy as np
import xarray as xr
from torch import nn

from xdvarnet.errors import InvalidTypeError, ModelFileError

Arrays = dict[str, np.ndarray]


def describe(value: object, arrays: Arrays, name: str = "model") -> object:
    """Describe `value` in what JSON can hold; arrays are added to `arrays` under `name`.

    Raises
    ------
    InvalidTypeError
        If it holds an object of a class outside of this package, which `build` does not know.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | nn.ModuleList):
        return [describe(item, arrays, f"{name}.{i}") for i, item in enumerate(value)]
    if isinstance(value, Mapping) and not isinstance(value, xr.Dataset):
        return {key: describe(item, arrays, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, slice):
        arguments = {"start": value.start, "stop": value.stop, "step": value.step}
    elif isinstance(value, xr.Dataset):
        arguments = {}
        for key, variable in value.variables.items():
            arrays[f"{name}.{key}"] = variable.values
            attributes = {name: str(text) for name, text in variable.attrs.items()}
            arguments[str(key)] = {"dims": list(map(str, variable.dims)), "attrs": attributes}
    elif not type(value).__module__.startswith("xdvarnet."):
        raise InvalidTypeError(
            f"{name} is of the class {type(value).__qualname__}, which is none of xdvarnet, and a "
            "file could not be read again; build the model of classes of xdvarnet, or keep it with "
            "pickle."
        )
    else:
        arguments = {
            parameter: describe(getattr(value, parameter), arrays, f"{name}.{parameter}")
            for parameter in inspect.signature(type(value)).parameters
        }
    return {"class": type(value).__name__, "arguments": arguments}


def build(
    description: object, arrays: Arrays, classes: Mapping[str, type], name: str = "model"
) -> object:
    """Build what `describe` described.

    Parameters
    ----------
    description : object
        Result of `describe`.
    arrays : dict of str to numpy.ndarray
        The arrays that were put aside.
    classes : mapping of str to type
        The classes that may be built.
    name : str
        Name under which arrays were put aside.

    Raises
    ------
    ModelFileError
        If a class is not among `classes`, or does not accept its arguments.
    """
    if isinstance(description, list):
        return [build(item, arrays, classes, f"{name}.{i}") for i, item in enumerate(description)]
    if not isinstance(description, dict):
        return description
    if set(description) != {"class", "arguments"}:
        return {
            key: build(item, arrays, classes, f"{name}.{key}") for key, item in description.items()
        }
    kind, arguments = description["class"], description["arguments"]
    if kind == "Dataset":
        return xr.Dataset(
            {
                key: (entry["dims"], arrays[f"{name}.{key}"], entry["attrs"])
                for key, entry in arguments.items()
            }
        )
    if kind == "slice":
        return slice(arguments["start"], arguments["stop"], arguments["step"])
    if kind not in classes:
        raise ModelFileError(
            f"the model needs the class {kind!r}, which this version of xdvarnet does not have; "
            f"known are {', '.join(sorted(classes))}."
        )
    built = {key: build(item, arrays, classes, f"{name}.{key}") for key, item in arguments.items()}
    signature = inspect.signature(classes[kind])
    try:
        positional = [
            built.pop(key)
            for key, parameter in signature.parameters.items()
            if parameter.kind is not parameter.KEYWORD_ONLY and key in built
        ]
        return classes[kind](*positional, **built)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"the model's {kind} cannot be built: {error}") from error
