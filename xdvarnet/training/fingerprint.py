"""What tells the settings of one training from those of another, in any run."""

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch

from xdvarnet.errors import InvalidTypeError
from xdvarnet.grids.checks import LONGEST_REPR
from xdvarnet.mapping.description import Arrays, check_storable, describe

PLAIN = (type(None), bool, int, float, str, slice)
"""What a repr says all of."""


def fingerprint(value: object) -> str:
    """Say what a setting is, with a hash of all that it holds, weights and maps included.

    What a model file can hold is known by what the file would say. Of other objects the attributes
    count, and of functions the code: not where they lie in memory, nor in which file.
    """
    text = _lasting_repr(value)
    if isinstance(value, PLAIN):
        return text
    if len(text) > LONGEST_REPR or "\n" in text or not _is_storable(value):
        text = type(value).__name__
    return f"{text} ({hash_of(repr(_content(value, ())).encode())})"


def hash_of(*parts: bytes) -> str:
    """Return a hash of bytes."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


def _content(value: object, above: tuple[object, ...]) -> object:
    """Return all that a value holds, in lists of texts; `above` is what holds it."""
    if any(value is each for each in above):
        return "a part of itself"
    if not _is_storable(value):
        inner, parts = (*above, value), _parts(value).items()
        return [type(value).__qualname__, *([key, _content(part, inner)] for key, part in parts)]
    arrays: Arrays = {}
    described = describe(value, arrays)
    return [described, {name: hash_array(array) for name, array in arrays.items()}]


def _is_storable(value: object) -> bool:
    try:
        check_storable(value, "it")
    except InvalidTypeError:
        return False
    return True


def hash_array(array: np.ndarray) -> str:
    """Return a hash of the values, the shape and the type of an array."""
    held = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
    return hash_of(f"{array.shape} {array.dtype}".encode(), held)


def _parts(value: object) -> Mapping[Any, object]:
    """Return by name what an object is made of that no file could hold."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, set | frozenset):  # their order is another in each run
        return {"items": sorted(map(fingerprint, value))}
    if isinstance(value, torch.Tensor):
        return {"values": value.detach().cpu().numpy()}
    if isinstance(value, CodeType):
        return {"code": repr(value.co_code), "constants": value.co_consts, "names": value.co_names}
    if isinstance(value, FunctionType):
        names = ("__qualname__", "__code__", "__defaults__", "__kwdefaults__")
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return {name: getattr(value, name) for name in names} | {"closure": cells}
    if isinstance(value, MethodType):
        return {"function": value.__func__, "object": value.__self__}
    if isinstance(value, partial):
        return {"function": value.func, "arguments": [value.args, value.keywords]}
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return {"text": _lasting_repr(value)}
    return vars(value)


def _lasting_repr(value: object) -> str:
    """Return the repr without a memory address, which is another in each run."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
