"""A tracer in the upper layer of a quasi-geostrophic flow."""

import torch

from xdvarnet.dynamics.quasigeostrophic import LayeredQG, transport
from xdvarnet.dynamics.spectral import SpectralModel
from xdvarnet.errors import InvalidInputError


class WithTracer(SpectralModel):
    """A layered flow and a tracer that its upper layer carries.

    The tracer is ``G y + c`` with a uniform northward gradient G, and its anomaly obeys

        dc/dt = -J(psi1, c) - U1 dc/dx - G dpsi1/dx - c / relaxation

    as for temperature at the sea surface, stirred by eddies and restored by the atmosphere (Smith
    et al. 2002, doi 10.1017/S0022112002001763; Frankignoul and Hasselmann 1977,
    doi 10.3402/tellusa.v29i4.11362). A state is the potential vorticity of the layers and c, (...,
    layer + 1, y, x).

    Parameters
    ----------
    flow : LayeredQG
        Such as `xdvarnet.dynamics.quasigeostrophic.TwoLayerQG`.
    gradient : float
        G, in units of the tracer per m.
    relaxation : float
        Time of the relaxation to zero anomaly, s.

    Raises
    ------
    InvalidInputError
        If the time is not positive or the gradient not finite.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.advection import WithTracer
    >>> from xdvarnet.dynamics.quasigeostrophic import ReducedGravityQG
    >>> from xdvarnet.dynamics.spectral import SpectralGrid, SpectralModel
    >>> grid = SpectralGrid(16, 24, spacing=20e3)
    >>> flow = ReducedGravityQG(grid, f0=9e-5, beta=1.8e-11, deformation_radius=30e3)
    >>> model = WithTracer(flow, gradient=-1e-5, relaxation=60 * 86400.0)
    >>> model(torch.zeros(5, 2, 16, 24)).shape
    torch.Size([5, 2, 16, 24])
    """

    def __init__(self, flow: LayeredQG, *, gradient: float, relaxation: float) -> None:
        super().__init__()
        if not 0 < relaxation <= float("inf"):
            raise InvalidInputError(f"relaxation={relaxation}; give a positive time in s.")
        if not abs(gradient) < float("inf"):
            raise InvalidInputError(f"gradient={gradient}; give a finite number per m.")
        self.flow, self.grid = flow, flow.grid
        self.gradient, self.relaxation = gradient, relaxation

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a state (..., layer + 1, y, x), without the filter."""
        self._check(state)
        return self.grid.to_field(self.rates(self.grid.to_spectrum(state)))

    def rates(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Tendency of the spectrum of a state."""
        grid, flow = self.grid, self.flow
        vorticity, tracer = spectrum[..., :-1, :, :], spectrum[..., -1, :, :]
        psi = flow.invert(vorticity)
        u, v = flow.eddy_currents(psi)
        mean = flow.zonal[0] * tracer + self.gradient * psi[..., 0, :, :]
        carried = transport(grid, u[..., 0, :, :], v[..., 0, :, :], tracer, mean)
        change = -carried - (1 / self.relaxation) * tracer
        return torch.cat([flow.vortex_rates(vorticity, psi, u, v), change.unsqueeze(-3)], dim=-3)

    def largest_speed(self, state: torch.Tensor) -> float:
        """Largest speed of a layer, m/s."""
        self._check(state)
        return self.flow.largest_speed(state[..., :-1, :, :])

    def _check(self, state: torch.Tensor) -> None:
        layers = self.flow.layers
        shape = (layers + 1, self.grid.rows, self.grid.columns)
        if tuple(state.shape[-3:]) != shape:
            raise InvalidInputError(
                f"the state has the shape {tuple(state.shape)}; with a tracer it should end with "
                f"{shape}: the vorticity of {layers} layer(s), and the tracer."
            )
