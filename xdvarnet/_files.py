"""Files that are there as a whole or not at all, whoever else writes them."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


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
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """Return the umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
