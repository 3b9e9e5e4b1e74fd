"""A photograph's mask, and what may be done with it."""

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakseg.artifacts import Activations, LabelMap, Scores, voc_palette
from weakseg.data.classes import Classes
from weakseg.errors import OutputError
from weakseg.files import write_bytes, write_json
from weakseg.ops.resample import resize_maps
from weakseg.photograph.overlay import draw_labels, shrink
from weakseg.stages.reliability import Reliability

SHOWN_SIDE = 480  # pixels of the picture in a notebook
PICTURES = (".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, repr=False)
class Segmentation:
    """A photograph's mask, and how it came about.

    Attributes:
        image: ``(H, W, 3)`` uint8, upright RGB.
        tags: The tags, and names of what is drawn; ``tags[i]`` is label ``i + 1`` of the mask.
        activations: Class evidence; of no class where all is drawn.
        seeds: Confident labels, 255 = undecided.
        labels: The mask.
        decided: Scores that the mask is the best of, at the size that they were computed in; ``None`` where the seeds
            are the mask.
        warnings: What was said of marks and words that may not be meant so, and of masks that are doubtful.
        name: Of the photograph's file; empty where it was none.
        reliabilities: How far the mask of each tag is to be trusted, and why not.
    """

    image: NDArray[np.uint8]
    tags: tuple[str, ...]
    activations: Activations
    seeds: LabelMap
    labels: LabelMap
    decided: Scores | None = None
    warnings: tuple[str, ...] = ()
    name: str = ""
    reliabilities: Mapping[str, Reliability] = field(default_factory=dict)

    @property
    def reliability(self) -> float:
        """The lowest of the tags' reliabilities, in [0, 1]: an estimate of the probability of an IoU of 0.6 or more."""
        return min((one.value for one in self.reliabilities.values()), default=1.0)

    @property
    def mask(self) -> NDArray[np.uint8]:
        """``(H, W)`` uint8: 0 background, i + 1 the i-th tag."""
        return self.labels.labels

    @property
    def scores(self) -> NDArray[np.float32]:
        """``(1 + len(tags), H, W)`` float32 in [0, 1]: how much speaks for the background and for each tag.

        Where the mask is not the best of scores it is 1 for its label.
        """
        found = np.zeros((1 + len(self.tags), *self.mask.shape), np.float32)
        if self.decided is None:
            for label in range(len(found)):
                found[label] = self.mask == label
        else:
            found[list(self.decided.label_ids)] = resize_maps(
                self.decided.values.float().cpu(), self.mask.shape
            ).numpy()
        return found

    @property
    def shares(self) -> dict[str, float]:
        """Fraction of the photograph's pixels that each tag has."""
        return {tag: float((self.mask == label).mean()) for label, tag in enumerate(self.tags, start=1)}

    def overlay(self, *, opacity: float = 0.6) -> NDArray[np.uint8]:
        """Return ``(H, W, 3)`` uint8: the photograph under the colours of its labels, with outlines."""
        return draw_labels(self.image, self.mask, opacity=opacity)

    def show(self) -> None:
        """Open the overlay in the system's viewer; in a notebook the last line of a cell shows it by itself."""
        Image.fromarray(self.overlay()).show()

    def to_coco(self) -> dict[str, Any]:
        """Return a COCO data set of this photograph: all pixels of each tag as one annotation, in runs."""
        from weakseg.data.formats.instances_out import coco_annotations, regions_of  # of scipy, which is slow to load

        name = self.name or "photograph"
        return coco_annotations({name: regions_of(self.labels)}, {name: Path(name).name}, Classes(self.tags))

    def save(self, path: str | Path) -> None:
        """Write what the suffix names.

        Args:
            path: ``.png``: the mask, indexed, with the VOC palette. ``.jpg``, ``.jpeg`` or ``.webp``: the overlay.
                ``.json``: a COCO data set. ``.npy``: the mask as an array.

        Raises:
            OutputError: If it is another suffix, or the file cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".png":
            self.labels.save(path)
        elif suffix == ".json":
            write_json(path, self.to_coco())
        elif suffix == ".npy":
            held = io.BytesIO()
            np.save(held, self.mask)
            write_bytes(path, held.getvalue())
        elif suffix in PICTURES:
            write_bytes(path, _encoded(self.overlay(), "WEBP" if suffix == ".webp" else "JPEG"))
        else:
            raise OutputError(
                f"{path}: give .png or .npy for the mask, {', '.join(PICTURES)} for the overlay, or .json for COCO"
            )

    def __repr__(self) -> str:
        rows, columns = self.mask.shape
        doubts = f", {len(self.warnings)} warnings" if self.warnings else ""
        return f"Segmentation({self.name or 'photograph'!r}, {columns} x {rows}, {', '.join(self.told())}{doubts})"

    def told(self) -> list[str]:
        """Return in words how much each tag covers, and how far its mask is to be trusted."""
        known = self.reliabilities
        return [
            f"{tag}: {share:.1%}" + (f" (reliability {known[tag].value:.2f})" if tag in known else "")
            for tag, share in self.shares.items()
        ]

    def _repr_html_(self) -> str:
        """Return the overlay, the share of each tag and the warnings, for notebooks."""
        small = shrink(self.image, SHOWN_SIDE)
        rows, columns = small.shape[:2]
        labels = np.asarray(Image.fromarray(self.mask).resize((columns, rows), Image.Resampling.NEAREST))
        picture = base64.b64encode(_encoded(draw_labels(small, labels), "PNG")).decode()
        colours = voc_palette()
        rows_of_tags = "".join(
            f'<li><span style="color:rgb{tuple(colours[label].tolist())}">&#9632;</span> {html.escape(text)}</li>'
            for label, text in enumerate(self.told(), start=1)
        )
        warnings = "".join(f"<li>{html.escape(text)}</li>" for text in self.warnings)
        return (
            f'<img alt="{html.escape(repr(self))}" src="data:image/png;base64,{picture}">'
            f'<ul style="list-style:none;padding:0">{rows_of_tags}</ul>' + (f"<ul>{warnings}</ul>" if warnings else "")
        )


def _encoded(picture: NDArray[np.uint8], form: str) -> bytes:
    held = io.BytesIO()
    Image.fromarray(picture).save(held, form)
    return held.getvalue()
