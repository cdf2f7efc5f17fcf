"""Gaussian twin: reconstruct fields of unknown, varying parameters, and compare with exact kriging.

Usage: python docs/recipes/gaussian_twin.py FOLDER [RESULTS]

Fields of the diffusive, anisotropic equation on 100 x 100 cells of 25 km and 5 days, with walls at
the edges. Correlation length and time, standard deviation, anisotropy and direction vary smoothly
in space, are the same in all samples, and are known to "exact, true parameters" alone. Straight
tracks see 6 % of the cells of a day, with noise of a tenth of the mean standard deviation. All
stages keep what they make in FOLDER: a run that was killed goes on where it was. RESULTS gets
`gaussian_twin_tables.md`, `gaussian_twin.csv` and `gaussian_twin.png`.
"""

import itertools
import logging
import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import xarray as xr
from comparison import markdown

from xdvarnet.metrics.calibration import (
    coverage,
    expected_coverage,
    rank_flatness,
    rank_histogram,
    spread_skill_ratio,
)
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.data import Data
from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.bilinear import BilinearAutoencoder
from xdvarnet.solver.priors.spde import SPDEPrior
from xdvarnet.solver.steps import ConvLSTMStep
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.spde.chain import Chain, matern_chain
from xdvarnet.spde.cosine import CosineCovariance
from xdvarnet.spde.field import Prior
from xdvarnet.spde.mesh import Mesh
from xdvarnet.training.loop import train

SHAPE, DAYS, SPACING, NOISE = (100, 100), 5, 25.0, 0.1  # cells, days, km, units of the field
TRACKS, SLOPE = 8, 0.35  # a day; columns a row
TRAINING, VALIDATION, TEST, MASKS = 400, 16, 24, 2  # samples; those of the test share masks
EPOCHS, STEPS, BATCH, ITERATIONS, REFINEMENT = 11, 15, 4, 5, 200
MEMBERS, SEED = 100, 2024

TEXT = f"""Mean square error over that of exact kriging with the true parameters, {TEST} samples:

{{}}

Both 4DVarNets start at the kriging of constant parameters and were trained for
{EPOCHS * STEPS} steps of {BATCH} windows: too few for means of their own that are as good as
kriging. The fields of parameters were learned in this training, by reconstruction and likelihood,
and then by the likelihood alone, in {REFINEMENT} steps of 40 truths:

{{}}

Exact posterior with the learned parameters, {MEMBERS} members (ranks of points 350 km and a sample
apart):

{{}}
"""

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("twin")


def kept(name: str, make):
    """Return what `make` makes, kept in a file of the folder."""
    path = folder / f"{name}.pt"
    if not path.exists():
        torch.save(make(), path)
    return torch.load(path)


def smooth(generator: torch.Generator) -> torch.Tensor:
    """Draw a field of slow waves, of about unit amplitude."""
    north, east = (torch.linspace(0, 1, count, dtype=torch.float64) for count in SHAPE)
    waves = 0
    for _ in range(3):
        number = 2.5 * torch.randn(2, generator=generator, dtype=torch.float64)
        phase = 2 * math.pi * torch.rand(1, generator=generator, dtype=torch.float64)
        waves = waves + torch.cos(number[0] * north[:, None] + number[1] * east + phase)
    return waves / 2


def true_parameters() -> dict[str, torch.Tensor]:
    """Draw the parameters of the twin: m, days, and radians."""
    generator = torch.Generator().manual_seed(SEED)
    length, time, std, anisotropy, angle = (smooth(generator) for _ in range(5))
    return {
        "length": 200e3 * (0.4 * length).exp(),
        "time": 6 * (0.4 * time).exp(),
        "std": (0.4 * std).exp(),
        "anisotropy": (1.0 + 0.35 * anisotropy).exp(),
        "angle": math.pi * angle,
    }


