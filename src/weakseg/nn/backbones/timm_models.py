"""Any model of timm that gives feature maps of a chosen stride."""

from typing import Any

import torch
from torch import Tensor, nn

from weakseg.errors import ConfigError
from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.checkpoint import load_file
from weakseg.settings.backbone import BackboneConfig

HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def has_timm(name: str) -> bool:
    """Return whether timm has a model of this name."""
    return bool(_timm().is_model(name))


def timm_names() -> list[str]:
    """Return the names of all models of timm."""
    names: list[str] = _timm().list_models()
    return names


def timm_weights(name: str) -> str:
    """Return which weights timm has of a model, and whether they are on this machine."""
    from huggingface_hub import try_to_load_from_cache

    found = _timm().get_pretrained_cfg(name)
    if found is None or not found.has_weights:
        return f"timm has none of {name}; timm.list_pretrained() names those that it has"
    called = f"{found.architecture}.{found.tag}" if found.tag else found.architecture
    files = [found.hf_hub_filename] if found.hf_hub_filename else HUB_FILES
    if found.hf_hub_id and any(isinstance(try_to_load_from_cache(found.hf_hub_id, file), str) for file in files):
        return f"{called}, there"
    return (
        f"{called}, not on this machine: timm downloads it when it is first used, from {found.hf_hub_id or found.url}"
    )


def build_timm(config: BackboneConfig, pretrained: bool) -> Backbone:
    """Return the model of timm that ``config`` names; errors as those of ``build_backbone``."""
    model = create_timm(config, pretrained=pretrained and config.weights == "timm")
    if pretrained and config.weights == "file":
        load_timm_file(model, config)
    channels, pads = probe(model, config)
    return Backbone(model, channels, config.output_stride, pads=pads)


def load_timm_file(model: nn.Module, config: BackboneConfig) -> None:
    """Copy the weights of ``config.file`` into a model of timm, whose own classifier is left out."""
    named = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    load_file(model, config, heads=(named,) if isinstance(named, str) else tuple(named))


def create_timm(config: BackboneConfig, *, pretrained: bool, **options: Any) -> nn.Module:
    """Return the bare model.

    Args:
        config: Names model and stride.
        pretrained: Whether timm loads its weights.
        options: Of the model; without an ``output_stride`` of their own they have that of ``config``.

    Raises:
        ConfigError: If it takes no such options, or its weights cannot be had.
    """
    options = {"output_stride": config.output_stride, "num_classes": 0, **options, "pretrained": pretrained}
    try:
        model: nn.Module = _timm().create_model(config.name, **options)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"backbone {config.name!r} at stride {config.output_stride} cannot be built: "
            f"{str(error) or 'it takes no output stride'}; "
            "timm.list_models() names all models; convolutional ones accept an output stride, plain vision "
            "transformers have that of their patches"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"backbone {config.name!r}: timm cannot load its weights ({error}); connect to the network, or set "
            "backbone.weights to 'none'"
        ) from error
    return model


def probe(model: nn.Module, config: BackboneConfig) -> tuple[int, bool]:
    """Check the layout of the feature map on small images; return its channels, and whether images need padding."""
    side = 2 * config.output_stride
    with torch.no_grad():
        whole, cut = (model.eval().forward_features(torch.zeros(1, 3, s, s)) for s in (side, side - 1))  # type: ignore[operator]
    if not isinstance(whole, Tensor) or whole.ndim != 4 or whole.shape[-2:] != (2, 2):
        got = tuple(whole.shape) if isinstance(whole, Tensor) else type(whole).__name__
        raise ConfigError(
            f"backbone {config.name!r}: a {side} x {side} image gives features {got}, expected (1, C, 2, 2); "
            "choose a convolutional model or a plain vision transformer"
        )
    return whole.shape[1], cut.shape[-2:] != (2, 2)


def _timm() -> Any:
    """Import timm when it is needed: with torchvision, which it imports, it takes as long as all of torch."""
    import timm

    return timm
