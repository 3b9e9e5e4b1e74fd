"""From a classifier of groups, and images with tags, to class activation maps of all of them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import Activations
from weakseg.nn.classifiers.group import GroupClassifier
from weakseg.ops.resample import image_tensor, resize_image
from weakseg.settings.group_classify import GroupActivateConfig
from weakseg.stages.activate import merged_scales, seen_sizes


def activate_group(
    model: GroupClassifier,
    images: Sequence[NDArray[np.uint8]],
    targets: Tensor,
    edges: Tensor,
    config: GroupActivateConfig,
) -> list[Activations]:
    """Return the activations of each image of a group, whose images send messages at each scale.

    Mirror images make a group of their own.

    Args:
        model: Gives class evidence of groups.
        images: ``(H, W, 3)`` uint8 each; sizes may differ.
        targets: ``(n, K)`` tags: 1 present, 0 absent, NaN unknown.
        edges: ``(2, E)`` int64: senders, receivers.
        config: Scales, stride, and of which head.

    Returns:
        One for each image, of the classes that are present.

    Reference:
        [li2021groupwsss], section 3, of groups that share nothing with other groups.
    """
    edges = edges.to(model.device)
    sizes = [(image.shape[0], image.shape[1]) for image in images]
    seen = [seen_sizes(size, config) for size in sizes]
    scales = range(len(config.scales))
    maps = [
        _evidence(model, [resize_image(i, s[k]) for i, s in zip(images, seen, strict=True)], edges, config)
        for k in scales
    ]
    found = []
    for index, size in enumerate(sizes):
        class_ids = tuple((torch.nonzero(targets[index] == 1)[:, 0] + 1).tolist())
        rows = [class_id - 1 for class_id in class_ids]
        own = [scale[index][:, rows] for scale in maps]
        found.append(merged_scales(own, class_ids, size, model.cells, config))
    return found


@torch.inference_mode()
def _evidence(
    model: GroupClassifier, images: Sequence[NDArray[np.uint8]], edges: Tensor, config: GroupActivateConfig
) -> list[Tensor]:
    """Return ``(2, K, h, w)`` for each image: evidence of the image and of its mirror image."""
    pixels = [image_tensor(image).to(model.device) for image in images]
    sides = [
        model.group_evidence(side, edges, config.output) for side in (pixels, [image.flip(-1) for image in pixels])
    ]
    return [torch.stack(pair).float().cpu() for pair in zip(*sides, strict=True)]
