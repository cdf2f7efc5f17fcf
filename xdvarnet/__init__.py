"""Complete maps from gappy satellite observations, in xarray: 4DVarNet and optimal interpolation.

Importing the package registers the accessor ``.dvarnet`` of Datasets. What needs torch or
matplotlib is imported when it is first used.
"""

import importlib
import importlib.metadata
import logging
from typing import Any

import xdvarnet.accessor  # noqa: F401  registers .dvarnet
from xdvarnet.errors import XdvarnetError, XdvarnetWarning

_HOMES = {
    "Augmentation": "xdvarnet.training.draws",
    "BilinearAutoencoder": "xdvarnet.solver.priors.bilinear",
    "CNNStep": "xdvarnet.solver.steps",
    "ConvLSTMStep": "xdvarnet.solver.steps",
    "DVarNet": "xdvarnet.networks.dvarnet",
    "GradientStep": "xdvarnet.solver.steps",
    "Lead": "xdvarnet.mapping.lead",
    "MaskedObservation": "xdvarnet.solver.observation",
    "MeanMapBackground": "xdvarnet.mapping.background",
    "MeanMapOffset": "xdvarnet.methods.trivial",
    "Normalizer": "xdvarnet.networks.normalizer",
    "ObservedBackground": "xdvarnet.mapping.background",
    "ObservingSystem": "xdvarnet.observing.system",
    "OptimalInterpolation": "xdvarnet.methods.optimal_interpolation",
    "Persistence": "xdvarnet.methods.trivial",
    "ReconstructionLoss": "xdvarnet.solver.losses",
    "SPDEField": "xdvarnet.methods.gaussian_field.field",
    "SPDEPrior": "xdvarnet.solver.priors.spde",
    "UNetPrior": "xdvarnet.solver.priors.unet",
    "Reconstructor": "xdvarnet.mapping.protocol",
    "Schedule": "xdvarnet.training.schedule",
    "VariationalSolver": "xdvarnet.solver.variational",
    "Window": "xdvarnet.mapping.cover",
    "bin_tracks": "xdvarnet.tracks.bin",
    "Calibrated": "xdvarnet.calibration.calibrated",
    "calibrate": "xdvarnet.calibration.calibrate",
    "evaluate": "xdvarnet.evaluation",
    "geostrophic": "xdvarnet.diagnostics",
    "harmonise": "xdvarnet.grids.harmonise.product",
    "list_models": "xdvarnet.zoo.registry",
    "load_model": "xdvarnet.zoo.registry",
    "observe": "xdvarnet.observing.system",
    "plot_map": "xdvarnet.plot.maps",
    "plot_tracks": "xdvarnet.plot.tracks",
    "reconstruct": "xdvarnet.mapping.reconstruct",
    "regrid": "xdvarnet.grids.regrid.fields",
    "sample_tracks": "xdvarnet.tracks.sample",
    "save_model": "xdvarnet.zoo.registry",
    "score": "xdvarnet.metrics.table",
    "to_duacs": "xdvarnet.export",
}

__all__ = ["XdvarnetError", "XdvarnetWarning", "datasets", *_HOMES]

logging.getLogger("xdvarnet").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("xdvarnet")
    if name == "datasets":
        return importlib.import_module("xdvarnet.datasets")
    if name not in _HOMES:
        raise AttributeError(f"module 'xdvarnet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
