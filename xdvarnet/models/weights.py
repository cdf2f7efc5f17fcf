"""Write a model with a torch solver to a file, and fill a built one with the weights of a file."""

import importlib.metadata
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from xdvarnet.errors import ModelFileError
from xdvarnet.models.description import Arrays, describe
from xdvarnet.models.storage import write

WEIGHTS = "solver."
"""What the names of a solver's weights begin with in a model file."""


class HasSolver(Protocol):
    """A model whose weights are those of its solver."""

    solver: nn.Module


def save_model(model: HasSolver, path: str | Path) -> None:
    """Write the description of a model and the weights of its solver, atomically.

    Raises
    ------
    InvalidTypeError
        If the model holds an object of a class outside of this package.
    """
    arrays: Arrays = {}
    description = {
        "xdvarnet_version": importlib.metadata.version("xdvarnet"),
        "model": describe(model, arrays),
    }
    weights = {
        WEIGHTS + name: tensor.detach().cpu().numpy()
        for name, tensor in model.solver.state_dict().items()
    }
    write(path, description, {**arrays, **weights})


def load_weights(model: HasSolver, arrays: dict[str, np.ndarray], path: Path) -> None:
    """Give a model the weights of a file.

    Raises
    ------
    ModelFileError
        If they do not fit its solver.
    """
    weights = {
        name.removeprefix(WEIGHTS): torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith(WEIGHTS)
    }
    try:
        model.solver.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ModelFileError(
            f"the weights in {str(path)!r} do not fit its solver: {error}"
        ) from error
