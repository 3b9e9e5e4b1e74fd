"""Examples of one epoch, in an order of their own, in batches that know which examples they are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate

from weakseg.crew import ALONE, Crew
from weakseg.training.portions import Portions

Collate = Callable[[list[tuple[Tensor, ...]]], list[Tensor]]
Item = tuple[int, tuple[Tensor, ...]]  # an example and its index


class EpochData(Protocol):
    """Training examples that may differ from epoch to epoch, by their own keyed randomness."""

    def __len__(self) -> int:
        """Number of examples an epoch."""
        ...

    def load(self, index: int, epoch: int) -> tuple[Tensor, ...]:
        """Return one example as tensors that can be stacked, or that the fit's ``collate`` joins."""
        ...


@dataclass(frozen=True)
class Batching:
    """How an epoch's examples become batches.

    Attributes:
        count: Batches.
        size: Examples in each; the last may have less.
        workers: Processes that load.
        collate: Joins examples to a batch; ``None``: all are stacked.
        crew: Processes that share each batch.
    """

    count: int
    size: int
    workers: int = 0
    collate: Collate | None = None
    crew: Crew = ALONE


def epoch_loader(data: EpochData, epoch: int, *, batching: Batching, generator: torch.Generator) -> DataLoader[Item]:
    """Return the batches of an epoch, each a pair: the tensors, and the indices of their examples in the data.

    Args:
        data: The examples.
        epoch: From 0.
        batching: How many batches, and of what.
        generator: Of the order.
    """
    view, wanted = _EpochView(data, epoch), min(batching.count * batching.size, len(data))
    order = RandomSampler(view, num_samples=wanted if wanted < len(view) else None, generator=generator)
    own, join = Portions(order, batching.size, wanted, batching.crew), _Join(batching.collate or default_collate)
    return DataLoader(view, batch_sampler=own, generator=generator, num_workers=batching.workers, collate_fn=join)


class _EpochView(Dataset[Item]):
    """One epoch's examples."""

    def __init__(self, data: EpochData, epoch: int) -> None:
        self.data, self.epoch = data, epoch

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Item:
        return index, self.data.load(index, self.epoch)


@dataclass(frozen=True)
class _Join:
    """Joins examples to a batch and puts their indices beside it."""

    collate: Collate

    def __call__(self, items: list[Item]) -> tuple[list[Tensor], tuple[int, ...]]:
        return self.collate([example for _, example in items]), tuple(index for index, _ in items)
