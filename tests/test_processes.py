"""Two processes that train one network: the weights are those of one process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import DAYS, toy_model, toy_system, toy_truth

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.data import Data
from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.training.loop import train

TRAIN = """
import sys
import torch
sys.path.insert(0, {tests!r})
from test_processes import trained
torch.distributed.init_process_group("gloo")
found = trained({folder!r} + "/checkpoint")
torch.save(found, {folder!r} + f"/{{torch.distributed.get_rank()}}.pt")
"""


def batch(seed: int) -> Batch:
    """Return three samples, of which one process gets one, and the other two."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(3, DAYS, 12, 16, generator=generator)
    seen = torch.rand(truth.shape, generator=generator) < 0.3
    data = Data(truth * seen, seen.float())
    context = torch.cat([data.mask, torch.ones(3, 1, 12, 16)], 1)
    return Batch(torch.zeros_like(truth), truth, [data], context, torch.ones(3, 1, 1, 1))


def trained(checkpoint: str | None = None) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Return the losses and the weights of a short training."""
    solver = toy_model(first_guess=False).solver
    history = train(
        solver,
        lambda epoch: (batch(10 * epoch + step) for step in range(3)),
        lambda: ReconstructionLoss().evaluate(solver, batch(100)).item(),
        epochs=2,
        steps_per_epoch=3,
        learning_rate=1e-3,
        loss=ReconstructionLoss(),
        device="cpu",
        precision="float32",
        checkpoint=None if checkpoint is None else Path(checkpoint),
    )
    return [epoch.loss for epoch in history], solver.state_dict()


def test_two_processes_train_as_one(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TRAIN.format(tests=str(Path(__file__).parent), folder=str(tmp_path)))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*launch, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    losses, weights = trained()
    for rank in (0, 1):
        found_losses, found = torch.load(tmp_path / f"{rank}.pt")
        np.testing.assert_allclose(found_losses, losses, rtol=1e-5)
        # Adam divides by the size of a gradient, which lifts the rounding of small ones
        torch.testing.assert_close(found, weights, rtol=1e-3, atol=1e-5)
    assert (tmp_path / "checkpoint").exists()


def test_processes_need_the_same_seed(monkeypatch):
    monkeypatch.setattr("xdvarnet.training.schedule.count_processes", lambda: 2)
    with pytest.raises(InvalidInputError, match="2 processes needs the same seed"):
        toy_model().fit(toy_truth(), observe=toy_system(), validation=toy_truth())
