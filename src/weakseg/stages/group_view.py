"""What a classifier of groups makes of one group, for those who want to look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.graph.image_group import unstack_maps
from weakseg.nn.classifiers.group import GroupClassifier
from weakseg.ops.resample import image_tensor
from weakseg.settings.group_classify import GroupOutput


@dataclass(frozen=True, eq=False)
class GroupView:
    """What a classifier of groups makes of one of them, whose first image is the anchor.

    Attributes:
        intermediate: ``(h, w)`` evidence >= 0 of a class before the graph, of each image.
        graph: After it.
        cell: Row and column of the anchor's cell that speaks most for the class.
        attention: What this cell attends to in the first round: ``(h, w)`` of sum one, by the index of the image that
            sends; empty where no message is made by attention.
    """

    intermediate: Sequence[Tensor]
    graph: Sequence[Tensor]
    cell: tuple[int, int]
    attention: Mapping[int, Tensor]


@torch.inference_mode()
def view_group(
    model: GroupClassifier,
    images: Sequence[NDArray[np.uint8]],
    edges: Tensor,
    class_id: int,
    *,
    output: GroupOutput = "average",
) -> GroupView:
    """Return what a classifier makes of a group for a class.

    Args:
        model: The classifier.
        images: ``(H, W, 3)`` uint8 each, the anchor first; sizes may differ.
        edges: ``(2, E)`` int64: senders, receivers.
        class_id: From 1.
        output: Scores by which the anchor's cell is chosen: of the average of both heads, or of one.
    """
    states, mask = model.group_states([image_tensor(image).to(model.device) for image in images])
    edges = edges.to(model.device)
    maps = model.class_maps(states, edges, mask)
    before, after, scores = (
        [one[class_id - 1].float().cpu() for one in unstack_maps(found, mask)]
        for found in (maps.intermediate.relu(), maps.graph.relu(), maps.scores(output))
    )
    row, column = divmod(int(scores[0].argmax()), scores[0].shape[1])
    sent = edges[:, edges[1] == 0]
    if model.graph.config.messages != "attention" or not sent.shape[1]:
        return GroupView(before, after, (row, column), {})
    found = model.attention(states, sent, (row, column), mask)
    own = unstack_maps(found, None if mask is None else mask[sent[0]])
    attention = {sender: one.float().cpu() for sender, one in zip(sent[0].tolist(), own, strict=True)}
    return GroupView(before, after, (row, column), attention)
