"""Parameters of a model as components of its state, for their estimation together with it."""

import torch
from torch.func import functional_call

from xdvarnet.dynamics.integration import Model, check_tendency
from xdvarnet.errors import InvalidInputError, InvalidTypeError


class Augmented(Model):
    """A model whose state ends with parameters, which do not change in time.

    An assimilation of such states estimates parameters in each window, from their mean and
    covariance in the background (state augmentation; Jazwinski 1970, section 8.3).

    The model is called with states (..., component) as ever, and with a parameter for each of them:
    instead of a number, it finds one of shape (..., 1); instead of a vector of k numbers,
    (k, ..., 1), whose parts along the first dimension are such numbers.

    Parameters
    ----------
    dynamics : Model
        The model.
    parameter : str
        Which of its parameters: a number, or a vector of numbers.

    Raises
    ------
    InvalidTypeError
        If the model is another object.
    InvalidInputError
        If the model has no such parameter, or does not work with a
        parameter for each state.

    Examples
    --------
    The numbers sigma, rho and beta of Lorenz-63:

    >>> import torch
    >>> from xdvarnet.dynamics.augmented import Augmented
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> model = Augmented(Lorenz63(), "coefficients")
    >>> model(torch.tensor([1.0, 2.0, 3.0, 10.0, 30.0, 1.0]))
    tensor([10., 25., -1.,  0.,  0.,  0.])

    A model of one's own: components keep their dimension, as in ``state[..., :1]``, and the vector
    is taken apart.

    >>> from xdvarnet.dynamics import Model
    >>> class Decay(Model):
    ...     components = 2
    ...
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rates = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    ...
    ...     def forward(self, state):
    ...         first, second = self.rates
    ...         return torch.cat([-first * state[..., :1], -second * state[..., 1:]], -1)
    >>> Augmented(Decay(), "rates")(torch.tensor([[1.0, 1.0, 3.0, 4.0], [1.0, 1.0, 5.0, 6.0]]))
    tensor([[-3., -4.,  0.,  0.],
            [-5., -6.,  0.,  0.]])
    """

    def __init__(self, dynamics: Model, parameter: str) -> None:
        super().__init__()
        if not isinstance(dynamics, Model):
            raise InvalidTypeError(
                f"dynamics={dynamics!r} is no model that says its number of components; give one "
                "such as Lorenz63(), or of a subclass of xdvarnet.dynamics.Model."
            )
        known = {name: value for name, value in dynamics.named_parameters() if value.ndim < 2}
        if parameter not in known:
            raise InvalidInputError(
                f"{type(dynamics).__name__} has no parameter {parameter!r} of numbers; it has "
                f"{', '.join(known) or 'none'}."
            )
        self.dynamics, self.parameter = dynamics, parameter
        self.vector = known[parameter].ndim == 1
        self.components = dynamics.components + known[parameter].numel()
        self._check_shapes(known[parameter].detach())

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a state (..., component), zero for the parameters."""
        if state.shape[-1] != self.components:
            raise InvalidInputError(
                f"the model and its parameters have {self.components} components together; the "
                f"state has the shape {tuple(state.shape)}. In observations, pad component with "
                "NaN for the parameters: observed.reindex(component=[...])."
            )
        own, numbers = state.tensor_split([self.dynamics.components], -1)
        given = numbers.movedim(-1, 0).unsqueeze(-1) if self.vector else numbers
        tendency = functional_call(self.dynamics, {self.parameter: given}, (own,))
        return torch.cat([tendency, torch.zeros_like(numbers)], -1)

    def _check_shapes(self, value: torch.Tensor) -> None:
        """Try two different states, each with the parameters as they are."""
        states = torch.eye(2, self.dynamics.components, dtype=value.dtype, device=value.device)
        try:
            check_tendency(self, torch.cat([states, value.reshape(1, -1).expand(2, -1)], -1))
        except (RuntimeError, InvalidInputError) as error:
            shape = f"({value.numel()}, ..., 1)" if self.vector else "(..., 1)"
            raise InvalidInputError(
                f"{type(self.dynamics).__name__} does not work with {self.parameter} for each "
                f"state ({error}). States are (..., component) and {self.parameter} is {shape}: "
                "keep the last dimension of components, as in state[..., :1], and give the "
                "tendency in the shape of the state."
            ) from error
