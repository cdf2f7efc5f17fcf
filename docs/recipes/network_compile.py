"""Measure whether torch.compile makes the solver of a shipped network faster.

Usage: OMP_NUM_THREADS=1 python docs/recipes/network_compile.py [NAME ...]

Random windows, one at a time, on one thread, in float32; needs a C++ compiler. Prints seconds of
the first call with a compiled step or solver, and the least of nine calls with and without it.
"""

import copy
import sys
from time import perf_counter, process_time

import torch

import xdvarnet
from xdvarnet.calibration import Calibrated
from xdvarnet.solver.data import Data


def inputs(model: xdvarnet.DVarNet, batch: int) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
    """Return random windows, with observations in a tenth of the cells."""
    random = torch.Generator().manual_seed(0)

    def draw(channels: int) -> torch.Tensor:
        values = torch.randn(batch, channels, *model.window.sizes[1:], generator=random)
        return values.contiguous(memory_format=torch.channels_last)

    days = model.window.time
    seen = torch.where(draw(days) > 1.28, draw(days), torch.nan)
    return draw(days), [Data.from_gappy(seen)], draw(model.solver.context)


def network(name: str) -> xdvarnet.DVarNet:
    """Return a shipped network, without its ensemble."""
    model = xdvarnet.load_model(name)
    model = model.model if isinstance(model, Calibrated) else model
    assert isinstance(model, xdvarnet.DVarNet)
    return model


def measure(name: str, part: str) -> None:
    """Print what it costs to compile a part of a solver, and what it gains."""
    model = network(name)
    compiled = copy.deepcopy(model.solver)
    {"step": compiled.parts["step"], "solver": compiled}[part].compile()
    given = inputs(model, 1)
    times: dict[str, list[float]] = {"eager": [], "compiled": []}
    with torch.no_grad():
        start = perf_counter()
        found = compiled(*given)
        first = perf_counter() - start
        error = (found - model.solver(*given)).abs().max()
        for _ in range(9):
            for kind, solve in (("eager", model.solver), ("compiled", compiled)):
                begin = process_time()
                solve(*given)
                times[kind].append(process_time() - begin)
    least = {kind: f"{1e3 * min(seconds):.1f} ms" for kind, seconds in times.items()}
    print(
        f"{name}, {part}: first call {first:.1f} s, then {least}, difference {error:.1e}",
        flush=True,
    )


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[1:] or ["ssh-twin", "med-ssh"]:
        for part in ("step", "solver"):
            measure(name, part)


if __name__ == "__main__":
    main()
