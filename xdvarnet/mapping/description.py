"""Describe a model by class names and constructor arguments, and build it again.

An object is described as ``{"class": name, "arguments": {...}}`` from the attributes that carry
the names of its constructor's parameters; arrays, and the weights of a network, are put aside under
a name.
"""

import inspect
import math
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn
from torch.overrides import TorchFunctionMode

from xdvarnet.errors import InvalidTypeError, ModelFileError
from xdvarnet.grids.checks import MOST_COUNT

Arrays = dict[str, np.ndarray]

WEIGHTS = "/"
"""Between the name of a network and that of one of its weights."""

FLOOR = 2**22
"""Numbers of an array that a network may have, however few there are in a file."""

FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye)
"""What allocates the arrays of networks."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}
"""Types of numbers that a network may be made of."""

UNKEPT = ("rng",)
"""Arguments of a network that are not kept: its weights are, whatever drew them."""

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def describe(value: object, arrays: Arrays, name: str = "model") -> object:
    """Describe `value` in what JSON can hold; arrays are added to `arrays` under `name`.

    Raises
    ------
    InvalidTypeError
        If it holds an object that a file could not hold: a function, or one whose class has
        constructor arguments that are not its attributes.
    """
    return _describe(value, arrays, name, weights=True)


def check_storable(value: object, name: str) -> None:
    """Refuse a part of a model that a file could not hold, before any work is put into it.

    Raises
    ------
    InvalidTypeError
        As `describe` does.
    """
    _describe(value, {}, name, weights=False)


def _describe(value: object, arrays: Arrays, name: str, *, weights: bool) -> object:
    def below(item: object, key: object) -> object:
        inner = weights and not isinstance(value, nn.Module)
        return _describe(item, arrays, f"{name}.{key}", weights=inner)

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple | nn.ModuleList):
        return [below(item, number) for number, item in enumerate(value)]
    if isinstance(value, Mapping) and not isinstance(value, xr.Dataset):
        return {key: below(item, key) for key, item in value.items()}
    if isinstance(value, torch.dtype):
        return {"class": "dtype", "arguments": {"name": str(value).removeprefix("torch.")}}
    if isinstance(value, slice):
        arguments = {"start": value.start, "stop": value.stop, "step": value.step}
    elif isinstance(value, np.ndarray):
        arrays[name] = value
        arguments = {}
    elif isinstance(value, xr.DataArray):
        dataset = value.to_dataset(name="values")
        arguments = {"dataset": below(dataset, "dataset"), "name": value.name}
    elif isinstance(value, xr.Dataset):
        arguments = {}
        for key, variable in value.variables.items():
            attributes = {name: str(text) for name, text in variable.attrs.items()}
            entry: dict[str, object] = {"dims": list(map(str, variable.dims)), "attrs": attributes}
            arguments[str(key)] = entry
            if variable.dtype.kind in "TU":  # a file has no type for texts
                entry["texts"] = variable.values.tolist()
                continue
            arrays[f"{name}.{key}"] = variable.values
            if variable.dtype.kind == "M":  # nor for dates
                arrays[f"{name}.{key}"] = variable.values.astype("int64")
                entry["dtype"] = str(variable.dtype)
    else:
        arguments = {key: below(item, key) for key, item in arguments_of(value, name).items()}
    if weights and isinstance(value, nn.Module):
        for key, tensor in value.state_dict().items():
            arrays[name + WEIGHTS + key] = tensor.detach().cpu().numpy()
    return {"class": type(value).__name__, "arguments": arguments}


def arguments_of(value: object, name: str) -> dict[str, object]:
    """Return the constructor arguments that an object keeps as attributes.

    Raises
    ------
    InvalidTypeError
        If it does not keep them.
    """
    kind = type(value)
    if kind.__init__ is nn.Module.__init__:
        return {}
    parameters, missing = _parameters(value), ["constructor"]
    if parameters is not None:
        missing = [each.name for each in parameters if each.kind in VARIABLE]
        missing += [each.name for each in parameters if not hasattr(value, each.name)]
    if parameters is None or missing:
        raise InvalidTypeError(
            f"{name} is {value!r}, which a model file cannot hold: it needs a class whose "
            "constructor arguments are attributes of its objects, under the same names. For a "
            "function write such a class, of equations a torch.nn.Module with forward(state); "
            "load_model(path, classes=[...]) then reads it."
        )
    return {each.name: getattr(value, each.name) for each in parameters}


def _parameters(value: object) -> list[inspect.Parameter] | None:
    """Return the parameters of an object's constructor, but the unkept; None if it has none."""
    kind = type(value)
    if isinstance(value, FunctionType | type) or kind.__module__ == "builtins":
        return None
    try:
        parameters = inspect.signature(kind).parameters.values()
    except ValueError:  # of a class that is written in C
        return None
    unkept = UNKEPT if isinstance(value, nn.Module) else ()
    return [each for each in parameters if each.name not in unkept]


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
        If a class is not among `classes`, or does not accept its arguments; if weights are missing,
        of another shape or not finite; if a network would be larger than the arrays tell.
    """
    known = {
        "ndarray": None,
        "Dataset": None,
        "DataArray": None,
        "dtype": None,
        "slice": None,
        **classes,
    }
    limit = max(FLOOR, sum(array.size for array in arrays.values()))
    try:
        with _Limit(limit):
            return _build(description, arrays, known, name)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
        raise ModelFileError(f"the description of {name} cannot be understood: {error}") from error


def _build(
    description: object,
    arrays: Arrays,
    classes: Mapping[str, type | None],
    name: str,
    *,
    weights: bool = True,
) -> Any:
    def below(item: object, key: object, *, weights: bool = weights) -> Any:
        return _build(item, arrays, classes, f"{name}.{key}", weights=weights)

    if isinstance(description, list):
        return [below(item, number) for number, item in enumerate(description)]
    if not isinstance(description, dict):
        return description
    if set(description) != {"class", "arguments"}:
        return {key: below(item, key) for key, item in description.items()}
    kind, arguments = description["class"], description["arguments"]
    if kind not in classes:
        raise ModelFileError(
            f"the model needs the class {kind!r}, which this version of xdvarnet does not have; "
            f"known are {', '.join(sorted(classes))}. Give a class of your own as "
            f"load_model(path, classes=[{kind}])."
        )
    if kind == "slice":
        return slice(arguments["start"], arguments["stop"], arguments["step"])
    if kind == "dtype":
        return DTYPES[arguments["name"]]
    if kind == "ndarray":
        return arrays[name]
    if kind == "Dataset":
        variables = {}
        for key, entry in arguments.items():
            if "texts" in entry:
                array = np.array(entry["texts"], dtype=str)
            else:
                array = arrays[f"{name}.{key}"]
                array = array.astype(entry.get("dtype", array.dtype))
            variables[key] = (entry["dims"], array, entry["attrs"])
        return xr.Dataset(variables)
    if kind == "DataArray":
        return below(arguments["dataset"], "dataset")["values"].rename(arguments["name"])
    constructor = classes[kind]
    assert constructor is not None  # the others are built above
    is_network = issubclass(constructor, nn.Module)
    inner = weights and not is_network  # a network has the weights of all its parts
    built = _construct(
        kind, constructor, {k: below(v, k, weights=inner) for k, v in arguments.items()}
    )
    if weights and is_network:
        _load_weights(built, arrays, name)
    return built


def _construct(kind: str, constructor: type, arguments: dict[str, object]) -> Any:
    """Call a constructor."""
    if issubclass(constructor, nn.Module):
        for key, value in arguments.items():
            if isinstance(value, int) and abs(value) > MOST_COUNT:
                raise ModelFileError(
                    f"the model's {kind} has an impossible {key}={value}; whole numbers up to "
                    f"{MOST_COUNT} are accepted."
                )
    try:
        positional = [
            arguments.pop(key)
            for key, parameter in inspect.signature(constructor).parameters.items()
            if parameter.kind is not parameter.KEYWORD_ONLY and key in arguments
        ]
        return constructor(*positional, **arguments)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"the model's {kind} cannot be built: {error}") from error


def _load_weights(network: nn.Module, arrays: Arrays, name: str) -> None:
    """Give a network all its weights."""
    prefix = name + WEIGHTS
    weights = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
    own = network.state_dict()
    for key, array in weights.items():
        floating = key in own and own[key].is_floating_point()
        if floating and not (array.dtype.kind == "f" and np.isfinite(array).all()):
            raise ModelFileError(
                f"the weights {key!r} of {name} ({array.dtype}) are no finite floating numbers; "
                "the file is damaged, or of a training that diverged."
            )
    try:
        network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
    except RuntimeError as error:
        raise ModelFileError(f"the weights do not fit the network of {name}: {error}") from error


class _Limit(TorchFunctionMode):
    """Refuse to allocate tensors that are larger than what a file can fill."""

    def __init__(self, largest: int) -> None:
        super().__init__()
        self.largest = largest

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in FACTORIES:
            shape = args[0] if args and isinstance(args[0], list | tuple) else args
            size = math.prod(number for number in shape if isinstance(number, int))
            if size > self.largest:
                raise ModelFileError(
                    f"a network of the model would have an array of {size} numbers, and the file "
                    f"holds fewer than {self.largest}; it is damaged."
                )
        return func(*args, **(kwargs or {}))
