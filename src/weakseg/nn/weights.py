"""Weights on disk: safetensors out; safetensors or plain tensor checkpoints in, never code."""

import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from weakseg.errors import CheckpointError, cut
from weakseg.files import json_value, write_bytes

MODEL_FILE = "model.safetensors"  # what every training writes in its folder
HEADER_KEY = "weakseg"
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights")


def save_model(path: Path, model: nn.Module, header: dict[str, Any]) -> None:
    """Write a model's state dict and a JSON header that says how to build it, as safetensors, atomically."""
    save_weights(path, model.state_dict(), {HEADER_KEY: json.dumps(header)})


def save_weights(path: Path, state: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and what is to be said of them as safetensors, atomically."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_bytes(path, save(tensors, metadata))


def read_header(path: Path, *, kinds: Collection[str] = ()) -> dict[str, Any]:
    """Return the header that ``save_model`` wrote.

    Args:
        path: A model file.
        kinds: One of which the header must say that it is; empty: anything.

    Raises:
        CheckpointError: If the file is missing, a folder, truncated, was not written by weakseg, or is of another kind.
    """
    _check_no_folder(path)
    try:
        with safe_open(path, "pt") as file:
            header = json_value((file.metadata() or {})[HEADER_KEY])
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: not a weakseg model ({cut(error)}); train it again or restore the file"
        ) from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: the header is no JSON object; train the model again or restore the file")
    if kinds and header.get("kind") not in tuple(kinds):
        raise CheckpointError(f"{path}: is no {' or '.join(kinds)} but a {cut(header.get('kind'))}; give another file")
    return header


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a ``.safetensors`` file says of itself; nothing for other files.

    Raises:
        CheckpointError: If it is missing, a folder, or truncated.
    """
    _check_no_folder(path)
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise _not_loadable(path, error) from error


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file or of a PyTorch checkpoint that holds tensors alone.

    Of a checkpoint that holds more than a state dict, the first entry of ``WRAPPERS`` counts.

    Raises:
        CheckpointError: If the file is missing, a folder, truncated, or would run code when loaded.
    """
    _check_no_folder(path)
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, RuntimeError) as error:
            raise _not_loadable(path, error) from error
    state = _load_plain(path)
    if isinstance(state, dict):
        state = next((state[word] for word in WRAPPERS if isinstance(state.get(word), dict)), state)
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, got {type(state).__name__}")
    return state


def load_into(model: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Copy a state dict into a model, all of it.

    Raises:
        CheckpointError: If names or shapes differ; names the first of each kind.
    """
    check_state(model.state_dict(), state, where)
    model.load_state_dict(state)


def check_state(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], where: str) -> None:
    """Raise ``CheckpointError`` if names or shapes of tensors differ; names the first of each kind."""
    missing, extra = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    shapes = sorted(name for name in wanted.keys() & given.keys() if wanted[name].shape != given[name].shape)
    if missing or extra or shapes:
        raise CheckpointError(
            f"{where}: belongs to another model; missing {missing[:3]}, unexpected {extra[:3]}, "
            f"other shape {shapes[:3]}"
        )


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values as a PyTorch checkpoint, atomically."""
    buffer = io.BytesIO()  # torch.save to a path reports a full disk as RuntimeError
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load_state(path: Path) -> dict[str, Any]:
    """Read what ``save_state`` wrote.

    Raises:
        CheckpointError: If the file is a folder, truncated, or holds anything but tensors and plain values.
    """
    _check_no_folder(path)
    state = _load_plain(path)
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: expected a dictionary, got {type(state).__name__}")
    return state


def _check_no_folder(path: Path) -> None:
    """Refuse a folder, and name the models in it, or in the folders of the steps of a run or comparison."""
    if path.is_dir():
        patterns = (MODEL_FILE, f"*/{MODEL_FILE}", f"steps/*/{MODEL_FILE}")
        found = [file for pattern in patterns for file in sorted(path.glob(pattern))]
        files = " or ".join(str(file) for file in found if file.is_file())
        raise CheckpointError(f"{path}: is a folder; give a file: {files or 'the ' + MODEL_FILE + ' of a training'}")


def _load_plain(path: Path) -> Any:
    """Return the tensors and plain values of a PyTorch checkpoint; nothing in it is executed."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles fail in every way: KeyError, IndexError, struct.error, AssertionError
        raise _not_loadable(path, error) from error


def _not_loadable(path: Path, error: Exception) -> CheckpointError:
    plain = isinstance(error, OSError | SafetensorError)  # torch's own message advises to load unsafely
    why = str(error) if plain else f"damaged, or more than tensors: {type(error).__name__}"
    return CheckpointError(f"{path}: cannot be loaded safely ({why}); restore it, or give a file of tensors alone")
