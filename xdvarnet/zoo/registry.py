"""Load a model by name, or from a file."""

import importlib.resources
from pathlib import Path

from xdvarnet.dynamics.advection import WithTracer
from xdvarnet.dynamics.augmented import Augmented
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.dynamics.quadratic import QuadraticDynamics
from xdvarnet.dynamics.quasigeostrophic import ReducedGravityQG, TwoLayerQG
from xdvarnet.dynamics.rescaled import Rescaled
from xdvarnet.dynamics.shallow_water import ShallowWater
from xdvarnet.dynamics.spectral import SpectralGrid
from xdvarnet.errors import InvalidTypeError, ModelFileError, UnknownNameError
from xdvarnet.methods.optimal_interpolation import OptimalInterpolation
from xdvarnet.models.background import MeanMapBackground, ObservedBackground
from xdvarnet.models.base import TrainingGrid
from xdvarnet.models.description import build
from xdvarnet.models.dvarnet import DVarNet
from xdvarnet.models.ensembles import Ensemble
from xdvarnet.models.normalize import Normalizer
from xdvarnet.models.residual import ErrorProcess
from xdvarnet.models.series_inversion import SeriesInversion
from xdvarnet.models.series_normalizer import SeriesNormalizer
from xdvarnet.models.storage import read
from xdvarnet.models.weights import load_weights
from xdvarnet.patches.cover import Window
from xdvarnet.solver.features import FeatureObservation
from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
from xdvarnet.solver.inversions.direct import DirectNetwork
from xdvarnet.solver.inversions.direct_map import DirectInversion
from xdvarnet.solver.inversions.fixed_point import FixedPoint
from xdvarnet.solver.inversions.recurrent_filter import RecurrentFilter
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.multiscale import TimeAttention, UNet, UNetStep
from xdvarnet.solver.observation import InitialBackground, MaskedObservation
from xdvarnet.solver.priors.bilinear import BilinearAutoencoder
from xdvarnet.solver.priors.gibbs import GibbsPrior
from xdvarnet.solver.priors.linear import LinearPrior
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.solver.priors.spde import SPDEPrior
from xdvarnet.solver.priors.unet import UNetPrior
from xdvarnet.solver.series_layers import SeriesUNet
from xdvarnet.solver.series_steps import NetworkStep, SeriesCNNStep, SeriesLSTMStep
from xdvarnet.solver.steps import CNNStep, ConvLSTMStep, GradientStep, ObservationAge
from xdvarnet.solver.variational import VariationalSolver

CLASSES = {
    "AmortisedFourDVar": AmortisedFourDVar,
    "Augmented": Augmented,
    "BilinearAutoencoder": BilinearAutoencoder,
    "CNNStep": CNNStep,
    "ConvLSTMStep": ConvLSTMStep,
    "DVarNet": DVarNet,
    "DirectInversion": DirectInversion,
    "DirectNetwork": DirectNetwork,
    "Ensemble": Ensemble,
    "ErrorProcess": ErrorProcess,
    "FeatureObservation": FeatureObservation,
    "FixedPoint": FixedPoint,
    "GibbsPrior": GibbsPrior,
    "GradientStep": GradientStep,
    "InitialBackground": InitialBackground,
    "LinearPrior": LinearPrior,
    "Lorenz63": Lorenz63,
    "Lorenz96": Lorenz96,
    "MaskedObservation": MaskedObservation,
    "MeanMapBackground": MeanMapBackground,
    "Minimisation": Minimisation,
    "NetworkStep": NetworkStep,
    "Normalizer": Normalizer,
    "ObservationAge": ObservationAge,
    "ObservedBackground": ObservedBackground,
    "OdePrior": OdePrior,
    "OptimalInterpolation": OptimalInterpolation,
    "QuadraticDynamics": QuadraticDynamics,
    "RecurrentFilter": RecurrentFilter,
    "ReducedGravityQG": ReducedGravityQG,
    "Rescaled": Rescaled,
    "SPDEPrior": SPDEPrior,
    "SeriesCNNStep": SeriesCNNStep,
    "SeriesInversion": SeriesInversion,
    "SeriesLSTMStep": SeriesLSTMStep,
    "SeriesNormalizer": SeriesNormalizer,
    "SeriesUNet": SeriesUNet,
    "ShallowWater": ShallowWater,
    "SpectralGrid": SpectralGrid,
    "TimeAttention": TimeAttention,
    "TrainingGrid": TrainingGrid,
    "TwoLayerQG": TwoLayerQG,
    "UNet": UNet,
    "UNetPrior": UNetPrior,
    "UNetStep": UNetStep,
    "VariationalSolver": VariationalSolver,
    "Window": Window,
    "WithTracer": WithTracer,
}
"""What a model file may name."""

SHIPPED = {
    "lorenz63": "lorenz63.safetensors",
    "lorenz96": "lorenz96.safetensors",
    "med-ssh": "med-ssh.safetensors",
    "ssh-twin": "ssh-twin.safetensors",
}
"""Models in the package: two of chaotic series, as Fablet et al. 2021 observe them, and the sea
surface height of the Mediterranean at 1/8 degree and of the twin ocean at 10 km."""

DATA_SUFFIXES = {".grib", ".h5", ".nc", ".nc4", ".zarr"}
"""Files of data, which are given by mistake."""


def load_model(name: str | Path) -> DVarNet | SeriesInversion:
    """Load a shipped model by its name, or a model file by its path.

    Parameters
    ----------
    name : str or pathlib.Path
        Such as ``"med-ssh"``, or the path of a ``.safetensors`` file.

    Returns
    -------
    DVarNet or SeriesInversion
        A model of maps, on the CPU (``model.with_options(device="cuda")`` moves it), or of series.

    Raises
    ------
    InvalidTypeError
        If `name` is neither a string nor a path.
    UnknownNameError
        If there is neither a shipped model nor a file of this name.
    MissingFileError, ModelFileError
        If the file does not exist, is truncated, empty, of another format version, or no model.

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
            f"{str(name)!r} is no model file: models are '.safetensors' files, as model.save(path) "
            "writes them. Open data with xarray.open_dataset."
        )
    if name in SHIPPED:
        resource = importlib.resources.files("xdvarnet.zoo") / "weights" / SHIPPED[str(name)]
        with importlib.resources.as_file(resource) as path:
            return _load(path)
    if isinstance(name, str) and not name.endswith(".safetensors") and not Path(name).exists():
        raise UnknownNameError(
            f"unknown model {name!r}; known are {', '.join(sorted(SHIPPED))}, or the path of a "
            "'.safetensors' file."
        )
    return _load(Path(name))


def _load(path: Path) -> DVarNet | SeriesInversion:
    description, arrays = read(path)
    model = build(description.get("model"), arrays, CLASSES)
    if not isinstance(model, DVarNet | SeriesInversion):
        raise ModelFileError(
            f"{str(path)!r} describes no trained model; it is none of this package."
        )
    load_weights(model, arrays, path)
    return model
