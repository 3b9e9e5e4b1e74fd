"""``weakseg doctor``."""

import importlib.metadata
import platform
import shutil
from collections.abc import Sequence

import torch

import weakseg
from weakseg.cli.common import build_parser, conclude, parse
from weakseg.nn.backbones import BackboneConfig, build_backbone
from weakseg.pipeline.engine import default_workers

REQUIRED = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "pillow",
    "scikit-image",
    "opencv-contrib-python-headless",
)
OPTIONAL = {
    "playwright": "tests of the report in a browser",
    "pydensecrf2": "test oracle of the CRF",
    "tensorboard": "metrics",
}


def main(words: Sequence[str]) -> int:
    """Print versions, devices and optional parts."""
    parser = build_parser("doctor", "Versions, devices, and which optional parts are there.", "  weakseg doctor")
    parse(parser, words)
    lines = [f"weakseg {weakseg.__version__}, Python {platform.python_version()} on {platform.platform()}"]
    lines += [f"  {name} {_version(name) or 'MISSING'}" for name in REQUIRED]
    lines.append(f"cores {default_workers()}, torch threads {torch.get_num_threads()}, {_devices()}")
    build_backbone(BackboneConfig())
    lines.append("embedded ImageNet weights: load")
    lines += [f"  {name} ({use}): {_version(name) or 'not there'}" for name, use in OPTIONAL.items()]
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    lines.append(f"  browser for tests of the report: {browser or 'not there'}")
    return conclude((), "\n".join(lines))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> str:
    if not torch.cuda.is_available():
        return "no GPU that torch can use"
    return "GPUs: " + ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
