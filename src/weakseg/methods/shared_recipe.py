"""One file for the recipes of several methods: common sections, settings of single methods, dotted overrides."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weakseg.errors import ConfigError
from weakseg.methods import METHODS
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import METHODS_KEY, Settings, config_words, parse_recipe, read_settings, settings_of
from weakseg.settings.command_line import near_names
from weakseg.settings.old_words import refuse_old_words

Names = tuple[str, ...]


def load_recipes(source: str, methods: Sequence[str] = (), overrides: Sequence[str] = ()) -> dict[str, Recipe]:
    """Return the recipe of each method, made of what a shared recipe says to all and to it alone.

    A method gets, later ones winning: the sections of the file that it knows, its entry under ``methods``, the
    overrides that it knows, and the overrides ``--methods.NAME.SECTION.SETTING``.

    Args:
        source: Path of a recipe with sections of any of the methods, or the name of a method. An entry under
            ``methods`` may have another name than its method, which it then gives as ``method``: a variant. It may
            also name a recipe as its ``base``, of the same data.
        methods: Which methods; empty: those under ``methods`` in the file.
        overrides: As on the command line: ``["--walk.steps", "64", "--methods.psa.walk.beta=8"]``.

    Raises:
        ConfigError: If a method does not exist or is named twice, none is named, a key is known to no method that is
            chosen or stands under ``methods``, or a value is of another type than its setting.
    """
    refuse_old_words(overrides, source)
    given = _read(source)
    own = given.pop(METHODS_KEY, {})
    variants = _check_entries(source, own)
    chosen = _check_methods(methods or tuple(own), variants)
    for entry in own.values():
        _leave_out_shared_data(entry, given.get("data"))
    settings = [*_leaves(given), *(leaf for name, entry in own.items() for leaf in _leaves(entry or {}, only=name))]
    schemas = {name: _Schema(name, variants.get(name, name)) for name in dict.fromkeys((*chosen, *own))}
    words = [_override(flag, value, chosen) for flag, value in _pairs(overrides)]
    for found, known in ((settings, tuple(schemas)), (words, chosen)):  # a file may serve more methods than are chosen
        for setting in found:
            _refuse_unknown(source, setting, [schemas[n] for n in ((setting.only,) if setting.only else known)])
    return {name: _recipe_of(source, schemas[name], settings, words) for name in chosen}


def _leave_out_shared_data(entry: dict[str, Any], shared: Any) -> None:
    """Leave out what an entry, by its base, says of the data as the file does."""
    own = entry.get("data")
    if isinstance(own, dict) and isinstance(shared, dict):
        entry["data"] = {name: value for name, value in own.items() if shared.get(name) != value}
        if not entry["data"]:
            del entry["data"]


@dataclass(frozen=True)
class _Setting:
    """A value at a dotted path, for every method that knows it, or for one; ``whole`` where it may be a section."""

    path: Names
    value: Any
    only: str = ""
    whole: bool = False

    @property
    def name(self) -> str:
        return ".".join((METHODS_KEY, self.only, *self.path) if self.only else self.path)


@dataclass(frozen=True)
class _Schema:
    """Which settings a method has; ``name`` is what the comparison calls it."""

    name: str
    method: str

    @property
    def known(self) -> Settings:
        """Its settings."""
        return settings_of(self.method)

    def takes(self, setting: _Setting) -> bool:
        """Return whether a setting is meant for this method: one of its own, or inside one that is a mapping."""
        if setting.only not in ("", self.name):
            return False
        for length in range(1, len(setting.path) + 1):
            name = ".".join(setting.path[:length])
            if name in self.known.values:
                return True
            if name not in self.known.sections:
                return False
        return setting.whole


def _read(source: str) -> dict[str, Any]:
    """Return what the file holds apart from ``method``, or nothing where ``source`` names a method."""
    path = Path(source)
    if path.is_file():
        given = read_settings(path)
        given.pop("method", None)
        return given
    if source in METHODS:
        return {}
    raise ConfigError(f"{source}: neither a recipe file nor a method; methods: {', '.join(METHODS)}")


def _check_entries(source: str, own: Any) -> dict[str, str]:
    """Refuse entries under ``methods`` that are no settings of a method; take and return the method of each."""
    if not isinstance(own, dict) or not all(isinstance(entry, dict | None) for entry in own.values()):
        raise ConfigError(f"{source}: methods is a mapping from names of methods to their settings, got {own!r}")
    own.update({name: dict(entry or {}) for name, entry in own.items()})  # entries may share one mapping (YAML anchors)
    variants = {name: entry.pop("method", name) for name, entry in own.items()}
    for method in variants.values():
        _check_methods((method,), {})
    return variants


def _check_methods(names: Sequence[str], variants: Mapping[str, str]) -> tuple[str, ...]:
    if not names:
        raise ConfigError(f"methods: name at least one, such as --methods {','.join(METHODS)}")
    for name in names:
        if name not in METHODS and name not in variants:
            near = difflib.get_close_matches(str(name), METHODS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"methods: {', '.join(METHODS)}"
            raise ConfigError(f"methods: {name!r} is unknown; {hint}")
        if names.count(name) > 1:
            raise ConfigError(f"methods: {name!r} is named twice")
    return tuple(names)


def _leaves(given: Mapping[str, Any], *, above: Names = (), only: str = "") -> Iterator[_Setting]:
    """Yield every value that is no mapping, and every empty mapping, as a setting."""
    for key, value in given.items():
        path = (*above, str(key))
        if isinstance(value, dict) and value:
            yield from _leaves(value, above=path, only=only)
        else:
            yield _Setting(path, value, only, whole=value == {})


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield flag and value of ``--flag value`` and ``--flag=value``."""
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if not flag.startswith("--"):
            raise ConfigError(f"{word}: expected a setting such as --SECTION.SETTING VALUE")
        given = value if equals else next(rest, None)
        if given is None:
            raise ConfigError(f"{flag}: needs a value")
        yield flag, given


