"""How a run is carried out."""

import os
from dataclasses import dataclass

from weakseg.errors import ConfigError
from weakseg.pipeline.engines import Engine


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; none of it changes a result.

    Attributes:
        workers: Processes for work on single images; 0: one for each core.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
    """

    workers: int = 0
    device: str = "auto"

    def resolve(self) -> "RunOptions":
        """Return the options with ``auto`` and 0 replaced by what they mean here; a GPU is used by one process."""
        import torch  # which takes seconds, and no parser of flags needs

        from weakseg.pipeline.engines.local import default_workers

        if self.workers < 0:
            raise ConfigError(f"workers: 0, one for each core, or more, got {self.workers}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"device: 'auto', 'cpu' or 'cuda', got {self.device!r}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device: 'cuda' was asked for, but torch sees no GPU; see weakseg doctor")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("WORLD_SIZE: this is one process with its own workers; start it once, without a launcher")
        device = "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"
        return RunOptions(1 if device == "cuda" else self.workers or default_workers(), device)

    def engine(self) -> Engine:
        """Return what spreads the work: processes of this machine."""
        from weakseg.pipeline.engines.local import LocalEngine

        return LocalEngine(self.workers)
