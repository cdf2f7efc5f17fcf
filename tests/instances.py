"""A small instance of every public method and model: what the laws of `test_laws` run over.

A public reconstructor that is in neither list fails a test there. Maps are those of
`reconstructors.gappy`; series have three components.
"""

from collections.abc import Callable
from dataclasses import dataclass

import xarray as xr
from reconstructors import gappy

from xdvarnet.calibration import Calibrated, ErrorProcess
from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.dynamics import Forecast, Lorenz63
from xdvarnet.mapping import Lead, MeanMapBackground, Reconstructor, Window, Windowed
from xdvarnet.methods import (
    DINEOF,
    ETKF,
    AnalogForecast,
    Climatology,
    EnKF,
    EnsembleKalmanSmoother,
    HybridEnVar,
    MeanMapOffset,
    OptimalInterpolation,
    Persistence,
    SeriesOptimalInterpolation,
    SPDEField,
    StrongFourDVar,
    ThreeDVar,
    WeakFourDVar,
)
from xdvarnet.networks import DVarNet, Normalizer, Scaled, SeriesInversion, TrainingGrid
from xdvarnet.solver import (
    BilinearAutoencoder,
    ConvLSTMStep,
    DirectInversion,
    Layout,
    MaskedObservation,
    StridedUNet,
    VariationalSolver,
)

DAYS = 5
"""Days of a window."""

MAKERS: dict[str, Callable[[], Reconstructor]] = {}
"""Makers of the instances that map, by name."""

SERIES: dict[str, Callable[[], Reconstructor]] = {}
"""Makers of those of series."""


def _of(makers: dict) -> Callable:
    def register(make: Callable[[], Reconstructor]) -> Callable[[], Reconstructor]:
        makers[make.__name__.replace("_", " ")] = make
        return make

    return register


def known_background() -> MeanMapBackground:
    return MeanMapBackground(gappy(unobserved=0.0, seed=3).mean("time"))


@_of(MAKERS)
def interpolation(**options) -> OptimalInterpolation:
    # all observations in three days, so that no choice among neighbours hangs on rounding
    options = {"noise": 0.02, "neighbours": 1000, "time_window": 3} | options
    return OptimalInterpolation(
        "ssh", correlation_length="90 km", correlation_time="3 days", **options
    )


@_of(MAKERS)
def interpolation_on_a_mean_map() -> OptimalInterpolation:
    return interpolation(background=known_background())


@_of(MAKERS)
def mean_map() -> MeanMapOffset:
    return MeanMapOffset(gappy(unobserved=0.0, seed=3))


@_of(MAKERS)
def persistence() -> Persistence:
    return Persistence(gappy(unobserved=0.0, seed=3))


@_of(MAKERS)
def empirical_functions() -> DINEOF:
    return DINEOF("ssh", modes=2)


@_of(MAKERS)
def gaussian_field() -> SPDEField:
    return SPDEField(correlation_length=60, correlation_time=3, std=0.05, noise=0.02)


@_of(MAKERS)
def gaussian_field_in_windows() -> Windowed:
    return Windowed(gaussian_field(), Window(DAYS, 8, 9, stride=(2, 4, 5), halo=(0, 1, 2)))


def network(first_guess: Reconstructor | None, leads: int | None = None) -> DVarNet:
    context = DVarNet.context_channels(DAYS, first_guess)
    step = ConvLSTMStep(DAYS, hidden=4, context=context, downscale=2, rng=1)
    step.decode.weight.data.normal_(std=0.05, generator=None)
    step.decode.weight.data.copy_(step.decode.weight.data.sign() * 0.02)
    solver = VariationalSolver(
        BilinearAutoencoder(DAYS, hidden=3, rng=0), MaskedObservation(noise=0.5), step, iterations=2
    )
    return DVarNet(
        solver,
        variables={"ssh": "m"},
        window=Window(DAYS, 8, 9, stride=(2, 4, 5), halo=(0, 1, 2)),
        leads=leads,
        background=known_background(),
        first_guess=first_guess,
        normalizer=Normalizer({"ssh": 0.05}),
    )


@_of(MAKERS)
def network_from_nothing() -> DVarNet:
    return network(None)


@_of(MAKERS)
def network_from_the_interpolation() -> DVarNet:
    return network(interpolation())


@_of(MAKERS)
def interpolation_that_is_changed() -> Scaled:
    home = TrainingGrid((0.25, 0.4), (36.0, 39.25))
    return Scaled(network(interpolation()).replace(training_grid=home), interpolation(), weight=0.5)


@_of(MAKERS)
def network_that_forecasts() -> Lead:
    return Lead(network(None, leads=1), 1)


@_of(MAKERS)
def forecast_of_the_interpolation() -> Lead:
    return Lead(interpolation(), 1)


