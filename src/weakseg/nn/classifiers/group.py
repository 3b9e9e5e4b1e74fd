"""The tag classifier of groups: images that share classes exchange messages before they are classified again."""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from weakseg.graph.image_group import stack_states, unstack_maps
from weakseg.nn.backbones import Backbone, read_backbone
from weakseg.nn.classifiers.tag import TagClassifier, read_convolutions
from weakseg.nn.graphs.image_graph import INITIAL_DEVIATION, ImageGraph
from weakseg.nn.models import ModelFile, class_count
from weakseg.nn.output import Output, check_further
from weakseg.settings.group import ImageGraphConfig
from weakseg.settings.group_classify import GroupHeadConfig, GroupOutput

PARTS = ("convolutions", "reduction", "graph", "readout")


class ClassMaps(NamedTuple):
    """``(n, K, h, w)`` class scores of the cells of n images: ``intermediate``, before the graph, and after it."""

    intermediate: Tensor
    graph: Tensor

    def scores(self, output: GroupOutput = "average") -> Tensor:
        """Return ``(n, K, h, w)`` of the average of both, or of one."""
        if output == "average":
            return (self.intermediate + self.graph) / 2
        return self.graph if output == "graph" else self.intermediate

    def evidence(self, output: GroupOutput = "average") -> Tensor:
        """Return ``(n, K, h, w)`` >= 0: of the average the positive part, not the average of positive parts."""
        return self.scores(output).relu()


class GroupClassifier(TagClassifier):
    """Backbone and convolutions, a reduction, a linear layer at each cell (``head``), the graph of images, and another.

    Attributes:
        gives: Further outputs of ``forward``.
        config: What follows the convolutions.

    Reference:
        [li2021groupwsss], section 3.
    """

    gives: ClassVar[tuple[str, ...]] = ("maps", "intermediate")

    def __init__(self, backbone: Backbone, num_classes: int, config: GroupHeadConfig, *, convolutions: int = 0) -> None:
        super().__init__(backbone, num_classes, convolutions=convolutions)
        self.config = config
        channels = config.channels or backbone.channels
        reduction = [nn.Conv2d(backbone.channels, channels, 1), nn.ReLU()] if config.channels else []
        self.reduction = nn.Sequential(*reduction)
        self.head = nn.Conv2d(channels, num_classes, 1, bias=False)
        of_scores = config.states == "scores"
        self.graph = ImageGraph(num_classes if of_scores else channels, config.graph)
        self.readout = None if of_scores else nn.Conv2d(channels, num_classes, 1, bias=False)
        for layer in (*self.convolutions, *self.reduction, self.head, self.readout):
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=INITIAL_DEVIATION)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    @property
    def rate_factors(self) -> dict[str, float]:
        """Multiples of the head's learning rate, by part."""
        there = {name.partition(".")[0] for name, _ in self.named_parameters()}
        return {f"{part}.": 1.0 for part in PARTS if part in there}

    def states(self, images: Tensor, *, are_features: bool = False) -> Tensor:
        """Return ``(B, C, h, w)`` features that messages are made of; arguments as of ``forward``."""
        found: Tensor = self.reduction(self.convolutions(images if are_features else self.backbone(images)))
        return found

    def forward(
        self,
        images: Tensor,
        *,
        further: Collection[str] = (),
        edges: Tensor | None = None,
        are_features: bool = False,
    ) -> Output:
        """Return ``(B, K)`` logits of images after the graph, and what else is asked for.

        Args:
            images: ``(B, 3, H, W)`` on the scale 0..255; or what the backbone makes of them.
            further: ``maps``: ``ClassMaps``; ``intermediate``: the logits before the graph.
            edges: ``(2, E)`` int64, see ``ImageGraph``; ``None``: each image is alone.
            are_features: Whether ``images`` are features.

        Raises:
            ConfigError: If the network does not give what is asked for.
        """
        check_further(self, further, self.gives)
        maps = self.class_maps(self.states(images, are_features=are_features), edges)
        found: dict[str, Any] = {"maps": maps, "intermediate": maps.intermediate.mean((2, 3))}
        return Output(maps.graph.mean((2, 3)), {name: found[name] for name in further})

    def class_maps(self, states: Tensor, edges: Tensor | None = None, cell_mask: Tensor | None = None) -> ClassMaps:
        """Return the class scores of ``(n, C, h, w)`` states; for the others see ``ImageGraph``."""
        if edges is None:
            edges = torch.zeros(2, 0, dtype=torch.long, device=states.device)
        before = self.head(states)
        if self.readout is None:
            return ClassMaps(before, self.graph(before, edges, cell_mask))
        return ClassMaps(before, self.readout(self.graph(states, edges, cell_mask)))

    def evidence(self, images: Tensor, class_ids: Sequence[int]) -> Tensor:
        """Return ``(B, len(class_ids), h, w)`` evidence >= 0 of some classes (ids from 1), each image alone."""
        rows = [class_id - 1 for class_id in class_ids]
        return self.class_maps(self.states(images)).evidence()[:, rows]

    def group_evidence(self, images: Sequence[Tensor], edges: Tensor, output: GroupOutput) -> list[Tensor]:
        """Return ``(K, h, w)`` evidence >= 0 of each image of a group.

        Args:
            images: ``(3, H, W)`` each, on the scale 0..255; sizes may differ.
            edges: ``(2, E)`` int64: senders, receivers.
            output: Of which head.
        """
        states, mask = self.group_states(images)
        return unstack_maps(self.class_maps(states, edges, mask).evidence(output), mask)

    def group_states(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Return ``states`` of images of several sizes, and the mask of cells, as ``stack_states`` does."""
        return stack_states([self.states(image[None])[0] for image in images])

    def attention(self, states: Tensor, edges: Tensor, cell: tuple[int, int], cell_mask: Tensor | None) -> Tensor:
        """Return what a cell of receivers attends to in the first round, as ``ImageGraph`` does; of ``states``."""
        sent = self.head(states) if self.readout is None else states
        return self.graph.attention(sent, edges, cell, cell_mask)


def read_group_classifier(file: ModelFile) -> GroupClassifier:
    """Return the classifier that a file's header describes, without its weights."""
    backbone, head = read_backbone(file, file.header["backbone"]), dict(file.header["head"])
    config = GroupHeadConfig(**{**head, "graph": ImageGraphConfig(**head["graph"])})
    count = read_convolutions(file.header)
    return GroupClassifier(backbone, class_count(file.header), config, convolutions=count)
