"""What an interrupted training resumes from: weights, optimiser, records, and what the caller keeps, in one file."""

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from weakseg.crew import Crew
from weakseg.errors import CheckpointError, WeaksegError, cut
from weakseg.nn.weights import load_into, load_state, save_state
from weakseg.pipeline.attempts import is_passing

logger = logging.getLogger(__name__)


class _DamagedError(CheckpointError):
    """A file is of this training, as far as can be told, but cannot be gone on from."""


class Kept(Protocol):
    """What the caller of a training accumulates from step to step, for example maps of images."""

    def state_dict(self) -> dict[str, Any]:
        """Return all of it as tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Restore it, or raise where the state is not one of its own."""
        ...


class Progress(NamedTuple):
    """How far a training is.

    Attributes:
        model: Its weights.
        optimizer: Its state.
        epoch: How many are done.
        records: One of each.
        scaler: What scales the loss in half precision, if anything does.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int
    records: list[dict[str, Any]]
    scaler: Any = None


@dataclass(frozen=True)
class StateFile:
    """The file that a training resumes from.

    Attributes:
        path: Where it is.
        settings: What the weights depend on; a file of other settings is refused.
    """

    path: Path
    settings: dict[str, Any]

    def save(self, progress: Progress, kept: Kept | None) -> None:
        """Write it, atomically."""
        state = {
            "model": progress.model.state_dict(),
            "optimizer": progress.optimizer.state_dict(),
            "epoch": progress.epoch,
            "records": progress.records,
            "settings": self.settings,
        }
        if progress.scaler is not None:
            state["scaler"] = progress.scaler.state_dict()
        if kept is not None:
            state["kept"] = {"name": type(kept).__name__, "state": kept.state_dict()}
        save_state(self.path, state)

    def load(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, kept: Kept | None, scaler: Any = None
    ) -> tuple[int, list[dict[str, Any]]]:
        """Restore all, if there is a file; return how many epochs are done, and their records.

        The file spares work, and nothing else: one that is damaged is said, changes nothing, and the training begins
        anew.

        Raises:
            CheckpointError: If it cannot be read for a reason that may pass, was made with other settings, of another
                model or by a caller that keeps something else.
        """
        if not self.path.exists():
            return 0, []
        before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        try:
            state = self._read()
            done = self._restore(state, model, optimizer, scaler)
        except _DamagedError as error:
            logger.warning("%s; the training begins anew", error)
            model.load_state_dict(before[0])
            optimizer.load_state_dict(before[1])
            return 0, []
        self._restore_kept(kept, state.get("kept"))
        return done

    def _read(self) -> dict[str, Any]:
        try:
            state = load_state(self.path)
        except CheckpointError as error:
            if self.path.is_dir() or is_passing(error):
                raise
            raise _DamagedError(str(error).partition("; restore it")[0]) from error
        if "settings" not in state:
            raise _DamagedError(f"{self.path}: does not say which settings it is of")
        if state["settings"] != self.settings:
            raise CheckpointError(f"{self.path}: made with other settings; delete it to train from the start")
        return state

    def _restore(
        self, state: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer, scaler: Any
    ) -> tuple[int, list[dict[str, Any]]]:
        try:
            epoch, records = _whole(state["epoch"]), [dict(record) for record in state["records"]]
            load_into(model, dict(state["model"]), str(self.path))
            optimizer.load_state_dict(state["optimizer"])
            if scaler is not None and "scaler" in state:  # older states have none
                scaler.load_state_dict(state["scaler"])
        except WeaksegError:
            raise
        except Exception as error:  # parts of another kind fail in every way
            why = f"{type(error).__name__}: {cut(error)}"
            raise _DamagedError(f"{self.path}: does not hold the state of a training ({why})") from error
        return epoch, records

    def _restore_kept(self, kept: Kept | None, saved: dict[str, Any] | None) -> None:
        name = "nothing" if kept is None else type(kept).__name__
        saved_name = "nothing" if saved is None else str(saved.get("name") if isinstance(saved, dict) else saved)
        if name != saved_name:
            raise CheckpointError(
                f"{self.path}: keeps the state of {cut(saved_name)}, but that of {name} is wanted; "
                "delete it to train from the start"
            )
        if kept is None or saved is None:
            return
        try:
            kept.load_state_dict(saved["state"])
        except Exception as error:  # as above
            raise CheckpointError(
                f"{self.path}: what it keeps does not fit {name} ({cut(error)}); delete it to train from the start"
            ) from error


def share_state(progress: Progress, kept: Kept | None, crew: Crew) -> tuple[int, list[dict[str, Any]]]:
    """Give all processes the state that the first one has; return how many epochs are done, and their records."""
    if crew.size == 1:
        return progress.epoch, progress.records
    parts = [part for part in (progress.model, progress.optimizer, progress.scaler, kept) if part is not None]
    states, done, records = crew.tell(([part.state_dict() for part in parts], progress.epoch, progress.records))
    if crew.follows:
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
    return done, records


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number of epochs")
    return value
