"""Fields on a doubly periodic plane as Fourier series: derivatives, their inverses, and steps."""

import math

import torch
from torch import nn

from xdvarnet.dynamics.integration import check_step_size, rk4_step
from xdvarnet.errors import InvalidInputError, InvalidTypeError

LARGEST_CFL = 0.9
"""Largest ``speed * step / spacing``: the scheme of fourth order is stable up to 1.1 with the
filter, beyond which nothing is left of a wave at 0.8 of the largest wavenumber."""

CUTOFF = 0.65
"""Share of the largest wavenumber that the filter leaves as it is."""

STEEPNESS = 23.6
"""Decay of the filter beyond it."""

DAY = 86400.0
"""Seconds."""


class SpectralGrid(nn.Module):
    """Fourier series on a doubly periodic plane with square cells.

    Fields are (..., y, x) with any leading dimensions, and spectra are their ``torch.fft.rfft2``.
    Odd derivatives of the shortest wave, which a grid cannot hold, are zero.

    Parameters
    ----------
    rows, columns : int
        Cells in y and in x; even numbers.
    spacing : float
        Size of a cell, m.
    dtype : torch.dtype
        Of the wavenumbers, and of all that is computed from them.

    Raises
    ------
    InvalidInputError
        If a number of cells is odd or less than 4, or the spacing is not positive.

    Examples
    --------
    >>> import math
    >>> import torch
    >>> from xdvarnet.dynamics.spectral import SpectralGrid
    >>> grid = SpectralGrid(8, 16, spacing=2 * math.pi / 16)
    >>> wave = torch.sin(torch.arange(16) * grid.spacing).expand(8, 16)
    >>> slope = grid.to_field(grid.d_dx(grid.to_spectrum(wave)))
    >>> torch.allclose(slope[0], torch.cos(torch.arange(16) * grid.spacing), atol=1e-6)
    True
    """

    kx: torch.Tensor
    ky: torch.Tensor
    squared: torch.Tensor
    inverse: torch.Tensor
    filter: torch.Tensor

    def __init__(
        self, rows: int, columns: int, spacing: float, *, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        for name, size in {"rows": rows, "columns": columns}.items():
            if size < 4 or size % 2:
                raise InvalidInputError(f"{name}={size}; give an even number of at least 4.")
        if not 0 < spacing < float("inf"):
            raise InvalidInputError(f"spacing={spacing}; give a positive distance in m.")
        self.rows, self.columns, self.spacing, self.dtype = rows, columns, spacing, dtype
        turn = 2 * torch.pi / spacing
        ky = turn * torch.fft.fftfreq(rows, dtype=torch.float64)[:, None]
        kx = turn * torch.fft.rfftfreq(columns, dtype=torch.float64)[None, :]
        squared = kx**2 + ky**2
        inverse = torch.where(squared > 0, 1 / squared, 0.0)
        beyond = (squared.sqrt() * spacing - CUTOFF * torch.pi).clamp(min=0)
        odd = {"kx": kx.clone(), "ky": ky.clone()}
        odd["kx"][:, -1], odd["ky"][rows // 2] = 0, 0
        even = {"squared": squared, "inverse": inverse, "filter": (-STEEPNESS * beyond**4).exp()}
        for name, values in {**odd, **even}.items():
            self.register_buffer(name, values.to(dtype), persistent=False)

    def to_spectrum(self, field: torch.Tensor) -> torch.Tensor:
        """Fourier series of fields (..., y, x)."""
        return torch.fft.rfft2(field)

    def to_field(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Fields (..., y, x) of a Fourier series."""
        return torch.fft.irfft2(spectrum, s=(self.rows, self.columns))

    def d_dx(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Eastward derivative of a spectrum."""
        return 1j * (self.kx * spectrum)

    def d_dy(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Northward derivative of a spectrum."""
        return 1j * (self.ky * spectrum)

    def divergence(self, eastward: torch.Tensor, northward: torch.Tensor) -> torch.Tensor:
        """Spectrum of the divergence of a vector field with these spectra."""
        return 1j * (self.kx * eastward + self.ky * northward)

    def laplacian(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Laplacian of a spectrum."""
        return -self.squared * spectrum

    def inverse_laplacian(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Spectrum without mean whose Laplacian is the given one without its mean."""
        return -self.inverse * spectrum

    def smooth(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Remove the smallest scales.

        The factor is ``exp(-23.6 (k - 0.65 pi)^4)`` for wavenumbers k per cell above 0.65 pi, and
        1 below. It takes away what the cascade of enstrophy brings there and the aliases of
        products, in place of a viscosity (Arbic and Flierl 2004,
        doi 10.1175/1520-0485(2004)034<2257:BUGTAH>2.0.CO;2, after LaCasce 1996).
        """
        return self.filter * spectrum


class SpectralModel(nn.Module):
    """Base class of models on a spectral grid, with what `advance` needs."""

    grid: SpectralGrid

    def rates(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Tendency of the spectrum of a state, per second."""
        raise NotImplementedError

    def largest_speed(self, state: torch.Tensor) -> float:
        """Largest speed with which anything is carried, m/s."""
        raise NotImplementedError


def advance(
    model: SpectralModel, state: torch.Tensor, duration: float, step: float | None = None
) -> torch.Tensor:
    """State after some time, in equal Runge-Kutta steps of fourth order; differentiable.

    After each step the smallest scales are removed (`SpectralGrid.smooth`). A step of this scheme
    takes four tendencies and may be four times as long as one of the Adams-Bashforth scheme of
    third order, so that both cost the same; it needs no past.

    Parameters
    ----------
    model : SpectralModel
        Such as `xdvarnet.dynamics.quasigeostrophic.TwoLayerQG`.
    state : torch.Tensor
        Fields at the start, as the model has them.
    duration : float
        Time, s.
    step : float, optional
        Longest step, s; by default `safe_step` of the state, chosen anew each day.

    Raises
    ------
    InvalidInputError
        If the step is too long for the speeds at the start or at the end; the message says the CFL
        number. If the start is not finite, or a time is not positive and finite.
    InvalidTypeError
        If the model has no spectral grid, or the state is no tensor.
    """
    if not isinstance(model, SpectralModel):
        raise InvalidTypeError(
            f"model is of the type {type(model).__name__}; give a spectral one such as "
            "TwoLayerQG(...): advance(model, state, duration). Others have a run of their own."
        )
    if not isinstance(state, torch.Tensor):
        raise InvalidTypeError(
            f"state is of the type {type(state).__name__}; give a tensor: torch.as_tensor(array)."
        )
    check_step_size(duration)
    if not torch.isfinite(state).all():
        raise InvalidInputError("the state to start from has values that are not finite.")
    if step is None:
        days = math.ceil(duration / DAY)
        for _ in range(days):
            state = advance(model, state, duration / days, safe_step(model, state))
        return state
    check_step_size(step)
    steps = math.ceil(duration / step)
    dt = duration / steps
    _check_cfl(model, state, dt)
    spectrum = model.grid.to_spectrum(state)
    for _ in range(steps):
        spectrum = model.grid.smooth(rk4_step(model.rates, spectrum, dt))
    state = model.grid.to_field(spectrum)
    _check_cfl(model, state, dt)
    return state


def safe_step(model: SpectralModel, state: torch.Tensor) -> float:
    """Longest step (s) with a quarter to spare for speeds that grow.

    Raises
    ------
    InvalidInputError
        If it is less than a second.
    """
    speed = model.largest_speed(state)
    step = 0.75 * LARGEST_CFL * model.grid.spacing / max(speed, 1e-3)
    if not step >= 1.0:
        raise InvalidInputError(
            f"the state has speeds of {speed:.3g} m/s on cells of {model.grid.spacing:g} m, and "
            f"would need steps of {step:.2g} s; give heights in m, vorticity in s-1 and the "
            "spacing in m."
        )
    return step


def _check_cfl(model: SpectralModel, state: torch.Tensor, dt: float) -> None:
    number = model.largest_speed(state) * dt / model.grid.spacing
    if not number <= LARGEST_CFL:
        raise InvalidInputError(
            f"a step of {dt:g} s has the CFL number {number:.3g} (largest speed times step over "
            f"the spacing of {model.grid.spacing:g} m), and is stable up to {LARGEST_CFL}; give a "
            "shorter step, or a slower state."
        )
