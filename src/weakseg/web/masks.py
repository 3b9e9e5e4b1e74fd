"""The mask of a photograph as it is labelled now, from marks, tags, a trained run, or a person's own hand."""

import base64
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from weakseg.artifacts import LabelMap
from weakseg.data.annotations import AnnotatedImage, Box, Drawn, Point, Scribble
from weakseg.data.binding import BoundImage, bind_image
from weakseg.data.classes import Classes
from weakseg.data.regions import is_whole
from weakseg.errors import DataError
from weakseg.ops.resample import resize_labels
from weakseg.photograph.config import SegmentOptions, method_for
from weakseg.photograph.marks import Marks
from weakseg.photograph.photograph import Photograph
from weakseg.photograph.segmentation import Segmentation
from weakseg.stages.known import count_parts
from weakseg.stages.reliability import OUTLINED, Reliability
from weakseg.stages.weak_seeds import keep_outlines, paint_regions
from weakseg.web.album import Album, Recent, shown_size
from weakseg.web.trained import Trained

KEPT_PHOTOGRAPHS = 4
ACCEPTED, DRAWN, TAGS = "accepted", "drawn", "tags"
Draft = Callable[["Shown"], None]


@dataclass(frozen=True)
class Shown:
    """A mask, and what is said of it.

    Attributes:
        labels: ``(H, W)`` class ids at full size.
        by: What made it: ``accepted``, ``drawn``, ``tags``, ``run``, or a method of ``photograph/config.py``.
        reliability: By name of class.
        warnings: What the user should know.
        seconds: That it took.
        shares: Of the photograph's pixels, by name of class.
        parts: How many connected parts a class has, by its name.
    """

    labels: LabelMap
    by: str
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    seconds: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)

    def without_mask(self) -> "Shown":
        """Return what is said of the mask, and one of a single pixel in its place."""
        return replace(self, labels=LabelMap(np.zeros((1, 1), np.uint8)))

    @property
    def lowest(self) -> float | None:
        """The lowest reliability; ``None`` where none is known."""
        return min((one.value for one in self.reliability.values()), default=None)

    def as_json(self, revision: int) -> dict[str, Any]:
        """Return the mask as a browser gets it."""
        size = shown_size((self.labels.labels.shape[0], self.labels.labels.shape[1]))
        held = io.BytesIO()
        Image.fromarray(resize_labels(self.labels.labels, size)).save(held, "PNG", compress_level=1)
        return {
            "revision": revision,
            "size": list(size),
            "png": base64.b64encode(held.getvalue()).decode(),
            "reliability": {name: round(one.value, 3) for name, one in self.reliability.items()},
            "reasons": {name: list(one.reasons) for name, one in self.reliability.items()},
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
            "by": self.by,
        }


