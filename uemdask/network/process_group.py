"""Processes that train one network together: who has which crops of a step, and their sums.

Every process draws all random numbers of a step and works on its share of the crops. A loss is
a sum over pixels divided by a sum of weights, and both sums go over all processes, so the
gradient is that of the whole batch and all processes take the same step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

#: How long a process waits for the others: longer than a checkpoint takes on a busy disk.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Share:
    """The crops of a batch that one process works on.

    Attributes
    ----------
    begin, end : int
        From the first to before the last of them.
    total : int
        Crops of the whole batch.
    idle : bool
        Whether there are more processes than crops and this one has none of its own. It goes
        through the first crop with no weight, as all must take part in every sum.
    """

    begin: int
    end: int
    total: int
    idle: bool = False

    @classmethod
    def whole(cls, total: int) -> Share:
        """Return all crops of a batch."""
        return cls(0, total, total)

    def rows(self, own: int) -> tuple[slice, int]:
        """Return which rows of a batch are the `own` rows of this share, and how many all are.

        Examples
        --------
        >>> Share(1, 3, 4).rows(6)  # three images for each crop
        (slice(3, 9, None), 12)
        """
        each = own // (self.end - self.begin)
        return slice(self.begin * each, self.end * each), self.total * each


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a training, and which of them this one is.

    Attributes
    ----------
    rank, size : int
        Number of this process, from 0, and of all.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, total: int) -> Share:
        """Return the share of this process in a batch of `total` crops.

        Examples
        --------
        >>> [ProcessGroup(rank, 3).share(4) for rank in range(3)]  # doctest: +NORMALIZE_WHITESPACE
        [Share(begin=0, end=1, total=4, idle=False), Share(begin=1, end=2, total=4, idle=False),
         Share(begin=2, end=4, total=4, idle=False)]
        """
        begin, end = (total * rank // self.size for rank in (self.rank, self.rank + 1))
        return Share(begin, end, total) if begin < end else Share(0, 1, total, idle=True)


_here = ProcessGroup()


def process_group() -> ProcessGroup:
    """Return the processes that train with this one; it alone where it joined none."""
    return _here


def join_process_group(rank: int, size: int, *, meeting: Path, device: torch.device) -> None:
    """Train together with other processes of this machine, until this one ends.

    Parameters
    ----------
    rank, size : int
        Number of this process, from 0, and of all.
    meeting : path
        A new file, the same for all processes, on a disk of this machine.
    device : torch.device
        Of this process; GPUs talk by NCCL, CPUs by Gloo.
    """
    global _here
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=distributed.FileStore(str(meeting), size),
        rank=rank,
        world_size=size,
        timeout=_PATIENCE,
        device_id=device if device.type == "cuda" else None,
    )
    _here = ProcessGroup(rank, size)


def total(part: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over all processes, without its gradient; itself where alone."""
    if _here.size == 1:
        return part
    summed = part.detach().clone()
    distributed.all_reduce(summed)
    return summed


def add_gradients(parameters: Iterable[torch.nn.Parameter], parts: torch.Tensor) -> torch.Tensor:
    """Put the sum over all processes into the gradients, and return that of `parts`, shape (n,).

    It is one message: the network is small, so the number of messages is what costs.
    """
    if _here.size == 1:
        return parts
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([parts, *(gradient.flatten() for gradient in gradients)])
    distributed.all_reduce(flat)
    found, *pieces = flat.split([parts.numel(), *(gradient.numel() for gradient in gradients)])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view(gradient.shape))
    return found
