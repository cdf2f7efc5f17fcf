"""Compare the windows of a shipped network with a plain solver, and print one line of JSON.

Run ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_inference.py``, with ``--model`` and
``--device``; ``--at-once`` sets the windows of a batch.

The plain solver is the published algorithm, written out: one window at a time, the whole cost
differentiated at once with a graph that could be differentiated again, in float32. It shares the
networks with the package and nothing else. All are timed in turns. For each precision: the time of
all windows (median and range of the turns) and the memory of the tensors of a batch, over those of
the plain solver, and the largest difference of an analysis over the standard deviation of the
states.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter, process_time

import numpy as np
import torch
from tensors import PeakMemory

import xdvarnet
from xdvarnet.calibration import Calibrated
from xdvarnet.solver.data import Data
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training.loop import autocast

Inputs = tuple[torch.Tensor, Data, torch.Tensor]
TURNS = 9


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


def in_batches(
    solver: VariationalSolver, precision: str, inputs: Inputs, size: int
) -> torch.Tensor:
    """Solve the windows as the package does."""
    with torch.no_grad(), autocast(inputs[0].device.type, precision):
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


def measure(works: Mapping[str, Callable[[], torch.Tensor]], device: str) -> dict[str, np.ndarray]:
    """Return the seconds of each work in each turn, after one that does not count."""
    cuda = device.startswith("cuda")
    wait = torch.cuda.synchronize if cuda else (lambda: None)
    clock = perf_counter if cuda else process_time
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(1 + TURNS):
        for name, work in works.items():
            wait()
            begin = clock()
            work()
            wait()
            seconds[name].append(clock() - begin)
    return {name: np.array(turns[1:]) for name, turns in seconds.items()}


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

    solvers = {name: partial(in_batches, solver, name) for name in ("float32", "bfloat16")}
    works = {name: partial(solve, inputs, size) for name, solve in solvers.items()}
    seconds = measure({"reference": reference, **works}, arguments.device)
    expected = reference()
    memory = peak(lambda: plain(solver, *windows[0]))
    line: dict[str, object] = {
        "model": arguments.model,
        "device": arguments.device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "windows": arguments.windows,
        "at_once": size,
        "turns": TURNS,
        "reference_ms_a_window": round(1e3 * min(seconds["reference"]) / arguments.windows, 2),
        "reference_mb": round(memory / 1e6, 1),
    }
    for name, solve in solvers.items():
        ratios = seconds[name] / seconds["reference"]
        most = peak(partial(solve, take(inputs, slice(size)), size))
        difference = (works[name]().float() - expected).abs().max() / expected.std()
        line[name] = {
            "time": round(float(np.median(ratios)), 3),
            "range": [round(float(end), 3) for end in (ratios.min(), ratios.max())],
            "memory": round(most / memory, 3),
            "difference": float(f"{float(difference):.2g}"),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
