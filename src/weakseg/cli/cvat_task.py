"""What ``weakseg cvat`` does: labels of a task come here, masks go there."""

from collections.abc import Mapping

from jsonargparse import Namespace

from weakseg.cli.common import conclude
from weakseg.cli.exported import objects_of, source_of
from weakseg.errors import ConfigError
from weakseg.integrations.cvat.pull import IMAGES, LABELS, pull_labels, pull_photographs
from weakseg.integrations.cvat.push import PushOptions, plan_push, push
from weakseg.integrations.cvat.sdk import Place, connected
from weakseg.integrations.cvat.task import count_drawn, open_task


def pulled(given: Namespace) -> int:
    """Write the labels of a task and its photographs, and return the exit code."""
    with connected(_place(given)) as client:
        task = open_task(client, given.task)
        if given.dry_run:
            drawn = _listed(count_drawn(task.proxy.get_annotations())) or "nothing"
            print(f"{task.title}: {len(task.frames)} photographs, labels {', '.join(task.labels)}; drawn: {drawn}")
            return conclude((), f"would be written: {(given.out / LABELS).resolve()}{_photographs(given)}; nothing was")
        counts = pull_labels(task, given.out)
        print(f"{task.title}: {_listed(counts)}")
        failures = [] if given.labels_only else pull_photographs(task, given.out)
    return conclude(failures, f"labels: {(given.out / LABELS).resolve()}{_photographs(given)}")


def pushed(given: Namespace) -> int:
    """Send the masks of a run or folder to a task, and return the exit code."""
    source = source_of(given)
    _, files = source.files()
    found = {image_id: objects_of(path, given.score, undecided=True) for image_id, path in files.items()}
    for image_id, objects in found.items():
        source.check(objects.class_ids, image_id)
    options = PushOptions("polygon" if given.polygons else "mask", given.replace, given.skip_unknown)
    with connected(_place(given)) as client:
        task = open_task(client, given.task)
        plan = plan_push(task, found, source.file_names, source.classes, options)
        for line in plan.told():
            print(f"{task.title}: {line}")
        if not plan.frames:
            raise ConfigError(f"{task.title}: none of {len(found)} images is one of its {len(task.frames)} frames")
        what = f"{plan.count} {options.form}s on {len(plan.frames)} frames of {task.title}"
        if given.dry_run:
            return conclude(plan.failures, f"would be sent: {what}; nothing was")
        push(task, plan)
    return conclude(plan.failures, f"sent: {what}")


def _place(given: Namespace) -> Place:
    return Place(given.host, given.profile, given.organization, given.insecure)


def _photographs(given: Namespace) -> str:
    return "" if given.labels_only else f", photographs: {(given.out / IMAGES).resolve()}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)
