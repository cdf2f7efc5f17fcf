"""Gaussian twin whose parameters differ from sample to sample: the augmented state.

Usage: python docs/recipes/gaussian_twin_varied.py FOLDER [TABLES.md]

Each sample has a correlation length and time, a standard deviation, an anisotropy and a direction
of its own, the same in all of its 30 x 40 cells of 25 km and 5 days. The state of the 4DVarNet
holds them beside the days: from one window of observations of 6 % of the cells, it estimates the
fields and their parameters together. FOLDER keeps the draws and the training.
"""

import logging
import math
import sys
from pathlib import Path

import pandas as pd
import torch
from comparison import markdown

from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.observation import Data, MaskedObservation
from xdvarnet.solver.priors.spde import SPDEPrior
from xdvarnet.solver.steps import ConvLSTMStep
from xdvarnet.solver.training import Batch, train
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.spde.chain import Chain, matern_chain
from xdvarnet.spde.cosine import CosineCovariance
from xdvarnet.spde.field import Prior
from xdvarnet.spde.mesh import Mesh

SHAPE, DAYS, SPACING, NOISE = (30, 40), 5, 25.0, 0.1  # cells, days, km, units of the field
TRACKS, SLOPE = 3, 0.35  # a day; columns a row
TRAINING, VALIDATION, TEST = 800, 32, 48
EPOCHS, STEPS, BATCH = 12, 20, 8
TYPICAL = {"length": 150.0, "time": 4.0, "std": 1.0}  # km, days
SEED = 7

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("twin")


