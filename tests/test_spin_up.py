"""Eddies of a sea of one's own: that they settle, and what is refused."""

import pytest
import torch

from xdvarnet.dynamics.seas import Sea
from xdvarnet.dynamics.spectral import SpectralGrid
from xdvarnet.dynamics.spin_up import random_eddies, spin_up
from xdvarnet.errors import InvalidInputError

SETTINGS = {
    "latitude": 35.0,
    "deformation_radius": 80e3,
    "shear": 0.4,
    "drag": 1.5e-6,
    "beta": 6e-12,
}


def run(seed: int = 0, size: int = 32, **changes: float) -> torch.Tensor:
    """Spin up a sea on few cells."""
    with torch.no_grad():
        return spin_up(Sea(**SETTINGS | changes), size, torch.Generator().manual_seed(seed))


def test_random_eddies_have_the_strength_and_the_length():
    grid = SpectralGrid(64, 64, spacing=10e3)
    psi = random_eddies(grid, 2000.0, 160e3, torch.Generator().manual_seed(0))
    assert float(psi.std()) == pytest.approx(2000.0)
    power = grid.to_spectrum(psi).abs().square()
    wavelength = 2 * torch.pi / float((power * grid.squared.sqrt()).sum() / power.sum())
    assert wavelength == pytest.approx(160e3, rel=0.1)


def test_what_it_settles_at_does_not_depend_on_the_first_eddies(monkeypatch):
    """Two seeds have the same energy within a factor of two, and other eddies."""
    monkeypatch.setattr("xdvarnet.dynamics.spin_up.TURNOVERS", 50.0)
    model = Sea(**SETTINGS).model(32)
    heights = [model.flow.pressure_height(run(seed)[:2])[0] for seed in (0, 1)]
    ratio = float(heights[0].std() / heights[1].std())
    assert 0.5 < ratio < 2
    assert abs(float(torch.corrcoef(torch.stack([h.flatten() for h in heights]))[0, 1])) < 0.6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shear": 0.01}, "the shear of 0.01 m/s is stable"),
        ({"shear": 0.0}, "stable"),
        ({"deformation_radius": 5e3}, "change too fast for cells of 40 km"),
    ],
)
def test_seas_without_eddies(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        run(**changes)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [("WEAKEST", 20.0, "have died; give less drag"), ("STRONGEST", 0.5, "without an end")],
)
def test_eddies_of_no_sea(limit, value, message, monkeypatch):
    """Weaker or stronger ones than the limits are refused."""
    monkeypatch.setattr(f"xdvarnet.dynamics.spin_up.{limit}", value)
    with pytest.raises(InvalidInputError, match=message):
        run()


def test_the_advice_for_a_stable_shear(monkeypatch):
    """A smaller beta, which the message names, makes it unstable."""
    monkeypatch.setattr("xdvarnet.dynamics.spin_up.TURNOVERS", 5.0)
    run(shear=0.1, beta=1e-12, drag=4e-7)
