"""Class names and their ids."""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from weakseg.errors import DataError, cut, quoted

BACKGROUND_NAMES = frozenset({"background", "_background_", "_none_"})
MAX_CLASSES = 254
MAX_NAME = 200


@dataclass(frozen=True)
class Classes:
    """The foreground classes of a data set; class ``names[i]`` has id ``i + 1``, id 0 is background, 255 undecided.

    Attributes:
        names: Foreground class names, unique, at most 254.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse no names, and names that are unprintable, repeated, reserved or too many."""
        if not self.names:
            raise DataError("classes: no class names; give data.classes or classes.txt, or label at least one image")
        if unusable := [name for name in self.names if not name.strip() or not name.isprintable()]:
            raise DataError(
                f"classes: {quoted(unusable[0])} is empty or has control characters; write a printable name"
            )
        if repeated := [name for name, count in Counter(self.names).items() if count > 1]:
            raise DataError(f"classes: {quoted(repeated[0])} is listed more than once; keep one")
        if reserved := sorted(BACKGROUND_NAMES & set(self.names)):
            raise DataError(f"classes: {reserved} is reserved for the background; leave it out of the class names")
        if long := [name for name in self.names if len(name) > MAX_NAME]:
            raise DataError(
                f"classes: {quoted(long[0])} is longer than {MAX_NAME} characters; give it a shorter name, "
                "by data.class_map if you like"
            )
        if len(self.names) > MAX_CLASSES:
            raise DataError(
                f"classes: {len(self.names)} names, but masks of 8 bits hold {MAX_CLASSES}; choose with data.classes"
            )

    def __len__(self) -> int:
        """Number ``K`` of foreground classes."""
        return len(self.names)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Id by name."""
        return {name: number for number, name in enumerate(self.names, start=1)}

    def id_of(self, name: str, where: str) -> int:
        """Return the id of a class name.

        Args:
            name: Class name as written in the label file.
            where: File and line, for the error.

        Raises:
            DataError: If the name is none of the classes; names the closest one.
        """
        if name in self.ids:
            return self.ids[name]
        raise unknown_class(name, self.names, where)

    def name_of(self, class_id: int) -> str:
        """Return the name of a class id; 0 is ``"background"``."""
        return self.names[class_id - 1] if class_id else "background"

    @classmethod
    def from_labels(cls, given: Sequence[str] | None, found: Iterable[str]) -> "Classes":
        """Return the given names or, where none are given, the found names in alphabetical order."""
        return cls(tuple(given) if given is not None else tuple(sorted(set(found) - BACKGROUND_NAMES)))


def unknown_class(name: str, known: Sequence[str], where: str) -> DataError:
    """Return the error for a class name that is none of the known ones; it names the closest, or all."""
    near = difflib.get_close_matches(name[:MAX_NAME], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known classes: {cut(', '.join(known))}"
    if near and unicodedata.normalize("NFC", near[0]) == unicodedata.normalize("NFC", name):
        hint += " It is that in another Unicode form; write both alike"
    return DataError(f"{where}: unknown class {quoted(name)}; {hint}")


def odd_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return one sentence for each name that is probably not meant so.

    These are names that differ only by case, Unicode form, spaces, underscores or hyphens, of which the first is named
    with the others; and names that hold what separates names elsewhere. A plural is another name.

    >>> odd_names(["cat", "dog", "Cat "])
    ("classes 'cat' and 'Cat ' are written alike but for case, spaces or Unicode form; if they are one, merge them",)
    """
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        key = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
        alike.setdefault(key, []).append(name)
    twins = [
        f"classes {' and '.join(map(quoted, group))} are written alike but for case, spaces or Unicode form; if they "
        "are one, merge them"
        for group in alike.values()
        if len(group) > 1
    ]
    listed = [
        f"class {quoted(name)} holds {quoted(found[0])}; if it is several classes, write them apart"
        for group in alike.values()
        for name in group
        if (found := re.search(r"[,;|\t]", name))
    ]
    return (*twins, *listed)
