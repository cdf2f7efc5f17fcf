"""Compare the windows of a shipped network with a plain solver, and print one line of JSON.

Run ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_inference.py``, with ``--model`` and
``--device``; ``--at-once`` sets the windows of a batch.

The plain solver is the published algorithm, written out: one window at a time, the whole cost
differentiated at once with a graph that could be differentiated again, in float32. It shares the
networks with the package and nothing else. For each precision: the time of all windows and the
memory of the tensors of a batch, over those of the plain solver, and the largest difference of an
analysis over the standard deviation of the states.
"""

import argparse
import json
from collections.abc import Callable
from time import perf_counter, process_time

import torch
from tensors import PeakMemory

import xdvarnet
from xdvarnet.calibration import Calibrated
from xdvarnet.solver.data import Data
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training.loop import autocast

Inputs = tuple[torch.Tensor, Data, torch.Tensor]
REPEATS = 5


def plain(solver: VariationalSolver, state: torch.Tensor, data: Data, context: torch.Tensor):
    """Return the analysis of one window by the algorithm of Fablet et al. (2021), in its units."""
    (term,) = solver.terms
    observed, prior = solver.log_weights.exp()
    memory = scale = None
    for k in range(solver.iterations):
        state = state.detach().requires_grad_()
        misfit = (data.mask * (state - data.values)).square().sum() / term.noise**2
        rest = (state - solver.prior(state)).square().sum()
        cost = (observed * misfit + prior * rest) / state.numel()
        (gradient,) = torch.autograd.grad(cost, state, create_graph=True)
        scale = gradient.square().mean().sqrt() if scale is None else scale
        gradient = gradient / scale
        seen = [context, state] if solver.step.sees_state else [context]
        update, memory = solver.step(gradient, torch.cat(seen, 1), memory)
        plain_part = solver.rate * (k + 1) / solver.iterations * gradient
        state = state - update / (k + 1) - plain_part
    return state.detach()


def draw(model: xdvarnet.DVarNet, count: int) -> Inputs:
    """Return windows of smooth states, of which a tenth of the cells are observed."""
    random = torch.Generator().manual_seed(0)

    def normal(channels: int) -> torch.Tensor:
        values = torch.randn(count, channels, *model.window.sizes[1:], generator=random)
        return values.contiguous(memory_format=torch.channels_last).to(model.device)

    days = model.window.time
    seen = torch.where(normal(days) > 1.28, normal(days), torch.nan)
    return normal(days), Data.from_gappy(seen), normal(model.solver.context)


def take(inputs: Inputs, part: slice) -> Inputs:
    """Return some of the windows."""
    state, data, context = inputs
    return state[part], Data(data.values[part], data.mask[part]), context[part]


def in_batches(solver: VariationalSolver, inputs: Inputs, size: int) -> torch.Tensor:
    """Solve the windows as the package does."""
    with torch.no_grad():
        found = []
        for start in range(0, len(inputs[0]), size):
            state, data, context = take(inputs, slice(start, start + size))
            found.append(solver(state, [data], context))
        return torch.cat(found)


def peak(work: Callable[[], torch.Tensor]) -> int:
    """Return the most bytes of tensors at once."""
    with PeakMemory() as memory:
        work()
    return memory.peak


def measure(work: Callable[[], torch.Tensor], device: str) -> tuple[torch.Tensor, float]:
    """Return the result, and the least seconds of some runs."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    clock = perf_counter if device.startswith("cuda") else process_time
    found, seconds = work(), []
    for _ in range(REPEATS):
        wait()
        begin = clock()
        work()
        wait()
        seconds.append(clock() - begin)
    return found.float(), min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="ssh-twin")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--at-once", type=int, help="by default that of the model")
    arguments = parser.parse_args()
    found = xdvarnet.load_model(arguments.model)
    model = found.model if isinstance(found, Calibrated) else found
    assert isinstance(model, xdvarnet.DVarNet)
    model = model.with_options(device=arguments.device)
    solver, size = model.solver, arguments.at_once or model.at_once
    assert isinstance(solver, VariationalSolver)
    inputs = draw(model, arguments.windows)
    windows = [take(inputs, slice(i, i + 1)) for i in range(arguments.windows)]

    def reference() -> torch.Tensor:
        return torch.cat([plain(solver, *window) for window in windows])

    expected, seconds = measure(reference, arguments.device)
    memory = peak(lambda: plain(solver, *windows[0]))
    line: dict[str, object] = {
        "model": arguments.model,
        "device": arguments.device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "windows": arguments.windows,
        "at_once": size,
        "reference_ms_a_window": round(1e3 * seconds / arguments.windows, 2),
        "reference_mb": round(memory / 1e6, 1),
    }
    for precision in ("float32", "bfloat16"):
        with autocast(arguments.device, precision):
            states, own = measure(lambda: in_batches(solver, inputs, size), arguments.device)
            most = peak(lambda: in_batches(solver, take(inputs, slice(size)), size))
        line[precision] = {
            "time": round(own / seconds, 3),
            "memory": round(most / memory, 3),
            "difference": float(f"{float((states - expected).abs().max() / expected.std()):.2g}"),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
