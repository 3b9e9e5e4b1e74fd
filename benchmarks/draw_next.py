"""What to draw next, by simulation: mIoU of all masks against the seconds that an annotator has spent, by order.

    weakseg compare recipes/queue_msrc.yaml --methods cam --out runs/queue_msrc --data.root MSRC
    python benchmarks/drawn_masks.py --msrc MSRC --list held --seeds 0 1 2
    python benchmarks/draw_next.py --msrc MSRC --list held --seeds 0 1 2

At the start every photograph has its tags, and the mask that the run has made of them. Then labels are drawn, one class
of one photograph after the other, until all are: each takes its seconds, and replaces the pixels of its class in the
mask of its photograph; what was of the class and is not any more becomes background. Photographs of no class need no
label, but their masks count. What the annotator draws, and the masks of it, are those of drawn_masks.py.

``random``: photographs in an order drawn at random, all classes of each, one kind of label. ``least confidence``:
classes of photographs, the least reliable mask first, the same kind. ``queue``: as ``weakseg queue`` lists them.
``queue, KIND``: that kind alone. Others leave something out of it, or add something. ``best``: by what true masks say
that each label brings (no method: how much there is to gain).

Prints and appends one JSON line an order and seed to benchmarks/results/draw_next.jsonl: mIoU (percent) at shares of
the seconds that drawing all photographs at random takes (``at``), its mean over these seconds (``area``), and the
seconds to the mIoU that ``random`` has after 60 % of the photographs, as a share of those that it takes (``goal``).
``--fit`` prints what ``stages/queue.py`` expects of masks and labels, as it is measured here.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from drawn_masks import KINDS, DrawnMask, kept_masks, msrc, shuffled
from numpy.typing import NDArray
from rows import append_rows

from weakseg.artifacts import LabelMap
from weakseg.data.dataset import open_dataset
from weakseg.data.effort import SECONDS
from weakseg.data.truth import open_truth
from weakseg.evaluation.confusion import Confusion
from weakseg.methods.finished import FinishedRun, open_finished
from weakseg.methods.queue import Since, known_photographs
from weakseg.rng import numpy_generator_for
from weakseg.stages.known import KnownClass, KnownPhotograph, MarkKind
from weakseg.stages.queue import EXPECTED, Expected, what_to_draw

VOID = 255
BUDGETS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
GOAL = 0.6  # of the photographs
GOOD = 0.6

Label = tuple[str, int, str]  # photograph, class, kind
Step = Sequence[Label]  # labels that are drawn together


@dataclass(frozen=True)
class Scene:
    """A photograph that shows a class, its masks, and the truth.

    Attributes:
        id: Its id.
        truth: ``(H, W)``.
        machine: ``(H, W)``: the run's mask.
        known: What the run knows of it.
        drawn: What may be drawn, by class and kind.
        classes: Ids by name.
    """

    id: str
    truth: NDArray[np.uint8]
    machine: NDArray[np.uint8]
    known: KnownPhotograph
    drawn: Mapping[tuple[int, str], DrawnMask]
    classes: Mapping[str, int]
    _found: dict[tuple[tuple[int, str], ...], Confusion] = field(default_factory=dict, repr=False)

    def mask(self, marks: Mapping[int, str]) -> NDArray[np.uint8]:
        """Return the mask after something was drawn: kinds by class. Larger objects lie below smaller ones."""
        mask = self.machine.copy()
        mask[np.isin(mask, list(marks))] = 0
        parts = [(class_id, self.drawn[class_id, kind].mask) for class_id, kind in marks.items()]
        for class_id, part in sorted(parts, key=lambda one: -int(one[1].sum())):
            mask[part] = class_id
        return mask

    def confusion(self, marks: Mapping[int, str]) -> Confusion:
        """Return how the mask compares with the truth."""
        key = tuple(sorted(marks.items()))
        if key not in self._found:
            self._found[key] = Confusion.of(self.truth, self.mask(marks), len(self.classes))
        return self._found[key]

    def iou(self, class_id: int, marks: Mapping[int, str]) -> float:
        """Return the IoU of a class."""
        own, true, valid = self.mask(marks) == class_id, self.truth == class_id, self.truth != VOID
        return float((own & true).sum() / max(1, ((own | true) & valid).sum()))


@dataclass(frozen=True)
class Folder:
    """All photographs of a part.

    Attributes:
        scenes: Those that show a class, by id.
        rest: Of the masks of the others.
    """

    scenes: Mapping[str, Scene]
    rest: Confusion

    @cached_property
    def known(self) -> list[KnownPhotograph]:
        return [scene.known for scene in self.scenes.values()]

    @cached_property
    def kinds(self) -> list[str]:
        """Kinds of label that have been drawn on all classes of all photographs."""
        wanted = [(s, s.classes[one.name]) for s in self.scenes.values() for one in s.known.classes]
        return [kind for kind in KINDS if all((class_id, kind) in scene.drawn for scene, class_id in wanted)]

    def seconds(self, label: Label) -> float:
        return self.scenes[label[0]].drawn[label[1:]].seconds

    def curve(self, steps: Iterable[Step]) -> NDArray[np.float64]:
        """Return ``(S + 1, 2)``: seconds and mIoU at the start, and after each step."""
        marks: dict[str, dict[int, str]] = {name: {} for name in self.scenes}
        total = self.rest
        for scene in self.scenes.values():
            total += scene.confusion({})
        spent, found = 0.0, [(0.0, 100 * float(total.mean_iou()))]
        for step in steps:
            for label in step:
                name, class_id, kind = label
                before = self.scenes[name].confusion(marks[name])
                marks[name][class_id] = kind
                total = Confusion(total.counts - before.counts) + self.scenes[name].confusion(marks[name])
                spent += self.seconds(label)
            found.append((spent, 100 * float(total.mean_iou())))
        return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--msrc", type=Path, required=True, help="folder with true masks")
    parser.add_argument("--run", default="runs/queue_msrc:cam", help="run folder, or FOLDER:METHOD of a comparison")
    parser.add_argument("--against", default="", help="another method of the comparison, to disagree with")
    parser.add_argument("--work", type=Path, default=Path("runs/queue"), help="folder that drawn_masks.py has filled")
    parser.add_argument("--list", default="fit", choices=("fit", "held"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--most", type=int, default=0, help="of the photographs; 0: all")
    parser.add_argument("--kind", default="box", choices=KINDS, help="of orders that have one kind")
    parser.add_argument("--fit", action="store_true", help="print what is to be expected, as measured here")
    parser.add_argument("--curves", type=Path, help="JSON file of all curves")
    given = parser.parse_args()
    folder, *_, method = (given.run if ":" in given.run else given.run + ":").partition(":")
    run = open_finished(Path(folder), method)
    other = open_finished(Path(folder), given.against) if given.against else None
    curves: dict[str, Any] = {}
    for seed in given.seeds:
        opened = open_folder(given, run, other, seed)
        if given.fit:
            print(json.dumps(measured(opened), indent=1))
            return
        orders = orders_of(opened, given.kind, seed)
        found = {name: opened.curve(steps) for name, steps in orders.items()}
        reach = Reach.of(found["random"], len(opened.scenes))
        rows = [{"order": name, **reach.summary(curve)} for name, curve in found.items()]
        for row in rows:
            print(json.dumps(row), flush=True)
        append_rows("draw_next", rows, list=given.list, run=given.run, seed=seed, photographs=len(opened.scenes))
        curves[str(seed)] = {name: curve.round(3).tolist() for name, curve in found.items()}
    if given.curves:
        given.curves.write_text(json.dumps(curves))


def open_folder(given: argparse.Namespace, run: FinishedRun, other: FinishedRun | None, seed: int) -> Folder:
    """Return the photographs of a part, with what an annotator of this seed would draw."""
    config = msrc(given.msrc)
    dataset = open_dataset(config)
    classes = {name: number for number, name in enumerate(dataset.classes.names, start=1)}
    known = {one.id: one for one in known_photographs(run, Since())}
    masks, scenes = run.step_folder("masks"), {}
    for one in shuffled(given.msrc, given.list)[: given.most or None]:
        drawn = {(m.class_id, m.kind): m for m in kept_masks(given.work, one.id) if m.seed == seed or m.kind != "click"}
        machine = LabelMap.load(masks / f"{one.id}.png").labels
        told = known[one.id]
        if other is not None:
            against = LabelMap.load(other.step_folder("masks") / f"{one.id}.png").labels
            told = replace(told, classes=tuple(disagreeing(c, classes[c.name], machine, against) for c in told.classes))
        scenes[one.id] = Scene(one.id, one.load_truth(), machine, told, drawn, classes)
    rest = Confusion.empty(len(classes))
    for one in [] if given.most else open_truth(config, dataset, "train", given.list):
        if one.id not in scenes:
            rest += Confusion.of(one.load_truth(), LabelMap.load(masks / f"{one.id}.png").labels, len(classes))
    return Folder(scenes, rest)


def disagreeing(one: KnownClass, class_id: int, machine: NDArray[np.uint8], against: NDArray[np.uint8]) -> KnownClass:
    own, other = machine == class_id, against == class_id
    return replace(one, disagreement=1 - float((own & other).sum() / max(1, (own | other).sum())))


def orders_of(folder: Folder, kind: str, seed: int) -> dict[str, list[Step]]:
    """Return what is drawn, in which order, by each rule."""
    kinds = folder.kinds
    found: dict[str, list[Step]] = {"random": random_order(folder, kind, seed)}
    found |= {f"random, {other}": random_order(folder, other, seed) for other in kinds if other != kind}
    found["least confidence"] = least_confident(folder, kind)
    found |= {"queue": queued(folder, kinds), **{f"queue, {one}": queued(folder, (one,)) for one in kinds}}
    for name, change in WITHOUT.items():
        found[f"queue without {name}"] = queued(folder, kinds, change)
    if any(one.disagreement is not None for each in folder.known for one in each.classes):
        found["queue with disagreement"] = queued(folder, kinds, lambda one: one)
    found["best"] = best_order(folder)
    return found


def agreed(one: KnownClass) -> KnownClass:
    """Return what is known of a class but for another method's masks."""
    return replace(one, disagreement=None)


