"""Quasi-geostrophic flow in one and in two layers, on a doubly periodic beta plane.

A state is the potential vorticity of each layer, (..., layer, y, x) in s-1, in SI units
throughout. A model called with a state returns its tendency; `xdvarnet.dynamics.spectral.advance`
steps it, with the filter of the smallest scales.
"""

from collections.abc import Sequence

import torch

from xdvarnet.dynamics.spectral import SpectralGrid, SpectralModel
from xdvarnet.errors import InvalidInputError

GRAVITY = 9.81
"""Acceleration of gravity, m s-2."""


class LayeredQG(SpectralModel):
    """Quasi-geostrophic layers, coupled by a matrix of vortex stretching.

    With the stream functions psi about uniform zonal currents U, layer i has the potential
    vorticity ``q_i = laplacian(psi_i) + sum_j S_ij psi_j`` and

        dq_i/dt = -J(psi_i, q_i) - U_i dq_i/dx - (beta - sum_j S_ij U_j) dpsi_i/dx
                  - drag_i laplacian(psi_i)

    (Vallis 2017, Atmospheric and Oceanic Fluid Dynamics, 5.3.2 and 9.1). It is the base of
    `TwoLayerQG` and `ReducedGravityQG`, which say what S is.

    Parameters
    ----------
    grid : SpectralGrid
        Of the plane.
    stretching : sequence of sequence of float
        S, in m-2; the rows are the layers, the upper one first.
    f0, beta : float
        Coriolis parameter (s-1) and its northward gradient (m-1 s-1).
    currents : sequence of float
        U of each layer, m/s.
    drag : sequence of float
        Rate of the linear drag of each layer, s-1.
    """

    stretching: torch.Tensor
    inversion: torch.Tensor
    zonal: torch.Tensor
    gradients: torch.Tensor
    damping: torch.Tensor

    def __init__(
        self,
        grid: SpectralGrid,
        stretching: Sequence[Sequence[float]],
        *,
        f0: float,
        beta: float,
        currents: Sequence[float],
        drag: Sequence[float],
    ) -> None:
        super().__init__()
        if not 0 < abs(f0) < 1:
            raise InvalidInputError(f"f0={f0}; give a Coriolis parameter in s-1, not zero.")
        self.grid, self.f0, self.beta = grid, f0, beta
        matrix = torch.tensor(stretching, dtype=torch.float64)
        flow = torch.tensor(currents, dtype=torch.float64)
        waves = grid.squared.double()[..., None, None] * torch.eye(len(flow), dtype=torch.float64)
        operators = matrix - waves
        inverse = torch.zeros_like(operators)
        inverse.view(-1, *matrix.shape)[1:] = torch.linalg.inv(
            operators.view(-1, *matrix.shape)[1:]
        )
        inverse[0, 0] = torch.linalg.pinv(matrix)
        buffers = {
            "stretching": matrix,
            "inversion": inverse.permute(2, 3, 0, 1).contiguous(),
            "zonal": flow[:, None, None],
            "gradients": (beta - matrix @ flow)[:, None, None],
            "damping": torch.tensor(drag, dtype=torch.float64)[:, None, None],
        }
        for name, values in buffers.items():
            self.register_buffer(name, values.to(grid.squared.dtype), persistent=False)

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.stretching)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency (s-2) of the potential vorticity (..., layer, y, x), without the filter."""
        self._check(state)
        return self.grid.to_field(self.rates(self.grid.to_spectrum(state)))

    def rates(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Tendency of the spectrum of the potential vorticity."""
        psi = self.invert(spectrum)
        return self.vortex_rates(spectrum, psi, *self.eddy_currents(psi))

    def vortex_rates(
        self, spectrum: torch.Tensor, psi: torch.Tensor, u: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        """Like `rates`, with the spectrum of the stream function and its currents at hand."""
        mean = self.zonal * spectrum + self.gradients * psi
        return -transport(self.grid, u, v, spectrum, mean) - self.damping * self.grid.laplacian(psi)

    def invert(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Spectrum of the stream function from that of the potential vorticity."""
        return (self.inversion * spectrum.unsqueeze(-4)).sum(-3)

    def eddy_currents(self, psi: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Fields ``-dpsi/dy`` and ``dpsi/dx`` of the spectrum of a stream function."""
        return self.grid.to_field(-self.grid.d_dy(psi)), self.grid.to_field(self.grid.d_dx(psi))

    def streamfunction(self, state: torch.Tensor) -> torch.Tensor:
        """Stream function (m2/s) of each layer, about the uniform currents."""
        self._check(state)
        return self.grid.to_field(self.invert(self.grid.to_spectrum(state)))

    def potential_vorticity(self, psi: torch.Tensor) -> torch.Tensor:
        """State with the stream function (..., layer, y, x): the inverse of `streamfunction`."""
        self._check(psi)
        vorticity = self.grid.to_field(self.grid.laplacian(self.grid.to_spectrum(psi)))
        return vorticity + torch.einsum("ij,...jyx->...iyx", self.stretching, psi)

    def pressure_height(self, state: torch.Tensor) -> torch.Tensor:
        """Height ``f0 psi / g`` (m) of each layer; that of the upper one is the sea surface's."""
        return self.f0 / GRAVITY * self.streamfunction(state)

    def velocity(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Geostrophic currents (m/s) of each layer, the uniform ones included."""
        self._check(state)
        u, v = self.eddy_currents(self.invert(self.grid.to_spectrum(state)))
        return u + self.zonal, v

    def largest_speed(self, state: torch.Tensor) -> float:
        """Largest speed of a layer, m/s."""
        with torch.no_grad():
            return float(torch.hypot(*self.velocity(state)).max())

    def enstrophy(self, state: torch.Tensor) -> torch.Tensor:
        """Half the mean square of the potential vorticity of each layer, (..., layer) in s-2."""
        return state.square().mean((-2, -1)) / 2

    def _check(self, state: torch.Tensor) -> None:
        shape = (self.layers, self.grid.rows, self.grid.columns)
        if tuple(state.shape[-3:]) != shape:
            raise InvalidInputError(
                f"the state has the shape {tuple(state.shape)}; it should end with (layer, y, x) = "
                f"{shape}."
            )


class TwoLayerQG(LayeredQG):
    """Two layers whose imposed shear feeds eddies, and a drag at the bottom (Phillips 1951).

    The stretching is ``F1 (psi2 - psi1)`` in the upper and ``F2 (psi1 - psi2)`` in the lower layer,
    with ``F1 = 1 / (rd^2 (1 + delta))`` and ``F2 = delta F1`` for the deformation radius rd and the
    ratio delta of the depths (Arbic and Flierl 2004,
    doi 10.1175/1520-0485(2004)034<2257:BUGTAH>2.0.CO;2).

    Parameters
    ----------
    grid : SpectralGrid
        Of the plane.
    f0, beta : float
        Coriolis parameter (s-1) and its northward gradient (m-1 s-1).
    deformation_radius : float
        m.
    layer_ratio : float
        Depth of the upper layer over that of the lower.
    currents : (float, float)
        Uniform zonal currents of the upper and the lower layer, m/s.
    drag : float
        Rate of the linear drag of the lower layer, s-1.

    Raises
    ------
    InvalidInputError
        If f0 is zero, the radius or the ratio is not positive, or the drag is negative.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.quasigeostrophic import TwoLayerQG
    >>> from xdvarnet.dynamics.spectral import SpectralGrid, advance
    >>> model = TwoLayerQG(
    ...     SpectralGrid(32, 48, spacing=10e3),
    ...     f0=9e-5,
    ...     beta=1.8e-11,
    ...     deformation_radius=30e3,
    ...     layer_ratio=0.25,
    ...     currents=(0.2, 0.0),
    ...     drag=1e-7,
    ... )
    >>> psi = torch.randn(5, 2, 32, 48, generator=torch.Generator().manual_seed(0))
    >>> state = model.potential_vorticity(psi)
    >>> advance(model, state, duration=86400.0).shape
    torch.Size([5, 2, 32, 48])
    """

    def __init__(
        self,
        grid: SpectralGrid,
        *,
        f0: float,
        beta: float,
        deformation_radius: float,
        layer_ratio: float,
        currents: tuple[float, float],
        drag: float,
    ) -> None:
        _check_positive("deformation_radius", deformation_radius, "m")
        _check_positive("layer_ratio", layer_ratio, "depth over depth")
        if not 0 <= drag < 1:
            raise InvalidInputError(f"drag={drag}; give a rate in s-1, zero or more.")
        upper = 1 / (deformation_radius**2 * (1 + layer_ratio))
        lower = layer_ratio * upper
        super().__init__(
            grid,
            [[-upper, upper], [lower, -lower]],
            f0=f0,
            beta=beta,
            currents=currents,
            drag=(0.0, drag),
        )
        self.deformation_radius, self.layer_ratio = deformation_radius, layer_ratio
        self.currents, self.drag = currents, drag

    def energy(self, state: torch.Tensor) -> torch.Tensor:
        """Kinetic and available potential energy of the eddies for each mass (...), m2 s-2."""
        psi = self.streamfunction(state)
        share = self.layer_ratio / (1 + self.layer_ratio)
        product = -(psi * state).mean((-2, -1)) / 2
        return share * product[..., 0] + (1 - share) * product[..., 1]

    def divergence(self, state: torch.Tensor) -> torch.Tensor:
        """Divergence (s-1) of the ageostrophic currents in the upper layer, (..., y, x).

        Potential vorticity is kept, so the stretching of a column is its divergence,

            f0 divergence = D1/Dt F1 (psi2 - psi1 + (U1 - U2) y),

        with the time derivative of the model itself, which is the omega equation solved (Vallis
        2017, 5.4.4). The vorticity changes with it: ``D1/Dt (zeta1 + beta y) = -f0 divergence``.
        """
        self._check(state)
        return self.grid.to_field(self._divergence(self.grid.to_spectrum(state)))

    def divergent_velocity(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Ageostrophic currents (m/s) of the upper layer, the gradient of a potential, (..., y, x).

        Their divergence is that of `divergence`. The other part of the ageostrophic currents, which
        has no divergence, is left out.
        """
        self._check(state)
        grid = self.grid
        potential = grid.inverse_laplacian(self._divergence(grid.to_spectrum(state)))
        return grid.to_field(grid.d_dx(potential)), grid.to_field(grid.d_dy(potential))

    def _divergence(self, spectrum: torch.Tensor) -> torch.Tensor:
        grid = self.grid
        psi = self.invert(spectrum)
        u, v = self.eddy_currents(psi)
        change = self.invert(self.vortex_rates(spectrum, psi, u, v))
        upper, lower = psi.unbind(-3)
        thickness = lower - upper
        mean = self.zonal[0] * thickness + (self.zonal[0] - self.zonal[1]) * upper
        carried = transport(grid, u[..., 0, :, :], v[..., 0, :, :], thickness, mean)
        moved = change[..., 1, :, :] - change[..., 0, :, :] + carried
        return self.stretching[0, 1] / self.f0 * moved


class ReducedGravityQG(LayeredQG):
    """One active layer above a deep one at rest: ``q = laplacian(psi) - psi / rd^2``.

    It carries the sea surface height from one day to the next in the mapping of altimetry
    (Ubelmann et al. 2015, doi 10.1175/JTECH-D-14-00152.1), and has waves that go westward.

    Parameters
    ----------
    grid : SpectralGrid
        Of the plane.
    f0, beta : float
        Coriolis parameter (s-1) and its northward gradient (m-1 s-1).
    deformation_radius : float
        m.

    Raises
    ------
    InvalidInputError
        If f0 is zero or the radius is not positive.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.quasigeostrophic import ReducedGravityQG
    >>> from xdvarnet.dynamics.spectral import SpectralGrid, advance
    >>> grid = SpectralGrid(16, 24, spacing=20e3)
    >>> model = ReducedGravityQG(grid, f0=9e-5, beta=1.8e-11, deformation_radius=30e3)
    >>> ssh = 0.1 * torch.randn(1, 16, 24, generator=torch.Generator().manual_seed(0))
    >>> later = advance(model, model.from_ssh(ssh), duration=86400.0)
    >>> model.pressure_height(later).shape
    torch.Size([1, 16, 24])
    """

    def __init__(
        self, grid: SpectralGrid, *, f0: float, beta: float, deformation_radius: float
    ) -> None:
        _check_positive("deformation_radius", deformation_radius, "m")
        stretching = [[-1 / deformation_radius**2]]
        super().__init__(grid, stretching, f0=f0, beta=beta, currents=(0.0,), drag=(0.0,))
        self.deformation_radius = deformation_radius

    def from_ssh(self, ssh: torch.Tensor) -> torch.Tensor:
        """State with the sea surface height (..., 1, y, x), m."""
        return self.potential_vorticity(GRAVITY / self.f0 * ssh)


def transport(
    grid: SpectralGrid,
    u: torch.Tensor,
    v: torch.Tensor,
    spectrum: torch.Tensor,
    mean: torch.Tensor,
) -> torch.Tensor:
    """Spectrum of ``u dq/dx + v dq/dy + dm/dx``, with the spectra of q and of m.

    As a divergence of ``(uq + m, vq)``: the currents have none.
    """
    carried = grid.to_field(spectrum)
    return grid.divergence(grid.to_spectrum(u * carried) + mean, grid.to_spectrum(v * carried))


def _check_positive(name: str, value: float, units: str) -> None:
    if not 0 < value < float("inf"):
        raise InvalidInputError(f"{name}={value}; give a positive number ({units}).")
