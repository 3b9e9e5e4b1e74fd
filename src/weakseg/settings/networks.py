"""What networks on a started backbone have in common."""

from typing import Literal, Protocol, get_args

from weakseg.errors import ConfigError
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.rules import check_settings

Start = Literal["classifier", "pretrained"]


class StartedConfig(Protocol):
    """What the configuration of each such network holds."""

    @property
    def start(self) -> str:
        """What the backbone starts from: that of the trained classifier, or ``backbone`` as it is."""
        ...

    @property
    def backbone(self) -> BackboneConfig:
        """The feature extractor for ``pretrained``."""
        ...

    @property
    def augment(self) -> AugmentConfig:
        """Variation of the training images."""
        ...

    @property
    def fit(self) -> FitConfig:
        """Optimisation."""
        ...


def check_network(
    name: str, config: StartedConfig, multiple: int, *, starts: tuple[str, ...] = get_args(Start)
) -> None:
    """Raise ``ConfigError`` for a start that does not exist, and for crops that are no whole cells."""
    check_settings(name, config, start=starts)
    if config.augment.crop % multiple:
        raise ConfigError(f"{name}.augment.crop: need a multiple of {multiple}, got {config.augment.crop}")
