"""Train one network for any sea, on seas in units of their own.

    python docs/recipes/any_sea_seas.py FOLDER/seas
    python docs/recipes/any_sea_scales.py FOLDER/seas
    python docs/recipes/train_any_sea.py FILE --folder FOLDER --start ssh-twin --rate 3e-4
    python docs/recipes/train_any_sea.py NEXT --folder OTHER --seas FOLDER/seas --start FILE \\
        --rate 1e-4

The network is that of docs/recipes/train_twin.py, with the first guess of docs/recipes/
any_sea_data.py. The weights of ``ssh-twin``, whose sea has nearly the standard scales, are a good
start: without them, 600 steps brought nothing. ``--seconds`` of processor time become a number of
steps, which is kept in FOLDER: a training that was killed goes on from its checkpoint when it is
started again. ``--start`` takes the weights of another training, with a schedule from its beginning
and a folder and a seed of its own. A training that is told to end (SIGTERM) still writes its model.

Weights that were trained on any sea have forgotten some of what the start knew of its own: what is
written is the mean of both that is best on the held-out seas.

The criterion is the mean over held-out seas of the error over that of the first guess;
FOLDER/training.csv has it by sea. The seas that are learned from are those that are in the folder
of seas when it is started. Draws are made by other processes.

docs/results/any_sea_training.csv is the log of eight trainings. Half of the windows of the first
five were mirrored south to north alone, which makes eddies turn the other way: they learned to
ignore what eddies carry along, and were worse than their start on twin oceans. The time scale of
the first two is that of the correlation, and not that of a fit; the first four saw each draw 32
times or more and learned the draws by heart. The sixth began with the weights of ``ssh-twin``:
until its fifth epoch it was to have 49, and to see 8 windows of each truth; then 30, and 12 windows
of each. The seventh and the eighth began with those of the sixth, and have draws with means that
nobody knows, short records and scales that a fit finds too large. The seventh had more of these, a
rate of 3e-4, and was ended after six epochs; the eighth, with 1e-4, is that of ``ssh-any``.
"""

import argparse
import itertools
import json
import logging
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from any_sea_data import SIDE, STEPS, WINDOW, AnySea, OneKind, Pool, guess_of
from any_sea_seas import CELL, VALIDATION, Source, load, names_in
from any_sea_truths import dress, standard_maps, two_drifting_scales
from any_sea_windows import TWINS, windows

import xdvarnet
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.training_grid import DEGREE, TrainingGrid
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.losses import RelativeLoss
from xdvarnet.solver.steps import UNetStep
from xdvarnet.training.draws import Draw
from xdvarnet.training.loop import train
from xdvarnet.training.schedule import label_history

logger = logging.getLogger("any sea")

BATCH, EPOCH = 8, 240
"""Windows of a step, and steps of an epoch."""

TIMED = 18
"""Steps whose processor time is measured."""

JUDGED = (5, 8)
"""Draws of each held-out sea, and every how many windows of a draw one is judged."""

