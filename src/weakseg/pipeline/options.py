"""How a run is carried out."""

from dataclasses import dataclass, replace

from weakseg.crew import crew
from weakseg.errors import ConfigError
from weakseg.pipeline.engines import Engine
from weakseg.pipeline.share import Share
from weakseg.settings.rules import spoken

ENGINES = ("joblib", "ray")


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; none of it changes a result.

    Attributes:
        workers: Processes for work on single images; 0: one for each core.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        engine: What spreads that work: ``joblib`` (processes of this machine) or ``ray`` (actors).
        address: Of a running Ray cluster, ``HOST:PORT`` or ``auto``; empty: Ray is started here, and ended.
        units_per_call: How many images an actor of Ray gets at once at most.
        shard: ``i/n``: only that share of the work on single images, beside other processes; empty: all.
        until: Name of the step that a run ends with; empty: the last one.
    """

    workers: int = 0
    device: str = "auto"
    engine: str = "joblib"
    address: str = ""
    units_per_call: int = 4
    shard: str = ""
    until: str = ""

    @property
    def share(self) -> Share | None:
        """The share that ``shard`` names; ``None``: all."""
        return Share.of(self.shard) if self.shard else None

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
        self._check_engine()
        device = "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"
        if device == "cuda" and (joined := crew()).size > 1:
            if joined.local_rank >= (count := torch.cuda.device_count()):
                raise ConfigError(
                    f"{joined.local_rank + 1} processes or more on a machine with {count} GPUs; start one for each"
                )
            torch.cuda.set_device(joined.local_rank)
        if self.engine == "ray" and self.address:
            return replace(self, workers=self._of_cluster(device), device=device)
        return replace(self, workers=1 if device == "cuda" else self.workers or default_workers(), device=device)

    def make_engine(self) -> Engine:
        """Return what spreads the work: processes of this machine, or actors of a cluster."""
        from weakseg.pipeline.engines.local import LocalEngine

        if self.engine == "ray":
            from weakseg.pipeline.engines.ray import RayEngine

            return RayEngine(self.workers, self.address, self.units_per_call, self.device == "cuda")
        return LocalEngine(self.workers)

    def _check_engine(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ConfigError: If so, or if the engine is not installed.
        """
        if self.engine not in ENGINES:
            raise ConfigError(f"engine: {spoken(ENGINES)}, got {self.engine!r}")
        if self.address and self.engine != "ray":
            raise ConfigError("address: is that of a Ray cluster; set engine to 'ray', or leave it out")
        if self.units_per_call < 1:
            raise ConfigError(f"units_per_call: 1 or more, got {self.units_per_call}")
        if self.share and crew().size > 1:
            raise ConfigError("shard: shards train nothing, and several processes do nothing else; take one of both")
        if self.engine == "ray":
            from weakseg.pipeline.engines.ray_cluster import check_ray

            check_ray(self.address)

    def _of_cluster(self, device: str) -> int:
        """Return how many actors a cluster is asked for: one a core, or one a GPU, unless fewer are wanted."""
        from weakseg.pipeline.engines.ray_cluster import connect, cores_and_gpus

        connect(self.address)
        cores, gpus = cores_and_gpus()
        room, what = (gpus, "GPUs") if device == "cuda" else (cores, "cores")
        if not 0 < (self.workers or room) <= room:
            raise ConfigError(
                f"workers: the cluster at {self.address!r} has {room} {what}, and each worker takes one; set workers "
                f"to at most {room}, 0 for all" + ("" if room else ", or device to 'cpu'")
            )
        return self.workers or room
