"""Complete maps from gappy satellite observations, in xarray: 4DVarNet and optimal interpolation.

Importing the package registers the accessor ``.dvarnet`` of Datasets. What needs torch or
matplotlib is imported when it is first used.
"""

import importlib
import importlib.metadata
import logging
from typing import Any

import xdvarnet.accessor  # noqa: F401  registers .dvarnet
from xdvarnet._lazy import attach
from xdvarnet.errors import XdvarnetError, XdvarnetWarning

_lazy, _, _names = attach(
    __name__,
    {
        "Calibrated": "calibration.calibrated",
        "DVarNet": "networks.dvarnet",
        "Lead": "mapping.lead",
        "ObservingSystem": "observing.system",
        "OptimalInterpolation": "methods.optimal_interpolation",
        "SPDEField": "methods.gaussian_field.field",
        "Schedule": "training.schedule",
        "bin_tracks": "tracks.bin",
        "calibrate": "calibration.learning",
        "datasets": "datasets",
        "evaluate": "evaluation",
        "geostrophic": "diagnostics",
        "harmonise": "grids.harmonise.product",
        "list_missions": "observing.missions",
        "list_models": "zoo.registry",
        "load_model": "zoo.registry",
        "observe": "observing.system",
        "plot_map": "plot.maps",
        "plot_tracks": "plot.tracks",
        "reconstruct": "mapping.reconstruct",
        "regrid": "grids.regrid.fields",
        "sample_tracks": "tracks.sample",
        "save_model": "zoo.registry",
        "score": "metrics.table",
        "to_duacs": "export",
    },
)

__all__ = ["XdvarnetError", "XdvarnetWarning", *_names]

PARTS = (
    "calibration",
    "datasets",
    "diagnostics",
    "dynamics",
    "grids",
    "mapping",
    "methods",
    "metrics",
    "networks",
    "observing",
    "plot",
    "solver",
    "spde",
    "tracks",
    "training",
    "zoo",
)
"""The rooms of the package, each with public names of its own."""

logging.getLogger("xdvarnet").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("xdvarnet")
    if name in PARTS:
        return importlib.import_module(f"xdvarnet.{name}")
    return _lazy(name)


def __dir__() -> list[str]:
    return sorted({*__all__, *PARTS, "__all__", "__version__"})
