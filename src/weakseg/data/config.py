"""Which data to read, and how, and what to simulate of it; one dataclass each stands behind recipe, flags and API."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.old_words import refuse_old_words
from weakseg.settings.rules import check_settings

LAYOUTS = ("voc", "coco", "folder")  # formats of whole folders; all others are formats of label files
WeakKind = Literal["tags", "boxes", "points", "scribbles", "all"]
WEAK_KINDS: tuple[WeakKind, ...] = get_args(WeakKind)


@dataclass(frozen=True)
class DataConfig:
    """A data set with weak labels.

    Attributes:
        root: Folder of the data set; nothing outside it is ever read.
        format: ``voc`` (JPEGImages, ImageSets, Annotations), ``coco`` (images and a JSON file), ``folder`` (images and
            a label file, or one folder a class); or one of ``formats/catalogue.py``: ``labelme``, ``cvat``,
            ``labelstudio``, ``supervisely``, ``datumaro``, ``createml``, ``via``, ``coco_panoptic``, ``yolo``,
            ``scribblesup`` and ``csv`` (points and boxes) as these tools write them.
        images: Folder of the images inside the root; empty: the format's usual place.
        train: voc: list under ImageSets/Segmentation, or folder of XML files beside photographs; coco: JSON file;
            folder: label file (CSV, JSON, JSONL), or empty for one folder a class; yolo: folder of photographs, or list
            of them (train.txt); scribblesup: folder of XML files; labelme: folder of JSON files; others: their file.
        val: The same for validation; empty: none, and a part of ``train`` is held out for the classifier's check.
        parts: Parts that lists are cut into, by keys of their image ids: number of images by name of the part, by list.
            ``{train: {fit: 273, held: 100}}`` makes ``fit`` and ``held`` names for ``train``, ``val`` and ``score``.
        score: Lists that results are scored on, each by itself: parts; voc: lists under ImageSets/Segmentation; others:
            text files of image ids. What is made for images of none of them is scored on all its images; empty:
            everything is.
        only: List of verdicts that a report has saved (``checked.csv``: image, verdict), inside the root: of the
            training images only those that are rejected there take part, to be labelled anew; empty: all do.
        tags: voc: where tags come from: ``annotations`` (XML), ``main`` (ImageSets/Main), ``truth`` (simulated from the
            true masks), a label file inside the root, or ``auto`` (annotations, else main).
        truth: Folder of true masks (ID.png) inside the root, for evaluation only; empty: the format's usual place
            (voc: SegmentationClass; coco: the polygons and runs of the JSON file; folder: none).
        classes: Foreground class names; empty: classes.txt in the root, else what the labels hold (voc: the 20 of
            VOC). With coco they choose among the categories.
        min_pixels: With ``tags: truth``, a class counts as present from this many pixels on.
        labels: Which drawn labels to keep beside the tags; ``auto``: all (but segmentations of coco, which are also
            its truth, only with ``regions``).
        drawn: More drawn labels inside the root: weakseg's own JSON, clicks of What's the Point (JSON), CSV of points
            or boxes, a folder of ScribbleSup XML, or one of PNGs (ID.png: class ids, 255 unlabelled, or colours;
            scribbles, unless ``labels`` is ``regions``). Of each kind they replace what the format has for the same
            photograph.
        saliency: Folder of saliency maps (ID.png, grey, white draws the eye) inside the root; empty: none.
        class_map: YAML or JSON file inside the root that renames, merges and ignores class names.
        difficult: voc: whether objects that are marked difficult count; if not, what they alone show is unknown.
        voc_base: voc: 1: boxes count pixels from 1, the last one included; 0: edges as they stand.
        yolo: What lines of 9 values are: ``segments`` (four points) or ``boxes`` (oriented); empty: they are left out.
            With ``segments`` lines that may be poses are outlines, too.
        void: The value in masks that says nothing. ``auto``: 255, but masks that hold no other value than 0 and 255 are
            an error; ``none``: there is none. If it is not 255, that is the object, where there is one class.
        palette: File inside the root that says which colour of coloured masks is which class, as CVAT's
            ``labelmap.txt``; empty: the ``labelmap.txt`` in the folder of the masks, or the one above.
    """

    root: str = "."
    format: str = "folder"
    images: str = ""
    train: str = ""
    val: str = ""
    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    score: str | tuple[str, ...] = ()
    only: str = ""
    tags: str = "auto"
    truth: str = ""
    classes: tuple[str, ...] = ()
    min_pixels: int = 100
    labels: Literal["auto", "tags", "boxes", "points", "scribbles", "regions"] = "auto"
    drawn: str = ""
    saliency: str = ""
    class_map: str = ""
    difficult: bool = True
    voc_base: Literal[1, 0] = 1
    yolo: Literal["", "segments", "boxes"] = ""
    void: Literal["auto", "none"] | int = "auto"
    palette: str = ""

    def __post_init__(self) -> None:
        """Refuse what does not exist or contradicts itself."""
        refuse_old_words({"data": {"tags": self.tags, "labels": self.labels}})
        if self.format not in LAYOUTS:
            _check_format(self.format)
        if self.format != "folder" and not self.train:
            raise ConfigError(
                f"data.train: format {self.format!r} needs it (voc: a list name, coco: a JSON file, others: file or "
                "folder of the labels)"
            )
        check_settings("data", self, min_pixels=">= 1")
        if isinstance(self.void, int) and not 0 <= self.void <= 255:
            raise ConfigError(f"data.void: must be auto, none or a value from 0 to 255, got {self.void}")
        _check_lists(self.parts, self.score_lists)

    @property
    def score_lists(self) -> tuple[str, ...]:
        """The lists that results are scored on."""
        return self.score if isinstance(self.score, tuple) else (self.score,)

    def list_of(self, split: str) -> str:
        """Return the list of a split; if that is a part, the list that it is cut from."""
        name = self.train if split == "train" else self.val
        return self.whole_of(name)

    def whole_of(self, name: str) -> str:
        """Return the list that a part is cut from, or the name itself if it is no part."""
        return next((whole for whole, sizes in self.parts.items() if name in sizes), name)


@dataclass(frozen=True)
class SimulationConfig:
    """Which weak labels are made from ground truth.

    Attributes:
        kind: ``tags``; ``boxes``, tight around each object; ``points``, one inside each object and none on the
            background; ``scribbles``, one along each object and each large part of the background; or ``all`` of these,
            the same as alone, to compare them.
        seed: Of where points lie, and which part of the way is drawn; with the image id it decides them.
        coverage: scribbles: length of a stroke as a fraction in (0, 1] of the way through its object.
        split: ``train`` or ``val``.
    """

    kind: WeakKind = "tags"
    seed: int = 0
    coverage: float = 1.0
    split: str = "train"

    def __post_init__(self) -> None:
        """Refuse a coverage that is no fraction."""
        check_settings("", self, coverage="in (0, 1]", kind=WEAK_KINDS)


def _check_lists(parts: Mapping[str, Mapping[str, int]], score: Sequence[str]) -> None:
    """Refuse parts without images, names that mean two things, and lists that are named twice or have no name."""
    names = [name for sizes in parts.values() for name in sizes]
    for name, number in ((name, number) for sizes in parts.values() for name, number in sizes.items()):
        if number < 1:
            raise ConfigError(f"data.parts: part {name!r} needs at least one image, got {number}")
        if names.count(name) > 1 or name in parts or not name.strip():
            raise ConfigError(f"data.parts: {name!r} must name one part and nothing else; choose another name")
    for name in score:
        if not name.strip() or score.count(name) > 1:
            raise ConfigError(f"data.score: {name!r} must be the name of a list, given once")


def _check_format(name: str) -> None:
    """Refuse a format that no data set may have; the catalogue, which takes long to import, is opened only here."""
    from weakseg.data.formats.catalogue import formats_for

    known = (*LAYOUTS, *formats_for("dataset"))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"data.format: unknown {name!r}; {hint}There are {', '.join(known)}")
