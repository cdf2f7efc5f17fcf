"""Score the methods that are not trained end to end, on the same windows as docs/recipes/lorenz.py.

    python docs/recipes/lorenz_classical.py 63
    python docs/recipes/lorenz_classical.py 96 --rows weak-4dvar --seeds 0
    python docs/recipes/lorenz_classical.py 63 --reduced

All of them know the noise of the observations and the mean and covariance of the training windows.
Settings were chosen on validation windows. Slow methods are scored on the first windows of the
test.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from lorenz import NOISE, REDUCED, SYSTEMS, Data, System, score

import xdvarnet
from xdvarnet.dynamics.quadratic import QuadraticDynamics
from xdvarnet.dynamics.rescaled import Rescaled
from xdvarnet.methods.analog import AnalogForecast
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow
from xdvarnet.methods.ensemble_kalman import ETKF, EnKF, EnsembleKalmanSmoother
from xdvarnet.methods.hybrid import HybridEnVar
from xdvarnet.methods.localisation import Localisation
from xdvarnet.methods.series_interpolation import SeriesOptimalInterpolation
from xdvarnet.methods.variational import StrongFourDVar, ThreeDVar, WeakFourDVar
from xdvarnet.networks.series_checks import interpolate
from xdvarnet.networks.series_inversion import SeriesInversion
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.ode import OdePrior


class Trivial(DynamicalMethod):
    """The mean state, or observations interpolated in time."""

    def __init__(self, climatology: Climatology, *, linear: bool) -> None:
        self.climatology, self.linear = climatology, linear

    def solve_states(
        self,
        window: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        anomalies = window.values - self.climatology.mean
        filled = interpolate(anomalies) if self.linear else np.zeros_like(anomalies)
        return StateAnalysis(self.climatology.mean + filled)


@dataclass(frozen=True)
class Row:
    """A method, and on how many windows it is scored (None: all)."""

    build: Callable[[], object]
    samples: int | None = None


def learned_model(system: System, data: Data) -> QuadraticDynamics:
    """The quadratic model of the training windows."""
    states = torch.from_numpy(data.truth["training"]["state"].values[:200])
    return QuadraticDynamics(**system.quadratic).fit(states, system.dt).requires_grad_(False)


def adam(system: System, data: Data) -> SeriesInversion:
    """Descent of the weak-constraint cost with the true model, by an optimiser of torch."""
    scaled = Rescaled(
        system.dynamics(), data.normalizer.mean["state"], data.normalizer.std["state"]
    )
    noise = NOISE / float(np.mean(data.normalizer.std["state"]))
    weight = 1e3 if system.name != "lorenz96" else 1e2
    solver = Minimisation(
        OdePrior(scaled, system.dt),
        MaskedObservation(noise=noise),
        optimiser="adam",
        rate=0.02,
        iterations=1000,
        weights=(1.0, weight),
    )
    steps = data.truth["test"].sizes["time"]
    return SeriesInversion(solver, data.normalizer, dt=system.dt, steps=steps)


def rows_63(system: System, data: Data) -> dict[str, Row]:
    climate = Climatology.from_series(data.truth["training"])
    known = {"noise": NOISE, "climatology": climate}
    model = system.dynamics()
    few = data.truth["training"].isel(sample=slice(100))
    return {
        "climatology": Row(lambda: Trivial(climate, linear=False)),
        "linear-interpolation": Row(lambda: Trivial(climate, linear=True)),
        "oi": Row(
            lambda: SeriesOptimalInterpolation(noise=NOISE).fit(
                data.truth["training"].isel(sample=slice(5000))
            )
        ),
        "3dvar": Row(lambda: ThreeDVar(model, **known, scale=0.3)),
        "enkf": Row(lambda: EnKF(model, **known, members=50)),
        "etkf": Row(lambda: ETKF(model, **known, members=50)),
        "hybrid": Row(lambda: HybridEnVar(model, **known, members=50, weight=0.01)),
        "enks": Row(lambda: EnsembleKalmanSmoother(EnKF(model, **known, members=50))),
        "anda": Row(
            lambda: EnsembleKalmanSmoother(
                EnKF(AnalogForecast(k=40).fit(few), **known, members=50, model_noise=0.05)
            ),
            256,
        ),
        "adam": Row(lambda: adam(system, data), 256),
        "strong-4dvar": Row(lambda: StrongFourDVar(model, **known), 500),
        "weak-4dvar": Row(lambda: WeakFourDVar(model, **known, model_noise=0.001)),
        "weak-4dvar-learned-model": Row(
            lambda: WeakFourDVar(learned_model(system, data), **known, model_noise=0.001)
        ),
    }


def rows_96(system: System, data: Data, folder: Path, seed: int) -> dict[str, Row]:
    climate = Climatology.from_series(data.truth["training"])
    known = {"noise": NOISE, "climatology": climate}
    model = system.dynamics()
    local = Localisation(12.0, periodic=True)
    wide = {"members": 100, "inflation": 1.05, "localisation": local}

    def weak(dynamics: torch.nn.Module) -> object:
        """4DVar from the trained network: no annealing from afar is needed."""
        first = xdvarnet.load_model(folder / f"lorenz96-shipped-{seed}.safetensors")
        return WeakFourDVar(
            dynamics,
            **known,
            model_noise=0.01,
            stages=(10, 1),
            iterations=8,
            first_guess=first,
        )

    return {
        "climatology": Row(lambda: Trivial(climate, linear=False)),
        "linear-interpolation": Row(lambda: Trivial(climate, linear=True)),
        "oi": Row(
            lambda: SeriesOptimalInterpolation(noise=NOISE, periodic=True).fit(
                data.truth["training"].isel(sample=slice(1000))
            ),
            64,
        ),
        "3dvar": Row(lambda: ThreeDVar(model, **known, scale=0.3)),
        "enkf": Row(lambda: EnKF(model, **known, **wide), 256),
        "etkf": Row(
            lambda: ETKF(
                model,
                **known,
                members=40,
                inflation=1.1,
                localisation=Localisation(6.0, periodic=True),
            ),
            256,
        ),
        "hybrid": Row(lambda: HybridEnVar(model, **known, **wide, weight=0.02), 256),
        "enks": Row(lambda: EnsembleKalmanSmoother(EnKF(model, **known, **wide), lag=20), 256),
        "adam": Row(lambda: adam(system, data), 64),
        "weak-4dvar": Row(
            lambda: WeakFourDVar(
                model,
                **known,
                model_noise=0.01,
                stages=(200, 100, 60, 35, 20, 10, 3, 1),
                iterations=6,
            ),
            32,
        ),
        "weak-4dvar-from-network": Row(lambda: weak(model), 100),
        "weak-4dvar-learned-model-from-network": Row(lambda: weak(learned_model(system, data)), 16),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--rows", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--samples", type=int, help="at most so many windows for each method")
    parser.add_argument("--reduced", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("lorenz_runs"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", xdvarnet.XdvarnetWarning)  # windows that did not converge
    system = SYSTEMS[arguments.system]
    seeds, folder = arguments.seeds, arguments.folder
    if arguments.reduced:
        system = replace(system, samples=REDUCED[system.name])
        seeds, folder = [0], folder / "reduced"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        data = Data.draw(system, seed)
        if system.name == "lorenz96":
            rows = rows_96(system, data, folder, seed)
        else:
            rows = rows_63(system, data)
        for name in arguments.rows or rows:
            path = folder / f"{system.name}-{name}-{seed}.json"
            if path.exists():
                continue
            row = rows[name]
            samples = min(row.samples or 10**9, arguments.samples or 10**9)
            result = {"system": system.name, "row": name, "seed": seed}
            result |= score(system, data, row.build(), samples)
            path.write_text(json.dumps(result, indent=1))
            print(f"{path.stem}: R {result['R']:.3f} +- {result['R_spread']:.3f}", flush=True)


if __name__ == "__main__":
    main()
