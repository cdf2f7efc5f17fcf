"""Graphs of dask, written out: `dask.delayed` goes through all that is below for each task."""

import operator
import uuid
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph


class Tasks:
    """Numbered tasks of one kind; a collection of dask, so that others can be put on top of it.

    Parameters
    ----------
    kind : str
        What the names of the tasks begin with.
    tasks : sequence
        A value, or (function, argument, ...) each; an argument is a key of what is below, or a list
        of keys.
    below : iterable
        Collections whose keys the arguments are.
    """

    def __init__(self, kind: str, tasks: Sequence[object], below: Iterable[Any] = ()) -> None:
        self.name = f"{kind}-{uuid.uuid4().hex}"
        self.keys = [(self.name, number) for number in range(len(tasks))]
        self._graph = _add(self.name, dict(zip(self.keys, tasks, strict=True)), below)

    def __dask_graph__(self) -> "HighLevelGraph":
        return self._graph

    def __dask_layers__(self) -> tuple[str]:
        return (self.name,)

    def array(self, name: Hashable, chunks: tuple[tuple[int, ...], ...], dtype: type) -> "da.Array":
        """Return what each task has under a name, as an array with a chunk for each.

        Parameters
        ----------
        name : hashable
            Tasks return mappings with this name.
        chunks : tuple of tuple of int
            Those along the first axis are of the tasks; other axes have one.
        dtype : type
            Of the array.
        """
        import dask.array as da

        own, zeros = f"take-{uuid.uuid4().hex}", (0,) * (len(chunks) - 1)
        take = operator.itemgetter(name)
        layer = {(own, number, *zeros): (take, key) for number, key in enumerate(self.keys)}
        return da.Array(_add(own, layer, [self]), own, chunks, dtype)


def _add(name: str, layer: dict, below: Iterable[Any]) -> "HighLevelGraph":
    from dask.highlevelgraph import HighLevelGraph

    return HighLevelGraph.from_collections(name, layer, dependencies=list(below))
