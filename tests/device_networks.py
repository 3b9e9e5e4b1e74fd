"""Networks and their losses that a GPU has to answer as the processor does; see ``device_cases``.

All in double precision, in which kernels of another order of sums, and convolutions in TF32, do not differ.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

import a2gnn_problems
import wsgcn_problems
from device_cases import SIZE, Case, probabilities, seeds, uniform
from sparse_graphs import noise
from weakseg.graph.boundary import boundary_affinity
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.graph.image_group import complete_edges
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.methods.wsgcn.batch import GcnProblem
from weakseg.methods.wsgcn.complete import GcnTask, complete_by_gcn
from weakseg.methods.wsgcn.config import GcnConfig, PropagationConfig, PropagationKind, WsgcnConfig
from weakseg.methods.wsgcn.gcn import train_gcn
from weakseg.nn import losses
from weakseg.nn.backbones import OWN, build_backbone
from weakseg.nn.classifiers import (
    ClassGraphClassifier,
    GroupClassifier,
    MlgcnClassifier,
    RecamClassifier,
    SeamClassifier,
    TagClassifier,
)
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.nn.graphs.image_graph import ImageGraph
from weakseg.nn.pairs.affinity import AffinityNet
from weakseg.nn.pairs.boundary import BoundaryNet
from weakseg.nn.pairs.pair_losses import affinity_loss, displacement_loss, label_pairs, own_pairs, similarity_loss
from weakseg.nn.pairs.window_affinity import WindowAffinityNet, node_colors
from weakseg.nn.segmenters import HEADS, build_segmenter
from weakseg.ops.stencil import half_disc, half_square
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.group import ImageGraphConfig, light, official, parameter_free
from weakseg.settings.group_classify import GroupHeadConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.seam import SeamLossConfig
from weakseg.settings.segment import SegmentConfig, SegmenterConfig
from weakseg.settings.window_affinity import WindowConfig
from weakseg.stages.seam import siamese_loss
from weakseg.stages.segment import segmenter_loss

NETWORKS: dict[str, Case] = {}
SMALL = BackboneConfig("resnet10t", 16, "none")
STRIDES = {"efficientnet_lite0": 16, "convnext_atto": 32, "test_vit": 16}
THIN = tuple(name for name in OWN if name.endswith(("_thin", "_eighth")))
SEEN = (32, 48)
DISC, SQUARE = half_disc(3), half_square(2)


def network(function: Case) -> Case:
    """Enter a case by its name."""
    NETWORKS[function.__name__] = function
    return function


def images(count: int = 2, size: tuple[int, int] = SEEN) -> Tensor:
    return 255 * torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def tags(device: str) -> Tensor:
    return torch.tensor([[1.0, 0], [torch.nan, 1]], dtype=torch.float64).to(device)


def learned(
    device: str,
    build: Callable[[], Any],
    loss: Callable[[Any, Tensor], Tensor],
    dtype: torch.dtype = torch.float64,
) -> list[Tensor]:
    """Return the loss of images, and the largest gradient of each parameter: how large all are, and their shares."""
    torch.manual_seed(0)
    model = build().to(dtype).to(device).eval()
    value = loss(model, images().to(device, dtype))
    value.backward()
    slopes = torch.stack([p.grad.abs().amax() for p in model.parameters() if p.grad is not None])
    return [value, slopes.amax().log(), slopes / slopes.amax()]


def squares(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack([part.square().mean() for part in parts]).sum()


def _nodes() -> ClassNodes:
    return ClassNodes(noise(2, 5, dtype=torch.float32), torch.tensor([[0.8, 0.2], [0.2, 0.8]]))


def _backbone(name: str, stride: int) -> Case:
    def run(device: str) -> Any:
        config = BackboneConfig(name, stride, "none")
        return learned(device, lambda: build_backbone(config), lambda model, x: squares(model.levels(x)))

    return run


for own in THIN:
    NETWORKS[f"backbone {own}"] = _backbone(own, 16 if "irnet" in own else 8)
for other, its_stride in STRIDES.items():
    NETWORKS[f"backbone {other}"] = _backbone(other, its_stride)


def _segmenter(head: str) -> Case:
    def run(device: str) -> Any:
        config = SegmentConfig(SegmenterConfig(SMALL, head, hidden=16 if HEADS[head].hidden else 0))
        every = torch.tensor([0, 1, 2, 255])[torch.arange(SEEN[0] * SEEN[1]).remainder(4)]
        labels = every.reshape(1, *SEEN).repeat(2, 1, 1)
        return learned(
            device,
            lambda: build_segmenter(config.model, 2),
            lambda model, x: segmenter_loss(model, [x, labels.to(device)], config=config),
        )

    return run


NETWORKS.update({f"segmenter {head}": _segmenter(head) for head in HEADS})


@network
def segmenter_that_reasons(device: str) -> Any:
    config = SegmenterConfig(SMALL, hidden=16, reasoning=ReasoningConfig("recommended", widths=(8, 8)))
    return learned(
        device, lambda: build_segmenter(config, 2, nodes=_nodes()), lambda model, x: squares([model(x).logits])
    )


@network
def tag_classifier(device: str) -> Any:
    return learned(
        device,
        lambda: TagClassifier(build_backbone(SMALL), 2),
        lambda model, x: losses.tag_loss(model(x).logits, tags(device)) + squares([model.evidence(x, (2,))]),
    )


@network
def seam_classifier(device: str) -> Any:
    return learned(
        device,
        lambda: SeamClassifier(build_backbone(SMALL), 2),
        lambda model, x: siamese_loss(model, x, tags(device), SeamLossConfig()) + squares([model.evidence(x, (1,))]),
    )


@network
def recam_classifier(device: str) -> Any:
    present = torch.tensor([[True, False], [True, True]]).to(device)

    def loss(model: RecamClassifier, x: Tensor) -> Tensor:
        said = model(x, further=("reactivated",), present=present).further["reactivated"]
        return losses.reactivation_loss(said, present) + squares([model.evidence(x, (1, 2))])

    return learned(device, lambda: RecamClassifier(build_backbone(SMALL), 2), loss, torch.float32)


@network
def group_classifier(device: str) -> Any:
    def loss(model: GroupClassifier, x: Tensor) -> Tensor:
        sizes = [x[0], x[1, :, :32]]
        edges = complete_edges(torch.zeros(2, dtype=torch.long).to(device))
        return squares(model.group_evidence(sizes, edges, "average")) + squares([model(x, edges=edges).logits])

    head = GroupHeadConfig(channels=16, graph=ImageGraphConfig(gru_kernel=1))
    return learned(device, lambda: GroupClassifier(build_backbone(SMALL), 2, head), loss)


@network
def classifiers_on_graphs_of_classes(device: str) -> Any:
    head = ClassHeadConfig(weight=1e-4, hidden=6)
    return [
        learned(device, build, lambda model, x: losses.focal_loss(model(x).logits, tags(device).nan_to_num(0.0)))
        for build in (
            lambda: MlgcnClassifier(build_backbone(SMALL), _nodes(), 6),
            lambda: ClassGraphClassifier(build_backbone(SMALL), _nodes(), head),
        )
    ]


@network
def boundary_network(device: str) -> Any:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        found = model(x)
        rows, columns = found.logits.shape[2:]
        labels = seeds(device)[: rows * columns].reshape(1, rows, columns).repeat(2, 1, 1)
        pairs = label_pairs(labels, DISC)
        affinity = boundary_affinity(torch.sigmoid(found.logits[:, 0]), DISC)
        return affinity_loss(affinity, pairs) + displacement_loss(found.field, pairs, DISC)

    return learned(device, lambda: BoundaryNet(build_backbone(SMALL)), loss)


@network
def affinity_network(device: str) -> Any:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        features = model(x)
        labels = seeds(device)[: features[0, 0].numel()].reshape(1, *features.shape[2:]).repeat(2, 1, 1)
        return affinity_loss(
            feature_affinity(features, DISC), label_pairs(labels, DISC), own=own_pairs(labels)
        ) + squares([features])

    return learned(device, lambda: AffinityNet(build_backbone(SMALL)), loss)


@network
def window_affinity_network(device: str) -> Any:
    def loss(model: WindowAffinityNet, x: Tensor) -> Tensor:
        features, colors = model(x), node_colors(x)
        inside = torch.ones_like(features[:, 0], dtype=torch.bool)
        weights = feature_affinity(colors, SQUARE)
        return squares([features, *model.maps(x)]) + similarity_loss(
            -feature_affinity(features, SQUARE).clamp(min=1e-9).log(), weights, SQUARE, inside
        )

    return learned(device, lambda: WindowAffinityNet(build_backbone(SMALL), WindowConfig(2, (4, 6, 8))), loss)


@network
def graphs_of_images(device: str) -> Any:
    kinds = ImageGraphConfig(), light(), official(), parameter_free(), ImageGraphConfig(pool=2)
    states, edges = noise(3, 8, 6, 7), complete_edges(torch.zeros(3, dtype=torch.long)).to(device)
    found = []
    for kind in kinds:
        torch.manual_seed(0)
        model = ImageGraph(8, kind).double().to(device).eval()
        leaf = states.clone().to(device).requires_grad_()
        value = model(leaf, edges)
        value.square().sum().backward()
        found += [value, leaf.grad]
    return found


@network
def losses_of_maps(device: str) -> Any:
    logits, labels = noise(2, 3, *SIZE).to(device), seeds(device).reshape(1, *SIZE).repeat(2, 1, 1)
    probs = torch.softmax(logits, 1)
    return (
        losses.segmentation_loss(logits, labels),
        losses.seeding_loss(probs, labels),
        losses.boundary_loss(probs, probs.flip(0)),
        losses.integral_loss(probs, uniform(2, 3, *SIZE).to(device)),
        probabilities(device),
    )


def _completion(kind: PropagationKind) -> Case:
    def run(device: str) -> Any:
        config = GcnConfig(PropagationConfig(kind, walk_steps=16), dropout=0, steps=3)
        return [(one.probs, one.losses) for one in train_gcn(gcn_problems(), config, device=device)]

    return run


def gcn_problems() -> list[GcnProblem]:
    """Return two problems of different sizes and labels, in double precision."""
    both = wsgcn_problems.problem((5, 6)), wsgcn_problems.problem((4, 4), 2, seed=1)
    return [replace(one, graph=_double(one.graph), smoothness=_double(one.smoothness)) for one in both]


def _double(value: Any) -> Any:
    """Return a graph or a matrix in double precision."""
    if hasattr(value, "affinity"):
        return replace(value, features=value.features.double(), affinity=_double(value.affinity))
    return replace(value, values=value.values.double())


for kind in ("walk", "walk_maxsym", "affinity", "affinity_plain"):
    NETWORKS[f"wsgcn {kind}"] = _completion(kind)


@network
def wsgcn_scores(device: str) -> Any:
    tasks = [GcnTask(wsgcn_problems.problem(dtype=torch.float64, seed=i), (0, 3, 5), (16, 20), (0, 5)) for i in (1, 2)]
    config = WsgcnConfig(gcn=GcnConfig(dropout=0, steps=5))
    return [one.values for one in complete_by_gcn(tasks, config, device=device)]


def _a2gnn(kind: Any, **change: Any) -> Case:
    def run(device: str) -> Any:
        config = replace(
            a2gnn_problems.STEPS,
            network=replace(a2gnn_problems.SMALL, kind=kind),
            **{"first_steps": 2, "second_steps": 2, **change},
        )
        problems = [a2gnn_problems.problem(boxes=a2gnn_problems.BOXES), a2gnn_problems.problem((9, 50), seed=1)]
        return [(one.scores.values, one.losses) for one in train_a2gnn(problems, config, device=device)]

    return run


for its_kind in a2gnn_problems.KINDS:
    NETWORKS[f"a2gnn {its_kind}"] = _a2gnn(its_kind, consistency="centred")
NETWORKS["a2gnn published"] = _a2gnn("a2gnn", consistency="published", overruled="all", contested="dropped")
NETWORKS["a2gnn least evidence"] = _a2gnn("a2gnn", least_evidence=0.3, point_score="logit")
