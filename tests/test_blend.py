"""Cut then blend is the identity, for all days or some, in the memory of one window."""

from collections.abc import Iterator

import numpy as np
import pytest

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.blend import blend
from xdvarnet.mapping.cover import Cover, Position, Window, cover

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


def make_field(shape: tuple[int, ...]) -> np.ndarray:
    """Return values of order one in float32."""
    return np.random.default_rng(5).uniform(-1, 1, size=shape).astype(np.float32)


def cut(
    field: np.ndarray, domain: Cover, start: int = 0, stop: int | None = None
) -> Iterator[tuple[Position, np.ndarray]]:
    """Yield the patches of `field`, shape (..., time, latitude, longitude), with its padding."""
    leading = [(0, 0)] * (field.ndim - 3)
    padded = np.pad(field, [*leading, *domain.padding])
    for position in domain.positions(start, stop):
        yield position, padded[..., *position]


@pytest.mark.parametrize(("shape", "window"), CASES, ids=IDS)
def test_cut_then_blend_is_the_identity(shape, window):
    field, domain = make_field(shape), cover(shape, window)
    slabs = list(blend(cut(field, domain), domain))
    blended = np.concatenate(slabs)
    assert blended.dtype == np.float32
    assert all(slab.shape[0] > 0 for slab in slabs)
    np.testing.assert_allclose(blended, field, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("shape", "window"), CASES, ids=IDS)
def test_some_days_equal_those_of_the_whole(shape, window):
    """Patches that differ where they overlap: any split of the days gives exactly the same."""
    domain = cover(shape, window)
    values = {str(p): make_field(window.sizes) * i for i, p in enumerate(domain.positions())}

    def solve(start: int, stop: int) -> np.ndarray:
        patches = ((p, values[str(p)]) for p in domain.positions(start, stop))
        return np.concatenate(list(blend(patches, domain, start, stop)))

    days = shape[0]
    whole = solve(0, days)
    cuts = sorted({0, min(1, days), days // 3, days // 2, days - 1, days})
    parts = [solve(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_leading_dimensions_are_kept():
    shape = (11, 13, 16)
    field, domain = make_field((3, *shape)), cover(shape, Window(4, 6, 5))
    blended = np.concatenate(list(blend(cut(field, domain), domain)), axis=-3)
    np.testing.assert_allclose(blended, field, atol=1e-6)


def test_blended_overlap_is_the_weighted_mean():
    """Two windows of constants: a linear ramp from one to the other."""
    domain = cover((6, 3, 4), Window(4, 3, 4, stride=(2, 3, 4)))
    first, second = domain.positions()
    patches = [(first, np.zeros((4, 3, 4))), (second, np.ones((4, 3, 4)))]
    blended = np.concatenate(list(blend(patches, domain)))
    np.testing.assert_allclose(blended[:, 1, 2], [0, 0, 0.25, 0.75, 1, 1])


def test_memory_is_that_of_a_window():
    """Slabs come while patches are still being asked for, none longer than a window."""
    shape, window = (60, 9, 11), Window(6, 9, 11, stride=(3, 9, 11))
    domain, asked = cover(shape, window), []

    def patches() -> Iterator[tuple[Position, np.ndarray]]:
        for position in domain.positions():
            asked.append(position[0].start)
            yield position, np.ones(window.sizes, np.float32)

    finished = 0
    for slab in blend(patches(), domain):
        assert slab.shape[0] <= window.time
        finished += slab.shape[0]
        assert asked[-1] - finished < window.time
    assert finished == 60


def test_skipped_patches_leave_zero():
    """A window of land alone is not given."""
    shape, window = (9, 8, 12), Window(3, 8, 6, stride=(3, 8, 6))
    domain = cover(shape, window)
    patches = [
        (position, np.ones(window.sizes))
        for position in domain.positions()
        if not position[2].start
    ]
    blended = np.concatenate(list(blend(patches, domain)))
    assert (blended[..., :6] == 1).all()
    assert (blended[..., 6:] == 0).all()


def test_skipped_days_leave_zero():
    shape, window = (20, 8, 12), Window(2, 8, 12, stride=(2, 8, 12))
    domain = cover(shape, window)
    patches = [(domain.positions()[i], np.ones(window.sizes)) for i in (3, 7)]
    blended = np.concatenate(list(blend(patches, domain)))
    expected = np.zeros(20)
    expected[[6, 7, 14, 15]] = 1
    np.testing.assert_array_equal(blended[:, 2, 3], expected)


def test_missing_values_stay_in_their_cells():
    shape, window = (12, 14, 16), Window(5, 6, 7, stride=(1, 2, 2), halo=(1, 1, 2))
    domain, field = cover(shape, window), make_field(shape)
    field[4, 7, 9] = np.nan
    blended = np.concatenate(list(blend(cut(field, domain), domain)))
    np.testing.assert_array_equal(np.isnan(blended), np.isnan(field))


def test_patches_are_left_as_they_are():
    shape, window = (12, 14, 16), Window(5, 6, 7)
    domain = cover(shape, window)
    patches = [(position, np.ones(window.sizes)) for position in domain.positions()]
    slabs = list(blend(patches, domain))
    slabs[0][...] = 7
    assert all((patch == 1).all() for _, patch in patches)
    assert (slabs[1] != 7).all()


def test_nothing_to_blend_is_an_error():
    domain = cover((12, 14, 16), Window(5, 6, 7))
    with pytest.raises(InvalidInputError, match="no patch to blend"):
        list(blend([], domain))


def test_patches_out_of_order_are_refused():
    domain = cover((12, 14, 16), Window(5, 14, 16, stride=(3, 7, 7)))
    patches = [(position, np.ones((5, 14, 16))) for position in domain.positions()]
    with pytest.raises(InvalidInputError, match="not in the order"):
        list(blend(patches[::-1], domain))