ERROR = ErrorProcess(
    offset=1e-4,
    slope=1.5,
    length=60.0,
    time=2.0,
    signal_std=0.05,
    signal_length=90.0,
    signal_time=3.0,
    noise=0.02,
)


@_of(MAKERS)
def calibrated_interpolation() -> Calibrated:
    return Calibrated(interpolation(), {"ssh": ERROR})


@_of(MAKERS)
def calibrated_network() -> Calibrated:
    return Calibrated(network(interpolation()), {"ssh": ERROR}, method="neural")


@_of(MAKERS)
def calibrated_forecast() -> Calibrated:
    return Calibrated(forecast_of_the_interpolation(), {"ssh": ERROR})


@dataclass
class Drift(Forecast):
    """States that decay towards zero: a model of maps for the methods that need one."""

    rate: float = 0.9

    def forecast(self, states, dt):
        return self.rate**dt * states


def heights() -> Climatology:
    return Climatology.from_maps(
        gappy(days=40, rows=12, columns=15, unobserved=0.0, seed=5), {"ssh": "m"}, ridge=0.1
    )


@_of(MAKERS)
def filter_of_heights() -> ETKF:
    return ETKF(Drift(), noise=0.02, climatology=heights(), members=12)


@_of(MAKERS)
def network_from_a_filter() -> DVarNet:
    return network(filter_of_heights())


@_of(MAKERS)
def calibrated_filter() -> Calibrated:
    return Calibrated(filter_of_heights(), {"ssh": ERROR})


@_of(MAKERS)
def interpolation_with_the_spread_of_a_filter() -> Calibrated:
    spread = filter_of_heights()
    return Calibrated(interpolation(), {"ssh": ERROR}, spread=spread, method="neural")


# series


def lorenz() -> Climatology:
    return Climatology.from_series(lorenz63("training", samples=20))


def ensemble(kind, **options):
    return kind(Lorenz63(), noise=2**0.5, climatology=lorenz(), members=12, **options)


@_of(SERIES)
def stochastic_filter() -> EnKF:
    return ensemble(EnKF)


@_of(SERIES)
def transform_filter() -> ETKF:
    return ensemble(ETKF)


@_of(SERIES)
def hybrid_filter() -> HybridEnVar:
    return ensemble(HybridEnVar, weight=0.02)


@_of(SERIES)
def smoother() -> EnsembleKalmanSmoother:
    return EnsembleKalmanSmoother(ensemble(ETKF), lag=6)


@_of(SERIES)
def analogs() -> EnKF:
    forecast = AnalogForecast(k=8).fit(lorenz63("training", samples=20))
    return EnKF(forecast, noise=2**0.5, climatology=lorenz(), members=8)


@_of(SERIES)
def strong_4dvar() -> StrongFourDVar:
    return StrongFourDVar(Lorenz63(), noise=2**0.5, climatology=lorenz())


@_of(SERIES)
def weak_4dvar() -> WeakFourDVar:
    return WeakFourDVar(
        Lorenz63(),
        noise=2**0.5,
        climatology=lorenz(),
        model_noise=0.1,
        first_guess=series_interpolation(),
    )


@_of(SERIES)
def weak_4dvar_from_a_filter() -> WeakFourDVar:
    return weak_4dvar().replace(first_guess=transform_filter())


@_of(SERIES)
def three_dvar() -> ThreeDVar:
    return ThreeDVar(Lorenz63(), noise=2**0.5, climatology=lorenz())


@_of(SERIES)
def series_interpolation() -> SeriesOptimalInterpolation:
    method = SeriesOptimalInterpolation(noise=2**0.5)
    return method.fit(lorenz63("training", samples=100))


@_of(SERIES)
def series_network() -> SeriesInversion:
    return SeriesInversion(
        DirectInversion(StridedUNet(3, 1, hidden=4, layout=Layout(components=3), rng=0)),
        Normalizer.from_series(lorenz63("training", samples=20)),
        dt=0.01,
        steps=20,
    )


CLASSES = (Drift,)
"""Classes of these tests that a file may name."""


def observed_maps() -> xr.Dataset:
    return gappy(days=6, rows=12, columns=15, unobserved=0.85)


def observed_series() -> xr.Dataset:
    truth = lorenz63("test", samples=3, steps=33)
    return observe_series(truth, every=8, components=["x", "z"], noise=2**0.5, rng=0)


def classes_of(makers: dict[str, Callable[[], Reconstructor]]) -> set[type]:
    """The classes of the instances, and of what they are made of."""
    found: set[type] = set()

    def visit(value: object) -> None:
        if isinstance(value, Reconstructor) and type(value) not in found:
            found.add(type(value))
            for part in vars(value).values():
                visit(part)

    for make in makers.values():
        visit(make())
    return found