class MaskMaker:
    """Makes masks; of the photographs that were looked at last, what does not depend on marks is kept."""

    def __init__(self, album: Album, trained: Trained | None = None, *, options: SegmentOptions | None = None) -> None:
        self.trained = trained
        self._options = options or SegmentOptions()
        self._album = album
        self._kept: Recent[Photograph] = Recent(KEPT_PHOTOGRAPHS)

    def make(
        self,
        image_id: str,
        labels: AnnotatedImage,
        classes: Classes | None,
        *,
        accepted: bool = False,
        draft: Draft | None = None,
    ) -> Shown | None:
        """Return the mask that the labels of a photograph ask for; ``None`` where nothing does.

        Args:
            image_id: Of the photograph.
            labels: What its record says.
            classes: Of the page.
            accepted: Whether a person has accepted its mask.
            draft: Called with a first mask, where a better one takes longer.

        Raises:
            DataError: If the photograph cannot be read, or its labels make no mask; says why.
        """
        start = time.perf_counter()
        if not classes:
            return self._trained(image_id, frozenset())
        bound = bind_image(labels, classes)
        says = labels.size is not None and not bound.tags.possible
        if says and bound.drawn == Drawn():
            made: Shown | None = Shown(LabelMap(np.zeros(self._album.size(image_id), np.uint8)), DRAWN)
        elif bound.drawn == Drawn() and not bound.tags.present:
            made = self._trained(image_id, frozenset())
        elif is_whole(bound.drawn):
            size = self._album.size(image_id)
            made = Shown(paint_regions(bound.drawn.regions, size), ACCEPTED if accepted else DRAWN)
        else:
            made = self._made(image_id, bound, classes, draft)
        if made is None:
            return None
        counts = np.bincount(made.labels.labels.ravel(), minlength=256) / made.labels.labels.size
        shares = {name: float(counts[label]) for label, name in enumerate(classes.names, start=1)}
        small = resize_labels(made.labels.labels, shown_size(made.labels.labels.shape))
        parts = {name: count_parts(small == label) for label, name in enumerate(classes.names, start=1) if shares[name]}
        return replace(made, seconds=time.perf_counter() - start, shares=shares, parts=parts)

    def warm(self, image_id: str) -> None:
        """Compute what the first mark on a photograph will need."""
        self.photograph(image_id).prepare(self._options)

    def photograph(self, image_id: str) -> Photograph:
        """Return a photograph with what has been computed of it.

        Raises:
            DataError: If it cannot be read.
        """
        path = self._album.path(image_id)
        state = path.stat()
        return self._kept.get((image_id, state.st_mtime_ns, state.st_size), lambda: Photograph(path))

    def _made(self, image_id: str, bound: BoundImage, classes: Classes, draft: Draft | None) -> Shown | None:
        drawn, present = bound.drawn, bound.tags.present

        def finished(shown: Shown) -> Shown:
            known = dict(shown.reliability)
            for region in drawn.regions:
                if 0 < region.class_id <= len(classes):
                    known.setdefault(classes.name_of(region.class_id), OUTLINED)
            left = sorted(present - drawn.class_ids) if drawn.open != Drawn() else []
            told = [f"nothing is drawn of {classes.name_of(one)!r}: it is not in the mask" for one in left]
            labels = keep_outlines(shown.labels, drawn)
            return replace(shown, labels=labels, reliability=known, warnings=(*shown.warnings, *told))

        drafted = None if draft is None else lambda shown: draft(finished(shown))
        if drawn.open == Drawn():
            shown = self._tagged(image_id, drawn, present, classes)
        else:
            shown = self._marked(image_id, drawn.open, classes, drafted)
        if shown is None:
            shown = Shown(paint_regions(drawn.regions, self._album.size(image_id)), DRAWN)
        return finished(shown)

    def _tagged(self, image_id: str, drawn: Drawn, present: frozenset[int], classes: Classes) -> Shown | None:
        """Return what a run, or the vocabulary of ImageNet, sees of the tags; nothing where all are outlined."""
        outlined = frozenset(region.class_id for region in drawn.regions)
        if not present - outlined:
            return None
        if (shown := self._trained(image_id, present)) is not None:
            return shown
        names = tuple(classes.name_of(class_id) for class_id in sorted(present))
        return self._segmented(image_id, Marks(names, Drawn()), sorted(present), TAGS)

    def _marked(self, image_id: str, drawn: Drawn, classes: Classes, draft: Draft | None) -> Shown:
        """Return what marks make."""
        ids = sorted(drawn.class_ids)
        if not ids:
            raise DataError("only the background is marked; mark an object, too")
        names = tuple(classes.name_of(class_id) for class_id in ids)
        by = method_for("auto", drawn)
        return self._segmented(image_id, Marks(names, _relabelled(drawn, ids)), ids, by, draft)

    def _segmented(self, image_id: str, marks: Marks, ids: Sequence[int], by: str, draft: Draft | None = None) -> Shown:
        table, start = np.arange(256, dtype=np.uint8), time.perf_counter()
        table[1 : 1 + len(ids)] = ids

        def shown(found: Segmentation) -> Shown:
            seconds = time.perf_counter() - start
            return Shown(LabelMap(table[found.mask]), by, found.reliabilities, found.warnings, seconds)

        drafted = None if draft is None else lambda found: draft(shown(found))
        return shown(self.photograph(image_id).segment(marks, self._options, draft=drafted))

    def _trained(self, image_id: str, present: frozenset[int]) -> Shown | None:
        """Return what a run has made of a photograph, or its segmenter makes of it now."""
        if self.trained is None:
            return None
        found = self.trained.mask(image_id, self.photograph(image_id).image, present)
        return Shown(found.labels, "run", found.reliability) if found else None


def _relabelled(drawn: Drawn, ids: Sequence[int]) -> Drawn:
    """Return marks whose classes are numbered from 1 on, in the order of ``ids``; the background stays 0."""
    label = {0: 0, **{class_id: number for number, class_id in enumerate(ids, start=1)}}
    return Drawn(
        tuple(Box(label[b.class_id], b.top, b.left, b.bottom, b.right) for b in drawn.boxes),
        tuple(Point(label[p.class_id], p.row, p.column) for p in drawn.points),
        tuple(Scribble(label[s.class_id], s.path) for s in drawn.scribbles),
    )
