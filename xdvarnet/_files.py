"""Files that are there as a whole or not at all, whoever else writes them."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path

from xdvarnet.errors import InvalidTypeError, StoreError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name in its folder, and put it in place at once.

    The folder is made if there is none. Of several writers the last one wins, and a reader sees
    the file of one of them. A symbolic link stays one: what it points to is replaced. The file has
    the permissions that the umask gives to a new one.

    Parameters
    ----------
    path : pathlib.Path
        File to write; an older one is replaced.
    write : callable
        Called with the temporary path.

    Raises
    ------
    StoreError
        If the folder cannot be written to.
    """
    target = path.resolve()
    temporary = _begin(path, target)
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: object, name: str) -> None:
    """Refuse a path at which no file could be written, before any work is put into it.

    Raises
    ------
    InvalidTypeError
        If it is no path.
    StoreError
        If the folder cannot be written to.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidTypeError(f"{name}={path!r} is no path; give one such as 'mine.pt'.")
    _begin(Path(path), Path(path).resolve()).unlink()


def _begin(path: Path, target: Path) -> Path:
    """Make an empty temporary file beside a target, with the permissions of a new file."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {target.parent} is no folder that can be written to "
            f"({error.strerror}). Give another path."
        ) from error
    return temporary
