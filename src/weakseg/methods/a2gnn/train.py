"""A2GNN's training of one small graph neural network an image, for many images at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from weakseg.artifacts import Scores
from weakseg.methods.a2gnn.batch import IMPOSSIBLE, A2gnnBatch, box_losses, consistent_seeds, crf_loss
from weakseg.methods.a2gnn.boxes import build_windows
from weakseg.methods.a2gnn.config import A2gnnConfig
from weakseg.methods.a2gnn.problem import A2gnnProblem
from weakseg.nn.graphs.graph_layers import Output, build_network, initial_weights
from weakseg.nn.graphs.per_image import Adam, ImageDropout, plan_batches
from weakseg.rng import derive_seed, generator_for

LEAST_PROBABILITY = 2.0**-24  # the smallest that float16 holds, so that logarithms of stored scores are finite


class A2gnnTerms(NamedTuple):
    """The losses of each image without their weights, ``(B,)`` each.

    Attributes:
        seeds: Mean cross-entropy of background seeds plus that of foreground seeds.
        points: Mean cross-entropy of the points picked in boxes.
        pull: Mean of ``1 - cos`` over the pairs of points of each box.
        crf: Gated CRF loss.
    """

    seeds: Tensor
    points: Tensor
    pull: Tensor
    crf: Tensor


@dataclass(frozen=True)
class A2gnnSolution:
    """What the network of an image found.

    Attributes:
        scores: Of the labels that it knows; see ``Scores.stride`` for where the cells lie.
        losses: The terms after the last step, by name.
        warnings: What was missing or odd, one line each, with the image's id.
    """

    scores: Scores
    losses: dict[str, float]
    warnings: tuple[str, ...]


def train_a2gnn(
    problems: Sequence[A2gnnProblem], config: A2gnnConfig, *, seed: int = 0, device: str = "cpu"
) -> list[A2gnnSolution]:
    """Train the networks of several images, as many at once as memory allows, as if each were trained alone.

    Phase 1 learns seeds and the points of boxes; phase 2, with the same weights and optimiser, adds the gated CRF loss
    and asks the boxes in each step which of the original seeds still count. Adam and weight decay act on each number
    alone, so no network sees another. An image without seeds and boxes has its fallback, or is background.

    Args:
        problems: Of any sizes; features equally wide, all of one type.
        config: Network, losses and training.
        seed: Of everything random; each image draws by this and its id.
        device: Where all is computed.

    Returns:
        One solution a problem, on the CPU, dropout off.

    Reference:
        [zhang2021a2gnn], section 3 and its code.
    """
    solutions = {i: _untrained(problem) for i, problem in enumerate(problems) if not problem.is_trainable}
    trainable = [index for index in range(len(problems)) if index not in solutions]
    costs = [a2gnn_memory(problems[index], config) for index in trainable]
    for members in plan_batches(costs, config.memory_mb):
        chosen = [trainable[member] for member in members]
        found = _train_batch(A2gnnBatch([problems[index] for index in chosen], device), config, seed)
        solutions.update(zip(chosen, found, strict=True))
    return [solutions[index] for index in range(len(problems))]


def compute_terms(batch: A2gnnBatch, out: Output, config: A2gnnConfig, *, second_phase: bool) -> A2gnnTerms:
    """Return the terms; in the first phase, and wherever a weight is zero, what does not count is zero."""
    nothing, kept = out.logits.new_zeros(len(batch.problems)), None
    points, apart = nothing, nothing
    windows = batch.windows if config.points_weight or config.consistency != "none" else None
    if windows is not None:
        picked = windows.pick(out.logits, config)
        if config.points_weight:
            points, apart = box_losses(batch, windows, picked, out)
        if second_phase and config.consistency != "none":
            kept = consistent_seeds(batch, windows, picked, out.hidden, config)
    crf = crf_loss(batch, out.logits) if second_phase and config.crf_weight else nothing
    return A2gnnTerms(batch.seeds.loss(out.logits, kept), points, apart, crf)


def a2gnn_memory(problem: A2gnnProblem, config: A2gnnConfig) -> float:
    """Return the MB, estimated, that a problem takes in training."""
    network, nodes, edges = config.network, len(problem.features), problem.affinity.pattern.num_entries
    channels, labels = problem.features.shape[1], len(problem.label_ids)
    maps = {"gat": 4 * (network.heads + 1), "mlp": 1, "gcn": 3}.get(network.kind, 3 * network.propagations + 6)
    copies = 5 if network.kind in ("gcn", "gat") else 2
    numbers = (
        copies * nodes * channels + 4 * channels * network.hidden + 20 * nodes * network.hidden + 3.5 * maps * edges
    )
    pixels = 20 * len(problem.seeds.labels)
    pixels += sum((b.stop - b.start) * (c.stop - c.start) for _, b, c in problem.usable_boxes) * (12 + 3 * labels)
    kernel = 0 if problem.kernel is None else 6 * problem.kernel.pattern.num_entries
    return float(1e-6 * problem.features.element_size() * (numbers + pixels + kernel))


def _train_batch(batch: A2gnnBatch, config: A2gnnConfig, seed: int) -> list[A2gnnSolution]:
    network, ids = build_network(config.network), [problem.image_id for problem in batch.problems]
    drawn = [generator_for(seed, image_id, "a2gnn/init") for image_id in ids]
    channels = batch.graphs.features.shape[2]
    weights = initial_weights(network, channels, batch.num_labels, drawn)
    weights = [w.to(batch.graphs.features).requires_grad_() for w in weights]
    generators = [torch.Generator(batch.device).manual_seed(derive_seed(seed, i, "a2gnn/dropout")) for i in ids]
    dropout = ImageDropout(generators, config.network.dropout, batch.graphs.tiles.spans)
    optimizer = Adam(weights, lr=config.lr, weight_decay=config.weight_decay)
    for step in range(config.first_steps + config.second_steps):
        out = batch.run(network, weights, dropout)
        terms = compute_terms(batch, out, config, second_phase=step >= config.first_steps)
        total(terms, config).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        out = batch.run(network, weights, None)
        terms = compute_terms(batch, out, config, second_phase=True)
    return _solutions(batch, out.logits, terms, config)


def total(terms: A2gnnTerms, config: A2gnnConfig) -> Tensor:
    """Return the weighted sum over all images, ``()``."""
    boxes = config.points_weight * (terms.points + terms.pull)
    return (terms.seeds + boxes + config.crf_weight * terms.crf).sum()


def _solutions(batch: A2gnnBatch, logits: Tensor, terms: A2gnnTerms, config: A2gnnConfig) -> list[A2gnnSolution]:
    solutions = []
    for index, (problem, own) in enumerate(
        zip(batch.problems, torch.split(logits.cpu(), batch.num_nodes), strict=True)
    ):
        own = own[:, : len(problem.label_ids)]
        if config.background_outside_boxes and problem.usable_boxes:
            own = own + IMPOSSIBLE * ~near_boxes(problem)
        losses = {name: float(term[index]) for name, term in terms._asdict().items()}
        solutions.append(A2gnnSolution(scores_of(problem, torch.softmax(own, 1)), losses, problem.warnings))
    return solutions


def near_boxes(problem: A2gnnProblem) -> Tensor:
    """Return ``(N, C)`` bool: nodes that some pixel of a box of each label looks at; all nodes for the background."""
    near = torch.zeros(len(problem.features), len(problem.label_ids), dtype=torch.bool)
    near[:, 0] = True
    windows = build_windows([problem], problem.features.dtype)
    if windows is not None:
        pattern = windows.rows.pattern
        near[pattern.columns.long(), windows.labels[pattern.rows]] = True
    return near


def scores_of(problem: A2gnnProblem, probs: Tensor) -> Scores:
    """Return ``(N, C)`` probabilities of nodes as scores, none below what float16 holds."""
    values = problem.readout.maps(probs).clamp(LEAST_PROBABILITY, 1)
    return Scores(values, problem.label_ids, problem.readout.image_size, problem.readout.stride)


def _untrained(problem: A2gnnProblem) -> A2gnnSolution:
    """Return the fallback of an image that has nothing to learn from, or background."""
    background = torch.zeros(len(problem.features), len(problem.label_ids), dtype=problem.features.dtype)
    background[:, 0] = 1
    scores = problem.fallback or scores_of(problem, background)
    return A2gnnSolution(scores, dict.fromkeys(A2gnnTerms._fields, 0.0), problem.warnings)
