"""The cost of 4DVar over windows of many samples, and its minimum, sample by sample."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch.func import jvp, vmap

from xdvarnet._progress import track
from xdvarnet.methods.linear_smoother import LinearWindow, apply, smooth

FIRST_DAMPING = 0.1
"""Damping after the first step that failed: the weight of the last iterate, as if it were an
observation with the background's variance."""

LEAST_DAMPING = 0.01
"""Damping below this is none: the step is that of Gauss and Newton."""

DAMPING_FACTOR = 5.0
"""By how much a step that lowers the cost lessens the damping, and another one increases it."""

TOLERANCE = 1e-3
"""Decrease of the cost at which a minimum is found: 1/2 is one standard deviation."""


@dataclass(frozen=True)
class WindowCost:
    """The cost of trajectories, given what is observed.

    ``1/2 (x0 - xb)' B^-1 (x0 - xb) + 1/2 sum W (x - y)^2 + 1/2 sum |x[t+1] - M(x[t])|^2 / q^2``,
    where the last sum is left out for a perfect model, of which trajectories are runs.

    Attributes
    ----------
    step : callable
        M, from states (..., component) to those one time later.
    mean, covariance : torch.Tensor
        xb and B, shapes (component,) and (component, component).
    values, precision : torch.Tensor
        y, finite everywhere, and W, zero where nothing was observed; (sample, time, component).
    model_noise : float
        q; zero for a perfect model.
    """

    step: Callable[[torch.Tensor], torch.Tensor]
    mean: torch.Tensor
    covariance: torch.Tensor
    values: torch.Tensor
    precision: torch.Tensor
    model_noise: float

    def take(self, samples: torch.Tensor | slice) -> Self:
        """The cost of some of the samples."""
        return replace(self, values=self.values[samples], precision=self.precision[samples])

    def until(self, time: int) -> Self:
        """The cost of the first so many times."""
        return replace(self, values=self.values[:, :time], precision=self.precision[:, :time])

    def run(self, start: torch.Tensor) -> torch.Tensor:
        """The model's trajectories (sample, time, component) from starts (sample, component)."""
        states = [start]
        for _ in range(self.values.shape[1] - 1):
            states.append(self.step(states[-1]))
        return torch.stack(states, 1)

    def move(self, trajectory: torch.Tensor, increment: torch.Tensor) -> torch.Tensor:
        """Add an increment; with a perfect model, to the start."""
        moved = trajectory + increment
        return moved if self.model_noise > 0 else self.run(moved[:, 0])

    def cost(self, trajectory: torch.Tensor) -> torch.Tensor:
        """The cost of each sample, shape (sample,)."""
        jump = None
        if self.model_noise > 0:
            jump = trajectory[:, 1:] - self.step(trajectory[:, :-1])
        return self._squares(trajectory[:, 0] - self.mean, trajectory - self.values, jump)

    def linearise(self, trajectory: torch.Tensor) -> LinearWindow:
        """The problem of small increments."""
        forecast, transition = step_and_jacobian(self.step, trajectory[:, :-1])
        return LinearWindow(
            mean=self.mean - trajectory[:, 0],
            covariance=self.covariance,
            transition=transition,
            offset=forecast - trajectory[:, 1:],
            model_variance=self.model_noise**2,
            values=self.values - trajectory,
            precision=self.precision,
        )

    def damped_step(
        self, trajectory: torch.Tensor, damping: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The step of Levenberg and Marquardt, and the cost to which it would lead if linear.

        The damping is a pseudo-observation of the trajectory as it is, at the times with
        observations (Särkkä and Svensson 2020, doi 10.1109/ICASSP40776.2020.9054686).
        """
        window = self.linearise(trajectory)
        at = (self.precision > 0).any(-1, keepdim=True)
        extra = at * damping[:, None, None] / self.covariance.diagonal()
        total = window.precision + extra
        share = torch.where(total > 0, window.precision / total, 0.0)
        damped = replace(window, values=share * window.values, precision=total)
        increment, _ = smooth(damped)
        jump = None
        if self.model_noise > 0:
            jump = increment[:, 1:] - apply(window.transition, increment[:, :-1]) - window.offset
        predicted = self._squares(increment[:, 0] - window.mean, increment - window.values, jump)
        return increment, predicted

    def _squares(
        self, start: torch.Tensor, misfit: torch.Tensor, jump: torch.Tensor | None
    ) -> torch.Tensor:
        factor = torch.linalg.cholesky(self.covariance)
        white = torch.linalg.solve_triangular(factor, start.mT, upper=False)
        total = white.square().sum(0) + (self.precision * misfit.square()).sum((1, 2))
        if jump is not None:
            total = total + jump.square().sum((1, 2)) / self.model_noise**2
        return total / 2

    def minimise(
        self, trajectory: torch.Tensor, iterations: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Trajectories at a minimum near the given ones, and whether each is at one."""
        found, cost = trajectory.clone(), self.cost(trajectory)
        damping = torch.zeros_like(cost)
        active = torch.ones_like(cost, dtype=torch.bool)
        for _ in track(range(iterations), "iteration"):
            rows = active.nonzero().squeeze(1)
            if rows.numel() == 0:
                break
            part = self.take(rows)
            increment, predicted = part.damped_step(found[rows], damping[rows])
            trial = part.move(found[rows], increment)
            reached = part.cost(trial)
            better = reached < cost[rows]
            damping[rows] = _next_damping(damping[rows], better)
            active[rows] = cost[rows] - predicted > TOLERANCE
            found[rows[better]], cost[rows[better]] = trial[better], reached[better]
        return found, ~active


def _next_damping(damping: torch.Tensor, better: torch.Tensor) -> torch.Tensor:
    less = damping / DAMPING_FACTOR
    less = torch.where(less < LEAST_DAMPING, 0.0, less)
    return torch.where(better, less, (damping * DAMPING_FACTOR).clamp(min=FIRST_DAMPING))


def step_and_jacobian(
    step: Callable[[torch.Tensor], torch.Tensor], state: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The step from states (..., n) and its Jacobian (..., n, n)."""

    def along(direction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return jvp(step, (state,), (direction.expand_as(state),))  # type: ignore[return-value]  # two without aux

    directions = torch.eye(state.shape[-1], dtype=state.dtype)
    return vmap(along, out_dims=(None, -1))(directions)  # type: ignore[arg-type]  # torch takes None in a tuple
