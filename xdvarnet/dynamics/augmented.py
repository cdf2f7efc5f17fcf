"""Parameters of a model as components of its state, for their estimation together with it."""

import torch
from torch import nn
from torch.func import functional_call

from xdvarnet.errors import InvalidInputError


class Augmented(nn.Module):
    """A model whose state ends with parameters, which do not change in time.

    An assimilation of such states estimates parameters in each window, from their mean and
    covariance in the background (state augmentation; Jazwinski 1970, section 8.3).

    Parameters
    ----------
    dynamics : torch.nn.Module
        The model, with the attribute ``components``.
    parameter : str
        Which of its parameters: a number, or a vector of numbers.

    Raises
    ------
    InvalidInputError
        If the model has no such parameter.

    Examples
    --------
    The numbers sigma, rho and beta of Lorenz-63:

    >>> import torch
    >>> from xdvarnet.dynamics.augmented import Augmented
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> model = Augmented(Lorenz63(), "coefficients")
    >>> model(torch.tensor([1.0, 2.0, 3.0, 10.0, 30.0, 1.0]))
    tensor([10., 25., -1.,  0.,  0.,  0.])
    """

    def __init__(self, dynamics: nn.Module, parameter: str) -> None:
        super().__init__()
        known = {name: value for name, value in dynamics.named_parameters() if value.ndim < 2}
        if parameter not in known:
            raise InvalidInputError(
                f"{type(dynamics).__name__} has no parameter {parameter!r} of numbers; it has "
                f"{', '.join(known) or 'none'}."
            )
        self.dynamics, self.parameter = dynamics, parameter
        self.vector = known[parameter].ndim == 1
        self.components = dynamics.components + known[parameter].numel()

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a state (..., component), zero for the parameters."""
        if state.shape[-1] != self.components:
            raise InvalidInputError(
                f"the model and its parameters have {self.components} components together; the "
                f"state has the shape {tuple(state.shape)}."
            )
        own, numbers = state.tensor_split([self.dynamics.components], -1)
        given = numbers.movedim(-1, 0).unsqueeze(-1) if self.vector else numbers
        tendency = functional_call(self.dynamics, {self.parameter: given}, (own,))
        return torch.cat([tendency, torch.zeros_like(numbers)], -1)
