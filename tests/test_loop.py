"""The training loop: it learns, keeps the best weights, and goes on after being killed."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError, ModelFileError
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.data import Data
from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.bilinear import BilinearAutoencoder
from xdvarnet.solver.steps import ConvLSTMStep
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training.loop import Epoch, train

CHANNELS, SIZE, STEPS, LEARNING_RATE = 3, (7, 10), 4, 0.03
Weights = dict[str, torch.Tensor]


class Killed(BaseException):
    """What no handler of exceptions catches."""


def make_solver(*, hidden: int = 4, seed: int = 0) -> VariationalSolver:
    """Return an untrained solver."""
    torch.manual_seed(seed)
    return VariationalSolver(
        BilinearAutoencoder(CHANNELS, hidden=hidden),
        MaskedObservation(),
        ConvLSTMStep(CHANNELS, hidden=hidden, context=CHANNELS),
        iterations=2,
    )


def make_batch(seed: int) -> Batch:
    """Return smooth random fields that are seen with gaps."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(4, CHANNELS, 2, 3, generator=random)
    truth = nn.functional.interpolate(coarse, size=SIZE, mode="bilinear")
    seen = torch.rand(truth.shape, generator=random) > 0.5
    data = Data.from_gappy(torch.where(seen, truth, torch.nan))
    weights = torch.ones(1, 1, *SIZE)
    weights[..., 2:4, 5] = 0
    return Batch(torch.zeros_like(truth), truth, [data], data.mask, weights)


def make_batches(epoch: int) -> Iterator[Batch]:
    """Return the batches of an epoch; one number gives the same batches."""
    return (make_batch(100 * epoch + step) for step in range(STEPS))


def make_validation(solver: VariationalSolver) -> Callable[[], float]:
    """Return the error of the solver on one batch."""
    batch = make_batch(-1)

    def validate() -> float:
        with torch.no_grad():
            error = solver(batch.state, batch.data, batch.context) - batch.truth
        return error.square().mean().sqrt().item()

    return validate


def fit(
    solver: VariationalSolver,
    *,
    batches: Callable[[int], Iterator[Batch]] = make_batches,
    validate: Callable[[], float] | None = None,
    epochs: int = 4,
    steps_per_epoch: int = STEPS,
    precision: str = "float32",
    **options: object,
) -> list[Epoch]:
    """Train on the toy problem."""
    return train(
        solver,
        batches,
        validate or make_validation(solver),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        learning_rate=LEARNING_RATE,
        loss=ReconstructionLoss(),
        device="cpu",
        precision=precision,
        **options,
    )


def copy_weights(solver: nn.Module) -> Weights:
    """Return a copy of the weights."""
    return {name: value.clone() for name, value in solver.state_dict().items()}


def equal(first: Weights, second: Weights) -> bool:
    """Whether weights agree bit by bit."""
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


# Learning


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_learns(precision):
    solver = make_solver()
    start = make_validation(solver)()
    history = fit(solver, epochs=5, precision=precision)
    assert len(history) == 5
    assert history[-1].loss < 0.7 * history[0].loss
    assert history[-1].validation_rmse < 0.7 * start
    assert all(parameter.dtype == torch.float32 for parameter in solver.parameters())


def test_training_is_repeatable():
    first, second = make_solver(), make_solver()
    assert fit(first, epochs=2) == fit(second, epochs=2)
    assert equal(first.state_dict(), second.state_dict())


def test_validated_weights_are_a_running_average(monkeypatch):
    """Of the weights after each step, those at the start forgotten soon."""
    solver, step, raw, seen = make_solver(), torch.optim.Adam.step, [], []

    def record(self: torch.optim.Adam, *arguments, **options):
        result = step(self, *arguments, **options)
        raw.append(copy_weights(solver))
        return result

    def validate() -> float:
        seen.append(copy_weights(solver))
        return -len(seen)

    monkeypatch.setattr(torch.optim.Adam, "step", record)
    history = fit(solver, validate=validate, epochs=2)
    average = raw[0]
    for count, present in enumerate(raw[1:], start=1):
        past = (1 + count) / (10 + count)
        average = {k: past * average[k] + (1 - past) * present[k] for k in present}
    for name, weights in average.items():
        torch.testing.assert_close(seen[1][name], weights)
    monkeypatch.setattr("xdvarnet.training.loop.AVERAGING", 0.0)
    other = fit(make_solver(), validate=lambda: 1.0, epochs=2)
    assert [epoch.loss for epoch in other] == [epoch.loss for epoch in history]


