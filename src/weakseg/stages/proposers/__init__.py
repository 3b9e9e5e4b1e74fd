"""Who proposes the mask of an object that a box, or a mark, means; to add one, write a module and enter it here."""

from collections.abc import Callable
from functools import lru_cache

from weakseg.errors import ConfigError
from weakseg.settings.box_seeds import BoxSeedConfig, ProposerName
from weakseg.stages.proposers.grabcut import GrabCutProposer
from weakseg.stages.proposers.proposer import Proposals, Proposer
from weakseg.stages.proposers.sam import check_checkpoint, load_sam2, load_sam3

Build = Callable[[BoxSeedConfig, str], Proposer]

PROPOSERS: dict[ProposerName, Build] = {"grabcut": GrabCutProposer.of, "sam2": load_sam2, "sam3": load_sam3}

__all__ = ["PROPOSERS", "Proposals", "Proposer", "build_proposer", "check_proposer", "forget_proposers"]


def build_proposer(config: BoxSeedConfig, *, device: str = "cpu") -> Proposer:
    """Return the proposer that settings name; a network is loaded once in a process.

    Args:
        config: Its name, weights and device.
        device: Where it runs if the settings say nothing of it.

    Raises:
        ConfigError: If packages or the checkpoint are missing.
        CheckpointError: If the checkpoint is damaged, or of another network.
    """
    if config.proposes:
        return _kept(config, config.proposer_device or device)
    return PROPOSERS[config.proposer](config, device)


def check_proposer(config: BoxSeedConfig) -> None:
    """Raise ``ConfigError`` if what a proposer needs is missing, without loading it."""
    if config.proposes:
        check_checkpoint(config)


def forget_proposers() -> None:
    """Give back the memory of networks that are kept in this process."""
    _kept.cache_clear()


@lru_cache(maxsize=1)
def _kept(config: BoxSeedConfig, device: str) -> Proposer:
    try:
        return PROPOSERS[config.proposer](config, device)
    except (RuntimeError, AssertionError) as error:  # as torch says that a device is not there
        raise ConfigError(f"seeds.boxes.proposer_device: {device!r} cannot be used ({error})") from error
