"""What a whole segmenter starts from: the weights of another one."""

import logging
from pathlib import Path

from torch import Tensor

from weakseg.errors import CheckpointError
from weakseg.nn.segmenters.segmenter import Segmenter
from weakseg.nn.weights import check_state, load_weights

HEAD, BACKBONE = "head.", "backbone."

logger = logging.getLogger(__name__)


def start_from(model: Segmenter, path: Path) -> None:
    """Copy the weights of a file into a segmenter; what of its head the file does not have, starts at random.

    The backbone has to be whole. A layer of the head starts at random, with a warning, where the file has none, or one
    for another number of labels.

    Args:
        model: With random weights.
        path: A segmenter of weakseg.

    Raises:
        CheckpointError: If the file cannot be read, or its backbone or head is another.
    """
    state = load_weights(path)
    parts = {prefix: _below(state, prefix) for prefix in (BACKBONE, HEAD)}
    check_state(model.backbone.state_dict(), parts[BACKBONE], f"{path}: backbone")
    model.backbone.load_state_dict(parts[BACKBONE])
    own, given = model.head.state_dict(), parts[HEAD]
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    model.head.load_state_dict(fitting, strict=False)
    if left := sorted(own.keys() - fitting.keys()):
        shapes = [f"{name} {tuple(given[name].shape)} for {tuple(own[name].shape)}" for name in left if name in given]
        logger.warning("%s: of the head start at random: %s", path, ", ".join(shapes or left))
    if extra := sorted(given.keys() - own.keys()):
        raise CheckpointError(
            f"{path}: has another head, with {extra[:3]}; give model.head and model.hidden of that file"
        )


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
