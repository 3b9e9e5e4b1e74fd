"""What pages about runs share: panels of an image's artefacts, and what the manifests of steps say."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.dataset import Dataset
from weakseg.data.saliency import load_map
from weakseg.data.sample import WeakSample
from weakseg.evaluation.protocol import BESIDE_TAGS, knows_masks, scored_on
from weakseg.files import read_json
from weakseg.photograph.overlay import draw_activation, draw_labels, shrink
from weakseg.pipeline.manifests import MANIFEST
from weakseg.report.model import Panel, Table

MAX_CARDS = 300
ONE_MATRIX = "One confusion matrix over all images; classes that the truth does not show are left out of the mean."

OF_OBJECTS = "Mean average precision by mask IoU over the classes that have true objects; what is missing is not found."

Labels = NDArray[np.uint8]


def agreement_table(scores: Iterable[Mapping[str, Any]], methods: Iterable[str] | None = None) -> Table:
    """Return one row for each score of label maps (``Score.as_json``), behind the method's name where there are any."""
    columns = ("product", "split", "mIoU %", "pixel accuracy %", "coverage %", "images", "missing")
    figures = ("mean_iou", "pixel_accuracy", "coverage", "images", "missing")
    rows = [
        (labelled(s["name"], s["protocol"]), scored_on(s["protocol"]), *(s[figure] for figure in figures))
        for s in scores
    ]
    title = "Agreement with the truth"
    if methods is None:
        return Table(title, columns, tuple(rows), ONE_MATRIX)
    named = tuple((method, *row) for method, row in zip(methods, rows, strict=True))
    return Table(title, ("method", *columns), named, ONE_MATRIX)


def labelled(name: str, told: Mapping[str, Any]) -> str:
    """Return a name, and what it learned from beside tags, or who proposed its masks, where ``told`` says so."""
    notes = [BESIDE_TAGS] if knows_masks(told.get("saliency", {})) else []
    notes += [f"proposer {found['name']}, {found['file']}"] if (found := told.get("proposer")) else []
    return f"{name} ({'; '.join(notes)})" if notes else name


def objects_table(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return one row of average precisions for each product of objects, by its title (``InstanceScore.as_json``)."""
    thresholds = next(iter(scores.values()))["mean_ap_region"]
    figures = (*(f"mAP^r {threshold} %" for threshold in thresholds), "COCO AP %", "COCO AP50 %")
    rows = tuple(
        (
            name,
            scored_on(s["protocol"]),
            *s["mean_ap_region"].values(),
            s["coco"]["ap"],
            s["coco"]["ap50"],
            s["images"],
            s["missing"],
            s["objects"],
        )
        for name, s in scores.items()
    )
    columns = ("product", "split", *figures, "images", "missing", "objects")
    return Table("Agreement with the true objects", columns, rows, OF_OBJECTS)


def first_panels(
    sample: WeakSample, activations: Mapping[str, Path], saliency: Mapping[str, Path] | None = None
) -> list[Panel]:
    """Return the photograph, small, the largest of its activations, and its saliency maps, both by their titles.

    What the folders do not have is left out.
    """
    photo = shrink(sample.load_image())
    panels = [Panel("photograph", photo)]
    for title, folder in activations.items():
        path = folder / f"{sample.id}.safetensors"
        if path.exists() and (found := Activations.load(path)).class_ids:
            panels.append(Panel(title, draw_activation(photo, found.values.amax(0).numpy()), "activation"))
    for title, folder in (saliency or {}).items():
        if (path := folder / f"{sample.id}.png").exists():
            panels.append(Panel(title, draw_activation(photo, load_map(path)), "activation"))
    return panels


def labels_panel(title: str, photo: Labels, labels: Labels) -> Panel:
    """Return a label map over the photograph."""
    return Panel(title, draw_labels(photo, labels), "labels")


def labels_of(folder: Path, image_id: str) -> Labels:
    """Return the label map of an image that a step left."""
    return LabelMap.load(folder / f"{image_id}.png").labels


def has_labels(folder: Path, image_id: str) -> bool:
    """Return whether a step left a label map of an image."""
    return os.path.exists(f"{folder}/{image_id}.png")  # noqa: PTH110 - a Path takes longer, and all images are asked for


def tag_names(dataset: Dataset, sample: WeakSample) -> tuple[str, ...]:
    """Return the names of an image's tags, in the order of the classes."""
    return tuple(dataset.classes.name_of(class_id) for class_id in sorted(sample.tags.present))


def legend_of(dataset: Dataset) -> dict[str, int]:
    """Return the class ids by name."""
    return {name: index for index, name in enumerate(dataset.classes.names, start=1)}


def summary_of(folder: Path) -> dict[str, Any]:
    """Return what a step's manifest says of its work; empty before it is finished."""
    path = folder / MANIFEST
    summary: dict[str, Any] = read_json(path).get("summary", {}) if path.exists() else {}
    return summary