def test_best_weights_are_kept():
    """The validation error falls, then rises: the weights of the second epoch."""
    solver, seen = make_solver(), []
    errors = iter([3.0, 1.0, 2.0, 1.5])

    def validate() -> float:
        assert not solver.training
        seen.append(copy_weights(solver))
        return next(errors)

    history = fit(solver, validate=validate)
    assert [epoch.validation_rmse for epoch in history] == [3.0, 1.0, 2.0, 1.5]
    assert equal(solver.state_dict(), seen[1])
    assert not equal(seen[1], seen[3])


def test_loss_of_an_epoch_is_the_mean_of_its_batches():
    """The first step has no effect yet, and is the loss of the first guess and the prior."""
    solver, batch = make_solver(), make_batch(0)
    with torch.no_grad():
        cost = solver.prior_cost(batch.state) + solver.prior_cost(batch.truth)
        expected = ReconstructionLoss()(batch.state, batch.truth, batch.weights, cost)
    history = fit(solver, batches=lambda epoch: iter([batch]), epochs=1)
    assert history[0].loss == pytest.approx(expected.item())


@pytest.fixture
def optimiser_steps(monkeypatch) -> list[tuple[float, float, float]]:
    """Learning rates of the solver and of the prior, and the norm of the gradient, in each step."""
    steps, step = [], torch.optim.Adam.step

    def record(self: torch.optim.Adam, *arguments, **options):
        groups = self.param_groups
        gradients = [p.grad.flatten() for group in groups for p in group["params"]]
        norm = torch.linalg.vector_norm(torch.cat(gradients)).item()
        steps.append((groups[0]["lr"], groups[1]["lr"], norm))
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", record)
    return steps


def test_learning_rate_rises_over_an_epoch_and_falls_to_one_percent(optimiser_steps):
    solver, epochs = make_solver(), 6
    fit(solver, epochs=epochs, validate=lambda: 1.0)
    rates, prior_rates, _ = (torch.tensor(column) for column in zip(*optimiser_steps, strict=True))
    total = epochs * STEPS
    assert len(rates) == total
    assert rates[0].item() == pytest.approx(LEARNING_RATE / STEPS)
    assert (rates[:STEPS].diff() > 0).all()
    assert (rates[STEPS:].diff() < 0).all()
    assert rates.max() < LEARNING_RATE
    last = 0.01 + 0.99 * math.sin(math.pi / total / 2) ** 2
    assert rates[-1].item() == pytest.approx(LEARNING_RATE * last)
    torch.testing.assert_close(prior_rates, rates / 2)


def test_gradient_is_clipped(optimiser_steps):
    fit(make_solver(), epochs=1)
    free = [norm for *_, norm in optimiser_steps]
    optimiser_steps.clear()
    fit(make_solver(), epochs=1, clip=0.5 * min(free))
    assert [norm for *_, norm in optimiser_steps] == [pytest.approx(0.5 * min(free), rel=1e-4)] * 4


def test_progress_is_shown_on_demand(capsys):
    fit(make_solver(), epochs=1)
    assert not "".join(capsys.readouterr())
    fit(make_solver(), epochs=1, progress=True)
    assert "validation" in capsys.readouterr().err


def test_batch_moves_as_a_whole():
    batch = make_batch(0).to("meta")
    parts = [batch.state, batch.truth, batch.context, batch.weights]
    parts += [tensor for part in batch.data for tensor in (part.values, part.mask)]
    assert all(part.device.type == "meta" for part in parts)


