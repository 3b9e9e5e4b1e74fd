"""``weakseg doctor --backbone``: what a backbone needs, and whether it runs."""

import re
from pathlib import Path
from typing import Any

import torch

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, architecture, build_backbone
from weakseg.nn.backbones.timm_models import timm_weights
from weakseg.settings.backbone import BackboneConfig, Layout

TRIED = (64, 96)  # rows and columns of the image that is tried


def describe(name: str, file: str, layout: Layout) -> None:
    """Print strides, channels and weights of a backbone, where weights are to be had, recipes that name it, and try it.

    Args:
        name: Of the backbone.
        file: Of weights, which is checked against it; empty: none.
        layout: Of the file.

    Raises:
        ConfigError: If there is no such backbone, or it gives no feature maps at any stride.
        CheckpointError: If the file does not fit it.
    """
    known = architecture(name)
    strides = _strides(name, known.strides)
    print(f"{name}: output_stride {_either(map(str, strides))}; layout {_either(known.layouts)}")
    print(f"weights {_either(known.weights)}")
    _try(name, strides, layout if layout in known.layouts else known.layouts[0])
    if "timm" in known.weights:
        print(f"weights timm: {timm_weights(known.timm or name)}")
    if "file" in known.weights:
        print("weights file: PyTorch (tensors alone) or safetensors; names, shapes and, where it shows, layout count")
        print("".join(f"  {where}\n" for where in known.published), end="")
    print(f"recipes that name it: {', '.join(_recipes(name)) or 'none'}")
    if file:
        build_backbone(BackboneConfig(name, strides[0], "file", file, layout))
        print(f"{file}: fits, as layout {layout}")


def _strides(name: str, strides: tuple[int, ...]) -> list[int]:
    """Return the strides at which the backbone can be built, without memory for its weights."""
    found, why = [], None
    for stride in strides:
        try:
            with torch.device("meta"):
                build_backbone(BackboneConfig(name, stride, "none"))
            found.append(stride)
        except ConfigError as error:
            why = error
    if not found and why is not None:
        raise why
    return found


def _try(name: str, strides: list[int], layout: Layout) -> None:
    """Print what a small image becomes at each stride."""
    for stride in strides:
        backbone: Backbone = build_backbone(BackboneConfig(name, stride, "none", layout=layout)).eval()
        with torch.inference_mode():
            features = backbone(torch.zeros(1, 3, *TRIED))
        levels = ", ".join(f"{channels} of stride {step}" for channels, step in backbone.level_shapes())
        millions = sum(parameter.numel() for parameter in backbone.parameters()) / 1e6
        print(f"  at {stride}: {backbone.channels} channels; {millions:.1f} million parameters; levels {levels}")
        rows, columns = features.shape[2:]
        print(f"    runs: {TRIED[0]} x {TRIED[1]} pixels become {rows} x {columns} cells")


def _recipes(name: str) -> list[str]:
    """Return the recipes that name a backbone, of the working folder and of weakseg's own repository."""
    folders = {Path("recipes").resolve(), Path(__file__).parents[3] / "recipes"}
    files = sorted(path for folder in folders for path in folder.glob("*.yaml"))
    pattern = re.compile(rf"\bname: {re.escape(name)}(?![\w.])")
    return [path.name for path in files if pattern.search(path.read_text(errors="replace"))]


def _either(words: Any) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else str(last)