SHARES = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Of the trained weights in the mean with those of the start (Wortsman et al. 2022, doi
10.48550/arXiv.2109.01903): the one with the least error on the held-out seas is kept."""

LOSS = RelativeLoss(field=1.0, gradient=2.0, prior=0.0)


def build(seed: int) -> xdvarnet.DVarNet:
    """Return the untrained network."""
    torch.manual_seed(seed)
    days = WINDOW.time
    guess = xdvarnet.OptimalInterpolation(  # the scales of the standard grid; each sea has its own
        "ssh",
        correlation_length="100 km",
        correlation_time="8 days",
        std=1.0,
        noise=0.2,
        units="1",
        time_window=21,
    )
    context = xdvarnet.DVarNet.context_channels(days, guess)
    solver = xdvarnet.solver.VariationalSolver(
        xdvarnet.solver.BilinearAutoencoder(days, hidden=32, downscale=2),
        xdvarnet.solver.MaskedObservation(),
        UNetStep(days, hidden=32, context=context),
        iterations=3,
    )
    cell = CELL / DEGREE
    edge = cell * SIDE / 2
    return xdvarnet.DVarNet(
        solver,
        variables={"ssh": "1"},
        window=WINDOW,
        first_guess=guess,
        normalizer=Normalizer({"ssh": 1.0}),
        training_grid=TrainingGrid((cell, cell), (-edge, edge)),
        precision="bfloat16",
    )


def dressed(
    sources: Sequence[Source], days: int, side: int, rng: np.random.Generator
) -> np.ndarray:
    """Return maps of one of the sources, with what a real sea has beside."""
    return dress(standard_maps(sources[rng.integers(len(sources))], days, side, rng), rng)


def held_out(folder: Path, model: xdvarnet.DVarNet) -> dict[str, list[Draw]]:
    """Return the windows that are judged, by sea: the folder's, and twin oceans as in scaled.py."""
    kinds = {name: partial(standard_maps, load(name, folder)) for name in VALIDATION}
    kinds["Gaussian"] = two_drifting_scales
    kinds["dressed"] = partial(dressed, [load(name, folder) for name in VALIDATION])
    judged = {
        name: [
            window
            for turn in range(JUDGED[0])
            for window in OneKind([], kind)(np.random.default_rng([number, turn]))[:: JUDGED[1]]
        ]
        for number, (name, kind) in enumerate(kinds.items())
    }
    return judged | {sea: windows(sea, model) for sea in TWINS}


@dataclass
class Course:
    """What a training sees, and how it goes.

    Attributes
    ----------
    model : DVarNet
        Whose solver is trained.
    pool : Pool
        What is learned from.
    judged : mapping of str to list of Draw
        Windows of each held-out sea.
    log : pathlib.Path
        Table that gets a row for each epoch.
    """

    model: xdvarnet.DVarNet
    pool: Pool
    judged: Mapping[str, list[Draw]]
    log: Path
    epoch: int = -1
    begun: float = field(default_factory=time.time)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        self.epoch = epoch
        for step in range(epoch * EPOCH, (epoch + 1) * EPOCH):
            yield self.model.batch(self.pool.windows(step, BATCH))

    def validate(self) -> float:
        """Mean over the held-out seas of the error over that of the first guess."""
        ratios = self.ratios()
        row = {
            "step": (self.epoch + 1) * EPOCH,
            "seconds": round(time.time() - self.begun),
            "processor_seconds": round(time.process_time()),
            "ratio": float(np.mean(list(ratios.values()))),
            **ratios,
        }
        pd.DataFrame([row]).round(4).to_csv(
            self.log, mode="a", header=not self.log.exists(), index=False
        )
        logger.info("%s", ", ".join(f"{name} {value:.3f}" for name, value in ratios.items()))
        return row["ratio"]

    def ratios(self) -> dict[str, float]:
        """Return the error over that of the first guess, by sea."""
        return {name: round(self._ratio(seen), 4) for name, seen in self.judged.items()}

    def _ratio(self, windows: list[Draw]) -> float:
        inner = tuple(slice(edge, -edge) for edge in WINDOW.halo)
        squares = np.zeros(2)
        for window in windows:
            truth = window.truth["ssh"][inner]
            (analysis,) = self.model.solve_windows([window.observations])
            maps = analysis, guess_of(window)
            squares += [np.nansum((each.mean["ssh"][inner] - truth) ** 2) for each in maps]
        return float(np.sqrt(squares[0] / squares[1]))


def count_epochs(course: Course, seconds: float, folder: Path) -> int:
    """Return the epochs of a training, from a file or from the processor time of some steps."""
    path = folder / "length.json"
    if not path.exists():
        batches = course.batches(0)
        next(batches)
        start = time.process_time()
        for batch in itertools.islice(batches, TIMED):
            with torch.autocast("cpu", torch.bfloat16):
                LOSS.evaluate(course.model.solver, batch).backward()
        course.model.solver.zero_grad()
        each = (time.process_time() - start) / TIMED
        epochs = max(2, round(seconds / (each * EPOCH)))
        path.write_text(json.dumps({"epochs": epochs, "seconds a step": round(each, 3)}))
    return int(json.loads(path.read_text())["epochs"])


