"""Training of one small graph convolutional network an image, for many images at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.methods.wsgcn.batch import GcnBatch, GcnProblem
from weakseg.methods.wsgcn.config import GcnConfig
from weakseg.methods.wsgcn.losses import build_gcn_objective, node_weights
from weakseg.methods.wsgcn.propagation import Propagation, build_propagation
from weakseg.nn.graphs.per_image import Adam, kept_units
from weakseg.ops.normalize import laplacian
from weakseg.rng import derive_seed


@dataclass(frozen=True)
class GcnSolution:
    """What the network of an image found.

    Attributes:
        probs: ``(N, C)``; the labels of a node sum to one.
        losses: Unweighted terms after the last step: ``foreground``, ``background``, ``entropy``, ``laplacian``.
    """

    probs: Tensor
    losses: dict[str, float]


@dataclass(frozen=True)
class GcnNetworks:
    """The networks of a batch.

    Attributes:
        propagation: The propagation matrix P.
        propagated: ``(B, N, D)`` P X: no dropout precedes the first layer, so this is computed once.
        weights: W1 ``(B, D, hidden)``, b1, W2 ``(B, hidden, C)``, b2; without biases b1 and b2 stay zero.
    """

    propagation: Propagation
    propagated: Tensor
    weights: Sequence[Tensor]

    def logits(self, kept: Tensor | None = None) -> Tensor:
        """Return ``(B N, C)``; ``kept`` ``(B, N, hidden)`` are the factors of dropout."""
        w1, b1, w2, b2 = self.weights
        hidden = F.relu(torch.baddbmm(b1, self.propagated, w1))
        hidden = hidden if kept is None else hidden * kept
        mixed = self.propagation.apply(torch.bmm(hidden, w2).flatten(0, 1))
        return (mixed.reshape(*hidden.shape[:2], -1) + b2).flatten(0, 1)


def train_gcn(problems: Sequence[GcnProblem], config: GcnConfig, *, device: str = "cpu") -> list[GcnSolution]:
    """Train the networks of several images at once, as if each were trained alone.

    ``O = log_softmax(P h W2 + b2)``, ``h = dropout(relu(P X W1 + b1))``, P the propagation matrix. The losses of the
    images are added: Adam and weight decay act on each number alone, so no network sees another.

    Args:
        problems: Of any sizes; features equally wide, all of one type. Equal sizes waste nothing on padding.
        config: Network, losses and training.
        device: Where all is computed.

    Returns:
        One solution a problem, on the CPU, dropout off.

    Reference:
        [pan2021wsgcn], section 3.3 and its code.
    """
    batch = GcnBatch(problems, device)
    networks = build_gcn_networks(batch, config)
    smoothness = laplacian(batch.blocks([problem.smoothness for problem in problems]))
    counts = node_weights(batch.labels, batch.sizes, batch.num_labels, batch.features.dtype)
    of_probs = config.smoothed == "probs"
    weights = (config.entropy, config.laplacian)
    objective = build_gcn_objective(counts, smoothness, batch.possible, weights=weights, of_probs=of_probs)
    generators = [torch.Generator(device).manual_seed(derive_seed(p.seed, "", "wsgcn/dropout")) for p in problems]
    optimizer = Adam(
        [weight for weight in networks.weights if weight.requires_grad], lr=config.lr, weight_decay=config.weight_decay
    )
    units = [(problem.num_nodes, config.hidden) for problem in problems]
    for _ in range(config.steps):
        kept = kept_units(generators, units, config.dropout, batch.features)
        objective.value(networks.logits(kept)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        log_probs = objective.log_probs(networks.logits()).T.reshape(len(problems), batch.num_nodes, -1)
        terms = counts.terms(log_probs, smoothness, of_probs=of_probs)
    probs = (log_probs.exp() * batch.possible).cpu()
    return [
        GcnSolution(probs[i, : p.num_nodes, : p.num_labels], {name: float(t[i]) for name, t in terms._asdict().items()})
        for i, p in enumerate(problems)
    ]


def build_gcn_networks(batch: GcnBatch, config: GcnConfig) -> GcnNetworks:
    """Return the untrained networks of a batch."""
    affinity = batch.blocks([problem.graph.affinity for problem in batch.problems])
    propagation = build_propagation(affinity, config.propagation, images=len(batch.problems))
    features = batch.features
    propagated = propagation.apply(features.flatten(0, 1)).reshape(features.shape)
    weights = gcn_weights(batch.problems, features.shape[2], batch.num_labels, config.hidden)
    if not config.biases:
        weights[1::2] = [torch.zeros_like(bias) for bias in weights[1::2]]
    learns = (True, config.biases, True, config.biases)
    weights = [w.to(features).requires_grad_(one) for w, one in zip(weights, learns, strict=True)]
    return GcnNetworks(propagation, propagated, weights)


def gcn_weights(problems: Sequence[GcnProblem], channels: int, num_labels: int, hidden: int) -> list[Tensor]:
    """Return W1 ``(B, D, hidden)``, b1, W2 ``(B, hidden, C)``, b2, uniform in ``+-1 / sqrt(outputs)``, by each seed.

    Reference:
        [kipf2017gcn], code; [pan2021wsgcn], code.
    """
    weights = [
        torch.zeros(len(problems), *shape)
        for shape in ((channels, hidden), (1, hidden), (hidden, num_labels), (1, num_labels))
    ]
    for index, problem in enumerate(problems):
        generator = torch.Generator().manual_seed(derive_seed(problem.seed, "", "wsgcn/init"))
        for weight, outputs in zip(weights, (hidden, hidden, problem.num_labels, problem.num_labels), strict=True):
            own = torch.empty(weight.shape[1], outputs).uniform_(-1, 1, generator=generator) * outputs**-0.5
            weight[index, :, :outputs] = own
    return weights