def _override(flag: str, value: str, chosen: Sequence[str]) -> _Setting:
    path = tuple(flag[2:].split("."))
    if path[0] != METHODS_KEY or len(path) < 3:
        return _Setting(path, value, whole=True)
    if path[1] not in chosen:
        raise ConfigError(f"{flag}: {path[1]!r} is none of the chosen methods, which are {', '.join(chosen)}")
    return _Setting(path[2:], value, only=path[1], whole=True)


def _refuse_unknown(source: str, setting: _Setting, schemas: Sequence[_Schema]) -> None:
    """Raise ``ConfigError`` where no method takes a setting, or where methods would stop to share the data."""
    if setting.only and setting.path[0] == "data":
        raise ConfigError(f"{source}: {setting.name}: all methods of a comparison share the data; set it once, outside")
    if any(schema.takes(setting) for schema in schemas):
        return
    asked = [schema.name for schema in schemas]
    others = [name for name in METHODS if name not in asked and _Schema(name, name).takes(replace(setting, only=""))]
    near = near_names(
        ".".join(setting.path), sorted({flag for schema in schemas for names in schema.known for flag in names})
    )
    hint = f"; it is one of {', '.join(others)}" if others else f"; did you mean {' or '.join(near)}?" if near else ""
    if any(".".join(setting.path) in schema.known.sections for schema in schemas):
        raise ConfigError(f"{source}: {setting.name}: a section is a mapping of settings, got {setting.value!r}")
    raise ConfigError(f"{source}: {setting.name}: no such setting in {', '.join(asked)}{hint}")


def _recipe_of(source: str, schema: _Schema, settings: Sequence[_Setting], overrides: Sequence[_Setting]) -> Recipe:
    config: dict[str, Any] = {}
    for setting in _in_order(schema, settings):
        section = config
        for key in setting.path[:-1]:
            section = section.setdefault(key, {})
        if ".".join(setting.path) not in schema.known.sections:
            section[setting.path[-1]] = setting.value
    words = [f"--{'.'.join(setting.path)}={setting.value}" for setting in _in_order(schema, overrides)]
    return parse_recipe(schema.method, [*config_words(config), *words], f"{source}, method {schema.name}")


def _in_order(schema: _Schema, settings: Sequence[_Setting]) -> list[_Setting]:
    """Return what a method takes, what is meant for it alone last, so that it wins."""
    return sorted((s for s in settings if schema.takes(s)), key=lambda s: bool(s.only))