def learn(
    course: Course, epochs: int, rate: float, checkpoint: Path, settings: Mapping[str, str]
) -> None:
    """Train the model of a course, which has the best weights also if it is told to end."""
    before = course.ratios()
    logger.info("%d epochs of %d steps of %s; before: %s", epochs, EPOCH, course.model, before)
    try:
        history = train(
            course.model.solver,
            course.batches,
            course.validate,
            epochs=epochs,
            steps_per_epoch=EPOCH,
            learning_rate=rate,
            loss=LOSS,
            device="cpu",
            precision=course.model.precision,
            error_before=float(np.mean(list(before.values()))),
            checkpoint=checkpoint,
            settings=settings,
        )
        course.model.history = label_history(history, "1")
    except KeyboardInterrupt:
        logger.info("told to end; the best weights so far are kept")
    logger.info("best weights: %s", course.ratios())


def mix(course: Course, start: Mapping[str, torch.Tensor]) -> float:
    """Give the model the best mean of its weights and those of the start; return the share."""
    solver = course.model.solver
    trained = {name: value.clone() for name, value in solver.state_dict().items()}

    def take(share: float) -> None:
        solver.load_state_dict(
            {name: torch.lerp(start[name], value, share) for name, value in trained.items()}
        )

    found = {}
    for share in SHARES:
        take(share)
        ratios = course.ratios()
        found[share] = float(np.mean(list(ratios.values())))
        logger.info("share %s: %.4f, %s", share, found[share], ratios)
    best = min(found, key=found.__getitem__)
    take(best)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seas", type=Path, help="folder of the seas, by default FOLDER/seas")
    parser.add_argument("--seconds", type=float, default=5000, help="processor time of the steps")
    parser.add_argument("--start", help="model whose weights are trained further, or its file")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    logging.getLogger("xdvarnet").setLevel(logging.WARNING)  # of the fits there would be many lines
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    model, begun = build(arguments.seed), ""
    if arguments.start:
        started = xdvarnet.load_model(arguments.start)
        model.solver.load_state_dict(started.solver.state_dict())
        name, earlier = Path(arguments.start).name, started.provenance["training"]
        begun = f", from the weights of {name} ({earlier})"
    folder, seas = arguments.folder, arguments.seas or arguments.folder / "seas"
    folder.mkdir(parents=True, exist_ok=True)
    names = names_in(seas)
    pool = Pool(AnySea([load(name, seas) for name in names]), arguments.seed)
    course = Course(model, pool, held_out(seas, model), folder / "training.csv")
    epochs = count_epochs(course, arguments.seconds, folder)
    settings = {
        "seed": str(arguments.seed),
        "start": str(arguments.start),
        "rate": str(arguments.rate),
        "epochs": str(epochs),
        "loss": repr(LOSS),
        "draws": f"{SIDE} cells, {STEPS} steps, {', '.join(names)}",
    }
    start = {name: value.clone() for name, value in model.solver.state_dict().items()}
    learn(course, epochs, arguments.rate, folder / "training.checkpoint", settings)
    steps = int(pd.read_csv(course.log)["step"].max())
    share = mix(course, start) if arguments.start else 1.0
    course.model.provenance = {
        "training data": f"{len(names)} two-layer quasi-geostrophic seas and Gaussian fields, in "
        "units of their correlation length, time and standard deviation",
        "training": f"{steps} steps of {BATCH} windows{begun}; {share:.0%} of these weights, the "
        "rest those of the start",
        "validation": f"error over that of the first guess: {course.ratios()}",
        "recipe": "docs/recipes/train_any_sea.py",
        "citation": "Fablet et al. 2021, doi 10.1029/2021MS002572",
    }
    xdvarnet.save_model(course.model.with_options(precision="float32"), arguments.file)


if __name__ == "__main__":
    main()
