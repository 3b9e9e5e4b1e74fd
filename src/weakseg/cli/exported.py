"""What ``weakseg export`` writes: objects or masks as other programs read them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import Namespace

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.cli.common import conclude, read_class_file
from weakseg.cli.writers import WRITERS
from weakseg.data.classes import Classes
from weakseg.data.dataset import open_dataset, open_plain_folder
from weakseg.data.formats import coco
from weakseg.data.formats.cvat_out import write_cvat
from weakseg.data.formats.cvat_shapes import UNDECIDED_NAME
from weakseg.data.formats.instances_out import (
    regions_of,
    write_coco_annotations,
    write_coco_results,
    write_mask,
    write_voc,
    write_voc_lists,
)
from weakseg.data.formats.outgoing import Outgoing
from weakseg.data.formats.palettes import Palette, label_colours, read_palette
from weakseg.data.paths import visible_files
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError, DataError, OutputError, StoreError
from weakseg.instances import SUFFIX, Instances
from weakseg.methods import METHODS
from weakseg.methods.finished import is_finished, open_finished
from weakseg.methods.plans import last_masks
from weakseg.methods.recipe import Recipe
from weakseg.names import composed
from weakseg.pipeline.plan import Failure, Kind, Step
from weakseg.pipeline.runner import FAILURES_FILE, write_failures
from weakseg.steps.reliability import RELIABILITY, doubts_of

COLOURED = "segmentation-mask"
FOLDERS = ("voc", COLOURED)


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        folder: Holds ``ID.instances.json`` or ``ID.png``.
        classes: Names of the classes.
        photographs: File of the photograph by image id; empty where nobody gave the photographs.
        reliability: Folder of what a run says of its masks; ``None`` where it says nothing of these.
    """

    folder: Path
    classes: Classes
    photographs: Mapping[str, Path]
    reliability: Path | None = None

    @property
    def file_names(self) -> Mapping[str, str]:
        """Name of the photograph by image id, relative to the folder of all."""
        return {image_id: f"{image_id}{path.suffix}" for image_id, path in self.photographs.items()}

    def files(self) -> tuple[str, dict[str, Path]]:
        """Return the suffix of the files, that of objects where there are any, and the files by image id."""
        for suffix in (SUFFIX, ".png"):
            if paths := visible_files(self.folder, f"**/*{suffix}"):
                return suffix, {composed(p.relative_to(self.folder).as_posix()).removesuffix(suffix): p for p in paths}
        raise DataError(
            f"{self.folder}: holds neither objects (ID{SUFFIX}) nor masks (ID.png); give a folder that does"
        )

    def check(self, class_ids: Iterable[int], image_id: str) -> None:
        """Raise ``DataError`` if an image shows a class that has no name."""
        if (top := max(set(class_ids) - {UNDECIDED}, default=0)) > len(self.classes):
            raise DataError(
                f"{self.folder}: image {image_id!r} has class {top}, but there are {len(self.classes)} classes; give "
                "--classes that it was made with"
            )


def export(given: Namespace) -> int:
    """Write what the command line asks for, and return the exit code."""
    source = source_of(given)
    suffix, files = source.files()
    if suffix == ".png" and given.format == "coco-results":
        raise ConfigError(f"--format: {source.folder} holds masks, but coco-results are of objects; take coco")
    if given.format in WRITERS:
        return _write_each(given, source, files)
    palette = read_palette(given.palette) if given.palette else None
    if suffix == ".png" and given.format in FOLDERS:
        undecided = _write_masks(given.out, source, files, palette, coloured=given.format == COLOURED)
        more = f", {undecided} with undecided pixels, which are of the class 'undecided'" if undecided else ""
        return conclude((), f"{len(files)} masks{more}: {given.out.resolve()}")
    undecided_too = given.format == "cvat"
    found = {image_id: objects_of(path, given.score, undecided=undecided_too) for image_id, path in files.items()}
    for image_id, objects in found.items():
        source.check(objects.class_ids, image_id)
    _write(given, source, found, palette)
    counted = f"{sum(map(len, found.values()))} {'objects' if suffix == SUFFIX else 'regions'}"
    said = _told_of_cvat(found) if given.format == "cvat" else ""
    return conclude((), f"{counted} on {len(found)} images{said}: {given.out.resolve()}")


def _told_of_cvat(found: Mapping[str, Instances]) -> str:
    """Return what the XML does not hold as it was."""
    undecided = sum(UNDECIDED in objects.class_ids for objects in found.values())
    said = f", {undecided} with undecided pixels, which have the label {UNDECIDED_NAME!r}" if undecided else ""
    scored = any(score < 1 for objects in found.values() for score in objects.scores)
    return said + (", without their scores, for which CVAT's file has no place" if scored else "")


