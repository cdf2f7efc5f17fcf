"""Measure whether torch.compile makes the solver of a shipped network faster.

Usage: OMP_NUM_THREADS=1 python docs/recipes/network_compile.py [NAME ...]

Random windows, one at a time, on one thread, in float32; needs a C++ compiler. Prints seconds of
the first call of a compiled solver, and the least of nine calls of each, in turn.
"""

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


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[1:] or ["ssh-twin", "med-ssh"]:
        model = network(name)
        given = inputs(model, 1)
        compiled = torch.compile(model.solver)
        with torch.no_grad():
            start = perf_counter(), process_time()
            found = compiled(*given)
            print(f"{name}: first call {perf_counter() - start[0]:.1f} s")
            error = (found - model.solver(*given)).abs().max()
            times: dict[str, list[float]] = {"eager": [], "compiled": []}
            for _ in range(9):
                for kind, solve in (("eager", model.solver), ("compiled", compiled)):
                    begin = process_time()
                    solve(*given)
                    times[kind].append(process_time() - begin)
        least = {kind: f"{1e3 * min(seconds):.1f} ms" for kind, seconds in times.items()}
        print(f"{name}: {least}, largest difference {error:.1e}", flush=True)


if __name__ == "__main__":
    main()
