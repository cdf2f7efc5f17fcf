"""The file format of a model: one `.safetensors` file with a JSON string in its metadata.

The JSON names the classes and the arguments that build the model, so a file can be read and
inspected without torch, and nothing in it is executed.
"""

import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from xdvarnet.errors import MissingFileError, ModelFileError

FORMAT = 1
"""Version of the format that is written, and the one that is read."""

KEY = "xdvarnet"


def write(path: str | Path, description: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write a model file atomically: it is there as a whole or not at all.

    Parameters
    ----------
    path : str or pathlib.Path
        File to write, in a folder that is made if there is none; an older file is replaced.
    description : dict
        What JSON can hold.
    arrays : dict of str to numpy.ndarray
        Weights and maps.
    """
    path = Path(path)
    content = json.dumps({"format": FORMAT, **description})
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.write_bytes(save(contiguous, metadata={KEY: content}))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: str | Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Read the description and the arrays of a model file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ModelFileError
        If it is truncated, empty, of another format version, or no model.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no model file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise ModelFileError(f"the model file {str(path)!r} is empty; get it again.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        description = json.loads(metadata[KEY]) if KEY in metadata else None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(
            f"{str(path)!r} is truncated or no safetensors file ({error}); get it again."
        ) from error
    if not isinstance(description, dict) or "format" not in description:
        raise ModelFileError(
            f"{str(path)!r} is a safetensors file without an xdvarnet description; it holds no "
            "model of this package. Write models with model.save(path)."
        )
    if description["format"] != FORMAT:
        raise ModelFileError(
            f"{str(path)!r} has format version {description['format']}; this xdvarnet reads "
            f"version {FORMAT}. Install the xdvarnet version that wrote it "
            f"({description.get('xdvarnet_version', 'unknown')}), or train the model again."
        )
    return description, arrays