# Checkpoints


def killed_in_a_batch(checkpoint: Path) -> None:
    """Stop in the middle of the third epoch."""

    def batches(epoch: int) -> Iterator[Batch]:
        yield from itertools.islice(make_batches(epoch), STEPS if epoch < 2 else 2)
        if epoch == 2:
            raise Killed

    fit(make_solver(), batches=batches, checkpoint=checkpoint)


def killed_in_validation(checkpoint: Path) -> None:
    """Stop at the end of the third epoch."""
    solver, calls = make_solver(), itertools.count()
    error = make_validation(solver)

    def validate() -> float:
        if next(calls) == 2:
            raise Killed
        return error()

    fit(solver, validate=validate, checkpoint=checkpoint)


def killed_while_writing(checkpoint: Path) -> None:
    """Stop with half a checkpoint on the disk."""
    save, calls = torch.save, itertools.count()

    def half(content: dict, path: Path) -> None:
        save(content, path)
        if next(calls) == 2:
            path.write_bytes(path.read_bytes()[:1000])
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", half)
        fit(make_solver(), checkpoint=checkpoint)


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[list[Epoch], Weights]:
    """Return the history and the weights of a training that was not stopped."""
    solver = make_solver()
    return fit(solver), solver.state_dict()


@pytest.mark.parametrize("kill", [killed_in_a_batch, killed_in_validation, killed_while_writing])
def test_a_killed_training_goes_on(kill, uninterrupted, tmp_path):
    """The same weights, bit by bit, as without interruption, and two epochs are not run again."""
    history, weights = uninterrupted
    checkpoint, run = tmp_path / "new" / "training.ckpt", []
    with pytest.raises(Killed):
        kill(checkpoint)
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]

    def batches(epoch: int) -> Iterator[Batch]:
        run.append(epoch)
        return make_batches(epoch)

    resumed = make_solver(seed=1)
    assert fit(resumed, batches=batches, checkpoint=checkpoint) == history
    assert run == [2, 3]
    assert equal(resumed.state_dict(), weights)


def test_best_weights_outlive_an_interruption(tmp_path):
    """The best epoch came before the training was stopped."""
    solver, seen, errors = make_solver(), [], iter([3.0, 1.0, 2.0, None, 2.5, 1.5])

    def validate() -> float:
        seen.append(copy_weights(solver))
        if (error := next(errors)) is None:
            raise KeyboardInterrupt
        return error

    options = {"validate": validate, "checkpoint": tmp_path / "training.ckpt", "epochs": 5}
    with pytest.raises(KeyboardInterrupt):
        fit(solver, **options)
    assert equal(solver.state_dict(), seen[1])
    history = fit(solver, **options)
    assert equal(solver.state_dict(), seen[1])
    assert [epoch.validation_rmse for epoch in history] == [3.0, 1.0, 2.0, 2.5, 1.5]


def test_a_finished_training_is_only_read(tmp_path):
    checkpoint = tmp_path / "training.ckpt"
    solver, other = make_solver(), make_solver(seed=1)
    history = fit(solver, epochs=2, checkpoint=checkpoint)
    content = checkpoint.read_bytes()

    def batches(epoch: int) -> Iterator[Batch]:
        raise AssertionError

    assert fit(other, epochs=2, batches=batches, checkpoint=checkpoint) == history
    assert equal(other.state_dict(), solver.state_dict())
    assert checkpoint.read_bytes() == content


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    """The message names each difference; the file and the solver stay as they are."""
    checkpoint, settings = tmp_path / "training.ckpt", {"learning_rate": "0.001", "rng": "4"}
    history = fit(make_solver(), epochs=1, settings=settings, checkpoint=checkpoint)
    solver, content = make_solver(seed=1), checkpoint.read_bytes()
    before = copy_weights(solver)
    with pytest.raises(ModelFileError) as error:
        fit(solver, epochs=1, settings={**settings, "learning_rate": "0.01"}, checkpoint=checkpoint)
    assert "(learning_rate: 0.001 in the checkpoint, 0.01 asked for)" in str(error.value)
    assert checkpoint.read_bytes() == content
    assert equal(solver.state_dict(), before)
    assert fit(solver, epochs=1, settings=settings, checkpoint=checkpoint) == history


