"""Nested dissection of grids: who is eliminated when, and what that fills in."""

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.dissection import Dissection, count_fill, dissect

GRIDS = [
    (1, 21, 34, 1, False),
    (2, 33, 13, 2, False),
    (3, 9, 31, 4, False),
    (1, 1, 40, 3, False),
    (2, 12, 25, 2, True),
    (1, 30, 5, 2, True),
    (1, 4, 9, 4, True),
    (1, 3, 2, 1, False),
]


def neighbours(times: int, ny: int, nx: int, reach: int, ring: bool) -> torch.Tensor:
    """Return the pairs of unknowns that a precision couples, as a dense matrix."""
    row, column = (
        each.flatten() for each in torch.meshgrid(*map(torch.arange, (ny, nx)), indexing="ij")
    )
    east = (column[:, None] - column).abs()
    east = torch.minimum(east, nx - east) if ring else east
    near = ((row[:, None] - row).abs() <= reach) & (east <= reach)
    return near.repeat(times, times)


@pytest.fixture(params=GRIDS, ids=str)
def grid(request) -> tuple[int, int, int, int, bool]:
    return request.param


def test_each_unknown_is_eliminated_once_with_all_times_of_its_cell(grid):
    times, ny, nx, _, _ = grid
    made = dissect(*grid)
    assert torch.equal(made.order.sort().values, torch.arange(times * ny * nx))
    cells = made.order.view(-1, times) % (ny * nx)
    assert (cells == cells[:, :1]).all()
    stops = [0, *(front.stop for front in made.fronts)]
    assert stops[:-1] == [front.start for front in made.fronts] and stops[-1] == times * ny * nx


def test_fronts_hold_all_that_elimination_couples(grid):
    """Elimination of a dense pattern, one front after the other, stays within the borders."""
    made = dissect(*grid)
    coupled = neighbours(*grid)[made.order][:, made.order]
    for front in made.fronts:
        later = coupled[front.start : front.stop, front.stop :].any(0).nonzero().squeeze(1)
        assert torch.isin(later + front.stop, front.border).all()
        assert not len(front.border) or front.border[0] >= front.stop
        coupled[front.border[:, None], front.border] = True


def test_what_is_left_of_a_front_fits_into_its_parent(grid):
    made = dissect(*grid)
    for front in made.fronts[:-1]:
        parent = made.fronts[front.parent]
        inside = torch.cat([torch.arange(parent.start, parent.stop), parent.border])
        assert torch.equal(inside[front.places], front.border)
        for border, places in front.runs:
            assert torch.equal(front.places[border], torch.arange(places.start, places.stop))
    assert made.fronts[-1].parent == -1 and not len(made.fronts[-1].border)


def test_below_a_front_comes_immediately_before_it(grid):
    made = dissect(*grid)
    size = {}
    for place, k in enumerate(made.depth_first):
        children = made.fronts[k].children
        size[k] = 1 + sum(size[child] for child in children)
        below = made.depth_first[place - size[k] + 1 : place]
        assert all(child in below for child in children)


def test_groups_are_fronts_of_equal_sizes_that_are_not_coupled(grid):
    made = dissect(*grid)
    groups = list(made.groups())
    assert [front for group in groups for front in group] == list(made.fronts)
    for group in groups:
        assert len({(front.own, len(front.border)) for front in group}) == 1
        own = torch.arange(group[0].start, group[-1].stop)
        assert not any(torch.isin(front.border, own).any() for front in group)


def test_entries_are_found_in_the_fronts(grid):
    """Each entry once, where its two unknowns are."""
    made = dissect(*grid)
    indices = neighbours(*grid).nonzero().T
    numbers = []
    for front, (entries, rows, columns) in zip(made.fronts, made.locate(indices), strict=True):
        inside = torch.cat([torch.arange(front.start, front.stop), front.border])
        for places, unknowns in zip((rows, columns), indices[:, entries], strict=True):
            assert torch.equal(made.order[inside[places]], unknowns)
        assert (torch.minimum(rows, columns) < front.own).all()
        numbers.append(entries)
    assert torch.equal(torch.cat(numbers).sort().values, torch.arange(indices.shape[1]))


def test_entries_that_are_separated_are_said():
    with pytest.raises(
        InvalidInputError, match="unknowns 0 and 39 are coupled, and the dissection"
    ):
        dissect(1, 1, 40, 1).locate(torch.tensor([[5, 0], [6, 39]]))


def counted(made: Dissection) -> tuple[int, ...]:
    fronts = made.fronts
    return (
        sum(front.own**2 for front in fronts),
        sum(front.own * len(front.border) for front in fronts),
        made.height,
        made.largest,
    )


@pytest.mark.parametrize("grid", [each for each in GRIDS if not each[-1]], ids=str)
def test_the_fill_is_counted_without_making_it(grid):
    fill = count_fill(*grid)
    assert (fill.pivots, fill.borders, fill.height, fill.largest) == counted(dissect(*grid))


def test_the_fill_of_a_ring_is_that_of_one_with_two_edges():
    """Its first cut is counted on both sides: no less, and little more on a ring that is wide."""
    grid = (2, 20, 80, 2, True)
    fill, made = count_fill(*grid), counted(dissect(*grid))
    found = (fill.pivots, fill.borders, fill.height, fill.largest)
    assert all(one <= other for one, other in zip(made, found, strict=True))
    assert found[:2] == pytest.approx(made[:2], rel=0.1)


def test_the_fill_grows_little_faster_than_the_cells():
    """As n log n, and the operations as n^(3/2), of square grids."""
    small, large = (count_fill(1, size, size, 1) for size in (200, 800))
    kept = [fill.pivots + fill.borders for fill in (small, large)]
    assert 16 < kept[1] / kept[0] < 16 * 1.5
    assert 16 < large.operations / small.operations < 64
