"""From a model file to the network in it: its header names the class and tells how to build it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError, cut
from weakseg.nn.weights import check_state, load_into, load_weights, read_header

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class ModelFile:
    """A model file that has been read.

    Attributes:
        path: Where it is.
        header: What it says of itself.
        state: Its tensors.
    """

    path: Path
    header: dict[str, Any]
    state: dict[str, Tensor]

    def check_part(self, name: str, build: Callable[[], nn.Module]) -> None:
        """Build a part without memory for its weights, and raise ``CheckpointError`` if the file's are of others.

        A header that is damaged may ask for more memory than there is; the file's tensors tell before it is taken.
        """
        with torch.device("meta"):
            wanted = build().state_dict()
        prefix = f"{name}."
        given = {key.removeprefix(prefix): value for key, value in self.state.items() if key.startswith(prefix)}
        check_state(wanted, given, f"{self.path}: {name}")


Builder = Callable[[ModelFile], Network]


def load_model(path: Path, builders: Mapping[str, Builder[Network]]) -> tuple[Network, dict[str, Any]]:
    """Return a network in evaluation mode, and the header of its file.

    Args:
        path: Written by ``save_model``.
        builders: By the ``kind`` that the header says: from the file to a network that its weights fit. They raise
            ``KeyError``, ``TypeError``, ``ValueError`` or ``ConfigError`` where the header says too little.

    Raises:
        CheckpointError: If the file is missing, truncated, of another kind, or its header describes no network, or
            another than the weights.
    """
    header = read_header(path, kinds=builders)
    kind = header["kind"]
    file = ModelFile(path, header, load_weights(path))
    try:
        model = builders[kind](file)
    except CheckpointError:
        raise
    except Exception as error:  # settings of any type and value fail in every way
        raise CheckpointError(
            f"{path}: the header describes no network of kind {kind!r} ({cut(error)}); train it again"
        ) from error
    load_into(model, file.state, str(path))
    return model.eval(), header


def class_count(header: Mapping[str, Any]) -> int:
    """Return how many classes a header names."""
    return len(list(header["classes"]))
