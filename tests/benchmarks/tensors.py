"""Count the memory of the tensors that are alive, on any device."""

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """Within the context, `peak` is the most bytes of the tensors that were made in it.

    What a kernel takes for itself is not seen, nor what was there before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        given = {storage._cdata for storage in _storages((args, kwargs))}
        found = operation(*args, **(kwargs or {}))
        for storage in _storages(found):
            if storage._cdata not in given | self.known:  # no view of what is there
                self.known.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return found

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def _storages(values: object) -> list[torch.UntypedStorage]:
    """Return what holds the numbers of all tensors."""
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor))
    return [each.untyped_storage() for each in tensors if each.layout == torch.strided]
