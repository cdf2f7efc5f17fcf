"""Dynamical models as tensors: their tendencies, and their integration in time."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Augmented": "augmented",
        "Forecast": "forecast",
        "Gridded": "heights",
        "Heights": "heights",
        "Lorenz63": "lorenz",
        "Lorenz96": "lorenz",
        "Model": "integration",
        "QuadraticDynamics": "quadratic",
        "ReducedGravityQG": "quasigeostrophic",
        "Rescaled": "rescaled",
        "ShallowWater": "shallow_water",
        "SpectralGrid": "spectral",
        "SpectralModel": "spectral",
        "TwoLayerQG": "quasigeostrophic",
        "WithTracer": "advection",
        "advance": "spectral",
        "integrate": "integration",
        "reference_trajectory": "integration",
    },
)
