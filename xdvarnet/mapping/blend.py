"""Put patches together again: a streaming weighted overlap-add on integer slices."""

from collections.abc import Iterable, Iterator
from types import EllipsisType

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.cover import Cover, Position


def blend(
    patches: Iterable[tuple[Position, np.ndarray]],
    cover: Cover,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[np.ndarray]:
    r"""Add the patches of a cover, each with its weights, and give finished days in order.

    .. math:: x(t, j, i) = \sum_w a_w(t) b_w(j) c_w(i) x_w(t, j, i)

    The weights sum to one at each cell, so that cutting and blending gives a field back. Only one
    window's length in days is in memory.

    Parameters
    ----------
    patches : iterable of (position, numpy.ndarray)
        In the order of ``cover.positions(start, stop)``; arrays of shape (..., time, latitude,
        longitude), all with the same leading dimensions and dtype. A patch that is missing adds
        nothing: its cells stay zero where no other window has weight.
    cover : Cover
        The windows.
    start, stop : int
        Days of the domain that are wanted; by default all.

    Yields
    ------
    slab : numpy.ndarray
        The next finished days, shape (..., days, latitude, longitude), without padding; all slabs
        together are the days ``[start, stop)``.

    Raises
    ------
    InvalidInputError
        If patches are not in time order, or there is none.
    """
    stop = cover.shape[0] if stop is None else stop
    time, latitude, longitude = cover.axes
    wanted = slice(start + time.before, stop + time.before)  # in padded days
    rows, columns = slice(latitude.length), slice(longitude.length)
    sums: np.ndarray | None = None
    first = wanted.start  # padded day of the first entry of `sums`
    for position, patch in patches:
        begin = max(position[0].start, wanted.start)
        if sums is None:
            shape = (*patch.shape[:-3], time.size, *cover.padded_shape[1:])
            sums = np.zeros(shape, patch.dtype)
        if begin < first:
            raise InvalidInputError("patches to blend are not in the order of cover.positions.")
        while begin > first:
            done = min(begin - first, time.size)
            yield sums[..., :done, rows, columns].copy()
            sums[..., : time.size - done, :, :] = sums[..., done:, :, :].copy()
            sums[..., time.size - done :, :, :] = 0
            first += done
        _add(sums, first, wanted.stop, position, patch, cover)
    if sums is None:
        raise InvalidInputError("there is no patch to blend: all of the domain was skipped.")
    while first < wanted.stop:
        done = min(wanted.stop - first, time.size)
        yield sums[..., :done, rows, columns].copy()
        sums[...] = 0
        first += done


def _add(
    sums: np.ndarray,
    first: int,
    last: int,
    position: Position,
    patch: np.ndarray,
    cover: Cover,
) -> None:
    """Add one patch in place; `first` and `last` are the padded days that `sums` may take."""
    weight = np.ones((), patch.dtype)
    source: list[slice | EllipsisType] = [...]
    target: list[slice | EllipsisType] = [...]
    for axis, window, origin, end in zip(
        cover.axes, position, (first, 0, 0), (last, *cover.padded_shape[1:]), strict=True
    ):
        support = axis.support(window.start)
        begin = max(support.start, origin - window.start)
        finish = min(support.stop, end - window.start)
        if begin >= finish:
            return
        values = axis.weights[window.start // axis.stride, begin:finish].astype(patch.dtype)
        weight = np.multiply.outer(weight, values)
        source.append(slice(begin, finish))
        target.append(slice(window.start + begin - origin, window.start + finish - origin))
    sums[tuple(target)] += patch[tuple(source)] * weight
