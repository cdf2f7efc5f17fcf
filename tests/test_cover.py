"""The windows cover everything, their weights sum to one, and patches are where positions say."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, XdvarnetError
from xdvarnet.grids.internal import DIMS
from xdvarnet.mapping.cover import Window, cover

CASES = [
    ((30, 17, 23), Window(10, 8, 9)),
    ((30, 17, 23), Window(10, 8, 9, stride=(1, 3, 4))),
    ((31, 40, 29), Window(7, 11, 9, stride=(2, 5, 3), halo=(1, 2, 3))),
    ((5, 11, 12), Window(9, 11, 12, halo=(3, 4, 2))),
    ((1, 20, 33), Window(6, 13, 10, stride=(6, 13, 10))),
    ((12, 26, 31), Window(5, 9, 10, stride=(5, 9, 10))),
    ((40, 9, 16), Window(13, 9, 7, stride=(3, 1, 1), halo=(5, 0, 3))),
    ((8, 14, 10), Window(1, 1, 1)),
]
IDS = [f"{shape}-{window.sizes}-{window.stride}-{window.halo}" for shape, window in CASES]


def make_dataset(shape: tuple[int, int, int]) -> xr.Dataset:
    """Return a float field, a boolean one of two dimensions, and a map without time."""
    field = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    coords = {
        "time": np.datetime64("2005-04-01", "ns") + np.arange(shape[0]) * np.timedelta64(1, "D"),
        "latitude": 30 + 0.125 * np.arange(shape[1]),
        "longitude": -6 + 0.25 * np.arange(shape[2]),
        "sea": (DIMS[1:], field[0] > -1),
    }
    return xr.Dataset({"ssh": (DIMS, field), "mean": (DIMS[1:], field[0])}, coords)


@pytest.mark.parametrize(("shape", "window"), CASES, ids=IDS)
def test_weights_are_a_partition_of_unity(shape, window):
    """Over all windows, the product weights sum to one at every padded cell."""
    domain = cover(shape, window)
    total = np.zeros(domain.padded_shape)
    for position in domain.positions():
        weights = [
            axis.weights[where.start // axis.stride]
            for axis, where in zip(domain.axes, position, strict=True)
        ]
        total[position] += np.einsum("t,y,x->tyx", *weights)
    np.testing.assert_allclose(total, 1, atol=1e-12)


@pytest.mark.parametrize(("shape", "window"), CASES, ids=IDS)
def test_windows_lie_in_the_padded_domain(shape, window):
    """The windows have the model's sizes, and padding is as short as the rules say."""
    domain = cover(shape, window)
    assert domain.shape == shape
    for axis, size, largest, length in zip(
        domain.axes, window.sizes, window.stride, shape, strict=True
    ):
        before, after = axis.padding
        assert axis.padded == before + length + after == axis.slices[-1].stop
        assert all(where.stop - where.start == size for where in axis.slices)
        if length >= size:
            assert before == 0
            assert after < axis.stride <= max(largest, size * (axis.count == 1))
            assert axis.count == 1 + -(-(length - size) // largest)
        else:
            assert 0 <= after - before <= 1


def test_halo_has_weight_only_at_the_edge_of_the_domain():
    axis = cover((20, 30, 40), Window(8, 10, 12, stride=(3, 4, 5), halo=(2, 3, 2))).axes[1]
    assert (axis.weights[1:, :3] == 0).all()
    assert (axis.weights[:-1, -3:] == 0).all()
    assert (axis.weights[0, :3] == 1).all()
    assert (axis.weights[-1, -3:] == 1).all()


def test_overlapping_cores_are_blended_with_linear_ramps():
    axis = cover((24, 30, 40), Window(8, 10, 12, stride=(4, 5, 6))).axes[0]
    ramp = (np.arange(4) + 0.5) / 4
    np.testing.assert_allclose(axis.weights[1], np.concatenate([ramp, ramp[::-1]]))


def test_stride_without_overlap_has_equal_weights():
    axis = cover((24, 30, 40), Window(8, 10, 12, stride=(8, 10, 12))).axes[0]
    np.testing.assert_array_equal(axis.weights, np.ones((3, 8)))


def test_stride_is_the_smallest_that_needs_no_more_windows():
    domain = cover((91, 128, 344), Window(21, 64, 128, stride=(20, 64, 96)))
    assert domain.starts == ([0, 18, 36, 54, 72], [0, 64], [0, 72, 144, 216])
    assert domain.padding == ((0, 2), (0, 0), (0, 0))


@pytest.mark.parametrize(("shape", "window"), CASES, ids=IDS)
def test_patches_are_where_positions_say(shape, window):
    """The order of xbatcher is that of `positions`: each patch equals the slice of the domain."""
    dataset = make_dataset(shape)
    domain = cover(shape, window)
    padded = np.pad(dataset["ssh"].values, domain.padding, constant_values=np.nan)
    sea = np.pad(dataset["sea"].values, domain.padding[1:])
    positions = []
    for position, patch in domain.patches(dataset):
        positions.append(position)
        assert dict(patch.sizes) == dict(zip(DIMS, window.sizes, strict=True))
        np.testing.assert_array_equal(patch["ssh"], padded[position])
        np.testing.assert_array_equal(patch["sea"], sea[position[1:]])
        assert patch["sea"].dtype == bool
        assert patch["ssh"].dtype == np.float32
    assert positions == domain.positions() == sorted(positions, key=lambda p: [s.start for s in p])


def test_a_short_period_is_padded_on_both_sides():
    dataset = make_dataset((3, 12, 15))
    patches = list(cover((3, 12, 15), Window(8, 12, 15)).patches(dataset))
    assert len(patches) == 1
    patch = patches[0][1]
    observed = patch["ssh"].notnull().any(["latitude", "longitude"])
    np.testing.assert_array_equal(observed, [False] * 2 + [True] * 3 + [False] * 3)
    days = np.datetime64("2005-03-30", "ns") + np.arange(8) * np.timedelta64(1, "D")
    np.testing.assert_array_equal(patch["time"], days)


def test_a_single_day_has_days_around_it():
    dataset = make_dataset((1, 12, 15))
    ((_, patch),) = cover((1, 12, 15), Window(4, 12, 15)).patches(dataset)
    assert (np.diff(patch["time"]) == np.timedelta64(1, "D")).all()


def test_patches_keep_the_dataset():
    shape = (4, 13, 15)
    dataset = make_dataset(shape)
    before = dataset.copy(deep=True)
    list(cover(shape, Window(5, 6, 4)).patches(dataset))
    xr.testing.assert_identical(dataset, before)


def test_no_padding_makes_no_copy():
    shape = (6, 12, 14)
    dataset = make_dataset(shape)
    for _, patch in cover(shape, Window(3, 6, 7, stride=(3, 6, 7))).patches(dataset):
        assert np.shares_memory(patch["ssh"].values, dataset["ssh"].values)


@pytest.mark.parametrize(("shape", "window"), CASES, ids=IDS)
@pytest.mark.parametrize("part", [(0, 1), (2, 5), (3, 4), (-1, None)])
def test_part_of_the_days_has_the_same_patches(shape, window, part):
    """The windows of some days are those of all days; they need no more days than `days` says."""
    start = part[0] % shape[0]
    part = (start, part[1] and max(start + 1, min(part[1], shape[0])))
    dataset = make_dataset(shape)
    domain = cover(shape, window)
    whole = {str(position): patch for position, patch in domain.patches(dataset)}
    few = dataset.isel(time=domain.days(*part))
    patches = list(domain.patches(few, *part))
    assert [position for position, _ in patches] == domain.positions(*part)
    for position, patch in patches:
        xr.testing.assert_identical(patch, whole[str(position)])


def test_part_of_the_days_reads_few_days():
    domain = cover((200, 12, 14), Window(10, 12, 14, stride=(5, 12, 14)))
    assert domain.days(100, 105) == slice(95, 110)
    assert len(domain.positions(100, 105)) == 2


def test_dask_patches_are_loaded_one_by_one():
    pytest.importorskip("dask")
    shape = (9, 13, 15)
    dataset = make_dataset(shape)
    domain = cover(shape, Window(5, 6, 4))
    lazy = domain.patches(dataset.chunk(time=4))
    for (_, patch), (_, expected) in zip(lazy, domain.patches(dataset), strict=True):
        assert patch["ssh"].chunks is None
        xr.testing.assert_identical(patch, expected)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"time": 0}, "sizes"),
        ({"latitude": 7.5}, "sizes"),
        ({"halo": (1, -1, 2)}, "halo"),
        ({"halo": (4, 1, 1)}, "less than half"),
        ({"halo": (1, 1)}, "three whole numbers"),
        ({"stride": (0, 2, 2)}, "stride"),
        ({"stride": (7, 2, 2), "halo": (1, 0, 0)}, r"at most .* here \(6, 9, 10\)"),
    ],
)
def test_windows_that_cannot_be(arguments, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        Window(**{"time": 8, "latitude": 9, "longitude": 10, **arguments})


def test_window_from_lists_is_hashable():
    window = Window(8, 9, 10, stride=[4, 3, 5], halo=[1, 2, 0])
    assert hash(window) == hash(Window(8, 9, 10, stride=(4, 3, 5), halo=(1, 2, 0)))


def test_a_region_smaller_than_the_window_is_refused():
    message = r"9 latitudes x 40 longitudes, fewer than the model's window of 10 x 12 cells"
    with pytest.raises(InvalidInputError, match=message):
        cover((30, 9, 40), Window(5, 10, 12))
    with pytest.raises(ValueError, match="at least this size"):
        cover((30, 40, 11), Window(5, 10, 12))


def test_no_day_is_refused():
    with pytest.raises(InvalidInputError, match="at least one day"):
        cover((0, 20, 20), Window(5, 10, 12))


@pytest.mark.parametrize("part", [(-1, 3), (4, 4), (5, 31)])
def test_days_outside_the_domain_are_refused(part):
    domain = cover((30, 20, 20), Window(5, 10, 12))
    with pytest.raises(InvalidInputError, match="not in the domain of 30 days"):
        domain.positions(*part)


def test_a_dataset_of_other_sizes_is_refused():
    domain = cover((30, 20, 20), Window(5, 10, 12))
    with pytest.raises(XdvarnetError, match=r"the domain has \(30, 20, 20\)"):
        next(domain.patches(make_dataset((30, 20, 21))))


def test_whole_numbers_cannot_be_padded():
    dataset = make_dataset((3, 20, 20))
    dataset["count"] = (DIMS, np.ones((3, 20, 20), int))
    with pytest.raises(InvalidInputError, match="'count' of dtype int64"):
        next(cover((3, 20, 20), Window(5, 10, 12)).patches(dataset))
