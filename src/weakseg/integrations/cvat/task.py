"""A task on a CVAT server: its labels, its frames by name, and what has been drawn on them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from weakseg.data.paths import image_id_of
from weakseg.errors import DataError
from weakseg.names import composed
from weakseg.ops.runs import Size

VIDEO_NAME = "frame_{:06d}"  # which CVAT's own exports call the frames of videos


@dataclass(frozen=True)
class Frame:
    """A photograph of a task.

    Attributes:
        number: CVAT's number of it.
        name: Its path, as it was uploaded.
        size: (rows, columns).
    """

    number: int
    name: str
    size: Size


@dataclass(frozen=True)
class CvatTask:
    """A task.

    Attributes:
        proxy: cvat-sdk's object, which talks to the server.
        labels: CVAT's number and type of each label, by name.
        frames: Those that are not deleted.
        address: Of the server.
    """

    proxy: Any
    labels: Mapping[str, tuple[int, str]]
    frames: tuple[Frame, ...]
    address: str

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"task {self.proxy.id} {self.proxy.name!r} at {self.address}"


def open_task(client: Any, number: int) -> CvatTask:
    """Return a task with labels and frames.

    Raises:
        DataError: If it has no photographs.
    """
    proxy, address = client.tasks.retrieve(number), client.api_map.host
    if str(proxy.dimension) != "2d" or not proxy.size:
        raise DataError(f"{address}: task {number} has no photographs; give a task of images or of a video")
    meta, labels = proxy.get_meta(), proxy.get_labels()
    deleted, video = set(meta.deleted_frames), str(proxy.mode) == "interpolation"
    frames = [
        Frame(index, VIDEO_NAME.format(index) if video else frame.name, (frame.height, frame.width))
        for index in range(proxy.size)
        if index not in deleted and (frame := meta.frames[0 if video else index])
    ]
    return CvatTask(proxy, {label.name: (label.id, str(label.type)) for label in labels}, tuple(frames), address)


def count_drawn(annotations: Any) -> Counter[str]:
    """Return how many annotations there are of each type, tracks and tags among them."""
    found = Counter(f"{shape.type}" for shape in annotations.shapes)
    return found + Counter({"tag": len(annotations.tags), "track": len(annotations.tracks)})


def match_frames(
    names: Mapping[str, str], frames: Sequence[Frame], title: str
) -> tuple[dict[str, Frame], dict[str, str]]:
    """Return the frame of each image, and why there is none of the others.

    The whole name decides, then the path without suffix, then the last part of it, where it is unique on both sides:
    CVAT leaves the folders of uploaded files away.

    Args:
        names: File name by image id, the id itself where it is not known.
        frames: Of the task.
        title: Of the task, for the reasons.
    """
    keys = (composed, image_id_of, lambda name: PurePosixPath(image_id_of(name)).name)
    found: dict[str, Frame] = {}
    doubtful: dict[str, str] = {}
    for key in keys:
        theirs, ours = _grouped([frame.name for frame in frames], key), _grouped(list(names.values()), key)
        for image_id, name in names.items():
            there = theirs.get(key(name), [])
            if image_id in found or not there:
                continue
            if len(there) == len(ours[key(name)]) == 1:
                found[image_id] = frames[there[0]]
                doubtful.pop(image_id, None)
            else:
                doubtful[image_id] = f"several frames or images are called {key(name)!r}; give names that differ"
    missing = dict.fromkeys(set(names) - set(found), f"no frame of {title} has its name; upload it there first")
    return found, {image_id: doubtful.get(image_id, missing[image_id]) for image_id in names if image_id in missing}


def _grouped(names: Sequence[str], key: Any) -> dict[str, list[int]]:
    """Return the numbers of names by their key."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        found.setdefault(key(name), []).append(number)
    return found