def source_of(given: Namespace) -> Source:
    """Return what a run folder, or a folder of files with its flags, holds."""
    if not given.source.is_dir():
        raise DataError(f"{given.source}: no such folder; give a run folder, or one of objects or masks")
    images = _photographs(open_plain_folder(given.images)) if given.images else None
    classes = read_class_file(given.classes) if given.classes else None
    if not is_finished(given.source):
        if given.method:
            raise ConfigError(f"--method: {given.source} is no folder of a comparison; leave it out")
        if given.product:
            raise ConfigError(f"--product: {given.source} is no run folder; give the folder of the product itself")
        if classes is None:
            raise ConfigError(f"--classes: needed, as {given.source} is no run folder; a run has classes.txt")
        return Source(given.source, classes, images or {})
    finished = open_finished(given.source, given.method)
    dataset = open_dataset(finished.recipe.data)
    steps = METHODS[finished.recipe.method].build(finished.recipe, dataset)
    products = [given.product] if given.product else _products(finished.recipe, steps)
    folder = next((f for f in map(finished.step_folder, products) if f.is_dir()), None)
    if folder is None:
        raise DataError(f"{given.source}: has no {' and no '.join(products)}; finish the run, or name a --product")
    samples = [sample for split in dataset.splits.values() for sample in split]
    judged = [finished.step_folder(next(iter(step.needs))) for step in steps if step.name == RELIABILITY]
    doubts = finished.step_folder(RELIABILITY) if folder in judged else None
    return Source(folder, classes or dataset.classes, images or _photographs(samples), doubts)


def _products(recipe: Recipe, steps: Sequence[Step]) -> list[str]:
    """Return the names of a run's objects, and of its last masks."""
    result = last_masks(recipe, steps)
    return [step.name for step in steps if step.kind == Kind.INSTANCES] + ([result.name] if result else [])


def _photographs(samples: Sequence[WeakSample]) -> dict[str, Path]:
    return {sample.id: sample.image_path for sample in samples}


def objects_of(path: Path, score: float, *, undecided: bool = False) -> Instances:
    """Return the objects of a file that are sure enough; of a mask, one of each class, and of 255 if that is wanted."""
    if path.suffix == ".png":
        return regions_of(LabelMap.load(path), undecided=undecided)
    found = Instances.load(path)
    return found.chosen([number for number, value in enumerate(found.scores) if value >= score])


def _write_each(given: Namespace, source: Source, files: Mapping[str, Path]) -> int:
    """Write photograph by photograph, and return the exit code; one that cannot be written does not stop the rest."""
    writer, failures, counted = WRITERS[given.format](given, source.classes), [], 0
    for image_id, path in files.items():
        try:
            item = _outgoing(image_id, path, source, given.score)
            source.check(item.objects.class_ids, image_id)
            writer.add(item)
            counted += len(item.objects)
        except OutputError:
            raise
        except (DataError, StoreError) as error:
            failures.append(Failure(image_id, "export", str(error)))
    if len(failures) == len(files):
        raise DataError(f"{source.folder}: nothing can be exported: {failures[0].reason}")
    told = "".join(f"; {what}" for what in writer.finish())
    (given.out / FAILURES_FILE).unlink(missing_ok=True)
    if failures:
        write_failures(given.out, failures)
    kind = "regions" if any(path.suffix == ".png" for path in files.values()) else "objects"
    done = f"{counted} {kind} on {len(files) - len(failures)} images{told}: {given.out.resolve()}"
    return conclude(failures, done, listed=given.out / FAILURES_FILE)


def _outgoing(image_id: str, path: Path, source: Source, score: float) -> Outgoing:
    """Return what is written of one photograph."""
    photograph = source.photographs.get(image_id)
    name = f"{image_id}{photograph.suffix if photograph else ''}"
    if path.suffix == ".png":
        doubts = doubts_of(source.reliability, image_id) if source.reliability else ()
        sure = min((one.reliability for one in doubts), default=None)
        return Outgoing.of_mask(image_id, name, photograph, LabelMap.load(path), sure)
    found = objects_of(path, score)
    return Outgoing(image_id, name, photograph, found, score=sum(found.scores) / len(found) if len(found) else None)


def _write_masks(
    out: Path, source: Source, files: Mapping[str, Path], palette: Palette | None, *, coloured: bool
) -> int:
    """Write masks, and return how many of them show a colour for undecided pixels."""
    undecided, colours = 0, label_colours(source.classes, palette, undecided=coloured)
    for image_id, path in files.items():
        labels = LabelMap.load(path)
        source.check(labels.label_ids, image_id)
        write_mask(out / "SegmentationClass" / f"{image_id}.png", labels, coloured=coloured, colours=colours)
        undecided += coloured and labels.coverage < 1
    write_voc_lists(out, list(files), source.classes, undecided=undecided > 0, palette=palette)
    return undecided


def _write(given: Namespace, source: Source, found: Mapping[str, Instances], palette: Palette | None) -> None:
    if given.format in FOLDERS:
        colours = label_colours(source.classes, palette)
        for image_id, objects in found.items():
            write_voc(given.out, image_id, objects, coloured=given.format == COLOURED, colours=colours)
        write_voc_lists(given.out, list(found), source.classes, palette=palette)
    elif given.format == "coco-results":
        file = coco.read_instances(given.like)
        categories = {class_id: category for category, class_id in file.class_ids(source.classes).items()}
        write_coco_results(given.out, found, {i: image.number for i, image in file.images.items()}, categories)
    else:
        if unnamed := sorted(set(found) - set(source.file_names)):
            raise DataError(f"{source.folder}: {unnamed[0]!r} has no photograph; give their folder with --images")
        if given.format == "cvat":
            names = source.file_names
            write_cvat(given.out, found, names, source.classes, polygons=given.polygons, palette=palette)
        else:
            write_coco_annotations(given.out, found, source.file_names, source.classes, polygons=given.polygons)
