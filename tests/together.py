"""Trainings that ``tests/training/test_together.py`` carries out in one process, and this script in those of torchrun.

``torchrun --nproc-per-node 2 tests/together.py FOLDER MSRC COMMAND...``: each training leaves its model in a
folder of ``FOLDER``, and then the command runs. The exit code is 9 if another process than the first wrote anything.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tiny import NoisyLine, TinyModel, squared_error
from weakseg.cli.main import main
from weakseg.crew import ALONE, Crew, TakenPartError, crew
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.sample import Tags, WeakSample
from weakseg.settings.accumulate import AttentionDropConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.boundary import BoundaryConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.fit import FitConfig
from weakseg.settings.grow import BoundaryConfig as GrownBoundary
from weakseg.settings.grow import GrowthConfig, SeededConfig
from weakseg.settings.segment import SegmentConfig, SegmenterConfig
from weakseg.stages.accumulate import train_accumulating
from weakseg.stages.boundary import train_boundary
from weakseg.stages.classify import train_classifier
from weakseg.stages.seeded import train_seeded
from weakseg.stages.segment import train_segmenter
from weakseg.training.loop import EpochDone, Fit, FitPlace, StepDone
from weakseg.training.train import Training, train_model

CONFIG = FitConfig(epochs=3, batch_size=4, lr=0.05, head_lr_factor=2.0)  # of 9 examples: batches of 4, 4 and 1
THIN = BackboneConfig("vgg16_pool5_thin", 8, "none")
WARPED = AugmentConfig(None, 48, warp=True)
FEW = FitConfig(epochs=2, batch_size=3, lr=1e-3)


def plain(folder: Path, config: FitConfig, *, count: int = 9, dropout: float = 0.0) -> None:
    """Train the tiny model."""
    training = Training("line", lambda: TinyModel(dropout=dropout), NoisyLine(count), squared_error, config, {})
    train_model(training, FitPlace(folder))


class Normed(nn.Module):
    """A model with a norm of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
        self.head = nn.Linear(6, 1)

    def forward(self, values: Tensor) -> Tensor:
        return self.head(self.backbone(values))  # type: ignore[no-any-return]


def normed(folder: Path) -> None:
    """Train a model whose norms take the statistics of the batch."""
    config = replace(CONFIG, batch_size=4, lr=0.01)
    train_model(Training("normed", Normed, NoisyLine(8), squared_error, config, {}), FitPlace(folder))


def resumed(folder: Path) -> None:
    """Train two epochs in all processes, two in one, two in all; ``undisturbed`` trains six in one."""
    config, everyone = replace(CONFIG, epochs=6), crew()

    def go(until: int, own: Crew) -> None:
        fit = Fit(TinyModel(dropout=0.0), NoisyLine(9), squared_error, config, FitPlace(folder), crew=own)
        for moment in fit.moments():
            if isinstance(moment, StepDone) and moment.epoch == until:
                return

    go(2, everyone)
    if everyone.leads:
        go(4, ALONE)
    everyone.tell()
    fit = Fit(TinyModel(dropout=0.0), NoisyLine(9), squared_error, config, FitPlace(folder), crew=everyone)
    done = [moment.epoch for moment in fit.moments() if isinstance(moment, EpochDone)]
    assert done == [4, 5], done
    states = [value.sum().item() for value in fit.model.state_dict().values()]
    assert states == everyone.tell(states), "processes have other weights"


