"""Several processes train one network: each has a part of each batch, and gradients are added up."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import Sampler

from weakseg.crew import Crew

BUCKET = 1 << 25  # numbers that are sent at once

logger = logging.getLogger(__name__)


def part_of(count: int, crew: Crew) -> tuple[int, int]:
    """Return where a process's part of a batch of ``count`` examples begins and ends: as even as it can be.

    >>> [part_of(5, Crew(rank, 3)) for rank in range(3)]
    [(0, 2), (2, 4), (4, 5)]
    """
    size, more = divmod(count, crew.size)
    begin = crew.rank * size + min(crew.rank, more)
    return begin, begin + size + (crew.rank < more)


@dataclass(frozen=True)
class Portions(Sampler[list[int]]):
    """Of each batch of an order the examples that one process has; where these are none, the first one of the batch.

    That one counts for nothing: the processes go through the same layers as often, for some layers speak to each other.

    Attributes:
        order: Of all examples, the same in all processes.
        batch_size: Examples of a batch; the last may have less.
        count: Of all examples.
        crew: The processes.
    """

    order: Iterable[int]
    batch_size: int
    count: int
    crew: Crew

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.order:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield self._own(batch)
                batch = []
        if batch:
            yield self._own(batch)

    def _own(self, batch: list[int]) -> list[int]:
        begin, end = part_of(len(batch), self.crew)
        return batch[begin:end] or batch[:1]


def add_gradients(parameters: Iterable[nn.Parameter], crew: Crew) -> None:
    """Replace gradients by their sums over all processes; a parameter that has none anywhere gets none."""
    if crew.size == 1:
        return
    for bucket in _buckets([parameter for parameter in parameters if parameter.requires_grad]):
        have = torch.tensor([float(p.grad is not None) for p in bucket], device=bucket[0].device, dtype=bucket[0].dtype)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        numbers = crew.sum(torch.cat([have, *(part.reshape(-1) for part in parts)]))
        found, rest = numbers[: len(bucket)].tolist(), numbers[len(bucket) :]
        for parameter, part, there, values in zip(
            bucket, parts, found, torch.split(rest, [p.numel() for p in bucket]), strict=True
        ):
            if there:
                parameter.grad = part.copy_(values.view(part.shape))


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield parameters of one kind of numbers, on one device, that are sent at once."""
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        alike = not bucket or (bucket[0].dtype, bucket[0].device) == (parameter.dtype, parameter.device)
        if bucket and (not alike or sum(p.numel() for p in bucket) + parameter.numel() > BUCKET):
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket


def share_norms(model: nn.Module, device: str, crew: Crew) -> None:
    """Let the batch norms of a model take the statistics of whole batches, where any takes those of a batch.

    That is possible on GPUs alone. On CPUs each process takes those of its own part, which is said.
    """
    if crew.size == 1:
        return
    model.train()
    learning = [module for module in batch_norms(model) if module.training]
    if learning and device == "cuda":
        synchronize_norms(model, crew.group(device))
    elif learning and crew.leads:
        logger.warning(
            "%d batch norms take the statistics of each process's part of a batch: on CPUs they cannot be those of the "
            "whole, so that the weights are others than one process learns",
            len(learning),
        )


def synchronize_norms(model: nn.Module, group: object) -> None:
    """Let the batch norms in a model, those of timm with an activation included, speak to each other in a group."""
    from timm import layers  # torch's own function would lose activations

    convert: Callable[..., nn.Module] = layers.convert_sync_batchnorm  # type: ignore[attr-defined]
    for name, part in model.named_children():
        model.add_module(name, convert(part, group))


def mean_statistics(model: nn.Module, crew: Crew) -> None:
    """Replace the statistics that batch norms have gathered by their means over all processes."""
    if crew.size == 1:
        return
    model.train()
    for module in (module for module in batch_norms(model) if module.training):
        for values in (module.running_mean, module.running_var):
            if isinstance(values, Tensor):
                values.copy_(crew.sum(values.clone()) / crew.size)


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """Return the batch norms of a model."""
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
