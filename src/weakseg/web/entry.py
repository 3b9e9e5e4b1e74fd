"""What the page's file says of one photograph."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weakseg.data.classes import BACKGROUND_NAMES
from weakseg.data.formats.drawn_record import LISTS, Record
from weakseg.data.values import as_list, as_record


@dataclass(frozen=True)
class Entry:
    """What is said of one photograph.

    Attributes:
        record: As it is stored, see ``data/formats/drawn_record.py``.
        revision: How often it has been changed.
        text: The record as JSON.
        error: Why it cannot be used as it is; empty where it can.
    """

    record: Record
    revision: int
    text: str
    error: str = ""

    @property
    def state(self) -> str:
        """``empty``, ``tagged``, ``drawn``, ``accepted``, ``rejected`` or ``broken``."""
        if self.error:
            return "broken"
        if self.record.get("verdict"):
            return str(self.record["verdict"])
        return "drawn" if self.shapes else "tagged" if self.record else "empty"

    @property
    def shapes(self) -> list[Record]:
        """All that is drawn."""
        return [one for key in LISTS for one in self.of_kind(key)]

    @property
    def outlined(self) -> frozenset[str]:
        """Names of the classes that are outlined or painted."""
        return frozenset(name for one in self.of_kind("regions") if isinstance(name := one.get("class"), str))

    def of_kind(self, key: str) -> list[Record]:
        """Return what is drawn of one of ``LISTS``."""
        found = self.record.get(key)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @property
    def classes(self) -> list[str]:
        """Names of the classes that are there."""
        tags = self.record.get("tags")
        mask = self.record.get("mask")
        named = [*(tags if isinstance(tags, list) else []), *(one.get("class") for one in self.shapes)]
        named += mask if isinstance(mask, dict) else []
        return sorted({name for name in named if isinstance(name, str)} - BACKGROUND_NAMES)


def revision_of(record: Mapping[str, Any]) -> int:
    """Return how often a record has been changed; 0 where it does not say."""
    revision = record.get("revision", 0)
    return revision if isinstance(revision, int) and not isinstance(revision, bool) else 0


def renamed(entry: Entry, old: str, new: str) -> Entry:
    """Return an entry in which a class is called otherwise; itself where it does not have that class."""
    if entry.error:
        return entry
    record: Record = dict(entry.record)
    for key in ("tags", "unknown"):
        record[key] = [new if tag == old else tag for tag in as_list(record.get(key, []), key, "")]
    for key in LISTS:
        shapes = [as_record(shape, key, "") for shape in as_list(record.get(key, []), key, "")]
        record[key] = [{**shape, "class": new} if shape.get("class") == old else shape for shape in shapes]
    if "mask" in record:
        record["mask"] = {new if k == old else k: v for k, v in as_record(record["mask"], "mask", "").items()}
    kept = {key: value for key, value in record.items() if value != [] or key in entry.record}
    return entry if kept == entry.record else _changed(entry, kept)


def opened(entry: Entry, name: str) -> Entry:
    """Return an entry in which it is open whether a class is there."""
    if entry.error:
        return entry
    return _changed(
        entry, {**entry.record, "unknown": [*as_list(entry.record.get("unknown", []), "unknown", ""), name]}
    )


def closed(entry: Entry, name: str) -> Entry:
    """Return an entry in which nothing is said of a class any longer, of which it was open whether it is there."""
    unknown = as_list(entry.record.get("unknown", []), "unknown", "") if not entry.error else []
    if name not in unknown:
        return entry
    return _changed(entry, {**entry.record, "unknown": [one for one in unknown if one != name]})


def _changed(entry: Entry, record: Record) -> Entry:
    """Return an entry that has been changed once more: a browser that holds the one before is told."""
    return entry_of({**record, "revision": entry.revision + 1})


def entry_of(record: Record) -> Entry:
    """Return an entry that can be used."""
    return Entry(record, revision_of(record), json.dumps(record, ensure_ascii=False, allow_nan=False))
