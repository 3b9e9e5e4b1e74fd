"""How a run is carried out."""

from dataclasses import dataclass

from weakseg.crew import crew
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
        device = "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"
        if device == "cuda" and (joined := crew()).size > 1:
            if joined.local_rank >= (count := torch.cuda.device_count()):
                raise ConfigError(
                    f"{joined.local_rank + 1} processes or more on a machine with {count} GPUs; start one for each"
                )
            torch.cuda.set_device(joined.local_rank)
        return RunOptions(1 if device == "cuda" else self.workers or default_workers(), device)

    def engine(self) -> Engine:
        """Return what spreads the work: processes of this machine."""
        from weakseg.pipeline.engines.local import LocalEngine

        return LocalEngine(self.workers)
