"""Precision of a Gaussian field in space and time, from the spatial operator of each time.

Fields are flat here: n cells of one time, index = row * nx + column, and the times one after the
other. Operators are integrated over the cells, K = V A with V = diag(cell area), as sparse matrices
of shape (n, n).
"""

import warnings
from collections.abc import Sequence

import torch

from xdvarnet.errors import InvalidInputError

_Blocks = dict[tuple[int, int], torch.Tensor]
"""Blocks of a sparse matrix, by their row and column."""

# torch multiplies sparse matrices through another layout and warns of that in the first product of
# a process. It is made here, because a filter would be lost wherever users or pytest set their own.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state", UserWarning)
    _ = torch.eye(1).to_sparse() @ torch.eye(1).to_sparse()


def space_time_precision(
    steps: Sequence[torch.Tensor],
    area: torch.Tensor,
    dt: float,
    *,
    first: torch.Tensor | None = None,
    spin_up: int = 0,
) -> torch.Tensor:
    """Precision of dv/dt + A v = white noise, by implicit Euler steps.

    ``B_k v_k = v_(k-1) + sqrt(dt) V^(-1/2) e_k`` with B_k = I + dt A_k and e_k standard normal. The
    field at the first time has the precision P; with D = V / dt, each later time adds
    ``|D^(1/2) (B_k v_k - v_(k-1))|^2`` to the exponent, so that this is G^T D G with G block lower
    bidiagonal. Written with ``C_k = D B_k = D + K_k``, the blocks on the diagonal are P + D at the
    start and C_k^T D^-1 C_k + D later, without D at the last time; beside them stands -C_k.

    Parameters
    ----------
    steps : sequence of torch.Tensor
        Integrated operator K_k of each time, in m2 / day, sparse, each of shape (n, n); the first
        one makes the start. ``[K] * times`` if it does not change.
    area : torch.Tensor
        Areas of the cells in m2, n values in any shape.
    dt : float
        Step in days.
    first : torch.Tensor, optional
        Precision P of the field at the first time (of the spin-up if there is one), sparse, shape
        (n, n); by default the stationary one, see `stationary_precision`.
    spin_up : int
        Number of steps with the first operator that come before the window. Their fields are
        unknowns like the others: they come first, and are to be dropped from every result. For
        operators with strong and varying advection, whose stationary precision is not exact.

    Returns
    -------
    torch.Tensor
        Sparse, coalesced, symmetric, shape (t n, t n) with t = spin_up + len(steps), in the order
        (time, row, column). Differentiable with respect to the values of the operators.

    Raises
    ------
    InvalidInputError
        If there is no step, or shapes, the areas or dt are of no use.

    References
    ----------
    Lindgren, Rue & Lindstrom 2011, doi 10.1111/j.1467-9868.2011.00777.x; Clarotto et al. 2022,
    arXiv 2208.14015.

    Examples
    --------
    A single cell is an autoregressive process, of variance 1 / (2 a + a^2 dt) per area:

    >>> import torch
    >>> from xdvarnet.spde.precision import space_time_precision
    >>> area = torch.ones(1, dtype=torch.float64)
    >>> operator = torch.full((1, 1), 0.5, dtype=torch.float64).to_sparse()
    >>> torch.linalg.inv(space_time_precision([operator] * 2, area, 1.0).to_dense())
    tensor([[0.8000, 0.5333],
            [0.5333, 0.8000]], dtype=torch.float64)
    """
    steps, area, first = _prepare(steps, area, dt, first, spin_up)
    noise = _diagonal(area / dt)
    blocks = {(0, 0): first}
    for k, step in enumerate(steps[1:], start=1):
        coupling = noise + step
        blocks[k - 1, k - 1] = blocks[k - 1, k - 1] + noise
        blocks[k, k] = _gram(coupling, dt / area)
        blocks[k - 1, k], blocks[k, k - 1] = -coupling, -coupling.T
    return _assemble(blocks, len(area), len(steps))


def stationary_precision(step: torch.Tensor, area: torch.Tensor, dt: float) -> torch.Tensor:
    """Precision of the field that the steps of one operator leave as it is.

    ``P = B^T D B - D = K + K^T + dt K^T V^-1 K`` with B = I + dt A and D = V / dt. Then
    ``B P^-1 B^T = P^-1 + D^-1``, which is stationarity, if D^(1/2) B D^(-1/2) is a normal matrix:
    for every self-adjoint A, also of varying coefficients, and for constant advection without
    edges. Otherwise it is a start from which spin-up steps lead to the stationary field. It is
    positive definite where K + K^T is.

    Parameters
    ----------
    step : torch.Tensor
        Integrated operator K in m2 / day, sparse, shape (n, n).
    area : torch.Tensor
        Areas of the cells in m2, n values in any shape.
    dt : float
        Step in days.

    Returns
    -------
    torch.Tensor
        Sparse, shape (n, n).

    Raises
    ------
    InvalidInputError
        If the shapes, the areas or dt are of no use.
    """
    area = _check([step], area, dt)
    return step + step.T + _gram(step, dt / area)


