"""The file format of a model: one `.safetensors` file with a JSON string in its metadata.

The JSON names the classes and the arguments that build the model, so a file can be read and
inspected without torch, and nothing in it is executed.
"""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from xdvarnet._files import write_atomically
from xdvarnet.errors import MissingFileError, ModelFileError
from xdvarnet.zoo.format_1 import upgrade
from xdvarnet.zoo.renamed import rename

FORMAT = 2
"""Version of the format that is written; version 1 is read as well."""

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
    content = json.dumps({"format": FORMAT, **description})
    contiguous = {name: np.array(array, order="C") for name, array in arrays.items()}
    data = save(contiguous, metadata={KEY: content})
    write_atomically(Path(path), lambda temporary: temporary.write_bytes(data))


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
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{str(path)!r} is truncated or no safetensors file ({error}); get it again."
        ) from error
    if not isinstance(description, dict) or "format" not in description:
        raise ModelFileError(
            f"{str(path)!r} is a safetensors file without an xdvarnet description; it holds no "
            "model of this package. Write models with xdvarnet.save_model(model, path)."
        )
    if description["format"] not in (1, FORMAT):
        raise ModelFileError(
            f"{str(path)!r} has format version {description['format']}; this xdvarnet reads "
            f"versions 1 to {FORMAT}. Install the xdvarnet version that wrote it "
            f"({description.get('xdvarnet_version', 'unknown')}), or train the model again."
        )
    renamed = rename(description)
    return upgrade(renamed, arrays) if description["format"] == 1 else (renamed, arrays)
