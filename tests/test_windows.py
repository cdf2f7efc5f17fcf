"""A domain in windows: the same as at once, whatever the days that are asked for."""

import numpy as np
import pytest
from reconstructors import WINDOW, Identity, Smoother, gappy

from xdvarnet._progress import show_progress
from xdvarnet.errors import InvalidInputError, InvalidTypeError, XdvarnetWarning
from xdvarnet.grids.internal import DIMS, to_internal
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.lead import Lead
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import analyse
from xdvarnet.mapping.windows import Windowed
from xdvarnet.methods.gaussian_field.field import SPDEField
from xdvarnet.methods.optimal_interpolation.interpolation import OptimalInterpolation

pytestmark = pytest.mark.filterwarnings("error")


def observations(dataset=None, **sizes) -> Observations:
    internal = to_internal(gappy(**sizes) if dataset is None else dataset, {"ssh": "m"})
    return Observations(
        {"ssh": internal["ssh"].values},
        *(internal[dim].values for dim in DIMS),
        sea=internal["sea"].values,
    )


def windows():
    return [
        WINDOW,
        Window(11, 14, 19),
        Window(3, 5, 7),
        Window(4, 7, 6, stride=(4, 7, 6)),
        Window(1, 14, 5, halo=(0, 3, 1)),
    ]


@pytest.mark.parametrize("window", windows(), ids=lambda window: str(window.sizes))
def test_cut_solve_and_blend_is_the_identity(window):
    given = observations()
    analysis = analyse(Identity(window), given)
    sea = np.broadcast_to(given.sea, given.shape)
    wanted = np.nan_to_num(given.values["ssh"])
    np.testing.assert_allclose(analysis.mean["ssh"][sea], wanted[sea], atol=1e-6)
    assert analysis.mean["ssh"].dtype == np.float32
    assert analysis.std == analysis.members == {}


@pytest.mark.parametrize("days", [1, 2, 3, 4])
def test_a_period_shorter_than_the_window_is_padded_and_cropped(days):
    given = observations(days=days, unobserved=0.3)
    model = Identity()
    analysis = analyse(model, given)
    assert analysis.mean["ssh"].shape == given.shape
    np.testing.assert_allclose(
        analysis.mean["ssh"][:, given.sea],
        np.nan_to_num(given.values["ssh"])[:, given.sea],
        atol=1e-6,
    )
    before = (5 - days) // 2
    for window in model.seen:
        assert window.shape == WINDOW.sizes
        np.testing.assert_allclose(np.diff(window.days), 1)  # days go on beyond the period
        np.testing.assert_allclose(window.days[before : before + days], given.days)
        assert np.isnan(window.values["ssh"][:before]).all()
        assert np.isnan(window.values["ssh"][before + days :]).all()


def test_windows_see_their_own_place():
    given = observations()
    model = Identity()
    analyse(model, given)
    seen = set()
    for window in model.seen:
        row = np.searchsorted(given.latitude, window.latitude[0])
        column = np.searchsorted(given.longitude, window.longitude[0])
        inside = (window.latitude <= given.latitude[-1], window.longitude <= given.longitude[-1])
        sea = given.sea[row : row + 8, column : column + 9]
        np.testing.assert_array_equal(window.sea[np.ix_(*inside)], sea)
        assert not window.sea[~inside[0]].any()
        assert not window.sea[:, ~inside[1]].any()
        seen.add((window.days[0], row, column))
    assert len(seen) == len(model.seen) > 8


def test_windows_on_land_are_skipped():
    dataset = gappy()
    dataset["sea"][:, 9:] = False
    model = Identity()
    analyse(model, observations(dataset))
    assert {window.longitude[0] for window in model.seen} == {2.0, 2 + 0.4 * 5}
    assert all(window.sea.any() for window in model.seen)


