"""``weakseg doctor``."""

import importlib.metadata
import platform
import re
import shutil
from collections.abc import Sequence
from typing import get_args

from weakseg.cli.common import build_parser, parse
from weakseg.errors import ConfigError
from weakseg.settings.backbone import Layout
from weakseg.version import __version__

OPTIONAL = {"playwright": "tests of the report in a browser", "pydensecrf2": "test oracle of the CRF"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main(words: Sequence[str]) -> int:
    """Print versions, devices and optional parts, or what a backbone needs; 2 if something needed is missing."""
    parser = build_parser(
        "doctor",
        "Versions, devices, and which optional parts are there; or what a backbone needs, and whether it runs.",
        "  weakseg doctor\n  weakseg doctor --backbone resnet38\n"
        "  weakseg doctor --backbone resnet101_deeplab --file resnet101_caffe.pth --layout caffe",
    )
    parser.add_argument("--backbone", type=str, default="", help="a name as in backbone.name")
    parser.add_argument("--file", type=str, default="", help="weights for it: are they its own?")
    parser.add_argument("--layout", choices=get_args(Layout), default="torchvision", help="layout of the file")
    given = parse(parser, words)
    if given.backbone:
        from weakseg.cli.doctor_backbone import describe

        describe(given.backbone, given.file, given.layout)
        return 0
    if given.file or given.layout != "torchvision":
        raise ConfigError("--file and --layout: belong to --backbone NAME; add it")
    return _report()


def _report() -> int:
    """Print versions, devices and optional parts, and return the exit code."""
    import torch

    from weakseg.nn.backbones import build_backbone
    from weakseg.pipeline.engines.local import default_workers
    from weakseg.settings.backbone import BackboneConfig

    print(f"weakseg {__version__}, Python {platform.python_version()} on {platform.platform()}")
    needed = {name: _version(name) for name in _requirements()}
    print("\n".join(f"  {name} {version or 'MISSING'}" for name, version in needed.items()))
    print(f"cores {default_workers()}, torch threads {torch.get_num_threads()}, {_devices()}")
    build_backbone(BackboneConfig())
    print("embedded ImageNet weights: load")
    print(f"word vectors of installed models (extra 'words'): spacy {_version('spacy') or 'not there'}")
    print(f"actors, on one machine or many (extra 'ray'): ray {_version('ray') or 'not there'}")
    print(
        f"model hubs, for weakseg publish (extra 'hub'): huggingface_hub {_version('huggingface_hub') or 'not there'}"
    )
    print(f"proposers of masks SAM 2 and SAM 3 (extra 'sam'): transformers {_version('transformers') or 'not there'}")
    print(f"trained networks for other programs (extra 'onnx'): onnxruntime {_version('onnxruntime') or 'not there'}")
    print("for those who work on weakseg itself:")
    print("\n".join(f"  {name} ({use}): {_version(name) or 'not there'}" for name, use in OPTIONAL.items()))
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    print(f"  browser (tests of the report): {browser or 'not there'}")
    missing = [name for name, version in needed.items() if version is None]
    print(f"missing: {', '.join(missing)}; install weakseg anew" if missing else "all that weakseg needs is there")
    return 2 if missing else 0


def _requirements() -> list[str]:
    """Return the names of the distributions that weakseg needs, extras left out."""
    lines = importlib.metadata.requires("weakseg") or []
    return [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines if "extra ==" not in line]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> str:
    import torch

    if not torch.cuda.is_available():
        return "no GPU that torch can use"
    return "GPUs: " + ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
