"""Draws in temporary files: a training holds the windows that it learns from, and no more."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from xdvarnet.errors import StoreError
from xdvarnet.mapping.observations import Analysis
from xdvarnet.training.draws import Draw


def spool(draw: Draw) -> Draw:
    """Return a draw whose maps are in temporary files, which are gone when it is.

    What is cut out of them is read then. The maps become float32, as windows are.

    Raises
    ------
    StoreError
        If the files cannot be written.
    """
    given, guess = draw.observations, draw.observations.first_guess
    if guess is not None:
        guess = Analysis(_spool(guess.mean), _spool(guess.std))
    observations = replace(
        given, values=_spool(given.values), errors=_spool(given.errors), first_guess=guess
    )
    return Draw(observations, _spool(draw.truth))


def _spool(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: _in_file(array) for name, array in arrays.items()}


def _in_file(array: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryFile() as file:  # the map keeps it when it is closed
        try:
            np.asarray(array, np.float32).tofile(file)
        except OSError as error:
            raise StoreError(
                f"the draws of a training cannot be written to {tempfile.gettempdir()} ({error}); "
                "name another folder in the environment variable TMPDIR, or keep fewer draws: "
                "Schedule(pool=...)."
            ) from error
        return np.memmap(file, np.float32, "r", shape=array.shape)
