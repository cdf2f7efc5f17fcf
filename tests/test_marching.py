"""Marching in time, against one implicit step after the other with dense matrices."""

import torch

from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.mesh import Mesh

NY, NX, TIMES, DT = 4, 6, 3, 0.5


def test_each_time_solves_the_equation_of_its_step():
    """After the filter is undone, B v_k - v_(k-1) is the noise, in each cell and time."""
    axes = (12e3 * torch.arange(NY).double(), 10e3 * torch.arange(NX).double())
    mesh = Mesh.from_metres(*axes)
    days = torch.tensor([5.0, 7.0, 9.0], dtype=torch.float64)[:, None, None]
    chain = matern_chain(
        mesh, TIMES, length=60e3, time=days, std=0.05, propagation=(4e3, 1e3), step=DT
    )
    white = torch.randn(
        2, TIMES, NY, NX, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    v = chain.smoothing.apply(chain.scale * chain.colour(white)) / mesh.area
    change = v[:, 1:] - v[:, :-1] + DT * chain.steps.apply(v)[:, 1:] / mesh.area
    expected = (DT / mesh.area).sqrt() * white[:, 1:]
    torch.testing.assert_close(change, expected, rtol=1e-9, atol=1e-12)