WITHOUT: Mapping[str, Callable[[KnownClass], KnownClass]] = {
    "reliability": lambda one: replace(agreed(one), reliability=None),
    "areas": lambda one: replace(agreed(one), share=None),
    "numbers of objects": lambda one: replace(agreed(one), objects=1),
}


def random_order(folder: Folder, kind: str, seed: int) -> list[Step]:
    names = sorted(folder.scenes)
    order = numpy_generator_for(seed, "draw next", "random order").permutation(len(names))
    shuffled_names = [names[index] for index in order]
    return [[(n, c, k) for c, k in sorted(folder.scenes[n].drawn) if k == kind] for n in shuffled_names]


def least_confident(folder: Folder, kind: str) -> list[Step]:
    found = []
    for scene in folder.scenes.values():
        told = {scene.classes[one.name]: one.reliability or 0.0 for one in scene.known.classes}
        found += [(told.get(c, 0.0), scene.id, c) for c, k in scene.drawn if k == kind]
    return [[(name, class_id, kind)] for _, name, class_id in sorted(found)]


def queued(
    folder: Folder,
    kinds: Sequence[str],
    change: Callable[[KnownClass], KnownClass] = agreed,
    expected: Expected = EXPECTED,
) -> list[Step]:
    """Return labels as they are listed; when all are drawn, those that are listed then."""
    known = [replace(each, classes=tuple(map(change, each.classes))) for each in folder.known]
    usable: tuple[MarkKind, ...] = tuple(kind for kind in KINDS if kind in kinds)  # type: ignore[misc]
    found: list[Step] = []
    while listed := what_to_draw(known, kinds=usable, expected=expected):
        found += [[(one.photograph, folder.scenes[one.photograph].classes[one.name], one.kind)] for one in listed]
        drawn = {(one.photograph, one.name): one.kind for one in listed}
        known = [
            replace(e, classes=tuple(replace(c, drawn=drawn.get((e.id, c.name), c.drawn)) for c in e.classes))
            for e in known
        ]
    return found


