"""Train, tune and score the rows of the twin experiments (docs/results/twin.md).

    python docs/recipes/twin.py                                   every experiment, 80 minutes
    python docs/recipes/twin.py --experiments nadirs --rows unet-step --seconds 600
    python docs/recipes/twin_tables.py                            tables and figures of the results

All networks of an experiment are trained for the same processor time on one core, on the same
oceans (docs/recipes/twin_data.py), on maps of 10 km. The interpolation is tuned on the validation
ocean. A row that has its result in the folder is not run again.
"""

import argparse
import itertools
import json
import time
import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from twin_data import SCORED, SEEDS, SYSTEMS, ocean

import xdvarnet
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.networks import UNet
from xdvarnet.solver.steps import UNetStep

DAYS = 11
SIDE = 64
LEADS = 5
UNITS = {"ssh": "m", "sst": "degC", "u": "m/s", "v": "m/s", "ssh_lower": "m"}
EPOCHS, BATCH = 6, 8  # epochs of a training, windows of a step
LEADS_SCORED = (0, 1, 3, 5)

AUGMENTATION = xdvarnet.training.Augmentation(mixing=False, background_days=None, flips=False)
"""None: flipped along one axis alone, eddies would drift the wrong way."""

LENGTHS = ("60 km", "80 km", "100 km", "120 km")
TIMES = ("4 days", "6 days", "9 days", "12 days", "16 days", "22 days")
NOISES = {
    "gulf-stream": (0.015, 0.02, 0.03, 0.045, 0.06),
    "northeast-atlantic": (0.007, 0.01, 0.015, 0.02, 0.03),
}
"""Trials of the interpolation: correlation length and time, and noise of a cell (m)."""


@dataclass(frozen=True)
class Experiment:
    """What is observed of which sea, and what is mapped."""

    sea: str
    system: str
    rows: tuple[str, ...]
    variables: tuple[str, ...] = ("ssh",)
    leads: int | None = None


TRIVIAL = ("mean + offset", "persistence", "interpolation")
BEST = ("direct", "unet-step-oi")

EXPERIMENTS = {
    "nadirs": Experiment("gulf-stream", "nadirs", (*TRIVIAL, "unet-step", *BEST, "ssh-twin")),
    "swot": Experiment("gulf-stream", "nadirs + SWOT", (*TRIVIAL, *BEST)),
    "quiet": Experiment("northeast-atlantic", "nadirs", (*TRIVIAL, *BEST)),
    "sst": Experiment("gulf-stream", "nadirs + SST", BEST, variables=("ssh", "sst")),
    "currents": Experiment("gulf-stream", "nadirs", BEST, variables=("ssh", "u", "v", "ssh_lower")),
    "leads": Experiment("gulf-stream", "nadirs", ("interpolation", "direct"), leads=LEADS),
}


def build_solver(
    row: str, variables: int, guess: xdvarnet.OptimalInterpolation | None
) -> nn.Module:
    """Return the untrained solver of a row, with an interpolation to start from or not."""
    channels = DAYS * variables
    context = xdvarnet.DVarNet.context_channels(DAYS, guess, variables=variables)
    if row == "direct":  # at half of the resolution
        network = UNet(2 * channels + context, channels, hidden=64, depth=2, downscale=2)
        return DirectInversion(network, context=context)
    return xdvarnet.solver.VariationalSolver(
        xdvarnet.solver.BilinearAutoencoder(channels, hidden=32, downscale=2),
        xdvarnet.solver.MaskedObservation(),
        UNetStep(channels, hidden=32, context=context),
        iterations=3,
    )


def build(row: str, experiment: Experiment, folder: Path) -> xdvarnet.DVarNet:
    """Return the untrained model of a row."""
    torch.manual_seed(0)
    names, guess = experiment.variables, None
    if row.endswith("-oi"):
        guess = interpolation(experiment.sea, tune_interpolation(experiment, folder))
    return xdvarnet.DVarNet(
        build_solver(row, len(names), guess),
        first_guess=guess,
        variables={name: UNITS[name] for name in names},
        observed=[name for name in names if name in ("ssh", "sst")],
        window=xdvarnet.mapping.Window(DAYS, SIDE, SIDE, stride=(1, 40, 40), halo=(2, 8, 8)),
        leads=experiment.leads,
        background=background(experiment.sea, *names),
        precision="bfloat16",
    )


@cache
def truths(sea: str, part: str) -> tuple[xr.Dataset, ...]:
    """Return the oceans of a part."""
    return tuple(ocean(sea, part, seed) for seed in SEEDS[part])


