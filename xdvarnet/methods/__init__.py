"""Methods that map: interpolation, Gaussian fields, assimilation with a dynamical model."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AnalogForecast": "analog",
        "Climatology": "climatology",
        "ETKF": "ensemble_kalman",
        "EnKF": "ensemble_kalman",
        "EnsembleFilter": "ensemble_filter",
        "EnsembleKalmanSmoother": "ensemble_kalman",
        "HybridEnVar": "hybrid",
        "Localisation": "localisation",
        "MeanMapOffset": "trivial",
        "OptimalInterpolation": "optimal_interpolation",
        "Persistence": "trivial",
        "SPDEField": "gaussian_field.field",
        "SeriesOptimalInterpolation": "series_interpolation",
        "StrongFourDVar": "variational",
        "ThreeDVar": "variational",
        "WeakFourDVar": "variational",
    },
)
