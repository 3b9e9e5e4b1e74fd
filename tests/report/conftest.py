from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generated import folder_arguments, write_folder
from weakseg.artifacts import Activations, LabelMap
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import open_truth
from weakseg.evaluation.protocol import score_maps
from weakseg.files import write_json
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import load_recipe
from weakseg.pipeline.manifests import MANIFEST
from weakseg.report import (
    Card,
    Chart,
    FailedImage,
    KeyFigure,
    Panel,
    Report,
    Table,
    difference,
    draw_activation,
    draw_labels,
)

LEGEND = {"cat": 1, "dog": 2, "sheep": 3}
TAGS = (("cat",), ("dog",), ("cat", "dog"), ("sheep",))


@pytest.fixture
def make_cards() -> Callable[..., tuple[Card, ...]]:
    """Twelve small cards ``img_0`` .. ``img_11``; tags go round ``TAGS``; IoU and reliability are shuffled."""

    def make(count: int = 12, *, with_iou: bool = True) -> tuple[Card, ...]:
        rng = np.random.default_rng(0)
        photo = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        truth = np.zeros((24, 32), np.uint8)
        truth[4:12, 4:20], truth[:2] = 1, 255
        panels = (
            Panel("photo", photo),
            Panel("activation", draw_activation(photo, rng.random((6, 8))), "activation"),
            Panel("mask", draw_labels(photo, np.roll(truth, 3, 1)), "labels"),
            Panel("difference", difference(photo, truth, np.roll(truth, 3, 1)), "difference"),
        )
        iou = rng.permutation(count) / count
        reliability = rng.permutation(count) / count
        return tuple(
            Card(f"img_{n}", TAGS[n % 4], panels, float(iou[n]) if with_iou else None, reliability[n], judged=True)
            for n in range(count)
        )

    return make


@pytest.fixture
def sample_report(make_cards: Callable[..., tuple[Card, ...]]) -> Report:
    return Report(
        title="A run",
        subtitle="twelve generated images",
        key_figures=(KeyFigure("mIoU", 63.42, "percent"), KeyFigure("images", 12)),
        warnings=("one image was left out",),
        notes=("a note",),
        tables=(Table("Quality", ("stage", "mIoU"), (("seeds", 47.1), ("masks", float("nan")))),),
        charts=(Chart("IoU per class", {"seeds": {"cat": 40.0, "dog": None}, "masks": {"cat": 55.5, "dog": 61.0}}),),
        cards=make_cards(),
        legend=LEGEND,
        failures=(FailedImage("img_99", "activate", "truncated file"),),
        settings={"seed": 0, "segment": {"epochs": 3, "crop": [320, 320]}},
    )


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Six images to train on and two to validate on, with true masks."""
    root = write_folder(tmp_path_factory.mktemp("report") / "data", 8)
    return DataConfig(root=str(root), format="folder", train="tags.json", val="val.json", truth="masks")


@pytest.fixture(scope="session")
def recipe(tiny_data: DataConfig) -> Recipe:
    return load_recipe("cam", folder_arguments(Path(tiny_data.root)))


@pytest.fixture
def leave_steps(tiny_data: DataConfig) -> Callable[..., dict[str, Any]]:
    """Write what the steps of a run leave, and return the score of the masks."""

    def leave(folder: Path, shift: int = 2) -> dict[str, Any]:
        dataset = open_dataset(tiny_data)
        truth = open_truth(tiny_data, dataset, "train")
        for sample in truth:
            seeds = sample.load_truth().copy()
            LabelMap(np.roll(seeds, shift, 1)).save(folder / "masks" / f"{sample.id}.png")
            seeds[:12] = 255  # of 48 rows
            LabelMap(seeds).save(folder / "seeds" / f"{sample.id}.png")
        Activations(torch.rand(1, 12, 16), (1,), (48, 64), 4).save(folder / "activations" / "i01.safetensors")
        for name in ("activations", "seeds", "masks"):
            measured = {"seconds": 1.5, "images": 6, "peak_mb": 100.0, "workers": 2, "failures": []}
            write_json(folder / name / MANIFEST, {"summary": {**measured, "warnings": [f"{name} were slow"]}})
        protocol = {"split": "train", "list": "tags.json", "tags_from": "labels"}
        return score_maps("masks", truth, folder / "masks", protocol=protocol).as_json(dataset.classes)

    return leave
