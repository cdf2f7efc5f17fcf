"""Training draws: what augmentation may change and what it must keep."""

import numpy as np
import pytest
from toys import toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError
from xdvarnet.training.draws import Augmentation, draw, random_windows, vary

WINDOW = xdvarnet.mapping.Window(5, 12, 16)


@pytest.fixture(scope="module")
def one_draw():
    truth = toy_truth()
    background = xdvarnet.mapping.MeanMapBackground(truth.mean("time"))
    rng = np.random.default_rng(2)
    model = toy_model()
    return draw(
        truth,
        toy_system(),
        model,
        rng,
        background=background,
        first_guess=model.first_guess,
    )


def test_observations_and_truth_share_one_background(one_draw):
    """On observed cells they differ by the noise and the place in the cell, not by a background."""
    misfit = one_draw.observations.values["ssh"] - one_draw.truth["ssh"]
    assert np.nanstd(misfit) < 0.02
    assert abs(np.nanmean(misfit)) < 0.002
    assert np.nanstd(one_draw.truth["ssh"]) > 0.03


def test_the_end_of_every_second_window_is_hidden(one_draw):
    rng = np.random.default_rng(0)
    plain = Augmentation(flips=False)
    windows = list(random_windows([one_draw], WINDOW, 40, plain, rng, leads=2))
    ends = [np.isfinite(window.observations.values["ssh"][-2:]).any() for window in windows]
    assert not any(ends[1::2])
    assert any(ends[::2])
    assert any(np.isfinite(window.truth["ssh"][-1]).any() for window in windows[1::2])


def test_mixing_keeps_the_variance_and_makes_another_field():
    truth = toy_truth(days=40)
    mixed = [
        vary(truth, Augmentation(mixing=True), 31, np.random.default_rng(seed))[0]["ssh"]
        for seed in range(12)
    ]
    correlations = [
        np.corrcoef(*(a.stack(z=a.dims).dropna("z") for a in (truth["ssh"], field)))[0, 1]
        for field in mixed
    ]
    assert 2 <= sum(correlation > 0.999 for correlation in correlations) <= 10  # half are untouched
    variances = [float(field.var() / truth["ssh"].var()) for field in mixed]
    assert np.mean(variances) == pytest.approx(1, abs=0.1)


def test_no_augmentation_changes_nothing():
    truth = toy_truth()
    none = Augmentation(mixing=False, background_days=None, flips=False)
    same, background = vary(truth, none, 31, np.random.default_rng(0))
    assert same is truth
    np.testing.assert_allclose(background.mean_maps["ssh"], truth["ssh"].mean("time"), rtol=1e-6)


def test_the_mean_map_of_fewer_days_leaves_a_drift():
    truth = toy_truth(days=40)
    few = Augmentation(mixing=False, background_days=10)
    _, background = vary(truth, few, 31, np.random.default_rng(0))
    matches = [
        np.allclose(
            background.mean_maps["ssh"],
            truth["ssh"].isel(time=slice(start, start + 10)).mean("time"),
            atol=1e-6,
            equal_nan=True,
        )
        for start in range(31)
    ]
    assert sum(matches) == 1


def test_windows_without_flips_are_pieces_of_the_draw(one_draw):
    plain = Augmentation(flips=False)
    rng = np.random.default_rng(0)
    whole = one_draw.observations
    for window in random_windows([one_draw], WINDOW, 10, plain, rng):
        part = window.observations
        row = np.searchsorted(whole.latitude, part.latitude[0])
        column = np.searchsorted(whole.longitude, part.longitude[0])
        for i, day in enumerate(part.days):
            number = round(day - whole.days[0])
            if 0 <= number < whole.days.size:
                box = (number, slice(row, row + 12), slice(column, column + 16))
                np.testing.assert_array_equal(part.values["ssh"][i], whole.values["ssh"][box])
                np.testing.assert_array_equal(window.truth["ssh"][i], one_draw.truth["ssh"][box])
            else:
                assert np.isnan(part.values["ssh"][i]).all()
                assert np.isnan(window.truth["ssh"][i]).all()
                assert (part.first_guess.mean["ssh"][i] == 0).all()


def test_flips_change_all_fields_alike(one_draw):
    """Observed cells still agree with the truth, and the first guess with both."""
    rng = np.random.default_rng(4)
    for window in random_windows([one_draw], WINDOW, 20, Augmentation(amplitude=0.0), rng):
        misfit = window.observations.values["ssh"] - window.truth["ssh"]
        assert np.nanstd(misfit) < 0.02 or np.isnan(misfit).all()
        error = window.observations.first_guess.mean["ssh"] - window.truth["ssh"]
        assert np.nanstd(error) < np.nanstd(window.truth["ssh"])
        assert (window.observations.first_guess.std["ssh"] > 0).all()
        land = ~window.observations.sea
        assert np.isnan(window.truth["ssh"][:, land]).all()


def test_a_domain_that_no_window_fits_is_refused(one_draw):
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInputError, match="22 latitudes x 30 longitudes, fewer than"):
        next(random_windows([one_draw], xdvarnet.mapping.Window(5, 23, 16), 1, Augmentation(), rng))
    one_draw.observations.sea[:] = False
    with pytest.raises(InvalidInputError, match="has 25% sea .the best has 0%."):
        next(random_windows([one_draw], WINDOW, 1, Augmentation(), rng))
