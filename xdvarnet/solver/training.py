"""The training loop: batches in, best weights out, resumable from a checkpoint."""

import logging
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm.auto import tqdm

from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.observation import Data
from xdvarnet.solver.variational import VariationalSolver

logger = logging.getLogger("xdvarnet.training")


@dataclass(frozen=True)
class Batch:
    """Samples of one optimisation step.

    Attributes
    ----------
    state, truth : torch.Tensor
        First guess and truth, shape (batch, channels, latitude, longitude).
    data : sequence of Data
        One for each observation term.
    context : torch.Tensor
        Shape (batch, context, latitude, longitude).
    weights : torch.Tensor
        Weights of the cells in the loss, zero on land and where there is no truth.
    """

    state: torch.Tensor
    truth: torch.Tensor
    data: Sequence[Data]
    context: torch.Tensor
    weights: torch.Tensor

    def to(self, device: str) -> "Batch":
        """Copy to a device."""
        return Batch(
            self.state.to(device),
            self.truth.to(device),
            [Data(part.values.to(device), part.mask.to(device)) for part in self.data],
            self.context.to(device),
            self.weights.to(device),
        )


@dataclass(frozen=True)
class Epoch:
    """Record of one epoch: mean training loss and validation error."""

    loss: float
    validation_rmse: float


def autocast(device: str, precision: str) -> torch.autocast | nullcontext:
    """Context in which convolutions run in `precision`: "float32" or "bfloat16"."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def train(
    solver: VariationalSolver,
    batches: Callable[[int], Iterable[Batch]],
    validate: Callable[[], float],
    *,
    epochs: int,
    steps_per_epoch: int,
    learning_rate: float,
    loss: ReconstructionLoss,
    device: str,
    precision: str,
    clip: float = 1.0,
    checkpoint: Path | None = None,
    progress: bool = False,
) -> list[Epoch]:
    """Minimise a loss with Adam, a cosine schedule and gradient clipping.

    The weights with the lowest validation error are kept.

    Parameters
    ----------
    solver : VariationalSolver
        Trained in place.
    batches : callable
        From the number of an epoch to its batches; the same number gives the same batches.
    validate : callable
        Validation error with the present weights.
    epochs, steps_per_epoch : int
        Length of the training; `steps_per_epoch` sets the schedule.
    learning_rate : float
        At the start; the prior learns at half of it. It rises over the first epoch and falls to
        1 % as a cosine.
    loss : ReconstructionLoss
        What is minimised.
    device, precision : str
        Where and how convolutions run.
    clip : float
        Largest norm of the gradient of the parameters.
    checkpoint : pathlib.Path, optional
        Written after each epoch, and read at the start if it exists: a killed training goes on
        with the epoch that it was in.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    list of Epoch
        One record for each epoch.
    """
    prior = list(solver.prior.parameters())
    others = [p for p in solver.parameters() if not any(p is q for q in prior)]
    optimiser = torch.optim.Adam(
        [
            {"params": others, "lr": learning_rate},
            {"params": prior, "lr": learning_rate / 2},
        ]
    )
    total = epochs * steps_per_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda k: (
            min(1, (k + 1) / steps_per_epoch) * (0.505 + 0.495 * math.cos(math.pi * k / total))
        ),
    )
    solver.to(device)
    history: list[Epoch] = []
    best: dict[str, torch.Tensor] = {}
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        solver.load_state_dict(saved["solver"])
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        best = saved["best"]
        history = [Epoch(**record) for record in saved["history"]]
        logger.info("resumed from %s after %d epochs", checkpoint, len(history))
    bar = tqdm(range(len(history), epochs), disable=not progress, unit="epoch")
    for epoch in bar:
        solver.train()
        losses = []
        for batch in batches(epoch):
            batch = batch.to(device)
            optimiser.zero_grad()
            with autocast(device, precision):
                state = solver(batch.state, batch.data, batch.context)
                prior_cost = solver.prior_cost(state) + solver.prior_cost(batch.truth)
            value = loss(state, batch.truth, batch.weights, prior_cost)
            value.backward()
            torch.nn.utils.clip_grad_norm_(solver.parameters(), clip)
            optimiser.step()
            schedule.step()
            losses.append(value.item())
        solver.eval()
        record = Epoch(sum(losses) / len(losses), validate())
        if record.validation_rmse <= min((e.validation_rmse for e in history), default=math.inf):
            best = {name: value.detach().clone() for name, value in solver.state_dict().items()}
        history.append(record)
        bar.set_postfix(loss=record.loss, validation=record.validation_rmse)
        logger.info("epoch %d: loss %.5g, validation %.5g", epoch, *asdict(record).values())
        if checkpoint is not None:
            _write(
                checkpoint,
                {
                    "solver": solver.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                    "best": best,
                    "history": [asdict(e) for e in history],
                },
            )
    if best:
        solver.load_state_dict(best)
    return history


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    torch.save(content, partial)
    os.replace(partial, path)
