"""Complete maps from gappy satellite observations, in xarray: 4DVarNet and optimal interpolation.

Importing the package registers the accessor ``.dvarnet`` of Datasets. What needs torch or
matplotlib is imported when it is first used. The names of the daily work are here, all others in
the subpackages, such as `xdvarnet.methods` and `xdvarnet.solver`.
"""

import importlib.metadata
import logging
from typing import Any

import xdvarnet.accessor  # noqa: F401  registers .dvarnet
from xdvarnet._lazy import attach

_lazy, __dir__, __all__ = attach(__name__, __file__)

logging.getLogger("xdvarnet").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("xdvarnet")
    return _lazy(name)
