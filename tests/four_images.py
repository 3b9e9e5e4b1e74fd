"""A training of one batch of four images, for commands that are started as two processes."""

from pathlib import Path

import torch
from PIL import Image

from generated import CLASSES, draw
from weakseg.artifacts import LabelMap
from weakseg.crew import Crew
from weakseg.rng import generator_for
from weakseg.training.batches import Batching, epoch_loader


def write_four(root: Path) -> Path:
    """Write images, masks and classes, and return the root."""
    (root / "i").mkdir()
    for index in range(4):
        image, mask = draw(index)
        Image.fromarray(image).save(root / "i" / f"{index}.png")
        LabelMap(mask).save(root / "m" / f"{index}.png")
    (root / "c.txt").write_text("\n".join(CLASSES))
    return root


def four_words(root: Path, out: str) -> list[str]:
    """Return the training's command."""
    settings = ["--fit.epochs=1", "--fit.batch_size=4", "--augment.long_side=[64,80]", "--augment.crop=64"]
    paths = [f"--{name}={root / path}" for name, path in (("masks", "m"), ("images", "i"), ("classes", "c.txt"))]
    return ["train-segmenter", *paths, f"--out={root / out}", *settings, "--device=cpu"]


class _Indices:
    def __len__(self) -> int:
        return 4

    def load(self, index: int, epoch: int) -> tuple[torch.Tensor]:
        return (torch.tensor(index),)


def halve_image_of(rank: int, root: Path) -> Path:
    """Damage the last image that a process of two sees of the batch, and return its path."""
    order, batching = generator_for(0, "", "segmenter/order/0"), Batching(1, 4, crew=Crew(rank, 2))
    ((_, indices),) = epoch_loader(_Indices(), 0, batching=batching, generator=order)
    path = root / "i" / f"{indices[-1]}.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path