def best_order(folder: Folder) -> list[Step]:
    """Return for each class the kind that brings most a second beside the masks of the start, by true masks."""
    total = folder.rest
    for scene in folder.scenes.values():
        total += scene.confusion({})
    start, found = total.mean_iou(), list[tuple[float, Label]]()
    for scene in folder.scenes.values():
        without = Confusion(total.counts - scene.confusion({}).counts)
        rates: dict[int, list[tuple[float, Label]]] = {}
        for class_id, kind in scene.drawn:
            label = (scene.id, class_id, kind)
            gain = (without + scene.confusion({class_id: kind})).mean_iou() - start
            rates.setdefault(class_id, []).append((gain / folder.seconds(label), label))
        found += [max(each) for each in rates.values()]
    return [[label] for rate, label in sorted(found, reverse=True) if rate > 0]


@dataclass(frozen=True)
class Reach:
    """What orders are measured by: the seconds of drawing all at random, and what random reaches at 60 %."""

    whole: float
    goal: float
    seconds: float

    @classmethod
    def of(cls, by_random: NDArray[np.float64], photographs: int) -> "Reach":
        spent, reached = by_random[round(GOAL * photographs)]
        return cls(float(by_random[-1, 0]), float(reached), float(spent))

    def summary(self, curve: NDArray[np.float64]) -> dict[str, Any]:
        at = {f"{share:g}": round(float(value_at(curve, share * self.whole)), 2) for share in BUDGETS}
        inside = curve[curve[:, 0] < self.whole]
        area = float((np.diff(np.append(inside[:, 0], self.whole)) * inside[:, 1]).sum() / self.whole)
        reached = np.flatnonzero(curve[:, 1] >= self.goal)
        goal = round(float(curve[reached[0], 0] / self.seconds), 3) if len(reached) else None
        return {"start": round(float(curve[0, 1]), 2), "at": at, "area": round(area, 2), "goal": goal} | {
            "of_goal": round(self.goal, 2),
            "seconds": round(float(curve[-1, 0])),
            "labels": len(curve) - 1,
        }