def test_windows_without_observation_give_one_warning():
    dataset = gappy(days=15)
    dataset["ssh"][:8] = np.nan
    with pytest.warns(XdvarnetWarning, match=r"of \d+ windows have no observation") as caught:
        analysis = analyse(Identity(), observations(dataset))
    assert len(caught) == 1
    assert (analysis.mean["ssh"][:8] == 0).all()


@pytest.mark.parametrize("guess", [False, True])
def test_some_days_are_analysed_as_if_all_were(guess):
    given = observations(days=16)
    model = Smoother(gives_std=True)
    if guess:
        first = OptimalInterpolation(
            "ssh", correlation_length=90, correlation_time=3, noise=0.02, neighbours=9
        )
        given = Observations(**{**vars(given), "first_guess": analyse(first, given)})
        model.first_guess = first
    whole = analyse(model, given)
    own = model.window.time - 1
    for wanted in (slice(0, 1), slice(4, 9), slice(15, 16), slice(0, 16)):
        days = slice(max(wanted.start - own, 0), min(wanted.stop + own, 16))
        inside = slice(wanted.start - days.start, wanted.stop - days.start)
        some = analyse(model, given.take(days, wanted=inside)).take(inside)
        np.testing.assert_array_equal(some.mean["ssh"], whole.mean["ssh"][wanted])
        np.testing.assert_array_equal(some.std["ssh"], whole.std["ssh"][wanted])


def test_the_halo_is_that_of_a_window_and_of_the_first_guess():
    assert Identity().halo == 4
    assert Identity(None).halo is None
    assert Smoother(first_guess=Smoother()).halo == 8
    assert Smoother(first_guess=Smoother(None)).halo is None


def test_the_first_guess_is_analysed_once_and_handed_over():
    given = observations(days=3)  # shorter than the window
    first = Smoother(None, gives_std=True)
    model = Smoother(first_guess=first, gives_std=True)
    analyse(model, given)
    assert len(first.seen) == 1
    alone = analyse(Smoother(None, gives_std=True), given)
    window = model.seen[0]
    np.testing.assert_array_equal(
        window.first_guess.mean["ssh"][1:4],
        np.where(window.sea, alone.mean["ssh"][:, :8, :9], 0),
    )
    # beyond the period: the background, and the largest uncertainty
    assert (window.first_guess.mean["ssh"][[0, 4]] == 0).all()
    largest = window.first_guess.std["ssh"][1:4].max()
    assert (window.first_guess.std["ssh"][[0, 4]] == largest).all()


def test_members_come_first():
    given = observations()
    model = Smoother(None, gives_std=True)
    analysis = analyse(model, given, members=3, rng=np.random.default_rng(0))
    assert analysis.members["ssh"].shape == (3, *given.shape)
    with pytest.raises(InvalidInputError, match="has no ensemble"):
        analyse(Smoother(gives_std=True), given, members=3)


@pytest.mark.parametrize("window", [WINDOW, None])
def test_several_variables_do_not_mix(window):
    given = observations()
    values = {"ssh": given.values["ssh"], "sst": 10 + 2 * given.values["ssh"]}
    given = Observations(**{**vars(given), "values": values})
    model = Identity(window, variables={"ssh": "m", "sst": "K"})
    analysis = analyse(model, given)
    for name in values:
        mean = analysis.mean[name][:, given.sea]
        np.testing.assert_allclose(mean, np.nan_to_num(values[name])[:, given.sea], atol=1e-5)


def test_the_observations_are_left_as_they_are():
    given = observations()
    before = given.values["ssh"].copy()
    analyse(Smoother(), given)
    np.testing.assert_array_equal(given.values["ssh"], before)


@pytest.mark.parametrize("window", [WINDOW, None])
@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        (Analysis({}), r"solve returned mean of \{\}; it must be \{'ssh': \("),
        (Analysis({"sst": np.zeros((2, 3, 4))}), r"mean of \{'sst': \(2, 3, 4\)\}"),
        (Analysis({"ssh": np.zeros((3, 4))}), r"mean of \{'ssh': \(3, 4\)\}"),
    ],
)
def test_a_model_that_returns_other_fields(window, analysis, message):
    model = Identity(window)
    model.see = lambda *_: analysis
    with pytest.raises(InvalidInputError, match=message):
        analyse(model, observations())