def draw_parameters(count: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Draw the parameters of samples: km, days and radians, shape (count,)."""
    length, time, std, anisotropy = torch.randn(4, count, generator=generator).double()
    return {
        "length": 170 * (0.35 * length.clamp(-2, 2)).exp(),
        "time": 5 * (0.35 * time.clamp(-2, 2)).exp(),
        "std": (0.35 * std.clamp(-2, 2)).exp(),
        "anisotropy": (0.9 + 0.35 * anisotropy.clamp(-2, 2)).exp(),
        "angle": math.pi * torch.rand(count, generator=generator).double(),
    }


def chain(parameters: dict[str, torch.Tensor]) -> Chain:
    """Return the equation of one sample, of numbers or fields."""
    mesh = Mesh.from_metres(*(1e3 * SPACING * torch.arange(count) for count in SHAPE))
    return matern_chain(mesh, DAYS, **parameters | {"length": 1e3 * parameters["length"]})


def tracks(count: int, generator: torch.Generator) -> torch.Tensor:
    """Draw masks of straight tracks, shape (count, days, rows, columns)."""
    rows, columns = SHAPE
    mask, row = torch.zeros(count, DAYS, rows, columns), torch.arange(rows)
    for days in mask.flatten(0, 1):
        for number in range(TRACKS):
            slope = SLOPE * (-1) ** number
            start = (columns + SLOPE * rows) * torch.rand(1, generator=generator)
            column = (start - SLOPE * rows * (slope > 0) + slope * row).round().long()
            inside = (column >= 0) & (column < columns)
            days[row[inside], column[inside]] = 1
    return mask


def draws() -> dict[str, torch.Tensor]:
    """Draw all samples, and krige them with typical parameters as first guess."""
    generator = torch.Generator().manual_seed(SEED)
    count = TRAINING + VALIDATION + TEST
    parameters = draw_parameters(count, generator)
    truth = []
    for i in range(count):
        own = {name: values[i] for name, values in parameters.items()}
        truth.append(chain(own).sample(1, generator)[0].float())
    truth, mask = torch.stack(truth), tracks(count, generator)
    values = mask * (truth + NOISE * torch.randn(truth.shape, generator=generator))
    return parameters | {"truth": truth, "mask": mask, "values": values}


def first_guess() -> torch.Tensor:
    """Krige with typical parameters, by conjugate gradients in the space of observations."""
    scales = TYPICAL | {"length": 1e3 * TYPICAL["length"]}
    covariance = CosineCovariance(
        (DAYS, *SHAPE), (1e3 * SPACING,) * 2, step=1.0, like=torch.ones(()), **scales
    )
    residual, mask = data["values"], data["mask"]
    weights, direction = torch.zeros_like(residual), residual
    norm = residual.square().sum((1, 2, 3), keepdim=True)
    for _ in range(100):
        product = mask * covariance.apply(direction) + NOISE**2 * direction
        step = norm / (direction * product).sum((1, 2, 3), keepdim=True)
        weights, residual = weights + step * direction, residual - step * product
        after = residual.square().sum((1, 2, 3), keepdim=True)
        direction, norm = residual + after / norm * direction, after
    return covariance.apply(weights)


def batch(samples: torch.Tensor, sign: torch.Tensor | float = 1.0) -> Batch:
    """Return samples, each times a sign: the fields have no preferred one."""
    truth, values, guess = (sign * data[name][samples] for name in ("truth", "values", "guess"))
    mask = data["mask"][samples]
    state = torch.cat([guess, torch.zeros_like(guess)], 1)  # as many parameters as days
    context = torch.cat([mask, guess], 1)
    return Batch(state, truth, [Data(values, mask)], context, torch.ones_like(truth))


@torch.no_grad()
def analyse(samples: torch.Tensor) -> torch.Tensor:
    """Return the states of samples, days and parameters."""
    batches = [batch(some) for some in samples.split(8)]
    return torch.cat([solver(each.state, each.data, each.context) for each in batches])


def mean_square(fields: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Return the mean square error of each sample."""
    return (fields[:, :DAYS] - data["truth"][samples]).square().mean((1, 2, 3))


def krige(sample: int, parameters: dict[str, torch.Tensor]) -> torch.Tensor:
    """Krige one sample exactly."""
    seen = data["mask"][sample].double().flatten() / NOISE**2
    places, size = torch.arange(len(seen)).expand(2, -1), (len(seen), len(seen))
    added = torch.sparse_coo_tensor(places, seen, size, check_invariants=False).coalesce()
    right = seen * data["values"][sample].double().flatten()
    return Prior(chain(parameters)).factor(added).solve(right).view(DAYS, *SHAPE).float()


def batches(epoch: int):
    """Yield the batches of an epoch."""
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(STEPS):
        samples = torch.randint(TRAINING, (BATCH,), generator=generator)
        yield batch(samples, torch.randint(2, (BATCH, 1, 1, 1), generator=generator) * 2.0 - 1)


validation = torch.arange(TRAINING, TRAINING + VALIDATION)
test = torch.arange(TRAINING + VALIDATION, TRAINING + VALIDATION + TEST)
if not (folder / "draws.pt").exists():
    torch.save(draws(), folder / "draws.pt")
data = torch.load(folder / "draws.pt")
data["guess"] = first_guess()
log.info("observed %.3f", data["mask"].mean())
log.info("first guess %.4f", mean_square(data["guess"][validation], validation).mean())

torch.manual_seed(SEED)
prior = SPDEPrior(DAYS, spacing=(SPACING, SPACING), **TYPICAL, augmented=True)
solver = VariationalSolver(
    prior,
    MaskedObservation(noise=NOISE, channels=slice(DAYS)),
    ConvLSTMStep(prior.channels, hidden=40, context=2 * DAYS, downscale=2),
    iterations=5,
)
train(
    solver,
    batches,
    lambda: math.sqrt(mean_square(analyse(validation), validation).mean()),
    epochs=EPOCHS,
    steps_per_epoch=STEPS,
    learning_rate=1e-3,
    loss=ReconstructionLoss(gradient=1.0, prior=0.5),
    device="cpu",
    precision="float32",
    checkpoint=folder / "checkpoint",
)
states = analyse(test)
with torch.no_grad():
    estimates = vars(prior.parameters_of(states.double()))
    base = vars(prior.parameters_of(torch.zeros_like(states[:1]).double()))
errors = {"exact kriging, the sample's own true parameters": [], "exact kriging, estimated": []}
constant = "exact kriging, the learned mean parameters"
errors[constant] = []
for k, sample in enumerate(test):
    for name, own in (
        (next(iter(errors)), {key: data[key][sample] for key in estimates}),
        ("exact kriging, estimated", {key: field[k, 0] for key, field in estimates.items()}),
        (constant, {key: field[0, 0] for key, field in base.items()}),
    ):
        errors[name].append(mean_square(krige(int(sample), own)[None], sample[None]))
found = {name: torch.cat(each) for name, each in errors.items()}
found["4DVarNet, its own mean"] = mean_square(states, test)
found["first guess, typical parameters"] = mean_square(data["guess"][test], test)
reference = next(iter(found.values()))
chosen = torch.randint(TEST, (2000, TEST), generator=torch.Generator().manual_seed(SEED))
table = pd.DataFrame(
    {
        "MSE, relative": {n: (e.mean() / reference.mean()).item() for n, e in found.items()},
        "its spread (bootstrap)": {
            n: (e[chosen].mean(1) / reference[chosen].mean(1)).std().item()
            for n, e in found.items()
        },
    }
)
rows = {}
for name in ("length", "time", "std", "anisotropy"):
    true = data[name][test].log()
    logarithm = estimates[name].log().mean((1, 2, 3))
    rows[name] = {
        "RMS of the logarithm of estimated over true": (logarithm - true).square().mean().sqrt(),
        "of the true ones about their mean": true.std(),
        "correlation": torch.corrcoef(torch.stack([logarithm, true]))[0, 1],
    }
parameters = pd.DataFrame(rows).T.map(float)
log.info("\n%s\n%s", table, parameters)
if sys.argv[2:]:
    Path(sys.argv[2]).write_text(f"{markdown(table)}\n\n{markdown(parameters)}\n")
