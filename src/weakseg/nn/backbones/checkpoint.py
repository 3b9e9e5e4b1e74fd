"""A file of weights into a backbone: its layout is recognised, where that is possible, and its names are adapted."""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError, cut
from weakseg.nn.pretrained import align, load_pretrained
from weakseg.nn.weights import HEADER_KEY, load_weights, read_header, read_metadata
from weakseg.settings.backbone import BackboneConfig, Layout

Rename = Callable[[dict[str, Tensor]], dict[str, Tensor]]

CAFFE_NAMES = re.compile(r"\.(reduce|increase|shortcut)\.conv\.weight$")  # of converted models of DeepLab
STEM, NORM = "conv1.weight", "bn1.running_var"
RGB = 3
MOST = 3.0  # mean square of a normalised value; it is 1 on ImageNet's own pixels


def load_file(
    model: nn.Module,
    config: BackboneConfig,
    *,
    rename: Rename | None = None,
    heads: Collection[str] = (),
    drawn: Collection[str] = (),
) -> None:
    """Copy the weights of ``config.file`` into a model.

    Args:
        model: Takes them.
        config: Names the file, and the layout that it is expected to have.
        rename: From the names of the file to those of the model.
        heads: As in ``load_pretrained``.
        drawn: As there.

    Raises:
        CheckpointError: If the file cannot be read, is of the other layout, or holds weights of another model.
    """
    path = Path(config.file)
    if path.suffix == ".params":
        raise CheckpointError(f"{path}: is a file of MXNet; make another of it by 'weakseg convert-weights {path}'")
    given = load_weights(path)
    found = layout_tag(path) or ("caffe" if any(CAFFE_NAMES.search(name) for name in given) else "")
    given = rename(given) if rename else given
    found = found or recognised_layout(align(given, model.state_dict(), str(path)))
    if found and found != config.layout:
        raise CheckpointError(
            f"{path}: holds weights of layout {found!r}, and backbone.layout is {config.layout!r}; set backbone.layout "
            f"to {found!r} (weakseg doctor --backbone NAME says which backbones have it), or give another file"
        )
    load_pretrained(model, given, str(path), heads=heads, drawn=drawn)


def layout_tag(path: Path) -> str:
    """Return the layout that a safetensors file says that it has, or nothing.

    Its metadata may have an entry ``layout``; a model of weakseg knows the backbone that it was trained with.

    Raises:
        CheckpointError: If there is no such layout.
    """
    metadata = read_metadata(path)
    found = metadata.get("layout", "")
    if HEADER_KEY in metadata:
        header = read_header(path)
        places = [header, header.get("model")]
        settings = [place["backbone"] for place in places if isinstance(place, dict) and "backbone" in place]
        found = next((one.get("layout", "torchvision") for one in settings if isinstance(one, dict)), "")
    if found not in ("", *get_args(Layout)):
        raise CheckpointError(
            f"{path}: says that it has layout {cut(repr(found))}; there are {', '.join(get_args(Layout))}; correct it"
        )
    return str(found)


def recognised_layout(state: Mapping[str, Tensor]) -> str:
    """Return the layout that a ResNet was trained in, or nothing where its values do not tell.

    A batch norm has stored the variance ``v`` of the responses ``w . x`` of each filter of the first convolution, and
    ``v <= |w|^2 E|x|^2``. For inputs of unit mean square ``E|x|^2`` is the number ``n`` of the filter's weights; for
    Caffe's it is some 4,000 times that. A bank in which some ``v`` exceeds ``3 n |w|^2`` has not seen inputs of unit
    mean square; one in which none does has not seen Caffe's: each filter would keep under a thousandth of their power.
    """
    if STEM not in state or NORM not in state or state[STEM].shape[1:2] != (RGB,):
        return ""
    weight, variance = state[STEM].double().flatten(1), state[NORM].double()
    if variance.shape != weight.shape[:1] or bool((variance == variance[0]).all()):
        return ""  # untrained, or folded into scale and shift
    power = weight.square().sum(1)
    ratio = variance[power > 0] / (weight.shape[1] * power[power > 0])
    return "caffe" if bool(torch.any(ratio > MOST)) else "torchvision"
