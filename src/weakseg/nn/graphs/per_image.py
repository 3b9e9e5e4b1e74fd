"""What small networks share that are trained one an image, many at once: dropout by image, batches by memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LANES, LANE_VALUES = 4, 2**16  # a random 64-bit number is four 16-bit ones


@dataclass(frozen=True)
class ImageDropout:
    """Dropout of the nodes' units of several images, each by its own generator.

    Attributes:
        generators: One an image.
        rate: Share of units to drop.
        nodes: Nodes of each image, or places for them; the rest is padding and takes no random numbers.
    """

    generators: Sequence[torch.Generator]
    rate: float
    nodes: Sequence[int]

    def __call__(self, units: Tensor) -> Tensor:
        """Return ``(B, n, F)`` units, some of them zero and the others larger."""
        kept = self.factors(units, [units.shape[2]] * len(self.nodes))
        return units if kept is None else units * kept

    def factors(self, like: Tensor, widths: Sequence[int]) -> Tensor | None:
        """Return ``(B, n, max(widths))`` factors; see ``kept_units``."""
        return kept_units(self.generators, list(zip(self.nodes, widths, strict=True)), self.rate, like)


def kept_units(
    generators: Sequence[torch.Generator], sizes: Sequence[tuple[int, int]], rate: float, like: Tensor
) -> Tensor | None:
    """Return ``(B, n, F)`` factors of dropout, 0 or ``1 / (1 - rate)``, or ``None`` without dropout.

    Units are dropped with the probability ``round(65536 rate) / 65536``: four decisions a random number. An image's
    generator gives as many as the image has units, whatever it is padded to.

    Args:
        generators: One an image.
        sizes: Nodes and units a node of each image; F is the most units.
        rate: Share of units to drop, in [0, 1).
        like: ``(B, n, ...)``, for n, data type and device.
    """
    dropped = round(rate * LANE_VALUES)
    if not dropped:
        return None
    if len({units for _, units in sizes}) == 1:
        return _kept_of_equal(generators, sizes, dropped, like)
    kept = like.new_zeros(*like.shape[:2], max(units for _, units in sizes))
    for row, generator, (nodes, units) in zip(kept, generators, sizes, strict=True):
        numbers = torch.empty(-(-nodes * units // LANES), dtype=torch.int64, device=generator.device)
        lanes = numbers.random_(-(2**63), None, generator=generator).view(torch.int16)[: nodes * units]
        mask = (lanes >= dropped - LANE_VALUES // 2).reshape(nodes, units)
        row[:nodes, :units].copy_(mask).mul_(LANE_VALUES / (LANE_VALUES - dropped))
    return kept


def _kept_of_equal(
    generators: Sequence[torch.Generator], sizes: Sequence[tuple[int, int]], dropped: int, like: Tensor
) -> Tensor:
    """Return the same for images with equally many units a node: all are decided at once, which a GPU is faster at."""
    nodes, units = like.shape[1], sizes[0][1]
    numbers = torch.empty(len(sizes), -(-nodes * units // LANES), dtype=torch.int64, device=generators[0].device)
    lanes = numbers.view(torch.int16)
    for row, decided, generator, (own, _) in zip(numbers, lanes, generators, sizes, strict=True):
        row[: -(-own * units // LANES)].random_(-(2**63), None, generator=generator)
        if own < nodes:
            decided[own * units :] = -(2**15)  # padding is dropped
    kept = lanes[:, : nodes * units] >= dropped - LANE_VALUES // 2
    return kept.reshape(len(sizes), nodes, units).to(like).mul_(LANE_VALUES / (LANE_VALUES - dropped))


class Adam:
    """Adam with L2: ``torch.optim.Adam`` number for number, without the seconds that importing torch's compiler takes.

    Attributes:
        weights: What is trained; leaves.
        lr: Learning rate.
        weight_decay: Added to the gradient, times the weight.

    Reference:
        [kingma2015adam], algorithm 1, with its values of beta and epsilon.
    """

    BETAS, EPSILON = (0.9, 0.999), 1e-8

    def __init__(self, weights: Sequence[Tensor], *, lr: float, weight_decay: float = 0.0) -> None:
        self.weights, self.lr, self.weight_decay, self.steps = list(weights), lr, weight_decay, 0
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(mean) for mean in self.means]

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights against their gradients, and forget these; a weight without a gradient stays."""
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in self.BETAS)
        for weight, mean, square in zip(self.weights, self.means, self.squares, strict=True):
            if weight.grad is None:
                continue
            slope = weight.grad.add(weight, alpha=self.weight_decay)
            mean.lerp_(slope, 1 - self.BETAS[0])
            square.mul_(self.BETAS[1]).addcmul_(slope, slope, value=1 - self.BETAS[1])
            width = square.sqrt().div_(second**0.5).add_(self.EPSILON)
            weight.addcdiv_(mean, width, value=-self.lr / first)
            weight.grad = None


def plan_batches(costs: Sequence[float], limit: float) -> list[list[int]]:
    """Return which images are trained at once: of similar cost, within the limit, the most expensive first.

    All images of a batch are padded to the first, so each counts as much as that; one over the limit goes alone.

    >>> plan_batches([2, 6, 3, 6, 1], 12)
    [[1, 3], [2, 0, 4]]
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(costs)), key=lambda index: -costs[index]):
        if batches and costs[batches[-1][0]] * (len(batches[-1]) + 1) <= limit:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
