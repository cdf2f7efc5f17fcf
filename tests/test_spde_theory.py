"""The field against theory and against another implementation: Matérn kriging by GSTools."""

import numpy as np
import pytest
import torch

from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.field import Prior
from xdvarnet.spde.mesh import Mesh
from xdvarnet.spde.scales import LENGTH as LENGTH_ROOT

STEP, LENGTH, STD = 8e3, 80e3, 0.05
ROWS, COLUMNS, MARGIN = 51, 58, 17  # the margin is of 1.7 lengths

AXES = [STEP * torch.arange(size, dtype=torch.float64) for size in (ROWS, COLUMNS)]


def prior(step: float, times: int = 1, time: float = 10.0) -> Prior:
    mesh = Mesh.from_metres(*AXES)
    return Prior(matern_chain(mesh, times, length=LENGTH, time=time, std=STD, step=step))


def inside(flat: torch.Tensor) -> np.ndarray:
    return flat.view(ROWS, COLUMNS)[MARGIN:-MARGIN, MARGIN:-MARGIN].numpy()


def test_kriging_is_that_of_gstools():
    """Of one field, with short time steps, by its precision and by its Matérn covariance."""
    gstools = pytest.importorskip("gstools")
    rng = np.random.default_rng(0)
    count, noise = 25, 0.01
    at = rng.choice(inside(torch.arange(ROWS * COLUMNS)).ravel(), count, replace=False)
    row, column = np.divmod(at, COLUMNS)
    # (sqrt(nu) d / len_scale)^nu K_nu is its correlation
    model = gstools.Matern(dim=2, var=STD**2, len_scale=np.sqrt(2) * LENGTH / LENGTH_ROOT, nu=2)
    apart = STEP * np.hypot(row[:, None] - row, column[:, None] - column)
    of_values = model.covariance(apart) + noise**2 * np.eye(count)
    values = np.linalg.cholesky(of_values) @ rng.normal(size=count)
    operator = torch.zeros(count, ROWS * COLUMNS, dtype=torch.float64)
    operator[range(count), at] = 1
    posterior = prior(step=0.01).condition(
        operator.to_sparse(), torch.as_tensor(values), torch.full((count,), noise).double()
    )
    kriging = gstools.krige.Simple(
        model, [STEP * row, STEP * column], values, mean=0.0, cond_err=noise**2, exact=False
    )
    mean, variance = kriging.structured([axis.numpy() for axis in AXES])
    error = inside(posterior.mean) - mean[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert np.abs(error).max() < 0.02 * STD
    std = np.sqrt(variance)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert np.abs(inside(posterior.factor.variances().sqrt()) - std).max() < 0.02 * STD
    assert np.abs(mean).max() > STD and std.min() < 0.5 * STD


@pytest.mark.parametrize(("time", "step"), [(5.0, 1.0), (20.0, 1.0), (5.0, 0.1)])
def test_variance_is_that_of_the_discrete_theory(time, step):
    """The closed form of the implicit steps, to 2 % far from walls, with ten cells in a length."""
    found = inside(prior(step, time=time).factor().variances())
    np.testing.assert_allclose(found, STD**2, rtol=0.02)
