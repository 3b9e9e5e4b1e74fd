"""Weights on disk: safetensors out; safetensors or plain tensor checkpoints in, never code."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from weakseg.errors import CheckpointError
from weakseg.files import atomic_path, write_bytes

HEADER_KEY = "weakseg"


def save_model(path: Path, model: nn.Module, header: dict[str, Any]) -> None:
    """Write a model's state dict and a JSON header that says how to build it, as safetensors, atomically."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, save(tensors, {HEADER_KEY: json.dumps(header)}))


def read_header(path: Path) -> dict[str, Any]:
    """Return the header that ``save_model`` wrote.

    Raises:
        CheckpointError: If the file is missing, truncated, or was not written by weakseg.
    """
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})[HEADER_KEY])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: not a weakseg model ({error}); train it again or restore the file") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: the header is no JSON object; train the model again or restore the file")
    return header


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file or of a PyTorch checkpoint that holds tensors alone.

    Raises:
        CheckpointError: If the file is missing, truncated, or would run code when loaded.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be loaded safely ({type(error).__name__}: {error})") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, got {type(state).__name__}")
    return state


def load_into(model: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Copy a state dict into a model, all of it.

    Raises:
        CheckpointError: If names or shapes differ; names the first of each kind.
    """
    own = model.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if missing or extra or shapes:
        raise CheckpointError(
            f"{where}: belongs to another model; missing {missing[:3]}, unexpected {extra[:3]}, "
            f"other shape {shapes[:3]}"
        )
    model.load_state_dict(state)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values as a PyTorch checkpoint, atomically."""
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path) -> dict[str, Any]:
    """Read what ``save_state`` wrote.

    Raises:
        CheckpointError: If the file is truncated or holds anything but tensors and plain values.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise CheckpointError(
            f"{path}: cannot be loaded safely ({type(error).__name__}); delete it to train from the start"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: expected a dictionary, got {type(state).__name__}")
    return state
