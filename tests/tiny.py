"""A model, its examples and its loss, all so small that a training takes a fraction of a second."""

import torch
from torch import Tensor, nn

from weakseg.rng import generator_for
from weakseg.settings.fit import FitConfig

CONFIG = FitConfig(epochs=3, batch_size=2, lr=0.05, head_lr_factor=2.0)


class TinyModel(nn.Module):
    """Two linear layers with dropout between, under the names that ``Fit`` knows."""

    def __init__(self, *, dropout: float = 0.25, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.backbone = nn.Sequential(nn.Linear(4, 6), nn.Dropout(dropout))
        self.head = nn.Linear(6, 1)

    def forward(self, values: Tensor) -> Tensor:
        return self.head(self.backbone(values))  # type: ignore[no-any-return]


class NoisyLine:
    """Points near a plane; noise is keyed by (index, epoch) as augmentation is. ``stop``: (epoch, index) to fail at."""

    def __init__(self, count: int = 8, *, noise: float = 0.1, stop: tuple[int, int] | None = None) -> None:
        self.points = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
        self.noise, self.stop = noise, stop

    def __len__(self) -> int:
        return len(self.points)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        if self.stop == (epoch, index):
            raise KeyboardInterrupt
        noise = torch.randn(4, generator=generator_for(0, str(index), f"noise/{epoch}"))
        return self.points[index] + self.noise * noise, self.points[index].sum()[None]


def squared_error(model: nn.Module, batch: list[Tensor]) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]).float(), batch[1])
