"""Tracks of CVAT's videos become images: all that is in one frame."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from weakseg.data.formats.cvat_shapes import LEFT_OUT, attribute, integer
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.paths import find_image
from weakseg.errors import DataError

_REMEDY = (
    "export it again with 'Save images', save the frames of the video there under such names, or export it as 'CVAT "
    "for images 1.1'"
)
Track = tuple[str, dict[int, list[Element]]]  # label, and visible shapes by frame
_PASSED_OVER = "its track passes over this frame between two entries; export it with all frames"
_LOST_TRACK = "a track that is left out may be in this frame"


def images_of_tracks(
    root: Element, path: Path, around: Surroundings | None, skipped: dict[str, str]
) -> list[tuple[str, Element]]:
    """Return (file and entry, image) of each frame that any track has an entry for.

    Shapes that are outside of a frame are not in it. A track that passes over a frame between two of its entries is
    there, but nobody says where. One that is malformed may be anywhere.

    Args:
        root: The file.
        path: Its path.
        around: Where the frames are; ``None``, and where labels of one photograph are wanted: they are not looked for.
        skipped: Receives the reason of tracks and frames that are left out.

    Raises:
        DataError: If not one of the frames is there.
    """
    size = {name: root.findtext(f"meta//original_size/{name}") or "" for name in ("width", "height")}
    tracks = _tracks(root, path, skipped)
    numbers = sorted({number for _, found in tracks for number in found})
    images = {n: Element("image", {"name": f"frame_{n:06d}", **size}) for n in numbers}
    for number, node in ((n, node) for _, found in tracks for n, nodes in found.items() for node in nodes):
        images[number].append(node)
    for label, number in _passed_over(tracks, numbers):
        SubElement(images[number], LEFT_OUT, {"label": label, "reason": _PASSED_OVER})
    if skipped:
        for image in images.values():
            SubElement(image, LEFT_OUT, {"reason": _LOST_TRACK})
    places = {number: f"{path}: frame {number}" for number in numbers}
    if around is None or around.photograph:
        return [(places[number], image) for number, image in images.items()]
    there = {n for n in numbers if find_image(around.root, around.start, f"frame_{n:06d}", places[n]).is_file()}
    if numbers and not there:
        raise DataError(
            f"{path}: holds tracks of a video, but no photograph frame_{numbers[0]:06d} is in {around.start}; {_REMEDY}"
        )
    skipped |= {places[n]: f"no photograph frame_{n:06d} is in {around.start}" for n in numbers if n not in there}
    return [(places[number], image) for number, image in images.items() if number in there]


def _tracks(root: Element, path: Path, skipped: dict[str, str]) -> list[Track]:
    """Return label and visible shapes by frame of each track; a frame that it is outside of has none."""
    tracks = []
    for number, track in enumerate(root.iterfind("track")):
        where = f"{path}: track[{number}]"
        try:
            label = attribute(track, "label", where)
            frames: dict[int, list[Element]] = {}
            for node in track:
                shown = frames.setdefault(integer(node, "frame", where), [])
                if node.get("outside") != "1":
                    node.set("label", label)
                    shown.append(node)
        except DataError as error:
            skipped[where] = str(error).removeprefix(f"{where}: ")
        else:
            tracks.append((label, frames))
    return tracks


def _passed_over(tracks: Sequence[Track], numbers: list[int]) -> Iterator[tuple[str, int]]:
    """Yield label and frame wherever a track that is visible in its entry before has none."""
    gaps: dict[str, list[tuple[int, int]]] = {}
    for label, found in tracks:
        pairs = pairwise(sorted(found))
        gaps.setdefault(label, []).extend((first, last) for first, last in pairs if found[first] and last > first + 1)
    for label, pairs_of_label in gaps.items():
        reached = -1
        for first, last in sorted(pairs_of_label):
            start, stop = bisect_right(numbers, max(first, reached)), bisect_left(numbers, last)
            yield from ((label, number) for number in numbers[start:stop])
            reached = max(reached, last - 1)
