"""Class names as label files write them become the names that are learned: renamed, merged, ignored."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from weakseg.data.paths import inside, parse_json, read_text
from weakseg.data.values import as_list, as_record, as_text
from weakseg.errors import DataError, quoted
from weakseg.yaml_text import yaml_value


@dataclass(frozen=True)
class ClassMap:
    """What becomes of class names; names that it does not mention stay as they are.

    Attributes:
        rename: New name by old name.
        merge: Old names by the one new name that they get.
        ignore: Names, old or new, that are no classes: what carries them is left out, and pixels that were outlined
            under them are neither class nor background (255).
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    merge: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a name with two fates."""
        fates = Counter([*self.rename, *(name for names in self.merge.values() for name in names)])
        if twice := sorted(name for name, count in fates.items() if count > 1 or name in self.ignore):
            raise DataError(
                f"class map: {quoted(twice[0])} is renamed, merged or ignored more than once; keep one entry"
            )

    @cached_property
    def _fates(self) -> Mapping[str, str]:
        """New name by old name."""
        return {**{old: new for new, names in self.merge.items() for old in names}, **self.rename}

    def target(self, name: str) -> str | None:
        """Return what a name becomes; ``None`` where it is ignored."""
        new = self.renamed(name)
        return None if name in self.ignore or new in self.ignore else new

    def renamed(self, name: str) -> str:
        """Return what a name is renamed to or merged into, ignored or not."""
        return self._fates.get(name, name)

    def names(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return what names become, each once, in the order of the first."""
        targets = (self.target(name) for name in names)
        return tuple(dict.fromkeys(target for target in targets if target is not None))

    def sources(self, name: str) -> tuple[str, ...]:
        """Return the names that become ``name``, itself included unless it becomes another."""
        return tuple(dict.fromkeys(old for old in (name, *self._fates) if self.target(old) == name))

    def states(self, states: Mapping[str, bool | None]) -> dict[str, bool | None]:
        """Return the states (present, absent, unknown) of what the names become.

        Merged: present if one is, absent if all are.
        """
        found: dict[str, list[bool | None]] = {}
        for name, state in states.items():
            if (target := self.target(name)) is not None:
                found.setdefault(target, []).append(state)
        return {name: True if True in each else None if None in each else False for name, each in found.items()}


def open_class_map(root: Path, name: str) -> ClassMap:
    """Return the class map in a file inside ``root``; an empty name means none."""
    return read_class_map(inside(root, name, "data.class_map")) if name else ClassMap()


def read_class_map(path: Path) -> ClassMap:
    """Return the class map in a YAML or JSON file::

        rename: {plane: aeroplane}
        merge: {animal: [cat, dog]}
        ignore: [void]

    Raises:
        DataError: If the file is missing, malformed, has another key, or gives a name two fates.
    """
    text = read_text(path, "class map")
    try:
        value = parse_json(path, text) if path.suffix.lower() == ".json" else yaml_value(text)
    except ValueError as error:
        raise DataError(f"{path}: class map cannot be read as YAML ({error}); repair it") from error
    record = as_record(value, "class map", str(path))
    if unknown := sorted(str(key) for key in set(record) - {"rename", "merge", "ignore"}):
        raise DataError(f"{path}: unknown key {quoted(unknown[0])}; a class map has rename, merge and ignore")
    rename = {_name(old, path): _name(new, path) for old, new in _section(record, "rename", path).items()}
    merge = {_name(new, path): _names(old, new, path) for new, old in _section(record, "merge", path).items()}
    try:
        return ClassMap(rename, merge, frozenset(_names(record.get("ignore") or [], "ignore", path)))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _section(record: dict[str, object], key: str, path: Path) -> dict[str, object]:
    return as_record(record.get(key) or {}, key, str(path))


def _names(value: object, key: object, path: Path) -> tuple[str, ...]:
    return tuple(_name(name, path) for name in as_list(value, f"the names of {key!r}", str(path)))


def _name(value: object, path: Path) -> str:
    return as_text(value, "a class name", str(path))
