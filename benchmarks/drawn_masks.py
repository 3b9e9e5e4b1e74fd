"""Masks of what an annotator might draw next, one class of one photograph at a time, kept in files.

    python benchmarks/drawn_masks.py --msrc /path/to/msrc --work runs/queue [--list held] [--seeds 0 1 2] [--most 110]

The annotator is that of `weakseg data simulate`: a tight box around each object of the class (``box``); a click inside
each and one on what is not of the class (``click``); a stroke along each and one along what is not (``stroke``). The
seconds are those of data/effort.py, but for the looks at absent classes: the tags are known. Photographs come in an
order drawn at random once, so that the first ``--most`` are a sample. Boxes and strokes are the same for every seed.

Masks are those of `weakseg.Photograph`, which sees one photograph and the marks. What is there already stays.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg import Photograph
from weakseg.data.annotations import Drawn
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.effort import labelling_effort
from weakseg.data.regions import mask_of_runs, runs_of_mask
from weakseg.data.simulate_drawn import TrueObject, inner_point, inner_stroke, tight_box, true_objects
from weakseg.data.truth import EvalSample, open_truth
from weakseg.files import write_json
from weakseg.photograph.marks import Marks
from weakseg.progress import track
from weakseg.rng import derive_seed, numpy_generator_for

PARTS = {"train": {"fit": 273, "held": 100}}  # as recipes/networks/msrc.yaml has them
KINDS = ("box", "click", "stroke")
VOID = 255


@dataclass(frozen=True)
class DrawnMask:
    """What came of drawing on one class of a photograph.

    Attributes:
        image: Id of the photograph.
        class_id: The class.
        kind: Of what was drawn: one of ``KINDS``.
        seed: Of the annotator.
        seconds: What drawing it took.
        reliability: Of the mask, as `weakseg.Photograph` tells it.
        size: (rows, columns) of the photograph.
        runs: The pixels of the mask.
    """

    image: str
    class_id: int
    kind: str
    seed: int
    seconds: float
    reliability: float
    size: tuple[int, int]
    runs: str

    @property
    def mask(self) -> NDArray[np.bool_]:
        """``(H, W)``."""
        return mask_of_runs(self.runs.encode("latin-1"), (self.size[0], self.size[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--msrc", type=Path, required=True, help="folder with true masks")
    parser.add_argument("--work", type=Path, default=Path("runs/queue"), help="gets a file a photograph")
    parser.add_argument("--list", default="fit", choices=("fit", "held"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--most", type=int, default=0, help="of the photographs; 0: all")
    given = parser.parse_args()
    photographs = shuffled(given.msrc, given.list)[: given.most or None]
    with track("draw", len(photographs)) as advance:
        for one in photographs:
            add_missing(one, given.work, given.kinds, given.seeds)
            advance(1)


def msrc(root: Path) -> DataConfig:
    """Return the data set whose training list is cut into ``fit`` and ``held``."""
    return DataConfig(
        root=str(root), format="voc", train="train", tags="truth", parts=PARTS, score=tuple(PARTS["train"])
    )


def shuffled(root: Path, listed: str) -> list[EvalSample]:
    """Return the photographs of a part that show a class, in an order drawn at random once."""
    config = msrc(root)
    found = [one for one in open_truth(config, open_dataset(config), "train", listed) if one.sample.tags.present]
    return sorted(found, key=lambda one: derive_seed(0, one.id, "what to draw next"))


def file_of(work: Path, image_id: str) -> Path:
    """Return where the masks of a photograph are kept."""
    return work / "drawn" / f"{image_id}.json"


def kept_masks(work: Path, image_id: str) -> list[DrawnMask]:
    """Return the masks that were made of a photograph so far."""
    path = file_of(work, image_id)
    return [DrawnMask(**one) for one in json.loads(path.read_text())] if path.exists() else []


def add_missing(one: EvalSample, work: Path, kinds: Sequence[str], seeds: Sequence[int]) -> None:
    """Make the masks of a photograph that are not there yet, and keep them."""
    found = kept_masks(work, one.id)
    there = {(mask.class_id, mask.kind, mask.seed) for mask in found}
    wanted = [(kind, seed) for kind in kinds for seed in (seeds if kind == "click" else [0])]
    missing = [(c, *key) for c in sorted(one.sample.tags.present) for key in wanted if (c, *key) not in there]
    if missing:
        found += drawn_masks(one, missing)
        write_json(file_of(work, one.id), [asdict(mask) for mask in found])


def drawn_masks(one: EvalSample, wanted: Sequence[tuple[int, str, int]]) -> Iterator[DrawnMask]:
    """Yield the mask of each class, kind and seed."""
    truth = one.load_truth()
    objects = true_objects(truth, one.load_objects())
    photograph = Photograph(one.sample.load_image(), name=one.id)
    for class_id, kind, seed in wanted:
        own = [TrueObject(1, item.mask) for item in objects if item.class_id == class_id]
        drawn = marks_of(own, (truth != class_id) & (truth != VOID), kind, (seed, one.id))
        found = photograph.segment(Marks((str(class_id),), drawn))
        seconds = labelling_effort(drawn, frozenset(), 1).seconds  # no look at other classes
        runs = runs_of_mask(found.mask == 1).decode("latin-1")
        size = (truth.shape[0], truth.shape[1])
        yield DrawnMask(one.id, class_id, kind, seed, seconds, found.reliability, size, runs)


def marks_of(objects: Sequence[TrueObject], rest: NDArray[np.bool_], kind: str, by: tuple[int, str]) -> Drawn:
    """Return what an annotator (seed, and id of the photograph) draws on the objects of a class, and beside them."""
    if kind == "box":
        return Drawn(boxes=tuple(map(tight_box, objects)))
    draw = numpy_generator_for(*by, f"what to draw next, {kind}")
    marked = [*objects, *([TrueObject(0, rest)] if rest.any() else [])]
    if kind == "click":
        return Drawn(points=tuple(inner_point(item, draw) for item in marked))
    return Drawn(scribbles=tuple(inner_stroke(item, draw) for item in marked))


if __name__ == "__main__":
    main()
