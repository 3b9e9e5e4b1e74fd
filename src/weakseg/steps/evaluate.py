"""The steps that see ground truth: scores of products, and true masks as those of the supervised reference."""

from collections.abc import Mapping, Sequence
from typing import Any

from weakseg.artifacts import UNDECIDED
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset
from weakseg.data.truth import InstanceSample, check_truth, open_instance_truth, open_truth
from weakseg.errors import DataError
from weakseg.evaluation.instance_protocol import InstanceScore, score_instances
from weakseg.evaluation.protocol import Score, export_truth, score_activations, score_maps, titled, usable_truth
from weakseg.files import write_json
from weakseg.pipeline.plan import TRAIN, Failure, Kind, Role, Step, StepContext, StepResult, Work
from weakseg.steps.base import code_of
from weakseg.steps.saliency import saliency_of

RESULTS_FILE = "results.json"
MAPS = (Kind.ACTIVATIONS, Kind.LABELS)


def true_masks_step(dataset: Dataset, data: DataConfig, *, void_is_background: bool) -> Step:
    """Take the true masks as training masks: the supervised reference that weak labels are measured against."""

    def work(context: StepContext) -> StepResult:
        truth, bad = usable_truth(open_truth(data, dataset, TRAIN))
        if not truth:
            raise DataError("data: no training image has a usable true mask; the supervised reference needs data.truth")
        export_truth(truth, context.folder, void=0 if void_is_background else UNDECIDED)
        failures = [Failure(image_id, "masks", reason) for image_id, reason in bad.items()]
        return StepResult({"images": len(truth)}, failures)

    settings = {"from": "truth", "void_is_background": void_is_background}
    return Step("masks", Kind.LABELS, {}, settings, Work(code_of(true_masks_step), work), Role.RESULT)


def evaluation_step(
    dataset: Dataset, data: DataConfig, steps: Sequence[Step], *, plan: Sequence[Step] | None = None
) -> Step:
    """Score the products of steps wherever there is truth, on each list of ``data.score`` that their images are of.

    Without truth the result is an empty list.

    Label maps and activations are compared with true masks (``scores``), instances with true objects (``objects``).

    Args:
        dataset: The images.
        data: Where the truth is.
        steps: What is scored.
        plan: What these are made of, too; ``None``: they are all.

    Raises:
        DataError: If the folder of true masks is missing, or nobody can tell what their values mean.
    """
    check_truth(data, dataset)
    maps = [step for step in steps if step.kind in MAPS]
    instances = [step for step in steps if step.kind == Kind.INSTANCES]
    told = {step.name: saliency_of(steps if plan is None else plan, step.name) for step in (*maps, *instances)}

    def work(context: StepContext) -> StepResult:
        opened = {place: usable_truth(open_truth(data, dataset, *place)) for place in _places(maps, dataset)}
        scores = [
            _score(step, truth, context, _protocol(step, data, listed, told[step.name])).as_json(dataset.classes)
            for step in maps
            for listed in dataset.lists_for(step.split)
            if (truth := opened[step.split, listed][0])
        ]
        true = {
            place: usable_truth(open_instance_truth(data, dataset, *place)) for place in _places(instances, dataset)
        }
        found = [
            _score_objects(step, true[step.split, listed][0], context, _protocol(step, data, listed, told[step.name]))
            for step in instances
            for listed in dataset.lists_for(step.split)
        ]
        objects = [score.as_json(dataset.classes) for score in found if score]
        write_json(context.folder / RESULTS_FILE, {"scores": scores, "objects": objects})
        reasons = {i: reason for _, each in (*opened.values(), *true.values()) for i, reason in each.items()}
        failures = [Failure(image_id, "evaluation", reason) for image_id, reason in reasons.items()]
        return StepResult(_figures(scores, objects), failures)

    needs = {step.name: step.kind for step in (*maps, *instances)}
    settings = {"undecided": "error"}
    return Step(
        "evaluation", Kind.RESULTS, needs, settings, Work(code_of(evaluation_step), work), Role.CHECK, repeat=True
    )


def _places(steps: Sequence[Step], dataset: Dataset) -> list[tuple[str, str]]:
    """Return split and list of all that is scored, each pair once."""
    return list(dict.fromkeys((step.split, listed) for step in steps for listed in dataset.lists_for(step.split)))


def _figures(scores: Sequence[Mapping[str, Any]], objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    figures = {titled(score): score["mean_iou"] for score in scores}
    return figures | {titled(score): score["mean_ap_region"]["0.5"] for score in objects}


def _protocol(step: Step, data: DataConfig, listed: str, saliency: Mapping[str, Any]) -> dict[str, Any]:
    source = data.tags if data.format == "voc" else "label file"
    made_for = getattr(data, step.split)
    if step.split == TRAIN and data.only:
        made_for += f", what {data.only} rejects"
    beside = {"made_for": made_for} if listed else {}
    scored = {"split": step.split, "list": listed or made_for, **beside}
    beside = {"saliency": dict(saliency)} if saliency else {}
    return {**scored, "tags_from": source, **beside, "settings": step.settings}


def _score(step: Step, truth: Sequence[Any], context: StepContext, protocol: dict[str, Any]) -> Score:
    folder = context.inputs[step.name]
    if step.kind == Kind.ACTIVATIONS:
        return score_activations(step.name, truth, folder, protocol=protocol)[0]
    return score_maps(step.name, truth, folder, protocol=protocol)


def _score_objects(
    step: Step, truth: Sequence[InstanceSample], context: StepContext, protocol: dict[str, Any]
) -> InstanceScore | None:
    """Return how well instances agree with the true objects; ``None`` where no image has both."""
    folder = context.inputs[step.name]
    if not any((folder / f"{sample.id}{step.kind.suffix}").exists() for sample in truth):
        return None
    return score_instances(step.name, truth, folder, protocol=protocol)
