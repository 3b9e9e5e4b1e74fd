"""From a photograph to the features of a network that is taken as it is, and does not learn."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.errors import ConfigError
from weakseg.feature_maps import FeatureMaps
from weakseg.nn.backbones import Backbone, architecture, build_backbone, check_backbone, embedded_backbone
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.settings.backbone import EMBEDDED, BackboneConfig
from weakseg.settings.graph import FeaturesConfig, FreeGraphConfig


def check_features(config: FeaturesConfig) -> None:
    """Raise ``ConfigError`` unless there is such a network, and the file of its weights, if one is named."""
    check_backbone(_backbone_of(config))
    if config.file and not Path(config.file).expanduser().is_file():
        raise ConfigError(f"features.file: {config.file} is no file; give the path of the weights of {config.name!r}")


def feature_backbone(config: FeaturesConfig, device: str = "cpu") -> Backbone:
    """Return the network whose features are taken, in evaluation mode; the last one is kept.

    Raises:
        ConfigError: If there is no such network, or its weights cannot be had.
        CheckpointError: If the file of its weights cannot be read, or holds those of another.
    """
    if config == FeaturesConfig(enlarged=config.enlarged):
        return embedded_backbone()
    check_features(config)
    written = Path(config.file).expanduser().stat().st_mtime_ns if config.file else 0
    return _built(_backbone_of(config), device, written)


@torch.inference_mode()
def feature_maps(backbone: Backbone, image: NDArray[np.uint8], config: FreeGraphConfig) -> FeatureMaps:
    """Return what a graph without training takes of a network's levels.

    These are the finest ones from ``config.stride`` on; of a plain vision transformer, whose levels are equally fine,
    the last ones.

    Args:
        backbone: In evaluation mode.
        image: ``(H, W, 3)`` uint8; reduced to ``config.max_side``, then enlarged as ``config.features`` says.
        config: Levels, stride and size.

    Raises:
        ConfigError: If the network has no level of ``config.stride`` or coarser.
    """
    size = scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=config.max_side)
    seen = resize_image(resize_image(image, size), scaled_size(size, config.features.enlarged))
    strides = [stride for _, stride in backbone.level_shapes()]
    levels = backbone.levels(image_tensor(seen)[None].to(backbone.mean.device))
    found = [(level[0].float().cpu(), s) for level, s in zip(levels, strides, strict=True) if s >= config.stride]
    if not found:
        raise ConfigError(f"graph.features.name: no level has cells of {config.stride} pixels or more; take another")
    kept = found[: config.levels] if len(set(strides)) > 1 else found[-config.levels :]
    cells = tuple(backbone.cells(stride) for _, stride in kept)
    return FeatureMaps(tuple(level for level, _ in kept), cells, (seen.shape[0], seen.shape[1]))


def forget_features() -> None:
    """Give back the memory of the network that is kept in this process."""
    _built.cache_clear()


def _backbone_of(config: FeaturesConfig) -> BackboneConfig:
    """Return the settings of the network, of the stride that it was trained with, or comes nearest to that."""
    weights = "file" if config.file else "embedded" if config.name == EMBEDDED else "timm"
    return BackboneConfig(config.name, max(architecture(config.name).strides), weights, config.file)


@lru_cache(maxsize=1)
def _built(config: BackboneConfig, device: str, _written_ns: int) -> Backbone:
    return build_backbone(config).eval().requires_grad_(requires_grad=False).to(device)
