"""Measure the exact engine of an SPDE field beside CHOLMOD, on the same precision.

Usage: pip install --target FOLDER --no-deps cvxopt==1.3.3
       PYTHONPATH=FOLDER OMP_NUM_THREADS=1 python docs/recipes/spde_peers.py

The posterior precision of the field of spde_cost.py, 5 days of n x n cells, is factored by
`SparseCholesky` and by the supernodal CHOLMOD in cvxopt, once in its own order (approximate minimum
degree) and once in the nested dissection of this package; in turns, three times, in one process.
Each time has the order in it, and CHOLMOD's not the conversion of the matrix. Writes
spde_peers_tables.md into docs/results, and stops where log-determinants or means differ. cvxopt
is under the GPL, and needed for this script alone.
"""

from time import process_time

import numpy as np
import pandas as pd
import torch
from comparison import markdown
from cvxopt import cholmod, matrix, spmatrix
from spde_cost import RESULTS, field, observe

from xdvarnet.spde.chain import REACH
from xdvarnet.spde.dissection import dissect
from xdvarnet.spde.engines import SparseCholesky

TIMES, SIZES, RUNS = 5, (50, 70, 100), 3
TOLERANCE = 1e-6
CONDITION, OURS = "xdvarnet, condition (s)", "of which factor (s)"
AMD, DISSECTED = "CHOLMOD, minimum degree (s)", "CHOLMOD, our dissection (s)"
DIFFERENCE = "largest difference"


def measure(size: int) -> dict[str, object]:
    """Return seconds of a processor by each, and the largest difference of their results."""
    generator, prior = torch.Generator().manual_seed(0), field(TIMES, size)
    operator, values, noise = observe(prior, generator)
    right = operator.T @ (values / noise.square())

    start = process_time()
    posterior = prior.condition(operator, values, noise)
    seconds: dict[str, object] = {"n": size, CONDITION: process_time() - start}
    determinant = posterior.factor.log_determinant()

    precision = posterior.factor.matrix
    start = process_time()
    dissection = dissect(TIMES, size, size, REACH)
    SparseCholesky.factor(precision, dissection)
    seconds[OURS] = process_time() - start

    rows, columns = precision.indices().numpy()
    lower = rows >= columns
    half = [matrix(part[lower]) for part in (precision.values().numpy(), rows, columns)]
    same = spmatrix(*half, precision.shape)
    differences = []
    for name, order in ((AMD, ()), (DISSECTED, (matrix(dissection.order.numpy()),))):
        start = process_time()
        factor = cholmod.symbolic(same, *order)
        cholmod.numeric(same, factor)
        seconds[name] = process_time() - start
        mean = matrix(right.numpy())
        cholmod.solve(factor, mean)
        other = 2 * np.log(np.array(cholmod.diag(factor))).sum()
        misfit = np.array(mean).ravel() - posterior.mean.numpy()
        differences += [abs(other / float(determinant) - 1)]
        differences += [np.abs(misfit).max() / float(posterior.mean.abs().max())]
    seconds[DIFFERENCE] = max(differences)
    assert seconds[DIFFERENCE] < TOLERANCE
    return seconds


def main() -> None:
    """Measure, and write the ranges of all runs."""
    cholmod.options["supernodal"] = 2
    measure(SIZES[0])  # what is done once, such as loading libraries
    runs = pd.DataFrame([measure(size) for _ in range(RUNS) for size in SIZES]).groupby("n")
    least, most = runs.min(), runs.max()
    table = least.map("{:.2f}".format) + " to " + most.map("{:.2f}".format)
    table[DIFFERENCE] = most[DIFFERENCE].map("{:.0e}".format)
    table.index = [f"{size} x {size}" for size in table.index]
    (RESULTS / "spde_peers_tables.md").write_text(markdown(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
