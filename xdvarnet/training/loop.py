"""The training loop: batches in, best weights out, resumable from a checkpoint."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from xdvarnet._files import write_atomically
from xdvarnet._progress import count_up, show_progress
from xdvarnet.errors import InvalidInputError, ModelFileError
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.losses import Loss, PriorLoss, VariationalLoss
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.training.processes import add_up, align, is_first, part_of

logger = logging.getLogger("xdvarnet.training")

AVERAGING = 0.995
"""Weight of the past in the running average of the weights, at each step but the first ones."""


@dataclass(frozen=True)
class Epoch:
    """Record of one epoch: mean training loss and validation error.

    Attributes
    ----------
    loss : float
        Mean of the loss over the batches.
    validation_rmse : float
        Root mean square error; in a training without truth, the mean loss of the validation data.
    """

    loss: float
    validation_rmse: float


def autocast(device: str, precision: str) -> torch.autocast | nullcontext:
    """Context in which convolutions run in `precision`: "float32" or "bfloat16"."""
    if precision == "float32":
        return nullcontext()
    if precision != "bfloat16":
        raise InvalidInputError(f"precision={precision!r} is neither 'float32' nor 'bfloat16'.")
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def train(
    solver: Solver,
    batches: Callable[[int], Iterable[Batch]],
    validate: Callable[[], float],
    *,
    epochs: int,
    steps_per_epoch: int,
    learning_rate: float,
    loss: Loss,
    device: str,
    precision: str,
    clip: float = 1.0,
    patience: int | None = None,
    error_before: float = math.inf,
    checkpoint: Path | None = None,
    settings: Mapping[str, str] | None = None,
    progress: bool = False,
) -> list[Epoch]:
    """Minimise a loss with Adam, a cosine schedule and gradient clipping.

    What is validated and kept is a running average of the weights: the noise of the last steps is
    larger than what they learn. The average with the lowest validation error is kept, also if an
    exception ends the training; the weights before it, if none is as low as `error_before`.
    Several processes of `torch.distributed` share each batch; the first one writes.

    Parameters
    ----------
    solver : Solver
        Trained in place.
    batches : callable
        From the number of an epoch to its batches; the same number gives the same batches.
    validate : callable
        Validation error with the present weights.
    epochs, steps_per_epoch : int
        Length of the training; `steps_per_epoch` sets the schedule.
    learning_rate : float
        At the start; the prior of the solver, where it has one, learns at half of
        it. It rises over the first epoch and falls to 1 % as a cosine.
    loss : Loss
        What is minimised.
    device, precision : str
        Where and how convolutions run.
    clip : float
        Largest norm of the gradient of the parameters.
    patience : int, optional
        Stop after so many epochs without a lower validation error; by default never.
    error_before : float
        Validation error of the weights before the training; without it, any other is lower.
    checkpoint : pathlib.Path, optional
        Written after each epoch, and read at the start if it exists: a killed training goes on
        with the epoch that it was in.
    settings : mapping of str to str, optional
        What else the training depends on, kept in the checkpoint: only a training with the same
        settings goes on from it.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    list of Epoch
        One record for each epoch.

    Raises
    ------
    InvalidInputError
        If there is nothing to train on, no parameter is learned by the loss, the loss is the cost
        of the solver's own prior while that is learned, or the loss or the validation error is no
        longer finite.
    ModelFileError
        If the checkpoint is damaged, of another architecture, or made with other settings.
    """
    if epochs < 1 or steps_per_epoch < 1:
        raise InvalidInputError(
            f"epochs={epochs} and steps_per_epoch={steps_per_epoch}; both must be at least 1."
        )
    _check_trained(solver, loss)
    align(solver.to(device))
    optimiser, schedule = _optimiser(solver, learning_rate, steps_per_epoch, epochs)
    average = AveragedModel(solver, avg_fn=_average)
    parts: dict[str, Any] = {
        "solver": solver,
        "average": average,
        "optimiser": optimiser,
        "schedule": schedule,
    }
    settings = dict(settings or {})
    history: list[Epoch] = []
    best = _copy(solver)
    if checkpoint is not None and checkpoint.exists():
        history, best = _resume(checkpoint, parts, settings, device)
        logger.info("resumed from %s after %d epochs", checkpoint, len(history))
    try:
        with (
            show_progress(progress and is_first()),
            count_up("epoch", epochs, done=len(history)) as count,
        ):
            for epoch in range(len(history), epochs):
                if patience is not None and _epochs_since_best(history) >= patience:
                    logger.info("stopped: no lower validation error in %d epochs", patience)
                    break
                solver.train()
                losses = []
                for batch in batches(epoch):
                    optimiser.zero_grad()
                    part, share = part_of(batch)
                    value = torch.zeros((), device=device)
                    if share:
                        with autocast(device, precision):
                            value = share * loss.evaluate(solver, part.to(device))
                        value.backward()
                    value = add_up(value, solver.parameters())
                    torch.nn.utils.clip_grad_norm_(solver.parameters(), clip)
                    optimiser.step()
                    schedule.step()
                    average.update_parameters(solver)
                    losses.append(value.item())
                solver.eval()
                if not losses:
                    raise InvalidInputError(f"epoch {epoch} has no batch to train on.")
                with _weights_of(average.module, solver):
                    record = Epoch(sum(losses) / len(losses), validate())
                logger.info("epoch %d: loss %.5g, validation %.5g", epoch, *asdict(record).values())
                if not math.isfinite(record.loss + record.validation_rmse):
                    raise InvalidInputError(
                        f"the training diverged in epoch {epoch}: loss {record.loss:.5g}, "
                        f"validation {record.validation_rmse:.5g}. Lower learning_rate (now "
                        f"{learning_rate}), and look for infinite values in the training data."
                    )
                errors = [error_before, *(before.validation_rmse for before in history)]
                if record.validation_rmse <= min(errors):
                    best = _copy(average.module)
                history.append(record)
                count(1, f"loss {record.loss:.3g}, validation {record.validation_rmse:.3g}")
                if checkpoint is not None and is_first():
                    content = {name: part.state_dict() for name, part in parts.items()}
                    records = [asdict(record) for record in history]
                    content |= {"best": best, "history": records, "settings": settings}
                    write_atomically(checkpoint, partial(torch.save, content))
    finally:
        solver.load_state_dict(best)
    return history


def _check_trained(solver: Solver, loss: Loss) -> None:
    """Refuse a training that changes nothing, or whose prior gives way to the cost."""
    prior = solver.learned_prior or nn.Module()
    trained = prior if isinstance(loss, PriorLoss) else solver
    if isinstance(trained, Minimisation) or not any(p.requires_grad for p in trained.parameters()):
        raise InvalidInputError(
            f"there is nothing to train: no parameter of {solver.summary} is learned by "
            f"{type(loss).__name__}."
        )
    if isinstance(loss, VariationalLoss) and loss.prior is not None:
        own = set(prior.parameters())
        if any(weight.requires_grad and weight in own for weight in loss.prior.parameters()):
            raise InvalidInputError(
                "this training has a trivial solution, a prior to which any state is likely; "
                "freeze it with prior.requires_grad_(False)."
            )


def _average(past: torch.Tensor, present: torch.Tensor, steps: torch.Tensor | int) -> torch.Tensor:
    """Exponential average, over about a tenth of the steps at first: a short training counts."""
    weight = min(AVERAGING, (1 + int(steps)) / (10 + int(steps)))
    return torch.lerp(past, present, 1 - weight)


def _epochs_since_best(history: list[Epoch]) -> int:
    errors = [epoch.validation_rmse for epoch in history]
    return errors[::-1].index(min(errors)) if errors else 0


@contextmanager
def _weights_of(other: nn.Module, solver: nn.Module) -> Iterator[None]:
    """Give `solver` the weights of `other`, for the time of the context."""
    own = _copy(solver)
    solver.load_state_dict(other.state_dict())
    try:
        yield
    finally:
        solver.load_state_dict(own)


def _copy(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _optimiser(
    solver: Solver, learning_rate: float, steps_per_epoch: int, epochs: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    learned = solver.learned_prior
    prior = [] if learned is None else list(learned.parameters())
    others = [p for p in solver.parameters() if not any(p is q for q in prior)]
    optimiser = torch.optim.Adam(
        [
            {"params": others, "lr": learning_rate},
            {"params": prior, "lr": learning_rate / 2},
        ]
    )

    def factor(step: int) -> float:
        cosine = math.cos(math.pi * step / (epochs * steps_per_epoch))
        return min(1, (step + 1) / steps_per_epoch) * (0.505 + 0.495 * cosine)

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _resume(
    checkpoint: Path, parts: Mapping[str, Any], settings: Mapping[str, str], device: str
) -> tuple[list[Epoch], dict[str, torch.Tensor]]:
    """Load the parts from a checkpoint; return its history and its best weights."""
    advice = "give the name of another file, or delete this one to start anew."
    try:
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        history = [Epoch(**record) for record in saved["history"]]
        best, states = saved["best"], {name: saved[name] for name in parts}
        noted = dict(saved["settings"])
        shapes = [_shapes(weights) for weights in (best, states["solver"])]
    except Exception as error:  # torch raises nearly anything where the bytes are not its own
        raise ModelFileError(
            f"the checkpoint {str(checkpoint)!r} is damaged, or no checkpoint "
            f"({type(error).__name__}); {advice}"
        ) from error
    if any(part != _shapes(parts["solver"].state_dict()) for part in shapes):
        raise ModelFileError(
            f"the checkpoint {str(checkpoint)!r} is of a solver of another architecture; {advice}"
        )
    differences = [
        f"{name}: {noted.get(name)} in the checkpoint, {settings.get(name)} asked for"
        for name in {**noted, **settings}
        if noted.get(name) != settings.get(name)
    ]
    if differences:
        raise ModelFileError(
            f"the checkpoint {str(checkpoint)!r} is of a training with other settings "
            f"({'; '.join(differences)}); ask for the same ones to go on with it, or {advice}"
        )
    for name, part in parts.items():
        part.load_state_dict(states[name])
    return history, best


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}
