"""Errors and warnings of xdvarnet.

Every error that a user meets is an `XdvarnetError` and also the built-in error of its kind, so that
``except ValueError`` keeps working.
"""

import warnings
from pathlib import Path

__all__ = [
    "InvalidInputError",
    "InvalidTypeError",
    "MissingDependencyError",
    "MissingFileError",
    "ModelFileError",
    "StoreError",
    "UnknownNameError",
    "XdvarnetError",
    "XdvarnetWarning",
]


class XdvarnetError(Exception):
    """Base of all errors raised by xdvarnet."""


class InvalidInputError(XdvarnetError, ValueError):
    """A value, a coordinate or a parameter that cannot be used."""


class UnknownNameError(XdvarnetError, KeyError):
    """A name (variable, mission, model) that does not exist."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr of the message


class InvalidTypeError(XdvarnetError, TypeError):
    """An object of a kind that is not accepted."""


class MissingFileError(XdvarnetError, FileNotFoundError):
    """A file that does not exist."""


class MissingDependencyError(XdvarnetError, ImportError):
    """An optional package that is not installed."""


class ModelFileError(XdvarnetError, ValueError):
    """A model file that is truncated, empty, of another format version, or no model."""


class StoreError(XdvarnetError, OSError):
    """A store of maps, or a file, that cannot be written; or a store that is of another job."""


class XdvarnetWarning(UserWarning):
    """Base of all warnings raised by xdvarnet."""


def warn(message: str) -> None:
    """Warn with an `XdvarnetWarning` that points at the user's line, however deep the cause."""
    warnings.warn(message, XdvarnetWarning, skip_file_prefixes=(str(Path(__file__).parent),))
