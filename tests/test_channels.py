"""Channels of the solver: which day of which variable each holds."""

import numpy as np
import pytest
import torch
from toys import toy_interpolation, toy_model

from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.networks.channels import count_context, to_channels, to_inputs
from xdvarnet.networks.normalizer import Normalizer

DAYS, ROWS, COLUMNS = 5, 6, 7
VARIABLES = {"ssh": "m", "sst": "degC"}
NORMALIZER = Normalizer(std={"ssh": 0.5, "sst": 4.0})


@pytest.fixture
def window() -> Observations:
    """Each value says its variable and its day; an island, and one unobserved cell."""
    values = {
        name: np.float32(start)
        + np.zeros((DAYS, ROWS, COLUMNS), np.float32)
        + np.arange(DAYS, dtype=np.float32)[:, None, None]
        for name, start in {"ssh": 10, "sst": 20}.items()
    }
    sea = np.ones((ROWS, COLUMNS), bool)
    sea[0, 3] = False
    for field in values.values():
        field[:, ~sea] = np.nan
    values["sst"][2, 4, 5] = np.nan
    days, rows, columns = (np.arange(size, dtype=float) for size in (DAYS, ROWS, COLUMNS))
    guess = Analysis(
        {"ssh": 0.1 * np.nan_to_num(values["ssh"])}, {"ssh": np.ones((DAYS, ROWS, COLUMNS))}
    )
    return Observations(values, days, rows, columns, sea, first_guess=guess)


def test_channels_are_the_days_of_one_variable_after_the_other(window):
    channels = to_channels(window.values, NORMALIZER, VARIABLES)
    expected = [*(np.arange(10, 15) / 0.5), *(np.arange(20, 25) / 4)]
    np.testing.assert_allclose(channels[:, 1, 1], expected, rtol=1e-6)


def test_context_is_mask_then_guess_then_its_std_then_sea(window):
    """What the guess lacks starts at zero, with the standard deviation of the variable."""
    guess = toy_interpolation()
    state, data, context = to_inputs(
        [window, window], toy_model().solver, NORMALIZER, VARIABLES, guess, "cpu"
    )
    channels = len(VARIABLES) * DAYS
    assert context.shape == (2, count_context(DAYS, len(VARIABLES), guess), ROWS, COLUMNS)
    mask, start, std, sea = context[0].split([channels, channels, channels, 1])
    assert mask.sum() == channels * (ROWS * COLUMNS - 1) - 1
    assert mask[DAYS + 2, 4, 5] == 0
    assert torch.equal(sea[0] > 0, torch.from_numpy(window.sea))
    np.testing.assert_allclose(start[:DAYS, 1, 1], 0.1 * np.arange(10, 15) / 0.5, rtol=1e-6)
    assert (start[DAYS:] == 0).all()
    np.testing.assert_allclose(std[:, 1, 1], [2.0] * DAYS + [1.0] * DAYS)
    assert torch.equal(state[0], start * sea)
    assert torch.equal(data[0].mask[0], mask)


def test_without_a_guess_the_state_starts_at_zero(window):
    solver = toy_model(first_guess=False).solver
    state, _, context = to_inputs([window], solver, NORMALIZER, VARIABLES, None, "cpu")
    assert (state == 0).all()
    assert context.shape[1] == count_context(DAYS, len(VARIABLES), None) == 2 * DAYS + 1
