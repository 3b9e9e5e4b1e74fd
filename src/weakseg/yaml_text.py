"""YAML that anyone may have written: values of bounded depth and size, or a short error."""

from typing import Any

import yaml

from weakseg.errors import cut, quoted

MAX_DEPTH, MAX_VALUES, MAX_CHARACTERS, MAX_DIGITS = 50, 100_000, 1_000_000, 18
_PREFIX = "tag:yaml.org,2002:"
_TIMESTAMP, _MERGE = f"{_PREFIX}timestamp", f"{_PREFIX}merge"
_PLAIN_TAGS = frozenset(f"{_PREFIX}{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map", "merge"))


class _Loader(yaml.SafeLoader):
    """Reads what looks like a date as text, and goes no deeper than it must."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [(tag, pattern) for tag, pattern in known if tag != _TIMESTAMP]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self._depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def yaml_value(text: str) -> Any:
    """Return the value of one YAML document; anchors count as often as they are used.

    Raises:
        ValueError: If it is no YAML, holds anything but texts, numbers, lists and mappings, is nested too deeply or in
            itself, names a key twice, or is too large.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, more than {MAX_CHARACTERS:,}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, 1, {})
        return loader.construct_document(node)
    except Exception as error:  # PyYAML's constructors raise whatever they like
        raise ValueError(cut(error)) from error


def _measure(node: yaml.Node, depth: int, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values a node stands for and how deep they are nested, aliases as often as they occur."""
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep, or in itself")
    if id(node) not in known:
        _check_node(node)
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        measured = [_measure(part, depth + 1, known) for part in parts] if not isinstance(node, yaml.ScalarNode) else []
        known[id(node)] = 1 + sum(count for count, _ in measured), 1 + max((high for _, high in measured), default=0)
    count, high = known[id(node)]
    if count > MAX_VALUES or high > MAX_DEPTH:
        raise ValueError(f"it stands for more than {MAX_VALUES:,} values, or is nested more than {MAX_DEPTH} deep")
    return count, high


def _check_node(node: yaml.Node) -> None:
    """Refuse kinds of values that no setting has, huge numbers, and keys that are there twice."""
    line = node.start_mark.line + 1
    if node.tag not in _PLAIN_TAGS:
        raise ValueError(f"line {line}: a value of type {cut(node.tag)} is none of text, number, list and mapping")
    if node.tag == f"{_PREFIX}int" and len(node.value) > MAX_DIGITS:
        raise ValueError(f"line {line}: an integer of {len(node.value)} characters is too large")
    if isinstance(node, yaml.MappingNode):
        keys: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"line {line}: a key must be text or a number")
            if (key.tag, key.value) in keys and key.tag != _MERGE:
                raise ValueError(f"line {key.start_mark.line + 1}: key {quoted(key.value)} is there twice; keep one")
            keys.add((key.tag, key.value))
