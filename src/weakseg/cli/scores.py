"""Scores of masks and instances against ground truth, as ``weakseg evaluate`` prints them."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jsonargparse import Namespace

from weakseg.cli.common import conclude, read_class_file
from weakseg.data.classes import Classes
from weakseg.data.formats.mask_files import MaskRules, check_meaning, load_mask
from weakseg.data.formats.palettes import find_palette, read_palette
from weakseg.data.paths import read_lines, visible_files
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.truth import EvalSample, InstanceSample, instance_truth_from_coco, instance_truth_from_masks
from weakseg.errors import DataError
from weakseg.evaluation.instance_protocol import InstanceScore, describe_objects, score_instances
from weakseg.evaluation.protocol import Score, describe_protocol, score_maps
from weakseg.files import write_json
from weakseg.names import composed, in_any_form

logger = logging.getLogger(__name__)


def evaluate_masks(given: Namespace) -> int:
    """Compare masks with true masks, as the command line asks, and return the exit code."""
    classes = read_class_file(given.classes)
    truth = true_masks(given.truth, given.list, mask_rules(given, classes, given.truth))
    _warn_of_binary(given.predictions, [sample.id for sample in truth])
    protocol = {"list": str(given.list or given.truth), "tags_from": "not known here"}
    score = score_maps("predictions", truth, given.predictions, policy=given.undecided, protocol=protocol)
    if given.out:
        write_json(given.out, score.as_json(classes))
    return conclude((), describe(score, classes))


def evaluate_instances(given: Namespace) -> int:
    """Compare instances with true objects, as the command line asks, and return the exit code."""
    classes = read_class_file(given.classes)
    truth = _true_objects(given.truth, given.objects, given.list, mask_rules(given, classes, given.truth))
    protocol = {"list": str(given.list or given.objects or given.truth)}
    score = score_instances("predictions", truth, given.predictions, match=given.match, protocol=protocol)
    if given.out:
        write_json(given.out, score.as_json(classes))
    return conclude((), describe_instances(score, classes))


def describe_instances(score: InstanceScore, classes: Classes) -> str:
    """Return the table of an instance score, with its protocol."""
    values = score.as_json(classes)
    width = max(len("mAP^r"), *map(len, classes.names))
    rows = {**values["ap_region"], "mAP^r": values["mean_ap_region"]}
    heads = [f"IoU {threshold}" for threshold in values["mean_ap_region"]]
    lines = [f"{'':<{width}} " + " ".join(f"{head:>8}" for head in heads)]
    lines += [f"{name:<{width}} " + " ".join(f"{_cell(v):>8}" for v in row.values()) for name, row in rows.items()]
    lines.append("COCO " + ", ".join(f"{name} {_cell(value)}" for name, value in values["coco"].items()))
    lines.append(describe_objects(values))
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "absent" if value is None else f"{value:.2f}"


def describe(score: Score, classes: Classes) -> str:
    """Return the table of a score, with its protocol."""
    values = score.as_json(classes)
    width = max(map(len, values["iou"]))
    lines = [f"{name:<{width}} {'absent' if iou is None else f'{iou:6.2f}'}" for name, iou in values["iou"].items()]
    lines.append(f"{'mean IoU':<{width}} {values['mean_iou']:6.2f}")
    lines.append(f"pixel accuracy {values['pixel_accuracy']:.2f} %, coverage {values['coverage']:.2f} %")
    lines.append(describe_protocol(values))
    return "\n".join(lines)


def mask_rules(given: Namespace, classes: Classes, folder: Path) -> MaskRules:
    """Return what values and colours of the true masks in a folder mean; ``void`` and ``palette`` may be given."""
    palette = read_palette(given.palette) if given.palette else find_palette(folder)
    return MaskRules(classes, given.void, palette)


def _warn_of_binary(folder: Path, image_ids: Sequence[str]) -> None:
    """Warn where masks hold no values but 0 and 255, which is undecided: people's own masks may mean the object."""
    paths = [path for image_id in image_ids if (path := _png(folder, image_id)).is_file()]
    try:
        check_meaning(paths, MaskRules(Classes(("any",))), str(folder))
    except DataError:
        logger.warning(
            "%s: the masks hold no values but 0 and 255, and 255 is undecided, never a class; if it is the object, "
            "write 1 instead",
            folder,
        )


def true_masks(folder: Path, listed: Path | None, rules: MaskRules) -> list[EvalSample]:
    """Return the true masks of a folder, or of those images that a list names.

    Raises:
        DataError: If there are none, or their values cannot be told.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of true masks")
    wanted = _listed(listed)
    paths = {i: _png(folder, i) for i in wanted} if wanted is not None else _files(folder)
    if not paths:
        raise DataError(f"{listed or folder}: no true masks; a folder of ID.png is wanted, and in a list image ids")
    check_meaning([path for path in paths.values() if path.is_file()], rules, str(folder), "--void")
    return [_sample(path, image_id, rules) for image_id, path in paths.items()]


def _true_objects(
    truth: Path, objects: Path | None, listed: Path | None, rules: MaskRules
) -> tuple[InstanceSample, ...]:
    """Return the images of a COCO file, or of two folders of masks; those of the list where there is one."""
    wanted = _listed(listed)
    if objects is None:
        found = {sample.id: sample for sample in instance_truth_from_coco(truth, rules.classes)}
    else:
        for folder in (truth, objects):
            if not folder.is_dir():
                raise DataError(f"{folder}: no such folder of true masks")
        paths = {i: (_png(objects, i), _png(truth, i)) for i in (wanted or _files(objects))}
        found = {sample.id: sample for sample in instance_truth_from_masks(paths, rules)}
    if missing := [image_id for image_id in wanted or () if image_id not in found]:
        raise DataError(f"{listed}: image {missing[0]!r} has no true objects in {truth}; take it off the list")
    return tuple(found[image_id] for image_id in (wanted or found))


def _listed(path: Path | None) -> list[str] | None:
    """Return the image ids of a list; ``None`` where there is none."""
    return [composed(line) for _, line in read_lines(path, "list of images")] if path else None


def _png(folder: Path, image_id: str) -> Path:
    return in_any_form(folder / f"{image_id}.png")


def _files(folder: Path) -> dict[str, Path]:
    """Return the PNGs of a folder by image id, which is composed as those of all data sets are."""
    found: dict[str, Path] = {}
    for path in visible_files(folder, "**/*.png"):
        first = found.setdefault(composed(path.relative_to(folder).with_suffix("").as_posix()), path)
        if first != path:
            raise DataError(f"{path}: is of the same image as {first}, in another Unicode form; keep one")
    return found


def _sample(path: Path, image_id: str, rules: MaskRules) -> EvalSample:
    sample = WeakSample(image_id, path, Tags(frozenset()))
    return EvalSample(sample, partial(load_mask, path, rules), len(rules.classes), str(path))