def train(
    row: str,
    experiment: Experiment,
    seconds: float,
    checkpoint: Path,
    *,
    epochs: int = EPOCHS,
    mirrored: bool = False,
) -> xdvarnet.DVarNet:
    """Train a row for a given processor time, on mirror images of the oceans too or not."""
    model = build(row, experiment, checkpoint.parent)
    names = list(experiment.variables)
    known = [truth[names] for truth in truths(experiment.sea, "training")]
    if mirrored:
        known += [mirror(truth) for truth in known]
    validation = truths(experiment.sea, "validation")[0][names].isel(time=slice(25))
    # another ocean, and so other days
    validation = validation.assign_coords(time=validation["time"] + np.timedelta64(1000, "D"))
    settings = {
        "observe": SYSTEMS[experiment.system],
        "validation": validation,
        "validation_period": slice(*validation["time"].values[[7, 17]].astype(str)),
        "rng": 0,
    }
    schedule = xdvarnet.Schedule(
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=2e-3 if row == "direct" else 1e-3,
        loss=xdvarnet.solver.ReconstructionLoss(field=1.0, gradient=2.0, prior=0.0),
        augmentation=AUGMENTATION,
    )
    one_step = seconds_a_step(model, known[0], schedule, settings)
    schedule = replace(schedule, steps_per_epoch=max(2, round(seconds / (epochs * one_step))))
    trained = model.fit(known, schedule=schedule, checkpoint=checkpoint, **settings)
    checkpoint.unlink()
    return trained


def mirror(truth: xr.Dataset) -> xr.Dataset:
    """Turn heights upside down and north to south: a solution of the same equations."""
    return truth.assign(ssh=-truth["ssh"].isel(lat=slice(None, None, -1)).drop_vars("lat"))


def seconds_a_step(
    model: xdvarnet.DVarNet, truth: xr.Dataset, schedule: xdvarnet.Schedule, settings: dict
) -> float:
    """Processor time of one step of a training: what ten more steps take."""
    taken = []
    for steps in (2, 2, 12):  # the first one also compiles
        short = replace(schedule, epochs=1, steps_per_epoch=steps)
        start = time.process_time()
        model.fit(truth, schedule=short, **settings)
        taken.append(time.process_time() - start)
    return max((taken[2] - taken[1]) / 10, 0.02)


def tune_interpolation(experiment: Experiment, folder: Path) -> dict:
    """Return the best settings of the interpolation on the validation ocean, of all on a grid."""
    path = folder / f"interpolation-{experiment.sea}-{experiment.system}.json".replace(" ", "")
    if not path.exists():
        truth = truths(experiment.sea, "validation")[0].isel(lat=slice(0, 64), lon=slice(0, 64))
        observed = observe(experiment, truth, 0)[["ssh"]]
        trials = []
        for length, days, noise in itertools.product(LENGTHS, TIMES, NOISES[experiment.sea]):
            settings = {"correlation_length": length, "correlation_time": days, "noise": noise}
            maps = xdvarnet.reconstruct(observed, interpolation(experiment.sea, settings))
            error = (maps["ssh"] - truth["ssh"]).isel(time=SCORED["validation"])
            trials.append(settings | {"rmse": float((error**2).mean() ** 0.5)})
        path.write_text(json.dumps(trials, indent=1))
    best = min(json.loads(path.read_text()), key=lambda trial: trial["rmse"])
    return {key: value for key, value in best.items() if key != "rmse"}


def interpolation(sea: str, settings: dict) -> xdvarnet.OptimalInterpolation:
    """Return an interpolation with the background of all rows, the mean map of the training."""
    return xdvarnet.OptimalInterpolation(
        "ssh", **settings, background=background(sea, "ssh"), time_window=21
    )


@cache
def background(sea: str, *names: str) -> xdvarnet.mapping.MeanMapBackground:
    """Return the background of all rows: what is the same along each latitude, and a basin mean.

    The plane is alike everywhere: the mean of heights and currents is zero, and that of the
    temperature depends on the latitude.
    """
    known = truths(sea, "training")[0][list(names)].drop_vars("sea", errors="ignore")
    means = xr.zeros_like(known.isel(time=0, drop=True))
    if "sst" in names:
        every = xr.concat([truth["sst"] for truth in truths(sea, "training")], "time")
        means["sst"] = means["sst"] + every.mean(("time", "lon"))
        means["sst"].attrs["units"] = "degC"
    return xdvarnet.mapping.MeanMapBackground(means, days=DAYS)


def observe(experiment: Experiment, truth: xr.Dataset, seed: int) -> xr.Dataset:
    """Observe what the system of an experiment sees of these maps."""
    return SYSTEMS[experiment.system].observe(truth, rng=1000 + seed)


def make_maps(
    row: str, model: object, experiment: Experiment, truth: xr.Dataset, observed: xr.Dataset
) -> xr.Dataset:
    """Return the maps of a row for one ocean."""
    if row == "persistence":  # of the truth a day before the first scored day, which nobody has
        last = truth[["ssh"]].isel(time=[SCORED["test"].start - 1])
        model = xdvarnet.methods.Persistence(last, days=DAYS)
    return xdvarnet.reconstruct(observed, model)