@pytest.mark.parametrize("window", [WINDOW, None])
def test_values_that_are_not_finite_are_an_error_and_no_map(window):
    model = Identity(window)
    nothing = np.float32(np.nan)
    model.see = lambda given, *_: Analysis({"ssh": np.full(given.shape, nothing)})
    with pytest.raises(InvalidInputError, match=r"not finite: \d+ of \d+ \(mean of 'ssh'\)"):
        analyse(model, observations())


def test_a_model_without_the_members_or_the_spread_it_promises():
    with pytest.raises(
        InvalidInputError, match=r"returned members of \{\}; it must be .*\(3, 11, 14"
    ):
        analyse(Identity(None), observations(), members=3)
    with pytest.raises(InvalidInputError, match=r"returned std of \{\}"):
        analyse(Identity(gives_std=True), observations())


def test_fields_of_double_precision_become_single():
    model = Identity(None)
    model.see = lambda given, *_: Analysis({"ssh": np.zeros(given.shape)})
    assert analyse(model, observations()).mean["ssh"].dtype == np.float32


@pytest.mark.parametrize("sizes", [{"rows": 7}, {"columns": 8}])
def test_a_region_smaller_than_the_window(sizes):
    rows, columns = sizes.get("rows", 14), sizes.get("columns", 19)
    dataset = gappy().isel(lat=slice(rows), lon=slice(columns))
    with pytest.raises(InvalidInputError, match=f"{rows} latitudes x {columns} longitudes, fewer"):
        analyse(Identity(), observations(dataset))


def test_progress_is_shown_if_asked_for(capsys):
    with show_progress(True):
        analyse(Identity(), observations())
    assert "window" in capsys.readouterr().err
    analyse(Identity(), observations())
    assert capsys.readouterr().err == ""


# windows around another method


def field() -> SPDEField:
    return SPDEField(correlation_length=100, correlation_time=3, std=0.05, noise=0.02)


def test_one_window_is_the_method_itself():
    given = observations(days=9)
    alone, cut = analyse(field(), given), analyse(Windowed(field(), Window(9, 14, 19)), given)
    for kind in ("mean", "std"):
        np.testing.assert_allclose(cut.kinds[kind]["ssh"], alone.kinds[kind]["ssh"], atol=1e-7)


def test_wider_windows_come_closer_to_the_whole():
    """An observation beyond a window has no weight there, and little in what it is the rest of."""
    given = observations(days=20)
    whole = analyse(field(), given)
    errors = []
    for days in (1, 5, 11):
        part = analyse(Windowed(field(), Window(days, 14, 19, halo=(days // 4, 0, 0))), given)
        errors.append(float(np.abs(part.mean["ssh"] - whole.mean["ssh"]).max()))
        assert (part.std["ssh"][:, given.sea] > whole.std["ssh"][:, given.sea] - 1e-4).all()
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.05 * errors[0]


def test_a_method_in_windows_has_a_halo():
    assert field().halo is None
    assert Windowed(field(), Window(5, 8, 9)).halo == 4


@pytest.mark.parametrize("model", [Lead(field(), 1), Windowed(field(), Window(5, 8, 9))], ids=str)
def test_windows_are_around_the_innermost_method(model):
    with pytest.raises(InvalidInputError, match=r"Lead\(Windowed\(model, window\), days\)"):
        Windowed(model, Window(5, 8, 9))
    Lead(Windowed(field(), Window(5, 8, 9)), 1)


def test_windows_of_what_is_none():
    with pytest.raises(InvalidTypeError, match="window is 5; give a Window such as"):
        Windowed(field(), 5)
    with pytest.raises(InvalidTypeError, match="is no reconstructor"):
        Windowed(None, Window(5, 8, 9))
