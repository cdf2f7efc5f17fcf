"""Train and score every row of the Lorenz-63 and Lorenz-96 tables (docs/results/lorenz.md).

    python docs/recipes/lorenz.py 63                      every row, three seeds
    python docs/recipes/lorenz.py 96 --rows rk4-cnn-supervised --seeds 0
    python docs/recipes/lorenz.py 63 --reduced            small data, one seed: minutes

A row and seed that has its result in the folder is not run again, and a killed training goes on
from its checkpoint. docs/recipes/lorenz_tables.py makes the tables and figures of the results.

A seed draws the data (truth and observations), the first weights and the order of the batches.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn

import xdvarnet
from xdvarnet.datasets import lorenz63, lorenz96, observe_series
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.dynamics.quadratic import QuadraticDynamics
from xdvarnet.dynamics.rescaled import Rescaled
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.series_inversion import SeriesInversion
from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.inversions.fixed_point import FixedPoint
from xdvarnet.solver.inversions.recurrent_filter import RecurrentFilter
from xdvarnet.solver.layout import Layout
from xdvarnet.solver.losses import PriorLoss, VariationalLoss
from xdvarnet.solver.networks import StridedUNet
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.gibbs import GibbsPrior
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.solver.steps import CNNStep, ConvLSTMStep, NetworkStep
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training import SeriesSchedule

NOISE = 2**0.5
SCORE_OBSERVATION, SCORE_PRIOR = 0.01, 1.0  # weights of the 4DVar-score


@dataclass(frozen=True)
class System:
    """What differs between the two models."""

    name: str
    load: Callable[..., xr.Dataset]
    every: int
    seen: list[str] | int
    dynamics: Callable[[], nn.Module]
    dt: float
    samples: dict[str, int]  # windows of each part
    batch_size: int
    layout: Layout  # of networks: components as channels, or on a ring
    gibbs: dict
    kernel: tuple[int, int]
    lstm: dict
    network: dict  # of the network step
    direct: dict
    quadratic: dict
    segment: int  # times of an orbit of amortised 4DVar

    def observe(self, truth: xr.Dataset, rng: int | np.random.Generator) -> xr.Dataset:
        return observe_series(truth, every=self.every, components=self.seen, noise=NOISE, rng=rng)


L63 = System(
    "lorenz63",
    lorenz63,
    every=8,
    seen=["x"],
    dynamics=Lorenz63,
    dt=0.01,
    samples={"training": 10_000, "validation": 1_000, "test": 2_000},
    batch_size=64,
    layout=Layout(components=3),
    gibbs={"kernel": (11, 1), "downscale": (4, 1)},
    kernel=(11, 1),
    lstm={"hidden": 14, "kernel": (3, 1)},
    network={"hidden": 16},
    direct={"hidden": 16},
    quadratic={"components": 3},
    segment=25,
)
L96 = System(
    "lorenz96",
    lorenz96,
    every=4,
    seen=20,
    dynamics=Lorenz96,
    dt=0.05,
    samples={"training": 2_000, "validation": 128, "test": 2_000},
    batch_size=2,  # 8,000 cells each
    layout=Layout(periodic=True),
    gibbs={"kernel": (5, 5), "downscale": (4, 1), "hidden": 16},
    kernel=(9, 5),
    lstm={"hidden": 5, "kernel": (3, 5)},
    network={"hidden": 40, "depth": 2, "patch": (4, 1), "downscale": (), "kernel": (3, 5)},
    direct={"hidden": 48, "depth": 2, "patch": (4, 1), "downscale": (), "kernel": (3, 5)},
    quadratic={"components": 40, "reach": 2},
    segment=8,
)
ALL = replace(L63, name="lorenz63-all", seen=["x", "y", "z"])
"""The setting of the authors' notebook: all components are observed."""

SYSTEMS = {"63": L63, "96": L96, "63-all": ALL}

