"""Several processes that train one network: each takes a part of every batch.

They are those of `torch.distributed`, which whoever starts them has initialised; without it there
is one process. The loss is the mean of those of the parts by their numbers of samples: that of the
batch, where all samples have as many cells at sea.
"""

from collections.abc import Iterable

import torch
from torch import distributed, nn

from xdvarnet.solver.batch import Batch


def count_processes() -> int:
    """Return how many processes train."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Return whether this process is the one that writes and shows."""
    return count_processes() == 1 or distributed.get_rank() == 0


def align(network: nn.Module) -> None:
    """Give a network the weights that it has in the first process."""
    if count_processes() > 1:
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, 0)


def part_of(batch: Batch) -> tuple[Batch, float]:
    """Return what this process takes of a batch, and its share of the samples."""
    if count_processes() == 1:
        return batch, 1.0
    size, rank = len(batch.state), distributed.get_rank()
    own = slice(size * rank // count_processes(), size * (rank + 1) // count_processes())
    return batch.take(own), (own.stop - own.start) / size


def add_up(loss: torch.Tensor, parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """Sum gradients, in place, and losses over the processes."""
    total = loss.detach().clone()
    if count_processes() > 1:
        distributed.all_reduce(total)
        for weight in parameters:
            if weight.requires_grad:
                weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                distributed.all_reduce(weight.grad)
    return total
