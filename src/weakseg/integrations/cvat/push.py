"""Objects and masks become shapes of a task; nothing of the task is taken away unless that is asked for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from weakseg.artifacts import UNDECIDED
from weakseg.data.classes import Classes
from weakseg.data.formats.cvat_shapes import UNDECIDED_NAME
from weakseg.errors import ConfigError, ServerError, cut
from weakseg.instances import Instances
from weakseg.integrations.cvat.sdk import load_sdk, told
from weakseg.integrations.cvat.shapes import Form, shapes_of
from weakseg.integrations.cvat.task import CvatTask, Frame, match_frames
from weakseg.pipeline.plan import Failure
from weakseg.progress import track

Replace = Literal["none", "auto", "all"]
MOST_NUMBERS, MOST_FRAMES = 500_000, 100  # of one request


@dataclass(frozen=True)
class PushPlan:
    """What a push will do.

    Attributes:
        frames: Frame and objects of each image.
        label_ids: CVAT's label by class id.
        form: Masks or polygons.
        old: What is there of shapes that the push replaces, by frame.
        kept: How many shapes on those frames stay.
        again: How many of these are masks or polygons that a program has made, as those of an earlier push.
        left_out: Objects by class name whose label the task lacks.
        failures: Images that have no frame, or one of another size.
    """

    frames: Sequence[tuple[Frame, Instances]]
    label_ids: Mapping[int, int]
    form: Form
    old: Mapping[int, Sequence[Any]]
    kept: int = 0
    again: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    failures: Sequence[Failure] = ()

    @property
    def count(self) -> int:
        """How many objects will be sent."""
        return sum(class_id in self.label_ids for _, found in self.frames for class_id in found.class_ids)

    def told(self) -> list[str]:
        """Return in words what is replaced, stays, and is left out."""
        said = [f"{sum(map(len, self.old.values()))} older shapes are replaced"] if self.old else []
        said += [f"{self.kept} shapes that are there stay"] if self.kept else []
        said += [f"{self.again} of them come from a program: --replace auto takes these away"] if self.again else []
        lost = {name: count for name, count in self.left_out.items() if name != UNDECIDED_NAME}
        said += [f"{count} objects of {name!r} left out, a label that it lacks" for name, count in lost.items()]
        if count := self.left_out.get(UNDECIDED_NAME):
            said.append(
                f"undecided pixels of {count} images are in no shape; a label {UNDECIDED_NAME!r} would get them"
            )
        if count := sum(UNDECIDED in found.class_ids for _, found in self.frames) if UNDECIDED in self.label_ids else 0:
            said.append(f"undecided pixels of {count} images get its label {UNDECIDED_NAME!r}")
        return said


@dataclass(frozen=True)
class PushOptions:
    """How objects are pushed.

    Attributes:
        form: Masks or polygons.
        replace: Which shapes on the frames of pushed images are taken away: ``none``; ``auto``, masks and polygons that
            a program made; ``all`` but tracks and tags.
        skip_unknown: Whether classes whose label the task lacks are left out, and not refused.
    """

    form: Form = "mask"
    replace: Replace = "none"
    skip_unknown: bool = False


def plan_push(
    task: CvatTask, found: Mapping[str, Instances], names: Mapping[str, str], classes: Classes, options: PushOptions
) -> PushPlan:
    """Return what a push will do; nothing is sent.

    Args:
        task: Where to.
        found: Objects by image id; class 255 is undecided.
        names: File names by image id, where they are known.
        classes: Names of the classes.
        options: What becomes of older shapes and unknown labels.

    Raises:
        ConfigError: If the task lacks a label, or has one that takes other shapes.
    """
    placed, reasons = match_frames(
        {image_id: names.get(image_id, image_id) for image_id in found}, task.frames, task.title
    )
    failures = [Failure(image_id, "push", reason) for image_id, reason in reasons.items()]
    frames = []
    for image_id, frame in placed.items():
        if found[image_id].image_size != frame.size:
            reason = f"is {found[image_id].image_size}, but its frame {frame.name!r} {frame.size} (rows, columns)"
            failures.append(Failure(image_id, "push", f"{reason}; push what was made of these photographs"))
        else:
            frames.append((frame, found[image_id]))
    used = Counter(class_id for _, objects in frames for class_id in objects.class_ids)
    label_ids, left_out = _labels(task, used, classes, options)
    numbers = {frame.number for frame, _ in frames}
    there = [shape for shape in task.proxy.get_annotations().shapes if shape.frame in numbers]
    old: dict[int, list[Any]] = {}
    for shape in there:
        if options.replace == "all" or (options.replace == "auto" and _is_made(shape)):
            old.setdefault(shape.frame, []).append(shape)
    kept = len(there) - sum(map(len, old.values()))
    again = sum(map(_is_made, there)) if options.replace == "none" else 0
    return PushPlan(frames, label_ids, options.form, old, kept, again, left_out, failures)


def push(task: CvatTask, plan: PushPlan) -> None:
    """Send the objects in several requests; of each, what they replace is taken away after they are there.

    Raises:
        ServerError: If a request fails; it says what has been sent.
    """
    sent = 0
    with track("frames", len(plan.frames)) as advance:
        for frames, shapes in _batches(plan):
            try:
                _send(task, shapes, [one for frame in frames for one in plan.old.get(frame.number, ())])
            except ServerError as error:
                raise ServerError(
                    f"{error}. {sent} of {len(plan.frames)} frames are sent, and of {frames[0].name!r} to "
                    f"{frames[-1].name!r} perhaps; give the same command with --replace auto"
                ) from error
            sent += len(frames)
            advance(len(frames))


def _send(task: CvatTask, shapes: Sequence[Mapping[str, Any]], old: Sequence[Any]) -> None:
    """Send shapes in one request, and take older ones away in another."""
    models, actions = load_sdk("cvat_sdk.models"), load_sdk("cvat_sdk.core.proxies.annotations").AnnotationUpdateAction
    new = [models.LabeledShapeRequest(**shape) for shape in shapes]
    gone = [models.LabeledShapeRequest(**one.to_dict()) for one in old]
    with told(task.address):
        for action, given in ((actions.CREATE, new), (actions.DELETE, gone)):
            if given:
                task.proxy.update_annotations(models.PatchedLabeledDataRequest(shapes=given), action=action)


def _batches(plan: PushPlan) -> Iterator[tuple[list[Frame], list[dict[str, Any]]]]:
    """Yield frames and their shapes, as many as one request may hold."""
    frames: list[Frame] = []
    shapes: list[dict[str, Any]] = []
    for frame, found in plan.frames:
        made = shapes_of(found, plan.label_ids, plan.form)
        if frames and (len(frames) == MOST_FRAMES or _numbers(shapes) + _numbers(made) > MOST_NUMBERS):
            yield frames, shapes
            frames, shapes = [], []
        frames.append(frame)
        shapes += [{**shape, "frame": frame.number, "source": "auto"} for shape in made]
    if frames:
        yield frames, shapes


def _numbers(shapes: Sequence[Mapping[str, Any]]) -> int:
    return sum(len(shape["points"]) for shape in shapes)


def _is_made(shape: Any) -> bool:
    """Return whether a program has made a mask or polygon, as those of a push are."""
    return str(getattr(shape, "source", "")) == "auto" and str(shape.type) in ("mask", "polygon")


def _labels(
    task: CvatTask, used: Mapping[int, int], classes: Classes, options: PushOptions
) -> tuple[dict[int, int], dict[str, int]]:
    """Return the task's label of each class that is used, and how many objects of which class have none."""
    names = {
        class_id: UNDECIDED_NAME if class_id == UNDECIDED else classes.name_of(class_id) for class_id in sorted(used)
    }
    missing = {name: used[class_id] for class_id, name in names.items() if name not in task.labels}
    refused = [name for name in missing if name != UNDECIDED_NAME]
    if refused and not options.skip_unknown:
        raise ConfigError(
            f"{task.title}: has no label {cut(', '.join(map(repr, refused)))}, but {cut(', '.join(task.labels))}; "
            "add it there, or leave its objects out by --skip-unknown"
        )
    known = {class_id: task.labels[name] for class_id, name in names.items() if name in task.labels}
    for class_id, (_, kind) in known.items():
        if kind not in ("any", options.form):
            other = {"mask": "; give --polygons", "polygon": "; leave --polygons out"}.get(options.form, "")
            hint = other if kind in ("mask", "polygon") else "; change its type to 'any' in CVAT"
            raise ConfigError(f"{task.title}: label {names[class_id]!r} takes shapes of type {kind!r} alone{hint}")
    return {class_id: number for class_id, (number, _) in known.items()}, missing