def score(row: str, model: object, experiment: Experiment, part: str = "test") -> dict:
    """Return the scores of a row on every ocean of a part."""
    results: list[dict] = []
    for seed, truth in zip(SEEDS[part], truths(experiment.sea, part), strict=True):
        observed = observe(experiment, truth, seed)
        start = time.process_time()
        maps = make_maps(row, model, experiment, truth, observed)
        seconds = time.process_time() - start
        maps, known = (data.isel(time=SCORED[part]) for data in (maps, truth))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xdvarnet.XdvarnetWarning)  # no scale is resolved
            scores = xdvarnet.score(maps, known, kind="osse2020a")
        squares = {
            name: ((maps[name] - known[name]) ** 2).mean(("lat", "lon")).values.reshape(-1, 7)
            for name in maps
            if name in known
        }
        results.append(
            {
                "seed": seed,
                **{str(name): float(value) for name, value in scores.items()},
                "gradient_rmse": float(
                    xdvarnet.score(maps, known, variable="ssh")["gradient_rmse"]
                ),
                "weeks": {name: value.mean(1).tolist() for name, value in squares.items()},
                "std": {name: float(known[name].std()) for name in squares},
                "seconds_a_map": seconds / truth.sizes["time"],
            }
        )
    return {"oceans": results}


def score_leads(row: str, model: object, experiment: Experiment) -> dict:
    """Return the mean square error of each lead, by week, on the first test ocean."""
    truth = truths(experiment.sea, "test")[0]
    observed = observe(experiment, truth, SEEDS["test"][0])
    weeks: dict[str, list[float]] = {}
    for lead in LEADS_SCORED:
        maps = xdvarnet.reconstruct(observed, xdvarnet.Lead(model, lead))
        if lead == 0:
            now = maps["ssh"]
        for name, found in ((row, maps["ssh"]), (f"{row}, held", now.shift(time=lead))):
            error = (found - truth["ssh"]).isel(time=SCORED["test"])
            daily = (error**2).mean(("lat", "lon")).values.reshape(-1, 7)
            weeks[f"{name}, {lead}"] = daily.mean(1).tolist()
    return {"leads": weeks}


def operations(model: xdvarnet.DVarNet, experiment: Experiment) -> float:
    """Operations (additions and multiplications) of one day of one window, over the domain."""
    truth = truths(experiment.sea, "test")[0].isel(time=slice(DAYS))
    observed = observe(experiment, truth, 0)
    with Operations() as counter:
        xdvarnet.reconstruct(observed, model)
    return counter.total / DAYS


class Operations(TorchDispatchMode):
    """Count the operations of convolutions and matrix products, also those of gradients."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def describe(model: xdvarnet.DVarNet, experiment: Experiment) -> dict:
    """Size, length of the training, and cost of a network."""
    return {
        "parameters": sum(p.numel() for p in model.solver.parameters()),
        "training": model.provenance["training"],
        "operations": operations(model, experiment),
    }


def run(name: str, row: str, seconds: float, folder: Path) -> None:
    """Make and score one row of an experiment, and write the result."""
    path = folder / f"{name}-{row.replace(' ', '')}.json"
    if path.exists():
        return
    experiment = EXPERIMENTS[name]
    result: dict = {"experiment": name, "row": row}
    if row == "interpolation":
        settings = tune_interpolation(experiment, folder)
        model: object = interpolation(experiment.sea, settings)
        result["settings"] = settings
    elif row == "mean + offset":
        known = truths(experiment.sea, "training")[0][["ssh"]]
        model = xdvarnet.methods.MeanMapOffset(xr.zeros_like(known), days=DAYS)
    elif row == "persistence":
        model = None
    elif row == "ssh-twin":
        model = xdvarnet.load_model(row).with_options(precision="bfloat16")
        result |= describe(model, experiment)
    else:
        start = time.process_time()
        try:
            model = train(row, experiment, seconds, path.with_suffix(".checkpoint"))
        except xdvarnet.XdvarnetError as error:  # the training diverged
            path.write_text(json.dumps(result | {"diverged": str(error)}, indent=1))
            return
        xdvarnet.save_model(
            model.with_options(precision="float32"), path.with_suffix(".safetensors")
        )
        result |= {
            "training_seconds": time.process_time() - start,
            "validation": score(row, model, experiment, "validation"),
            **describe(model, experiment),
        }
    if experiment.leads is None:
        result |= score(row, model, experiment)
    else:
        result |= score_leads(row, model, experiment)
    path.write_text(json.dumps(result, indent=1))
    print(path.stem, "written", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiments", nargs="+", default=list(EXPERIMENTS), choices=EXPERIMENTS)
    parser.add_argument("--rows", nargs="+")
    parser.add_argument("--seconds", type=float, default=300, help="processor time of a training")
    parser.add_argument("--folder", type=Path, default=Path("twin_runs"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.experiments:
        for row in arguments.rows or EXPERIMENTS[name].rows:
            run(name, row, arguments.seconds, arguments.folder)


if __name__ == "__main__":
    main()
