"""A tiny data set of coloured shapes on noise, with tags, masks and settings that finish in seconds."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap

CLASSES = ("disc", "square")
COLOURS = {1: (220, 40, 40), 2: (40, 60, 220)}
FAST = [
    "--classifier.fit.epochs=2",
    "--classifier.fit.min_iterations=1",
    "--classifier.fit.batch_size=4",
    "--classifier.augment.long_side=[64,80]",
    "--classifier.augment.crop=64",
    "--segmenter.fit.epochs=2",
    "--segmenter.fit.batch_size=4",
    "--segmenter.augment.long_side=[64,80]",
    "--segmenter.augment.crop=64",
    "--activations.scales=[1.0,0.5]",
    "--seeds.crf.iterations=2",
    "--masks.crf.iterations=2",
    "--predictions.scales=[1.0]",
]


def draw(index: int, size: tuple[int, int] = (48, 64)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return image and mask number ``index``: nothing, a disc, a square, or both."""
    rng = np.random.default_rng(index)
    image = rng.integers(90, 130, (*size, 3), dtype=np.uint8)
    mask = np.zeros(size, np.uint8)
    rows, columns = np.mgrid[: size[0], : size[1]]
    shown = index % 4
    if shown & 1:
        mask[(rows - rng.integers(16, 32)) ** 2 + (columns - 18) ** 2 < 100] = 1
    if shown & 2:
        top = rng.integers(8, 24)
        mask[top : top + 18, 38:56] = 2
    for class_id, colour in COLOURS.items():
        image[mask == class_id] = colour
    return image, mask


def write_folder(root: Path, count: int = 12) -> Path:
    """Write ``images/``, ``masks/``, ``tags.json``, ``val.json`` and ``classes.txt`` and return the root."""
    from PIL import Image

    (root / "images").mkdir(parents=True)
    tags: dict[str, list[str]] = {}
    for index in range(count):
        image, mask = draw(index)
        Image.fromarray(image).save(root / "images" / f"i{index:02}.png")
        LabelMap(mask).save(root / "masks" / f"i{index:02}.png")
        tags[f"i{index:02}.png"] = [CLASSES[c - 1] for c in np.unique(mask) if c]
    split = count - max(1, count // 4)
    names = list(tags)
    (root / "tags.json").write_text(json.dumps({name: tags[name] for name in names[:split]}))
    (root / "val.json").write_text(json.dumps({name: tags[name] for name in names[split:]}))
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


def write_cones(root: Path, count: int, *, middle: float) -> Path:
    """Write a folder, and ``cams/``: activations that are highest within objects, and ``middle`` at their borders."""
    write_folder(root, count)
    (root / "cams").mkdir()
    for path in sorted((root / "masks").glob("*.png")):
        labels = LabelMap.load(path).labels
        maps = {}
        for class_id in np.unique(labels[labels > 0]).tolist():
            inside, outside = (
                cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5)
                for side in (labels == class_id, labels != class_id)
            )
            maps[class_id - 1] = np.clip(middle + inside / 14 - outside / 40, 0, 1).astype(np.float32)
        np.save(root / "cams" / f"{path.stem}.npy", maps, allow_pickle=True)
    return root


def folder_arguments(root: Path) -> list[str]:
    """Return the overrides that point a recipe at ``write_folder``'s data."""
    return [
        f"--data.root={root}",
        "--data.format=folder",
        "--data.train=tags.json",
        "--data.val=val.json",
        "--data.truth=masks",
    ]


def write_labelme(folder: Path, *shapes: tuple[str, str, list[tuple[float, float]]], size: tuple[int, int]) -> Path:
    """Write ``i.json`` of LabelMe for ``i.png``: (kind, label, places as x and y) of each shape."""
    records = [{"shape_type": kind, "label": label, "points": points} for kind, label, points in shapes]
    document = {"imagePath": "i.png", "imageHeight": size[0], "imageWidth": size[1], "shapes": records}
    (folder / "i.json").write_text(json.dumps(document))
    return folder / "i.json"