REDUCED = {
    "lorenz63": {"training": 640, "validation": 100, "test": 200},
    "lorenz63-all": {"training": 640, "validation": 100, "test": 200},
    "lorenz96": {"training": 80, "validation": 8, "test": 32},
}
"""Windows with --reduced."""


@dataclass(frozen=True)
class Row:
    """A learned row: its solver and how it is trained."""

    prior: str | None  # rk4, gibbs, quadratic
    step: str  # cnn, lstm, network; or another inversion
    supervised: bool = True
    epochs: tuple[int, ...] = (2, 1)
    iterations: tuple[int, ...] | None = (5, 20)
    learning_rate: float = 1e-3
    pretrain: int = 0  # epochs of the prior alone
    batch_size: int | None = None  # that of the system


ROWS = {
    f"{prior}-{step}-{'supervised' if supervised else 'unsupervised'}": Row(
        prior, step, supervised, epochs=epochs, learning_rate=rate
    )
    for prior in ("rk4", "gibbs")
    for supervised in (False, True)
    for step, epochs, rate in (("cnn", (2, 4), 3e-3), ("lstm", (2, 1), 1e-2))
} | {
    f"{prior}-network-supervised": Row(
        prior, "network", epochs=(4,), iterations=(3,), learning_rate=2e-3
    )
    for prior in ("rk4", "gibbs", "quadratic")
}
ROWS["rk4-network-unsupervised"] = replace(ROWS["rk4-network-supervised"], supervised=False)
ROWS = {
    name: replace(row, pretrain=3, epochs=row.epochs[:1], iterations=row.iterations[:1])
    if row.prior == "gibbs"
    else row
    for name, row in ROWS.items()
} | {
    "direct": Row(None, "direct", epochs=(10,), iterations=None, learning_rate=2e-3),
    "dinae": Row("gibbs", "dinae", epochs=(4,), iterations=(5,), learning_rate=3e-3, pretrain=3),
    "dan": Row(None, "dan", epochs=(6,), iterations=None, learning_rate=3e-3),
    "amortised": Row("rk4", "amortised", False, epochs=(3,), iterations=None, learning_rate=2e-3),
}
"""The rows of the tables that are trained."""


SHIPPED = {
    "lorenz63": replace(ROWS["quadratic-network-supervised"], epochs=(16,)),
    "lorenz96": replace(ROWS["rk4-network-supervised"], epochs=(24,), iterations=(6,)),
}
"""The models of the package: row "shipped"."""


FOR_96 = {
    "rk4-cnn-supervised": {"learning_rate": 2e-3},
    "rk4-cnn-unsupervised": {"learning_rate": 2e-3},
    "rk4-network-unsupervised": {"epochs": (6,), "iterations": (6,)},
}
"""What rows of Lorenz-96 have besides."""