def mesh() -> Mesh:
    """Return the cells."""
    return Mesh.from_metres(*(1e3 * SPACING * torch.arange(count) for count in SHAPE))


def true_chain() -> Chain:
    """Return the equation of the twin."""
    return matern_chain(mesh(), DAYS, **true_parameters())


def tracks(count: int, generator: torch.Generator) -> torch.Tensor:
    """Draw masks of straight tracks, shape (count, days, rows, columns)."""
    rows, columns = SHAPE
    mask = torch.zeros(count, DAYS, rows, columns)
    row = torch.arange(rows)
    for days in mask.flatten(0, 1):
        for number in range(TRACKS):
            slope = SLOPE * (-1) ** number
            west = -SLOPE * rows * (slope > 0)
            start = west + (columns + SLOPE * rows) * torch.rand(1, generator=generator)
            column = (start + slope * row).round().long()
            inside = (column >= 0) & (column < columns)
            days[row[inside], column[inside]] = 1
    return mask


def observe(truth: torch.Tensor, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return noisy values where the mask is 1, and zero elsewhere."""
    return mask * (truth + NOISE * torch.randn(truth.shape, generator=generator))


def draws() -> dict[str, torch.Tensor]:
    """Draw all truths, masks and observations."""
    generator = torch.Generator().manual_seed(SEED + 1)
    chain = true_chain()
    counts = (TRAINING, VALIDATION, TEST)
    truth = torch.cat([chain.sample(8, generator).float() for _ in range(sum(counts) // 8)])
    masks = tracks(TRAINING + VALIDATION, generator)
    shared = tracks(MASKS, generator).repeat_interleave(TEST // MASKS, 0)
    masks = torch.cat([masks, shared])
    return {"truth": truth, "mask": masks, "values": observe(truth, masks, generator)}


def constant() -> dict[str, float]:
    """Fit constant, isotropic parameters by the likelihood of the training truths."""
    prior = SPDEPrior(DAYS, spacing=(SPACING, SPACING), length=150.0, time=4.0)
    optimiser = torch.optim.Adam(prior.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 80)
    generator = torch.Generator().manual_seed(SEED + 2)
    for _ in range(80):
        truth = data["truth"][torch.randint(TRAINING, (8,), generator=generator)]
        prior.training_cost(truth, truth).mean().backward()
        prior.base.grad[:, 3:] = 0  # isotropic
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    fields = prior.parameters_of(data["truth"][:1])
    return {name: getattr(fields, name).mean().item() for name in ("length", "time", "std")}


def first_guess() -> torch.Tensor:
    """Krige with constant parameters, by conjugate gradients in the space of observations."""
    parameters = fitted | {"length": 1e3 * fitted["length"]}
    covariance = CosineCovariance(
        (DAYS, *SHAPE), (1e3 * SPACING,) * 2, step=1.0, like=torch.ones(()), **parameters
    )

    def krige(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        weights, residual = torch.zeros_like(values), values
        direction, norm = residual, residual.square().sum((1, 2, 3), keepdim=True)
        for _ in range(150):
            product = mask * covariance.apply(direction) + NOISE**2 * direction
            step = norm / (direction * product).sum((1, 2, 3), keepdim=True)
            weights, residual = weights + step * direction, residual - step * product
            after = residual.square().sum((1, 2, 3), keepdim=True)
            direction, norm = residual + after / norm * direction, after
        return covariance.apply(weights)

    pairs = zip(data["values"].split(8), data["mask"].split(8), strict=True)
    return torch.cat([krige(*pair) for pair in pairs])


def solver(kind: str) -> VariationalSolver:
    """Return a 4DVarNet that is yet to be trained."""
    torch.manual_seed(SEED)
    if kind == "spde":
        prior = SPDEPrior(DAYS, spacing=(SPACING, SPACING), **fitted, knots=(13, 13))
    else:
        prior = BilinearAutoencoder(DAYS, hidden=24)
    step = ConvLSTMStep(DAYS, hidden=32, context=2 * DAYS, downscale=2)
    return VariationalSolver(prior, MaskedObservation(noise=NOISE), step, iterations=ITERATIONS)


def batch(samples: torch.Tensor, sign: torch.Tensor | float = 1.0) -> Batch:
    """Return samples of the draws, each times a sign: the fields have no preferred one."""
    truth, values = sign * data["truth"][samples], sign * data["values"][samples]
    guess, mask = sign * data["guess"][samples], data["mask"][samples]
    context = torch.cat([mask, guess], 1)
    return Batch(guess, truth, [Data(values, mask)], context, torch.ones_like(truth))


@torch.no_grad()
def analyse(model: VariationalSolver, samples: torch.Tensor) -> torch.Tensor:
    """Return the analyses of samples."""
    batches = [batch(some) for some in samples.split(4)]
    return torch.cat([model(each.state, each.data, each.context) for each in batches])


def mean_square(fields: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Return the mean square error of each sample."""
    return (fields - data["truth"][samples]).square().mean((1, 2, 3))


def trained(kind: str) -> VariationalSolver:
    """Train a 4DVarNet by the reconstruction and the prior's own training cost."""
    model = solver(kind)

    def batches(epoch: int):
        generator = torch.Generator().manual_seed(epoch)
        for _ in range(STEPS):
            samples = torch.randint(TRAINING, (BATCH,), generator=generator)
            sign = torch.randint(2, (BATCH, 1, 1, 1), generator=generator) * 2.0 - 1
            yield batch(samples, sign)

    def validate() -> float:
        return math.sqrt(mean_square(analyse(model, validation), validation).mean())

    train(
        model,
        batches,
        validate,
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        learning_rate=2e-3,
        loss=ReconstructionLoss(gradient=1.0, prior=0.3 if kind == "spde" else 0.02),
        device="cpu",
        precision="float32",
        checkpoint=folder / f"{kind}.checkpoint",
        settings={"kind": kind},
    )
    return model


def refined(prior: SPDEPrior) -> dict[str, torch.Tensor]:
    """Train the base fields further by the likelihood alone, in large batches.

    What large scales tell of the correlation length drowns in the noise of small batches.
    """
    optimiser = torch.optim.Adam(prior.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, REFINEMENT)
    generator = torch.Generator().manual_seed(SEED + 5)
    for number in range(REFINEMENT):
        truth = data["truth"][torch.randint(TRAINING, (40,), generator=generator)]
        optimiser.zero_grad()
        cost = prior.training_cost(truth, truth).mean()
        cost.backward()
        optimiser.step()
        schedule.step()
        if number % 20 == 0:
            log.info("refinement %d: %.5f", number, cost)
    return prior.state_dict()


def krige(chain: Chain, members: int = 0) -> dict[str, torch.Tensor]:
    """Krige the test samples exactly; each mask needs one factor, and members are drawn anew."""
    prior, generator = Prior(chain), torch.Generator().manual_seed(SEED + 3)
    means, ensembles = [], []
    for group in test.split(TEST // MASKS):
        seen = data["mask"][group[0]].double().flatten() / NOISE**2
        factor = prior.factor(diagonal(seen))
        for values in data["values"][group].double().flatten(1):
            mean = factor.solve(seen * values)
            means.append(mean.float())
            if members:
                ensembles.append((mean + factor.sample(members, generator)).float())
    found = {"mean": torch.stack(means).view(TEST, DAYS, *SHAPE)}
    if members:
        found["members"] = torch.stack(ensembles).view(TEST, members, DAYS, *SHAPE)
    return found


def diagonal(values: torch.Tensor) -> torch.Tensor:
    """Return the sparse matrix with these values on its diagonal."""
    places = torch.arange(len(values)).expand(2, -1)
    size = (len(values), len(values))
    return torch.sparse_coo_tensor(places, values, size, check_invariants=False).coalesce()


def interpolate(sample: int, length: float, time: float, thin: int = 1) -> torch.Tensor:
    """Interpolate optimally all observations at once, on each `thin`th row and column."""
    scales = torch.tensor([time, length / SPACING, length / SPACING])
    cells = torch.cartesian_prod(*(torch.arange(count) for count in (DAYS, *SHAPE)))
    grid = (cells[(cells[:, 1:] % thin == 0).all(1)] / scales).split(10_000)
    seen = data["mask"][sample].flatten() > 0
    places, values = cells[seen] / scales, data["values"][sample].flatten()[seen]
    variance = data["truth"][:TRAINING].var()

    def covariance(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return variance * torch.cdist(one, other).square().neg().exp()

    among = covariance(places, places).double() + NOISE**2 * torch.eye(len(places))
    weights = torch.cholesky_solve(values.double()[:, None], torch.linalg.cholesky(among))
    found = torch.cat([covariance(some, places) @ weights[:, 0].float() for some in grid])
    return found.view(DAYS, *(-(-count // thin) for count in SHAPE))


def tuned_interpolation() -> torch.Tensor:
    """Tune length and time of the interpolation on validation samples; analyse the test."""

    def error(scales: tuple[float, float]) -> float:
        truth = data["truth"][validation[:2], :, ::5, ::5]
        found = torch.stack([interpolate(int(sample), *scales, 5) for sample in validation[:2]])
        return (found - truth).square().mean().item()

    lengths, times = (85.0, 100.0, 115.0, 130.0, 150.0), (2.0, 3.0, 4.0, 5.5)
    best = min(itertools.product(lengths, times), key=error)
    log.info("optimal interpolation: %s km, %s days", *best)
    return torch.stack([interpolate(int(sample), *best) for sample in test])


def bootstrap(errors: torch.Tensor, reference: torch.Tensor) -> tuple[float, float]:
    """Return the ratio of two mean errors of the same samples, and its bootstrap spread."""
    generator = torch.Generator().manual_seed(SEED + 4)
    chosen = torch.randint(len(errors), (2000, len(errors)), generator=generator)
    ratios = errors[chosen].mean(1) / reference[chosen].mean(1)
    return (errors.mean() / reference.mean()).item(), ratios.std().item()


def labelled(fields: torch.Tensor) -> xr.DataArray:
    """Return fields (samples, ..., days, rows, columns), samples one after the other in time."""
    fields = fields.movedim(0, -4).flatten(-4, -3)
    axes = {"lat": 0.25 * np.arange(SHAPE[0]), "lon": 0.25 * np.arange(SHAPE[1])}
    dims = ("member", "time", "lat", "lon")[-fields.ndim :]
    return xr.DataArray(fields.numpy(), axes, dims)


def calibration(members: torch.Tensor) -> dict[str, float]:
    """Return what an ensemble (samples, members, days, rows, columns) tells of its error."""
    drawn, truth = labelled(members), labelled(data["truth"][test])
    seen = labelled(data["mask"][test]) > 0
    apart = {"time": slice(2, None, DAYS), "lat": slice(4, None, 14), "lon": slice(4, None, 14)}
    ranks = rank_histogram(drawn.isel(apart), truth.isel(apart), rng=SEED)
    return {
        "spread-skill, all cells": float(spread_skill_ratio(drawn, truth)),
        "spread-skill, observed cells": float(spread_skill_ratio(drawn, truth.where(seen))),
        "coverage of 90 %": float(coverage(drawn, truth)),
        "coverage expected": expected_coverage(0.9, MEMBERS),
        "p of flat ranks": float(rank_flatness(ranks)),
    }


def plot(found: dict[str, torch.Tensor], path: Path) -> None:
    """Draw true and learned parameters as maps."""
    true = true_parameters()
    rows = {
        "length (km)": (true["length"] / 1e3, found["length"]),
        "time (days)": (true["time"], found["time"]),
        "std": (true["std"], found["std"]),
        "anisotropy": (true["anisotropy"], found["anisotropy"]),
        "angle (degrees)": tuple(
            angle.rad2deg().remainder(180) for angle in (true["angle"], found["angle"])
        ),
    }
    figure, axes = plt.subplots(2, 5, figsize=(15, 5.6), layout="constrained", sharex=True)
    for column, (name, (one, other)) in zip(axes.T, rows.items(), strict=True):
        cyclic = name.startswith("angle")
        low, high = (0, 180) if cyclic else (float(one.min()), float(one.max()))
        for axis, field in zip(column, (one, other), strict=True):
            image = axis.pcolormesh(
                field.numpy(), vmin=low, vmax=high, cmap="twilight" if cyclic else "viridis"
            )
            axis.set_aspect("equal")
        column[0].set_title(name)
        figure.colorbar(image, ax=column, shrink=0.8, location="bottom")
    axes[0, 0].set_ylabel("true")
    axes[1, 0].set_ylabel("learned")
    figure.savefig(path, dpi=110)


validation = torch.arange(TRAINING, TRAINING + VALIDATION)
test = torch.arange(TRAINING + VALIDATION, TRAINING + VALIDATION + TEST)
data = kept("draws", draws)
log.info("std %.3f, observed %.3f", data["truth"].std(), data["mask"].mean())
fitted = kept("constant", constant)
log.info("constant parameters: %s", fitted)
data["guess"] = kept("guess", first_guess)
log.info("first guess: %.4f", mean_square(data["guess"][validation], validation).mean())
if __name__ == "__main__":
    exact = kept("exact", lambda: krige(true_chain()))["mean"]
    log.info("exact: %.4f", mean_square(exact, test).mean())
    models = {kind: trained(kind) for kind in ("spde", "plain")}
    own = {name: analyse(model, test) for name, model in models.items()}
    prior = models["spde"].prior
    prior.load_state_dict(kept("refined", lambda: refined(prior)))
    with torch.no_grad():
        state = data["guess"][:1].double()
        learned = {name: field[0, 0] for name, field in vars(prior.parameters_of(state)).items()}
        chain = prior.chain(state)
    posterior = kept("learned", lambda: krige(chain, MEMBERS))
    analyses = {
        "exact kriging, true parameters": exact,
        "exact kriging, parameters learned by the 4DVarNet": posterior["mean"],
        "exact kriging, constant isotropic parameters of greatest likelihood": data["guess"][test],
        "optimal interpolation, tuned": kept("interpolation", tuned_interpolation),
        "4DVarNet, SPDE prior, its own mean": own["spde"],
        "4DVarNet, bilinear prior, its own mean": own["plain"],
    }
    reference = mean_square(exact, test)
    table = pd.DataFrame(
        [bootstrap(mean_square(fields, test), reference) for fields in analyses.values()],
        index=list(analyses),
        columns=["MSE, relative", "its spread (bootstrap)"],
    )
    scores = pd.Series(calibration(posterior["members"]), name="value").to_frame()
    true = true_parameters() | {"length": true_parameters()["length"] / 1e3}
    errors = {
        name: (learned[name] / true[name]).log().square().mean().sqrt().item()
        for name in ("length", "time", "std", "anisotropy")
    }
    parameters = pd.Series(errors, name="RMS of the logarithm of learned over true").to_frame()
    log.info("\n%s\n%s\n%s", table, scores, parameters)
    if sys.argv[2:]:
        results = Path(sys.argv[2])
        text = TEXT.format(*(markdown(each.round(3)) for each in (table, parameters, scores)))
        (results / "gaussian_twin_tables.md").write_text(text)
        table.round(4).rename_axis("analysis").to_csv(results / "gaussian_twin.csv")
        plot(learned, results / "gaussian_twin.png")
