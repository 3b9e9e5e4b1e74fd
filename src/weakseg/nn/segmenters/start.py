"""What a segmenter starts from: the weights of its backbone, or a file of a whole segmenter."""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from weakseg.errors import CheckpointError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.nn.pretrained import COUNTER
from weakseg.nn.segmenters.heads import build_segmenter
from weakseg.nn.segmenters.segmenter import Segmenter
from weakseg.nn.weights import HEADER_KEY, check_state, load_weights, read_metadata
from weakseg.settings.segment import SegmenterTrainingConfig

HEAD, BACKBONE, REASONING = "head.", "backbone.", "reasoning."
SHOWN = 5  # tensors that a message lists

logger = logging.getLogger(__name__)


def start_segmenter(config: SegmenterTrainingConfig, num_classes: int, nodes: ClassNodes | None = None) -> Segmenter:
    """Return a segmenter with what it starts from.

    Of a file of a whole segmenter the backbone has to be there. Layers of the head start at random, with a warning,
    where the file has none, or has them for another number of labels. So does a layer in which classes are reasoned
    about, where the file has another one or none; vectors and adjacency of the classes are those of this training.

    Args:
        config: Model, and ``init``.
        num_classes: Without the background.
        nodes: As of ``build_segmenter``.

    Raises:
        ConfigError: As ``build_segmenter``.
        CheckpointError: If a file cannot be read, has no such backbone, or has another head.
    """
    if not config.init.file:
        return build_segmenter(config.model, num_classes, nodes=nodes)
    path = Path(config.init.file)
    model, state = build_segmenter(config.model, num_classes, pretrained=False, nodes=nodes), load_weights(path)
    if HEADER_KEY in read_metadata(path):
        given = _below(state, BACKBONE)
        check_state(model.backbone.state_dict(), given, f"{path}: backbone")
        model.backbone.load_state_dict(given)
        rest = _below(state, HEAD)
        _start_reasoning(model.reasoning, _below(state, REASONING), path)
    else:
        started = build_backbone(replace(config.model.backbone, weights="file", file=str(path)))
        model.backbone.load_state_dict(started.state_dict())
        rest = _not_in(state, model.backbone)
    _start_head(model.head, rest, path)
    return model


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _not_in(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a file that a network has not taken, whatever they are called; of equal ones the last."""
    taken, rest = Counter(_digest(value) for value in model.state_dict().values()), {}
    for name, value in state.items():
        digest = _digest(value)
        if not taken[digest]:
            rest[name] = value
        taken[digest] -= bool(taken[digest])
    return rest


def _digest(value: Tensor) -> tuple[tuple[int, ...], bytes]:
    content = value.detach().float().contiguous().numpy().tobytes()
    return tuple(value.shape), hashlib.blake2b(content, digest_size=16).digest()


def _start_head(head: nn.Module, given: Mapping[str, Tensor], path: Path) -> None:
    """Copy the tensors of a head into one of the same layers; names count only where they are the same."""
    own = {name: value for name, value in head.state_dict().items() if not name.endswith(COUNTER)}
    rest = {name: value for name, value in given.items() if not name.endswith(COUNTER)}
    pairs = _paired(own, rest) if rest else {}
    if rest and not pairs:
        raise CheckpointError(
            f"{path}: has another head: {_shapes(rest)}, where {_shapes(own)} is wanted; set model.head to its own"
        )
    fitting = {name: value for name, value in pairs.items() if value.shape == own[name].shape}
    head.load_state_dict(fitting, strict=False)
    if left := [name for name in own if name not in fitting]:
        why = f"it has {_shapes({name: pairs[name] for name in left})}" if pairs else "it has no head"
        logger.warning(
            "%s: %s, so these of the head start at random: %s", path, why, _shapes({n: own[n] for n in left})
        )


def _start_reasoning(layer: nn.Module | None, given: Mapping[str, Tensor], path: Path) -> None:
    """Copy the weights of a layer on classes into one of the same shapes; buffers stay."""
    own = {} if layer is None else dict(layer.named_parameters())
    learned = {name: value for name, value in given.items() if name in own and value.shape == own[name].shape}
    if layer is not None and len(learned) == len(own):
        layer.load_state_dict(learned, strict=False)
    elif own:
        logger.warning("%s: has no such layer on classes, so model.reasoning starts at random", path)
    elif given:
        logger.warning("%s: has a layer on classes, which is left out; see model.reasoning", path)


def _paired(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return for each tensor that of the file, by name, by place or in order of names; nothing if shapes do not fit.

    Numbers of labels, the first axis of the last layers, may differ.
    """
    orders = (list(own), list(given)), (sorted(own), sorted(given))
    ways = [{name: given[name] for name in own if name in given}]
    ways += [{name: given[other] for name, other in zip(mine, theirs, strict=False)} for mine, theirs in orders]
    for way in ways:
        if len(way) == len(own) == len(given) and all(way[n].shape[1:] == own[n].shape[1:] for n in own):
            return way
    return {}


def _shapes(tensors: Mapping[str, Tensor]) -> str:
    named = [f"{name} {tuple(value.shape)}" for name, value in tensors.items()]
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return ", ".join(named[:SHOWN]) + more
