"""A backbone as a dense feature extractor: images to maps of features, and where their cells lie."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.backbones.depthwise import phase_dilated
from weakseg.nn.backbones.strided import pick_strided
from weakseg.ops.resample import Cells
from weakseg.settings.fit import NormStatistics

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_RANGE = {  # BGR on the scale 0..255, no division; mean and deviation are given as RGB on the scale 0..1
    "mean": (122.675 / 255, 116.669 / 255, 104.008 / 255),
    "std": (1 / 255,) * 3,
    "bgr": True,
}
MEASURED_FROM = 8


class Backbone(nn.Module):
    """A model without its classifier: normalised images to feature maps.

    Attributes:
        channels: Channels of the feature map.
        stride: Image pixels per feature cell.
        pads: Images are padded to whole cells first, for models that drop what does not fill a cell (ConvNeXt).
        first: Pixel that the first cell looks at, where it has been measured.
        bgr: Whether the model takes blue first; ``mean`` and ``std`` are of RGB all the same.
        norm_statistics: Whether batch norms stay at their ``stored`` statistics in training, or use and learn those of
            the ``batch``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: nn.Module, channels: int, stride: int, *, pads: bool = False, first: float | None = None
    ) -> None:
        super().__init__()
        self.model, self.channels, self.stride, self.pads, self.first = model, channels, stride, pads, first
        self.padded = _padded  # exporters take another form
        config: dict[str, Any] = getattr(model, "pretrained_cfg", None) or {}
        self.register_buffer("mean", _per_channel(config.get("mean", IMAGENET_MEAN)), persistent=False)
        self.register_buffer("std", _per_channel(config.get("std", IMAGENET_STD)), persistent=False)
        self.bgr = bool(config.get("bgr"))
        self.norm_statistics: NormStatistics = "stored"
        self.to(memory_format=torch.channels_last)  # a third faster on CPU
        phase_dilated(self)
        pick_strided(self)
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Return ``(B, C, h, w)`` features of ``(B, 3, H, W)`` images on the scale 0..255.

        There are ``ceil(H / stride)`` rows; ResNets of layout ``caffe`` may have one more, below the image.
        """
        features: Tensor = self.forward_features(self.normalized(images))
        return features

    def levels(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of all stages, ``(B, C_l, h_l, w_l)``, the finest first.

        Raises:
            ConfigError: If the timm model does not give them.
        """
        found: list[Tensor] = self._stages(self.normalized(images), intermediates_only=True)
        return found

    def features_and_levels(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what ``forward`` and ``levels`` return, in one pass."""
        features, levels = self._stages(self.normalized(images))
        return features, levels

    @property
    def _stages(self) -> Callable[..., Any]:
        """The model's own function of all levels."""
        stages: Callable[..., Any] | None = getattr(self.model, "forward_intermediates", None)
        if stages is None:
            raise ConfigError(
                f"backbone {type(self.model).__name__}: gives no feature maps of its stages; choose another"
            )
        return stages

    def cells(self, stride: int = 0) -> Cells:
        """Return where the cells of a map of some stride lie, by default those of ``forward``.

        Convolutions of odd size with padding on both sides centre the first cell on the first pixel; models that drop
        what does not fill a cell (ConvNeXt) divide the image into patches. The embedded weights look further up and to
        the left: they were trained with padding on the lower and right side alone.
        """
        stride = stride or self.stride
        by_layout = (stride - 1) / 2 if self.pads else 0.0
        return Cells(by_layout if self.first is None or stride < MEASURED_FROM else self.first, stride)

    @torch.no_grad()
    def level_shapes(self) -> list[tuple[int, int]]:
        """Return channels and stride of each map of ``levels``."""
        begun = 0 if self.pads else 1  # one pixel more begins a cell, with every way of counting windows
        side = 8 * self.stride
        maps = self.levels(self.mean.new_zeros(1, 3, side + begun, side + begun))
        return [(found.shape[1], side // (found.shape[2] - begun)) for found in maps]

    @torch.no_grad()
    def stage_of(self, level: int) -> nn.Module:
        """Return the module whose output is a level of ``levels``, from 1: a hook behind it reaches all that follows.

        Raises:
            ConfigError: If there are less levels, or the model makes this one of something else.
        """
        outputs: list[tuple[nn.Module, Any]] = []
        hooks = [
            module.register_forward_hook(lambda module, _, output: outputs.append((module, output)))
            for module in self.model.modules()
        ]
        side = 2 * self.stride
        found = self.levels(self.mean.new_zeros(1, 3, side, side))
        for hook in hooks:
            hook.remove()
        stages = [module for module, output in outputs if level <= len(found) and output is found[level - 1]]
        if not stages:
            raise ConfigError(
                f"backbone {type(self.model).__name__}: has {len(found)} levels, and none that a layer could follow at "
                f"level {level}"
            )
        return stages[-1]

    def normalized(self, images: Tensor) -> Tensor:
        """Return images in the range that the weights were trained with, padded to whole cells where needed."""
        normalized = (images / 255.0 - self.mean) / self.std
        normalized = normalized.flip(1) if self.bgr else normalized
        if self.pads:
            normalized = self.padded(normalized, self.stride)
        return normalized

    @property
    def forward_features(self) -> Callable[[Tensor], Tensor]:
        """The timm model's own feature function."""
        function: Callable[[Tensor], Tensor] = self.model.forward_features  # type: ignore[assignment]
        return function

    def train(self, mode: bool = True) -> "Backbone":
        """Set training mode; batch norms stay at their stored statistics unless those of the batch are asked for."""
        super().train(mode)
        if self.norm_statistics == "stored":
            for norm in self.batch_norms:
                norm.eval()
        return self

    def freeze_finest(self, levels: int = 1) -> None:
        """Let parameters that the finest levels depend on stay as they are; of others nothing changes.

        Raises:
            ConfigError: If there are less levels.
        """
        if not levels:
            return
        parameters, side = list(self.parameters()), 2 * self.stride
        trained = [parameter.requires_grad for parameter in parameters]
        self.requires_grad_(requires_grad=True)
        with torch.enable_grad():
            found = self.levels(self.mean.new_zeros(1, 3, side, side))
            slopes = torch.autograd.grad([level.sum() for level in found[:levels]], parameters, allow_unused=True)
        if levels > len(found):
            raise ConfigError(f"fit.frozen_levels: the backbone has {len(found)} levels, got {levels}")
        for parameter, slope, before in zip(parameters, slopes, trained, strict=True):
            parameter.requires_grad_(before and slope is None)

    def freeze_norms(self) -> None:
        """Let scale and shift of norms of all kinds, one weight a channel, stay as they are."""
        for module in self.modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, nn.Parameter) and weight.ndim == 1:
                module.requires_grad_(requires_grad=False)

    @property
    def batch_norms(self) -> list[nn.Module]:
        """Norms that have statistics; plain vision transformers and ConvNeXt have none."""
        return [module for module in self.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def _padded(images: Tensor, stride: int) -> Tensor:
    """Return ``(B, 3, H, W)`` images with zeros below and to the right, up to whole cells."""
    rows, columns = images.shape[2:]
    return F.pad(images, (0, -columns % stride, 0, -rows % stride))


def _per_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).reshape(1, 3, 1, 1)
