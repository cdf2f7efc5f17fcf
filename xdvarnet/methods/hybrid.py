"""Hybrid of an ensemble's covariance and a climatological one."""

from numbers import Real

import torch

from xdvarnet.dynamics.forecast import Forecast
from xdvarnet.dynamics.integration import Dynamics
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.ensemble_kalman import EnKF
from xdvarnet.methods.localisation import Localisation


class HybridEnVar(EnKF):
    """Ensemble of 3D variational analyses with a hybrid covariance.

    At each time with observations, each member minimises from its forecast f

        ``J(x) = (x - f)' P^-1 (x - f) + (y + e - H x)' R^-1 (y + e - H x)``

    with ``P = weight B + (1 - weight) L o E``: B is the covariance of the climatology, E that of
    the ensemble, L the taper of the localisation, and e a draw of the observation error, whose sum
    over the ensemble is zero. As H selects components, the minimum is found exactly, by linear
    algebra. The minima are forecast to the next time. Without a weight it is the `EnKF`; with all
    weight it is 3DVar.

    In an `EnsembleKalmanSmoother`, the errors of which B is the covariance are independent from a
    time to another: only the part of the ensemble reaches earlier states.

    Parameters
    ----------
    dynamics, noise, climatology, members, inflation, localisation, model_noise
        As for `EnsembleFilter`; B is the covariance of the climatology.
    weight : float
        Of the climatological covariance, from 0 to 1. As that is far larger than the errors of a
        forecast, a few hundredths are much.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        As for `EnsembleFilter`, or if the weight is out of range or no number.

    References
    ----------
    Hamill and Snyder 2000, doi 10.1175/1520-0493(2000)128<2905:AHEKFV>2.0.CO;2.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz96
    >>> from xdvarnet.dynamics.lorenz import Lorenz96
    >>> from xdvarnet.methods.hybrid import HybridEnVar
    >>> from xdvarnet.methods.climatology import Climatology
    >>> climatology = Climatology.from_series(lorenz96("training", samples=5))
    >>> method = HybridEnVar(Lorenz96(), noise=1.0, climatology=climatology, weight=0.02)
    """

    def __init__(
        self,
        dynamics: Dynamics | Forecast,
        *,
        noise: float,
        climatology: Climatology,
        weight: float,
        members: int = 20,
        inflation: float = 1.0,
        localisation: Localisation | None = None,
        model_noise: float = 0.0,
    ) -> None:
        super().__init__(
            dynamics,
            noise=noise,
            climatology=climatology,
            members=members,
            inflation=inflation,
            localisation=localisation,
            model_noise=model_noise,
        )
        check_kind(isinstance(weight, Real), "weight", weight, "a number from 0 to 1")
        if not 0 <= weight <= 1:
            raise InvalidInputError(f"weight={weight!r} is not accepted; give 0 to 1.")
        self.weight = weight

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, weight={self.weight:g})"

    def covariance(self, of_ensemble: torch.Tensor) -> torch.Tensor:
        """Return P, from the covariance of the ensemble; see `EnKF.covariance`."""
        hybrid = (1 - self.weight) * super().covariance(of_ensemble)
        hybrid[:, -1] += self.weight * torch.from_numpy(self.climatology.covariance)
        return hybrid
