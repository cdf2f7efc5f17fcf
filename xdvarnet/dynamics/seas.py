"""Seas for twin experiments: the settings of a two-layer flow with a surface temperature."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from xdvarnet.dynamics.advection import WithTracer
from xdvarnet.dynamics.quasigeostrophic import TwoLayerQG
from xdvarnet.dynamics.spectral import DAY, SpectralGrid
from xdvarnet.errors import InvalidInputError

ROTATION_RATE = 7.292115e-5
"""Angular velocity of the Earth, s-1."""

EARTH_RADIUS = 6.371e6
"""m."""

LENGTH = 1.28e6
"""Side of the square plane, m: 256 cells of 5 km."""

SIZES = (32, 64, 128, 256, 512)
"""Numbers of cells of a side: from a toy that hardly has eddies to 2.5 km."""


POSITIVE = ("deformation_radius", "layer_ratio", "relaxation")
"""Settings of a sea that are more than zero."""


@dataclass(frozen=True, kw_only=True)
class Sea:
    """Settings of a sea on a beta plane, in SI units.

    Eddies grow where the potential vorticity of the two layers has gradients of opposite sign
    (`criticality`).

    Deformation radii are those of the first mode at the place (Chelton et al. 1998,
    doi 10.1175/1520-0485(1998)028<0433:GVOTFB>2.0.CO;2). Shear and bottom drag are in the range
    where two-layer turbulence has the energy and the horizontal scale of observed eddies: a drag
    ``drag * deformation_radius / shear`` of 0.2 to 0.4 (Arbic and Flierl 2004,
    doi 10.1175/1520-0485(2004)034<2257:BUGTAH>2.0.CO;2). Anomalies of temperature decay with the
    feedback of air and sea, about 35 W m-2 K-1, on a mixed layer of 50 m (Frankignoul and
    Hasselmann 1977, doi 10.3402/tellusa.v29i4.11362).

    Parameters
    ----------
    latitude, longitude : float
        Of the centre, degrees; the longitude is only a label.
    deformation_radius : float
        m.
    shear : float
        Zonal current of the upper layer above a deep layer whose mean is at rest, m/s; negative for
        a westward current.
    drag : float
        Rate of the bottom drag, s-1.
    beta : float
        Northward gradient of the Coriolis parameter, m-1 s-1; by default that of the latitude.
    temperature : float
        Mean at the surface, degrees Celsius.
    temperature_gradient : float
        Northward, K/m.
    layer_ratio : float
        Depth of the upper layer over that of the lower.
    relaxation : float
        Time in which an anomaly of temperature decays, s.

    Raises
    ------
    InvalidInputError
        If a radius, ratio or time is not positive, the drag is negative, another number is not
        finite, or the latitude is on the equator or beyond a pole.

    Examples
    --------
    >>> from xdvarnet.dynamics.seas import Sea
    >>> sea = Sea(latitude=15.0, deformation_radius=45e3, shear=-0.1, drag=5e-7)
    >>> round(sea.criticality, 2)
    1.79
    """

    latitude: float
    longitude: float = 0.0
    deformation_radius: float
    shear: float
    drag: float
    beta: float = math.nan
    temperature: float = 15.0
    temperature_gradient: float = -6e-6
    layer_ratio: float = 0.25
    relaxation: float = 60 * DAY

    def __post_init__(self) -> None:
        if math.isnan(self.beta):
            of_latitude = 2 * ROTATION_RATE * math.cos(math.radians(self.latitude)) / EARTH_RADIUS
            object.__setattr__(self, "beta", of_latitude)
        for name, value in vars(self).items():
            if not math.isfinite(value) or (name in POSITIVE and value <= 0):
                wanted = "number above zero" if name in POSITIVE else "finite number"
                raise InvalidInputError(f"{name}={value}; give a {wanted}, in SI units.")
        if self.drag < 0:
            raise InvalidInputError(f"drag={self.drag}; give a rate of zero or more, in s-1.")
        if not 0 < abs(self.latitude) <= 90:
            raise InvalidInputError(
                f"latitude={self.latitude}; a sea needs a Coriolis parameter: give degrees from "
                "-90 to 90, not 0."
            )

    @property
    def f0(self) -> float:
        """Coriolis parameter at the centre, s-1."""
        return 2 * ROTATION_RATE * math.sin(math.radians(self.latitude))

    @property
    def criticality(self) -> float:
        """Shear over that from which on eddies grow without drag; above 1 it is unstable.

        That is ``beta rd^2 (1 + delta)`` for a westward shear and ``1 / delta`` times as much for
        an eastward one, with the radius rd and the ratio delta of the depths (Phillips 1951; Vallis
        2017, Atmospheric and Oceanic Fluid Dynamics, 9.6).
        """
        least = self.beta * self.deformation_radius**2 * (1 + self.layer_ratio)
        if self.shear * self.beta > 0:
            least /= self.layer_ratio
        return abs(self.shear / least) if least else math.inf

    def model(self, size: int = 256) -> WithTracer:
        """Model of the sea: two layers and the anomaly of temperature, (..., 3, y, x).

        Parameters
        ----------
        size : int
            Cells in each direction on the same plane of 1280 km: 256 makes 5 km, the
            resolution that the settings are chosen for; a coarser one has weaker eddies.

        Raises
        ------
        InvalidInputError
            If the size is none of 32, 64, 128, 256 and 512.
        """
        if size not in SIZES:
            raise InvalidInputError(
                f"size={size!r} is not accepted; give one of {', '.join(map(str, SIZES))}: cells "
                f"on a side of {LENGTH / 1e3:g} km."
            )
        flow = TwoLayerQG(
            SpectralGrid(size, size, LENGTH / size),
            f0=self.f0,
            beta=self.beta,
            deformation_radius=self.deformation_radius,
            layer_ratio=self.layer_ratio,
            currents=(self.shear, 0.0),
            drag=self.drag,
        )
        return WithTracer(flow, gradient=self.temperature_gradient, relaxation=self.relaxation)


SEAS: Mapping[str, Sea] = MappingProxyType(
    {
        "gulf-stream": Sea(
            latitude=37.0,
            longitude=-60.0,
            deformation_radius=30e3,
            shear=0.15,
            drag=1.15e-6,
            temperature=21.0,
            temperature_gradient=-8e-6,
        ),
        "northeast-atlantic": Sea(
            latitude=47.0,
            longitude=-18.0,
            deformation_radius=20e3,
            shear=0.056,
            drag=9e-7,
            temperature=14.0,
            temperature_gradient=-5e-6,
        ),
    }
)
"""An energetic sea and a quiet one, by name."""