def filtered(
    precision: torch.Tensor,
    smoothing: Sequence[torch.Tensor],
    area: torch.Tensor,
    scale: torch.Tensor | float = 1.0,
) -> torch.Tensor:
    """Precision of x with v = W x, where W = V^-1 S diag(scale) at each time: W^T Q W.

    Parameters
    ----------
    precision : torch.Tensor
        Precision Q of v at t times, sparse, shape (t n, t n), in the order (time, row, column).
    smoothing : sequence of torch.Tensor
        Integrated smoothing operator S of each time, sparse, each of shape (n, n).
    area : torch.Tensor
        Areas of the cells in m2, n values in any shape.
    scale : torch.Tensor or float
        The standard deviation of S^-1 V v over that wanted of x: a number, or a field that
        broadcasts to (t, n).

    Returns
    -------
    torch.Tensor
        Sparse, coalesced, shape (t n, t n). It reaches two cells further than `precision` does.

    Raises
    ------
    InvalidInputError
        If the smoothing operators are not those of all times of the precision.
    """
    area = _check(smoothing, area, 1.0)
    n, times = len(area), len(smoothing)
    if len(precision) != n * times:
        raise InvalidInputError(
            f"the precision is of {len(precision)} unknowns, and {times} smoothing operators of "
            f"{n} cells were given; give one for each time (those of the spin-up too)."
        )
    scale = torch.as_tensor(scale, dtype=area.dtype, device=area.device).broadcast_to(times, n)
    pairs = zip(smoothing, scale, strict=True)
    W = [_diagonal(1 / area) @ one @ _diagonal(factor) for one, factor in pairs]
    blocks = {(j, k): W[j].T @ (block @ W[k]) for (j, k), block in _split(precision, n).items()}
    return _assemble(blocks, n, times)


def _prepare(
    steps: Sequence[torch.Tensor],
    area: torch.Tensor,
    dt: float,
    first: torch.Tensor | None,
    spin_up: int,
) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Return the operators with those of the spin-up, flat areas and the precision of the start."""
    area = _check(steps, area, dt)
    first = stationary_precision(steps[0], area, dt) if first is None else first
    _check([first], area, dt)
    return [*[steps[0]] * spin_up, *steps], area, first


def _check(steps: Sequence[torch.Tensor], area: torch.Tensor, dt: float) -> torch.Tensor:
    """Return the areas, flat, unless something is of no use."""
    area = area.flatten()
    shapes = {tuple(step.shape) for step in steps}
    if shapes != {(len(area), len(area))}:
        raise InvalidInputError(
            f"{len(steps)} matrices of shapes {sorted(shapes)} were given for {len(area)} cell "
            "areas; give at least one, each square, with as many rows as there are cells."
        )
    if not dt > 0 or not (area > 0).all():
        raise InvalidInputError(
            f"dt={dt} and cell areas from {float(area.min()):.4g}; give positive days and areas in "
            "m2 (land cells have an area too)."
        )
    return area


def _diagonal(values: torch.Tensor) -> torch.Tensor:
    """Return the sparse matrix with `values` on its diagonal."""
    places = torch.arange(len(values), device=values.device).expand(2, -1)
    size = (len(values), len(values))
    return torch.sparse_coo_tensor(places, values, size, check_invariants=False, is_coalesced=True)


def _gram(matrix: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return M^T diag(weight) M."""
    return matrix.T @ (_diagonal(weight) @ matrix)


def _assemble(blocks: _Blocks, n: int, times: int) -> torch.Tensor:
    """Return the sparse matrix of times x times blocks (n, n), given by their places."""
    parts = [(torch.tensor(place), block.coalesce()) for place, block in blocks.items()]
    indices = [n * place[:, None].to(block.device) + block.indices() for place, block in parts]
    values = [block.values() for _, block in parts]
    whole = torch.sparse_coo_tensor(
        torch.cat(indices, 1), torch.cat(values), (n * times, n * times), check_invariants=False
    )
    return whole.coalesce()


def _split(matrix: torch.Tensor, n: int) -> _Blocks:
    """Undo `_assemble`."""
    matrix = matrix.coalesce()
    indices, values, times = matrix.indices(), matrix.values(), len(matrix) // n
    row, column = indices // n
    number = row * times + column
    found = {}
    for one in number.unique().tolist():
        inside = (number == one).nonzero().squeeze(1)
        found[divmod(one, times)] = torch.sparse_coo_tensor(
            indices[:, inside] % n, values[inside], (n, n), check_invariants=False
        )
    return found
