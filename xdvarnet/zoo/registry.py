"""Load a model by name or from a file, and save one to a file."""

import importlib
import importlib.metadata
import importlib.resources
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from xdvarnet.errors import InvalidInputError, InvalidTypeError, ModelFileError, UnknownNameError
from xdvarnet.mapping.description import Arrays, build, describe
from xdvarnet.mapping.protocol import Reconstructor, check_model
from xdvarnet.zoo.format import read, write

PARTS = ("calibration", "dynamics", "mapping", "methods", "networks", "solver")
"""Subpackages whose public classes a model file may name."""

SHIPPED = {
    "lorenz63": "lorenz63.safetensors",
    "lorenz96": "lorenz96.safetensors",
    "med-ssh": "med-ssh.safetensors",
    "ssh-any": "ssh-any.safetensors",
    "ssh-twin": "ssh-twin.safetensors",
}
"""Models in the package: two of chaotic series, as Fablet et al. 2021 observe them, and the sea
surface height of the Mediterranean at 1/8 degree, of any sea in units of its own (for `Scaled`),
and of the twin ocean at 10 km."""

DATA_SUFFIXES = {".grib", ".h5", ".nc", ".nc4", ".zarr"}
"""Files of data, which are given by mistake."""


def load_model(name: str | Path, *, classes: Sequence[type] = ()) -> Reconstructor:
    """Load a shipped model by its name, or a model file by its path.

    Nothing in a file is executed, and no global state of torch changes.

    Parameters
    ----------
    name : str or pathlib.Path
        One of `list_models`, such as ``"med-ssh"``, or the path of a ``.safetensors`` file.
    classes : sequence of type
        Classes of your own that the file names, such as a prior.

    Returns
    -------
    Reconstructor
        A model of maps, on the CPU (``model.with_options(device="cuda")`` moves it), or of series.
        ``"med-ssh"`` is `Calibrated`: its ``model`` is the network.

    Raises
    ------
    InvalidTypeError
        If `name` is neither a string nor a path.
    UnknownNameError
        If there is neither a shipped model nor a file of this name.
    MissingFileError, ModelFileError
        If the file does not exist, is truncated, empty, of another format version, or no model; if
        it has weights that are not finite or impossible numbers.

    Examples
    --------
    >>> import xdvarnet
    >>> model = xdvarnet.load_model("med-ssh")
    """
    if not isinstance(name, str | Path):
        raise InvalidTypeError(
            f"expected the name or the path of a model, got {type(name).__name__}; known names are "
            f"{', '.join(sorted(SHIPPED))}."
        )
    if Path(name).suffix in DATA_SUFFIXES:
        raise ModelFileError(
            f"{str(name)!r} is no model file: models are '.safetensors' files, as "
            "xdvarnet.save_model writes them. Open data with xarray.open_dataset."
        )
    if name in SHIPPED:
        resource = importlib.resources.files("xdvarnet.zoo") / "weights" / SHIPPED[str(name)]
        with importlib.resources.as_file(resource) as path:
            return _load(path, ())
    if isinstance(name, str) and not name.endswith(".safetensors") and not Path(name).exists():
        raise UnknownNameError(
            f"unknown model {name!r}; known are {', '.join(sorted(SHIPPED))}, or the path of a "
            "'.safetensors' file."
        )
    return _load(Path(name), classes)


def list_models() -> list[str]:
    """Return the names of the shipped models.

    Examples
    --------
    >>> import xdvarnet
    >>> xdvarnet.list_models()
    ['lorenz63', 'lorenz96', 'med-ssh', 'ssh-any', 'ssh-twin']
    """
    return sorted(SHIPPED)


def save_model(model: Reconstructor, path: str | Path) -> None:
    """Write a method or model to one ``.safetensors`` file, atomically.

    A network, a calibration or a background that no file could hold is refused when it is made.
    Other methods may be made of anything, such as a function that gives a tendency, and are refused
    here: of classes of your own, those can be stored that keep the arguments of their constructors
    as attributes of the same names.

    Parameters
    ----------
    model : Reconstructor
        A trained model or a method with its options. The device is not stored.
    path : str or pathlib.Path
        File to write, in a folder that is made if there is none; ``load_model(path)`` reads it.

    Raises
    ------
    InvalidTypeError
        If this is no model, a part of it cannot be stored, or the path is none.
    InvalidInputError
        If the path is a folder, or has the suffix of a file of data, such as ``.nc``.

    Examples
    --------
    >>> import tempfile
    >>> import xdvarnet
    >>> oi = xdvarnet.OptimalInterpolation(
    ...     "ssh", correlation_length="100 km", correlation_time="12 days", noise=0.02
    ... )
    >>> path = tempfile.mkdtemp() + "/oi.safetensors"
    >>> xdvarnet.save_model(oi, path)
    >>> xdvarnet.load_model(path).noise
    0.02
    """
    check_model(model)
    if not isinstance(path, str | Path):
        raise InvalidTypeError(
            f"path is a {type(path).__name__}; give one such as 'model.safetensors'."
        )
    if Path(path).suffix in DATA_SUFFIXES or Path(path).is_dir():
        raise InvalidInputError(
            f"path={str(path)!r} is a folder, or has the suffix of data; give a file such as "
            "'model.safetensors'."
        )
    arrays: Arrays = {}
    description = {
        "xdvarnet_version": importlib.metadata.version("xdvarnet"),
        "model": describe(model, arrays),
    }
    write(path, description, arrays)


def _load(path: Path, classes: Sequence[type]) -> Reconstructor:
    description, arrays = read(path)
    known = {**public_classes(), **{kind.__name__: kind for kind in classes}}
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), _single_precision():
        model = build(description.get("model"), arrays, known)
    if not isinstance(model, Reconstructor):
        raise ModelFileError(f"{str(path)!r} describes no model of this package.")
    return model


@cache
def public_classes() -> dict[str, type]:
    """Return the public classes of the package, which a file may name."""
    found: dict[str, object] = {}
    for part in PARTS:
        package = importlib.import_module(f"xdvarnet.{part}")
        found |= {name: getattr(package, name) for name in package.__all__}
    return {name: kind for name, kind in found.items() if inspect.isclass(kind)}


@contextmanager
def _single_precision() -> Iterator[None]:
    """Build networks in float32, whatever the default of torch is."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
