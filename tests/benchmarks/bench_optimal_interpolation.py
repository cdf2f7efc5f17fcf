"""Time the optimal interpolation of 30 days of the Mediterranean, and print seconds and error.

Run ``OMP_NUM_THREADS=2 python tests/benchmarks/bench_optimal_interpolation.py``.
"""

from time import perf_counter, process_time

import numpy as np

import xdvarnet


def main() -> None:
    truth = xdvarnet.datasets.mediterranean().isel(time=slice(-30, None))
    missions = ["jason1", "envisat", "gfo", "topex_interleaved"]
    observations = xdvarnet.observe(truth, missions, noise=0.02, rng=0)
    model = xdvarnet.OptimalInterpolation(
        "ssh", correlation_length="60 km", correlation_time="20 days", noise=0.02
    )
    begin, begin_processors = perf_counter(), process_time()
    maps = xdvarnet.reconstruct(observations, model)
    seconds, processor_seconds = perf_counter() - begin, process_time() - begin_processors
    error = float(np.sqrt(((maps["ssh"] - truth["ssh"]) ** 2).mean()))
    print(f"{dict(truth.sizes)}, {int(observations['ssh'].count())} observations")
    print(f"{seconds:.1f} s ({processor_seconds:.1f} s of processors), RMSE {100 * error:.2f} cm")


if __name__ == "__main__":
    main()
