"""``weakseg evaluate``."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap
from weakseg.cli.common import build_parser, conclude, parse, read_class_file
from weakseg.data.classes import Classes
from weakseg.data.paths import read_lines
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.truth import EvalSample
from weakseg.errors import DataError
from weakseg.evaluation.protocol import Score, describe_protocol, score_maps
from weakseg.files import write_json


def main(words: Sequence[str]) -> int:
    """Compare masks with ground truth."""
    parser = build_parser(
        "evaluate",
        "Compare masks with ground truth: one confusion matrix over all images, absent classes left out of the mean.",
        "  weakseg evaluate --predictions masks --truth SegmentationClass --classes classes.txt\n"
        "  weakseg evaluate --predictions masks --truth SegmentationClass --classes classes.txt --list val.txt",
    )
    parser.add_argument("--predictions", type=Path, required=True, help="folder of the masks (ID.png)")
    parser.add_argument("--truth", type=Path, required=True, help="folder of the true masks (ID.png)")
    parser.add_argument("--classes", type=Path, required=True, help="class names, one a line")
    parser.add_argument("--list", type=Path, help="image ids, one a line; default: every true mask")
    parser.add_argument(
        "--undecided", choices=["error", "background", "drop"], default="error", help="what 255 counts as"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parse(parser, words)
    classes = read_class_file(given.classes)
    truth = _truth(given.truth, given.list, len(classes))
    protocol = {"list": str(given.list or given.truth), "tags_from": "not known here"}
    score = score_maps("predictions", truth, given.predictions, policy=given.undecided, protocol=protocol)
    if given.out:
        write_json(given.out, score.as_json(classes))
    return conclude((), describe(score, classes))


def describe(score: Score, classes: Classes) -> str:
    """Return the table of a score, with its protocol."""
    values = score.as_json(classes)
    width = max(map(len, values["iou"]))
    lines = [f"{name:<{width}} {'absent' if iou is None else f'{iou:6.2f}'}" for name, iou in values["iou"].items()]
    lines.append(f"{'mean IoU':<{width}} {values['mean_iou']:6.2f}")
    lines.append(f"pixel accuracy {values['pixel_accuracy']:.2f} %, coverage {values['coverage']:.2f} %")
    lines.append(describe_protocol(values))
    return "\n".join(lines)


def _truth(folder: Path, listed: Path | None, num_classes: int) -> list[EvalSample]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of true masks")
    ids = [line for _, line in read_lines(listed, "list of images")] if listed else _ids(folder)
    if not ids:
        raise DataError(f"{listed or folder}: no true masks; --truth wants a folder of ID.png, --list image ids")
    return [_sample(folder / f"{image_id}.png", image_id, num_classes) for image_id in ids]


def _ids(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.png"))


def _sample(path: Path, image_id: str, num_classes: int) -> EvalSample:
    return EvalSample(WeakSample(image_id, path, Tags(frozenset())), partial(_load, path), num_classes, str(path))


def _load(path: Path) -> NDArray[np.uint8]:
    return LabelMap.load(path).labels