def value_at(curve: NDArray[np.float64], seconds: float) -> float:
    """Return the mIoU after what could be finished in so many seconds."""
    return float(curve[np.searchsorted(curve[:, 0], seconds + 1e-6, side="right") - 1, 1])


def measured(folder: Folder) -> dict[str, Any]:
    """Return lines of IoU by reliability, every mask counting alike, and other means."""
    rows = list(_rows(folder))
    value = {name: np.array([row[name] for row in rows], float) for name in rows[0]}
    told: dict[str, Any] = {"now": line(value["reliability"], value["now"])}
    for kind in KINDS:
        told[f"after {kind}"] = line(value["reliability"], value[kind])
        told[f"now, by own reliability, {kind}"] = line(value[f"own {kind}"], value[kind])
        told[f"seconds {kind}"] = round(float(np.nanmean(value[f"seconds {kind}"])), 2)
    told["rejected"] = round(float(value["now"][value["now"] < GOOD].mean()), 3)
    told["usual"] = round(float(value["reliability"].mean()), 3)
    drawn = np.isfinite(value["objects"])
    objects, parts = value["objects"][drawn], value["parts"][drawn]
    told["objects, parts of masks"] = [round(float(x), 2) for x in (objects.mean(), parts.mean())]
    told["their correlation"] = round(float(np.corrcoef(objects, parts)[0, 1]), 2)
    told["correlation of areas"] = round(float(np.corrcoef(value["area"], value["share"])[0, 1]), 3)
    if np.isfinite(value["disagreement"]).all():
        design = np.stack([np.ones(len(rows)), value["reliability"], value["disagreement"]], 1)
        fitted = np.linalg.lstsq(design, value["now"], rcond=None)[0]
        told["disagreement"] = [round(float(x), 3) for x in (value["disagreement"].mean(), *fitted)]
    return told


def line(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    """Return IoUs at reliability 0 and 1 by least squares, their mean, and how far off the line is."""
    there = np.isfinite(x) & np.isfinite(y)
    x, y = x[there], y[there]
    slope, low = np.polyfit(x, y, 1)
    told = {"low": low, "high": low + slope, "mean": y.mean(), "off": np.mean((y - low - slope * x) ** 2) ** 0.5}
    return {"masks": len(y), **{name: round(float(value), 3) for name, value in told.items()}}


def _rows(folder: Folder) -> Iterator[dict[str, Any]]:
    """Yield what is known, and true, of each class of each photograph; NaN for what has not been drawn."""
    for scene in folder.scenes.values():
        for one in scene.known.classes:
            class_id = scene.classes[one.name]
            row: dict[str, Any] = {"class": class_id, "area": float((scene.truth == class_id).mean())}
            row |= {"reliability": one.reliability or 0.0, "share": one.share or 0.0, "now": scene.iou(class_id, {})}
            row |= {"parts": one.objects, "disagreement": np.nan if one.disagreement is None else one.disagreement}
            row["objects"] = scene.drawn[class_id, "box"].seconds / SECONDS["box"] if scene.drawn else np.nan
            for kind in KINDS:
                made = scene.drawn.get((class_id, kind))
                row[kind] = scene.iou(class_id, {class_id: kind}) if made else np.nan
                row[f"own {kind}"], row[f"seconds {kind}"] = (
                    (made.reliability, made.seconds) if made else (np.nan, np.nan)
                )
            yield row


if __name__ == "__main__":
    main()
