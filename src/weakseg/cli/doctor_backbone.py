"""``weakseg doctor --backbone``: what a backbone needs, and whether it runs."""

import re
from pathlib import Path

import torch

from weakseg.errors import ConfigError
from weakseg.nn.backbones import architecture, build_backbone
from weakseg.nn.backbones.architectures import either
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
    print(f"{name}: weights {either(known.weights)}; layout {either(known.layouts)}")
    stride = _try(name, known.strides, layout if layout in known.layouts else known.layouts[0])
    if "timm" in known.weights:
        print(f"weights timm: {timm_weights(known.timm or name)}")
    if "file" in known.weights:
        print("weights file: PyTorch (tensors alone) or safetensors; names, shapes and, where it shows, layout count")
        print("".join(f"  {where}\n" for where in known.published), end="")
    print(f"recipes that name it: {', '.join(_recipes(name)) or 'none'}")
    if file:
        build_backbone(BackboneConfig(name, stride, "file", file, layout))
        print(f"{file}: fits, as layout {layout}")


def _try(name: str, strides: tuple[int, ...], layout: Layout) -> int:
    """Print what a small image becomes at each stride that the backbone has; return the first of them."""
    found, why = [], None
    for stride in strides:
        try:
            backbone = build_backbone(BackboneConfig(name, stride, "none", layout=layout)).eval()
        except ConfigError as error:
            why = error
            continue
        found.append(stride)
        with torch.inference_mode():
            rows, columns = backbone(torch.zeros(1, 3, *TRIED)).shape[2:]
        levels = ", ".join(f"{channels} of stride {step}" for channels, step in backbone.level_shapes())
        millions = sum(parameter.numel() for parameter in backbone.parameters()) / 1e6
        print(
            f"  output_stride {stride}: {backbone.channels} channels; {millions:.1f} million weights; levels {levels}"
        )
        print(f"    it runs: {TRIED[0]} x {TRIED[1]} pixels become {rows} x {columns} cells")
    if why is not None and not found:
        raise why
    return found[0]


def _recipes(name: str) -> list[str]:
    """Return the recipes that name a backbone, of the working folder and of weakseg's own repository."""
    folders = {Path("recipes").resolve(), Path(__file__).parents[3] / "recipes"}
    files = sorted((path, folder) for folder in folders for path in folder.rglob("*.yaml"))
    pattern = re.compile(rf"\bname: {re.escape(name)}(?![\w.])")
    return [str(p.relative_to(folder)) for p, folder in files if pattern.search(p.read_text(errors="replace"))]
