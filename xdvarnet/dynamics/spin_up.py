"""The mixed state of a sea: eddies that have forgotten the noise that they grew from."""

import torch

from xdvarnet.dynamics.advection import WithTracer
from xdvarnet.dynamics.quasigeostrophic import TwoLayerQG
from xdvarnet.dynamics.seas import Sea
from xdvarnet.dynamics.spectral import DAY, SpectralGrid, advance
from xdvarnet.errors import InvalidInputError

TURNOVERS = 120.0
"""Length of a spin-up, in deformation radii over the shear: 280 days for 30 km and 0.15 m/s."""

WEAKEST, STRONGEST = 0.2, 30.0
"""Standard deviation of the surface currents over the shear, of a sea that has eddies."""


def random_eddies(
    grid: SpectralGrid, amplitude: float, length: float, generator: torch.Generator
) -> torch.Tensor:
    """Gaussian stream function with wavelengths around a length.

    Parameters
    ----------
    grid : SpectralGrid
        Of the plane.
    amplitude : float
        Standard deviation, m2/s.
    length : float
        m.
    generator : torch.Generator
        Source of the noise.

    Returns
    -------
    torch.Tensor
        Shape (y, x).
    """
    noise = torch.randn(grid.rows, grid.columns, generator=generator)
    share = grid.squared.sqrt() * length / (2 * torch.pi)
    psi = grid.to_field(grid.to_spectrum(noise) * torch.exp(-4 * (share - 1) ** 2))
    return amplitude * psi / psi.std()


def first_eddies(sea: Sea, model: WithTracer, generator: torch.Generator) -> torch.Tensor:
    """State of eddies of ten deformation radii, without a temperature anomaly; (3, y, x)."""
    flow = _flow(model)
    strength, wavelength = 4 * abs(sea.shear) * sea.deformation_radius, 10 * sea.deformation_radius
    upper = random_eddies(flow.grid, strength, wavelength, generator)
    vorticity = flow.potential_vorticity(torch.stack([upper, upper / 2]))
    return torch.cat([vorticity, torch.zeros_like(vorticity[:1])])


def spin_up(sea: Sea, size: int, generator: torch.Generator) -> torch.Tensor:
    """State of a sea in which the growth and the decay of eddies are even.

    Parameters
    ----------
    sea : Sea
        Its shear is unstable.
    size : int
        Cells of a side.
    generator : torch.Generator
        Source of the first eddies.

    Returns
    -------
    torch.Tensor
        Potential vorticity of both layers and temperature anomaly, (3, y, x).

    Raises
    ------
    InvalidInputError
        If the shear feeds no eddies, or they die, grow without an end, or change too fast for the
        cells.
    """
    if sea.criticality <= 1:
        raise InvalidInputError(
            f"the shear of {sea.shear} m/s is stable, and this sea would stay without eddies: "
            f"its criticality is {sea.criticality:.2f}, and it must be above 1. Give a stronger "
            "shear, or a smaller deformation_radius or beta."
        )
    model = sea.model(size)
    state = first_eddies(sea, model, generator)
    days = round(TURNOVERS * sea.deformation_radius / abs(sea.shear) / DAY)
    for _ in range(max(days, 1)):
        try:
            state = advance(model, state, DAY)
        except InvalidInputError as error:  # within the day, speeds have outgrown the steps
            raise InvalidInputError(
                f"the eddies change too fast for cells of {model.grid.spacing / 1e3:g} km "
                f"({error}). Give more drag, a weaker shear, a larger deformation_radius or more "
                "cells."
            ) from error
        _check_strength(sea, model, state)
    return state


def _check_strength(sea: Sea, model: WithTracer, state: torch.Tensor) -> None:
    """Refuse a sea whose eddies have died, or are too strong for quasi-geostrophy."""
    flow = _flow(model)
    eastward, northward = flow.velocity(state[:-1])
    ratio = float(northward[0].std()) / abs(sea.shear)
    advice = None
    if not ratio <= STRONGEST:
        advice = "grow without an end; give more drag or a weaker shear"
    elif ratio < WEAKEST:
        advice = "have died; give less drag, a stronger shear, or finer cells"
    if advice:
        raise InvalidInputError(
            f"the currents of the eddies are {ratio:.2g} times the shear of {sea.shear} m/s: they "
            f"{advice} (drag {sea.drag:g} s-1, criticality {sea.criticality:.2f})."
        )


def _flow(model: WithTracer) -> TwoLayerQG:
    assert isinstance(model.flow, TwoLayerQG)
    return model.flow
