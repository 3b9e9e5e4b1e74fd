"""Folders of very many images: what is made of them lies as they do, and file systems may suffer from it."""

from collections import Counter
from collections.abc import Iterable

MANY_IN_A_FOLDER = 30_000
"""Where a file system has no index of names, to make a file among so many takes 17 times as long (docs/scale.md)."""


def fullest_folder(image_ids: Iterable[str]) -> tuple[str, int]:
    """Return the folder that the most ids are of, and how many.

    >>> fullest_folder(["a/1", "b/1", "b/2", "c"])
    ('b', 2)
    """
    counts = Counter(image_id.rpartition("/")[0] for image_id in set(image_ids))
    return max(counts.items(), key=lambda one: one[1], default=("", 0))


def crowded_warning(folder: str, number: int) -> list[str]:
    """Return a sentence where so many images lie in a folder that a file system may suffer; else none."""
    if number <= MANY_IN_A_FOLDER:
        return []
    where = f"the folder {folder!r}" if folder else "one folder"
    return [
        f"{number:,} images lie in {where}, and so will what is made of them; that costs nothing on ext4 or in memory, "
        f"but a file system without an index of names gets slow: there put more than {MANY_IN_A_FOLDER:,} into several "
        "folders (docs/scale.md)"
    ]
