"""A network for the error of maps, cell by cell: a baseline for ensembles.

As DINCAE does (Barth et al. 2020, doi 10.5194/gmd-13-1609-2020), a convolutional network says how
large the error of each cell is, and is trained by the likelihood of errors that are known. It has
no members but those that are independent from cell to cell.
"""

import numpy as np
import torch
import xarray as xr

HALF_WINDOW = 15  # days of observations that it sees before and after a day
HIDDEN, CROP = 32, 64
STEPS, BATCH, LEARNING_RATE = 600, 16, 1e-3


class ErrorNetwork(torch.nn.Module):
    """Formal error of a day times a factor, from where and when there were observations nearby."""

    def __init__(self) -> None:
        super().__init__()
        days = 2 * HALF_WINDOW + 1
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(days + 2, HIDDEN, 5, padding=2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(HIDDEN, HIDDEN, 5, padding=2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(HIDDEN, 1, 5, padding=2),
        )
        torch.nn.init.zeros_(self.layers[-1].weight)
        torch.nn.init.zeros_(self.layers[-1].bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the variance, in cm2, shape (day, latitude, longitude)."""
        return 2 * inputs[:, -2] + self.layers(inputs)[:, 0]

    @torch.no_grad()
    def std(self, observed: xr.DataArray, formal: xr.DataArray) -> xr.DataArray:
        """Return the standard deviation (m) of the days of `formal`."""
        stack = torch.as_tensor(inputs(observed, formal))
        values = np.concatenate([torch.exp(self(day[None]) / 2).numpy() for day in stack])
        return (formal.copy(data=values / 100)).where(formal.notnull())


def inputs(observed: xr.DataArray, formal: xr.DataArray) -> np.ndarray:
    """Return what the network sees of each day: observations, log of the formal error (cm), sea.

    Parameters
    ----------
    observed : xarray.DataArray
        True where there was an observation (time, lat, lon), of all days.
    formal : xarray.DataArray
        Formal error of the days that are wanted, NaN on land.
    """
    margin = ((HALF_WINDOW, HALF_WINDOW), (0, 0), (0, 0))
    padded = np.pad(observed.values.astype(np.float32), margin)
    first = np.searchsorted(observed["time"].values, formal["time"].values)
    masks = [padded[day : day + 2 * HALF_WINDOW + 1] for day in first]
    sea = formal.notnull().values
    logarithm = np.log(100 * formal.fillna(0.01).values)
    return np.concatenate(
        [masks, logarithm[:, None], sea[:, None]], axis=1, dtype=np.float32, casting="unsafe"
    )


def train(known: list[tuple[xr.DataArray, xr.DataArray, xr.DataArray]]) -> ErrorNetwork:
    """Train on days whose error is known: observed, formal error and error (m) of each draw."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    seen = torch.as_tensor(np.concatenate([inputs(*draw[:2]) for draw in known]))
    errors = torch.as_tensor(np.concatenate([100 * draw[2].values for draw in known]))
    network = ErrorNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    days, rows, columns = errors.shape
    for _ in range(STEPS):
        corners = [rng.integers(size, size=BATCH) for size in (days, rows - CROP, columns - CROP)]
        crops = [
            (day, ..., slice(row, row + CROP), slice(column, column + CROP))
            for day, row, column in zip(*corners, strict=True)
        ]
        variance = network(torch.stack([seen[crop] for crop in crops]))
        error = torch.stack([errors[crop] for crop in crops])
        sea = torch.isfinite(error)
        loss = (variance + error.nan_to_num() ** 2 * torch.exp(-variance))[sea].mean() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network