def truncated(path: Path) -> None:
    """Leave the first half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no checkpoint\n"),
    "truncated": truncated,
    "a list": lambda path: torch.save([1, 2], path),
    "other keys": lambda path: torch.save({"history": [], "best": {}}, path),
    "an object": lambda path: torch.save({"solver": Path("here")}, path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_checkpoint_is_refused(damage, tmp_path):
    checkpoint = tmp_path / "training.ckpt"
    fit(make_solver(), epochs=1, checkpoint=checkpoint)
    damage(checkpoint)
    solver = make_solver(seed=1)
    before = copy_weights(solver)
    with pytest.raises(ModelFileError, match="training.ckpt' is damaged.*delete this one") as error:
        fit(solver, checkpoint=checkpoint)
    assert error.value.__cause__ is not None
    assert equal(solver.state_dict(), before)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    checkpoint = tmp_path / "training.ckpt"
    fit(make_solver(hidden=5), epochs=1, checkpoint=checkpoint)
    solver, content = make_solver(hidden=4), checkpoint.read_bytes()
    before = copy_weights(solver)
    with pytest.raises(ModelFileError, match="training.ckpt' is of a solver of another arch"):
        fit(solver, checkpoint=checkpoint)
    assert equal(solver.state_dict(), before)
    assert checkpoint.read_bytes() == content


# Bad input


def test_a_training_that_diverges_says_so(tmp_path):
    """In the third epoch a truth is NaN: the best weights and the checkpoint stay."""
    solver, checkpoint, seen = make_solver(), tmp_path / "training.ckpt", []

    def batches(epoch: int) -> Iterator[Batch]:
        for batch in make_batches(epoch):
            truth = torch.full_like(batch.truth, torch.nan) if epoch == 2 else batch.truth
            yield dataclasses.replace(batch, truth=truth)

    def validate() -> float:
        seen.append(copy_weights(solver))
        return 1.0

    with pytest.raises(InvalidInputError, match="diverged in epoch 2: loss nan, .* learning_rate"):
        fit(solver, batches=batches, validate=validate, checkpoint=checkpoint)
    assert equal(solver.state_dict(), seen[1])
    assert fit(solver, checkpoint=checkpoint)[2].validation_rmse < 1.0


@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_a_validation_error_must_be_finite(error):
    with pytest.raises(InvalidInputError, match=f"diverged in epoch 0: .* validation {error}"):
        fit(make_solver(), validate=lambda: error)


def test_an_epoch_needs_a_batch():
    with pytest.raises(InvalidInputError, match="epoch 0 has no batch"):
        fit(make_solver(), batches=lambda epoch: iter([]))


@pytest.mark.parametrize("length", [{"epochs": 0}, {"steps_per_epoch": 0}])
def test_a_training_has_epochs_and_steps(length):
    with pytest.raises(InvalidInputError, match="both must be at least 1"):
        fit(make_solver(), **length)


def test_an_unknown_precision_is_refused():
    with pytest.raises(InvalidInputError, match="'half' is neither 'float32' nor 'bfloat16'"):
        fit(make_solver(), precision="half")


def test_patience_stops_when_the_validation_error_does_not_fall(tmp_path):
    """Also when it is called again: nothing is left to do."""
    errors = iter([3.0, 1.0, 2.0, 1.5, 0.5, 0.4])
    checkpoint = tmp_path / "part.pt"
    solver = make_solver()
    history = fit(
        solver, validate=lambda: next(errors), epochs=6, patience=2, checkpoint=checkpoint
    )
    assert [epoch.validation_rmse for epoch in history] == [3.0, 1.0, 2.0, 1.5]
    again = fit(make_solver(), validate=lambda: 0.0, epochs=6, patience=2, checkpoint=checkpoint)
    assert again == history