def row_of(system: System, name: str) -> Row:
    """A row; an epoch of Lorenz-96 has more steps, and half as many suffice."""
    if name == "shipped":
        return SHIPPED[system.name]
    row = ROWS[name]
    if system.name == "lorenz96":
        row = replace(row, epochs=tuple(max(1, epochs // 2) for epochs in row.epochs))
        row = replace(row, **FOR_96.get(name, {}))
    return row


@dataclass(frozen=True)
class Data:
    """One draw of the data."""

    truth: dict[str, xr.Dataset]
    observed: dict[str, xr.Dataset]
    normalizer: Normalizer

    @classmethod
    def draw(cls, system: System, seed: int) -> "Data":
        truth = {
            part: system.load(part, samples=samples, rng=seed)
            for part, samples in system.samples.items()
        }
        observed = {"test": system.observe(truth["test"], seed)}
        alike = system.name == "lorenz96"
        return cls(truth, observed, Normalizer.from_series(truth["training"], alike=alike))


def build_prior(system: System, kind: str, data: Data) -> nn.Module:
    """Return a prior of normalised states."""
    if kind == "gibbs":
        return GibbsPrior(**system.gibbs, layout=system.layout)
    if kind == "rk4":
        dynamics = system.dynamics()
    else:
        states = data.truth["training"]["state"].values[:200]
        dynamics = QuadraticDynamics(**system.quadratic).fit(torch.from_numpy(states), system.dt)
    scaled = Rescaled(dynamics, data.normalizer.mean["state"], data.normalizer.std["state"])
    return OdePrior(scaled, system.dt)


def build(system: System, row: Row, data: Data) -> nn.Module:
    """Return the solver of a row."""
    if row.step == "direct":
        return DirectInversion(StridedUNet(3, 1, **system.direct, layout=system.layout))
    if row.step == "dan":
        return RecurrentFilter(3 if system.name != "lorenz96" else 40, hidden=96)
    prior = build_prior(system, row.prior, data)
    if row.step == "dinae":
        return FixedPoint(prior)
    if row.step == "amortised":
        network = DirectInversion(StridedUNet(3, 1, **system.direct, layout=system.layout))
        return AmortisedFourDVar(network, prior.dynamics, system.dt, segment=system.segment)
    step = {
        "cnn": lambda: CNNStep(1, kernel=system.kernel, layout=system.layout),
        "lstm": lambda: ConvLSTMStep(1, **system.lstm, layout=system.layout, bound=1.0),
        "network": lambda: NetworkStep(StridedUNet(4, 1, **system.network, layout=system.layout)),
    }[row.step]()
    solver = VariationalSolver(prior, MaskedObservation(), step)
    if row.step == "lstm":  # the paper has no plain gradient part, and with one this row diverges
        solver.rate.requires_grad_(False)
    return solver


def train(system: System, row: Row, data: Data, seed: int, checkpoint: Path) -> SeriesInversion:
    """Return the trained model of a row."""
    torch.manual_seed(seed)
    steps = data.truth["training"].sizes["time"]
    model = SeriesInversion(
        build(system, row, data),
        data.normalizer,
        dt=system.dt,
        steps=steps,
        precision="bfloat16",
    )
    size = row.batch_size or system.batch_size

    def fit(schedule: SeriesSchedule, stage: str) -> SeriesInversion:
        return model.fit(
            data.truth["training"],
            observe=system.observe,
            validation=data.truth["validation"],
            schedule=schedule,
            checkpoint=f"{checkpoint}.{stage}",
            rng=seed,
        )

    if row.pretrain:
        model = fit(SeriesSchedule(row.pretrain, batch_size=size, loss=PriorLoss()), "prior")
    schedule = SeriesSchedule(row.epochs, row.iterations, size, row.learning_rate)
    weights = [None]
    if row.step == "amortised":  # the jumps between segments count more and more
        weights = [0.3, 3.0, 30.0]
    for number, weight in enumerate(weights):
        if row.step == "amortised":  # parameters of its equations may be learned
            loss = VariationalLoss(OdePrior(model.solver.dynamics, system.dt), 1.0, weight)
            schedule = replace(schedule, loss=loss)
        elif not row.supervised:
            loss = VariationalLoss(model.solver.prior.requires_grad_(False))
            schedule = replace(schedule, loss=loss)
        model = fit(schedule, str(number))
    return model.with_options(precision="float32")


def score(system: System, data: Data, model: object, samples: int | None = None) -> dict:
    """Return the scores of a model on the test windows."""
    part = {"sample": slice(samples)}
    truth, observed = (kind["test"].isel(part) for kind in (data.truth, data.observed))
    start = time.perf_counter()
    found = xdvarnet.reconstruct(observed, model, rng=0)
    seconds = time.perf_counter() - start
    ratio = None
    if "state_std" in found:  # mean squared error over mean variance: 1 is honest
        error = ((found["state"] - truth["state"]) ** 2).mean()
        ratio = float(error / (found["state_std"] ** 2).mean())
    return scores_of(system, found, observed, truth) | {
        "error_over_variance": ratio,
        "seconds_a_window": seconds / truth.sizes["sample"],
    }


def scores_of(system: System, found: xr.Dataset, observed: xr.Dataset, truth: xr.Dataset) -> dict:
    """R, its bootstrap spread over windows, R without the edges, and the 4DVar-score."""
    error = ((found["state"] - truth["state"]) ** 2).mean("component")
    windows = error.mean("time").values
    rng = np.random.default_rng(0)
    draws = [rng.choice(windows, windows.size).mean() for _ in range(500)]
    states = torch.from_numpy(found["state"].values)[:, None]
    prior = OdePrior(system.dynamics(), system.dt)
    dynamic = torch.cat([prior.cost(part).detach() for part in states.split(100)]).mean().item()
    misfit = ((found["state"] - observed["state"]).fillna(0) ** 2).mean().item()
    return {
        "R": windows.mean(),
        "R_spread": float(np.std(draws)),
        "R_interior": float(error.isel(time=slice(20, -20)).mean()),
        "fourdvar": SCORE_OBSERVATION * misfit + SCORE_PRIOR * dynamic,
        "windows": windows.size,
    }


def one_step_error(model: SeriesInversion, truth: xr.Dataset) -> float | None:
    """Mean squared error of the prior's projection of the truth, in the units of the state."""
    prior = getattr(model.solver, "prior", None)
    if prior is None:
        return None
    states = model.normalizer.normalize("state", truth["state"].values[:500]).astype(np.float32)[
        :, None
    ]
    with torch.no_grad():
        projected = prior(torch.from_numpy(states)).numpy()
    error = states[:, :, -projected.shape[2] :] - projected
    return float(np.mean((error * np.array(model.normalizer.std["state"])) ** 2))


def run(
    system: System, name: str, seed: int, folder: Path, data: Data, samples: int | None
) -> None:
    """Train and score one row with one seed, and write the result."""
    row = row_of(system, name)
    stem = folder / f"{system.name}-{name}-{seed}"
    start = time.perf_counter()
    model = train(system, row, data, seed, stem.with_suffix(".checkpoint"))
    seconds = time.perf_counter() - start
    found = score(system, data, model, samples)
    result = {
        "system": system.name,
        "row": name,
        "seed": seed,
        **found,
        "ode": one_step_error(model, data.truth["test"]),
        "parameters": model.parameters,
        "iterations": getattr(model.solver, "iterations", 1),
        "training_seconds": seconds,
        "training": asdict(row),
        "training_windows": system.samples["training"],
    }
    model = model.with_options(
        provenance={
            "training data": f"{system.samples['training']} windows of {system.name}; "
            f"{system.seen} observed every {system.every} steps, noise variance 2",
            "training": f"{sum(row.epochs)} epochs, docs/recipes/lorenz.py",
            "test R": f"{found['R']:.3f} +- {found['R_spread']:.3f} ({found['windows']} windows)",
            "citation": "Fablet et al. 2021, doi 10.1029/2021MS002572",
        }
    )
    xdvarnet.save_model(model, f"{stem}.safetensors")
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1))
    print(f"{stem.name}: R {result['R']:.3f} ({seconds:.0f} s of training)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=[*ROWS, "shipped"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--samples", type=int, help="at most so many windows of the test")
    parser.add_argument("--reduced", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("lorenz_runs"))
    arguments = parser.parse_args()
    system = SYSTEMS[arguments.system]
    seeds, folder = arguments.seeds, arguments.folder
    if arguments.reduced:
        system = replace(system, samples=REDUCED[system.name])
        seeds, folder = [0], folder / "reduced"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        data = Data.draw(system, seed)
        for name in arguments.rows:
            if not (folder / f"{system.name}-{name}-{seed}.json").exists():
                run(system, name, seed, folder, data, arguments.samples)


if __name__ == "__main__":
    main()