def msrc(root: Path, count: int = 5) -> tuple[Classes, list[WeakSample]]:
    """Return photographs of MSRC; of every second one only what it shows is known."""
    whole = open_dataset(DataConfig(root=str(root), format="voc", train="train", tags="truth"))
    every = frozenset(range(1, len(whole.classes) + 1))
    samples = list(whole.splits["train"][:: len(whole.splits["train"]) // count][:count])
    half = [replace(s, tags=Tags(s.tags.present, every - s.tags.present)) for s in samples[::2]]
    return whole.classes, sorted([*half, *samples[1::2]], key=lambda sample: sample.id)


def classifier(folder: Path, root: Path) -> None:
    """Train the classifier on photographs; tags that are unknown give no loss."""
    classes, samples = msrc(root)
    config = ClassifierConfig(THIN, frozen=False, augment=AugmentConfig((64, 80), 48), fit=replace(FEW, lr=0.01))
    train_classifier(samples, samples[:2], classes, config=config, place=FitPlace(folder))


def segmenter(folder: Path, root: Path) -> None:
    """Train a segmenter on photographs; undecided pixels give no loss."""
    classes, samples = msrc(root)
    model = SegmenterConfig(THIN, "score")
    config = SegmentConfig(model, AugmentConfig((64, 80), 48), replace(FEW, accumulate=2), loss="balanced")
    train_segmenter(samples, root / "SegmentationClass", classes, config=config, place=FitPlace(folder))


def boundary(folder: Path, root: Path) -> None:
    """Train the boundary network: its losses are means over pairs of several kinds."""
    _, samples = msrc(root, 3)
    config = BoundaryConfig(
        backbone=BackboneConfig("resnet10t", 16, "none"), augment=AugmentConfig((64, 80), 64), fit=FEW
    )
    train_boundary(samples, root / "SegmentationClass", config=config, place=FitPlace(folder))


def accumulating(folder: Path, root: Path) -> None:
    """Train a classifier that hides what is known of images, and accumulates it."""
    classes, samples = msrc(root)
    config = ClassifierConfig(THIN, dropout=0.0, augment=WARPED, fit=replace(FEW, epochs=3, lr=0.01), accumulate=True)
    config = replace(config, attention_drop=AttentionDropConfig(0.5, 0.4))
    place = FitPlace(folder, 3)
    train_accumulating(samples[:4], samples, classes, config=config, place=place, held=samples[4:])


def seeded(folder: Path, root: Path) -> None:
    """Train a segmenter on labels that grow."""
    classes, samples = msrc(root)
    grown = GrownBoundary(crf=CrfParams(2, 1.0, 1.0, 4.0, 20.0, 1.0))
    config = SeededConfig(SegmenterConfig(THIN, "score"), WARPED, FEW, boundary=grown)
    growth = GrowthConfig(neighbors=3, threshold=0.2, link_weight=0.1)
    seeds = root / "SegmentationClass"
    train_seeded(samples, seeds, classes, config=config, growth=growth, place=FitPlace(folder, 3))


def trainings(root: Path) -> dict[str, Callable[[Path], None]]:
    """Return all, by the name of their folder."""
    adamw = replace(CONFIG, batch_size=3, accumulate=2, optimizer="adamw", lr=0.01, clip_norm=0.5)
    real = (classifier, segmenter, boundary, accumulating, seeded)
    return {
        "plain": lambda folder: plain(folder, CONFIG),
        "adamw": lambda folder: plain(folder, adamw),
        "iterations": lambda folder: plain(folder, replace(CONFIG, iterations=7, batch_size=2)),
        "dropout": lambda folder: plain(folder, CONFIG, dropout=0.25),
        "normed": normed,
        **{train.__name__: (lambda folder, train=train: train(folder, root)) for train in real},
    }


def watch(written: list[str]) -> None:
    """Note each file that this process opens to write it, and each change of a folder."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (event == "open" and (arguments[2] or 0) & 3) or event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir"):
            written.append(str(arguments[0]))

    sys.addaudithook(hook)


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, data, *command = sys.argv[1:]
    noted: list[str] = []
    if crew().follows:
        watch(noted)
    for name, train in trainings(Path(data)).items():
        with suppress(TakenPartError):
            train(Path(out) / name)
    resumed(Path(out) / "resumed")
    code = main(command)
    there = [name for name in noted if name.startswith(out)]
    if there:
        print(json.dumps(there), file=sys.stderr)
        code = 9
    sys.exit(code)
