"""Recipes from YAML files, run folders, method names and dotted overrides; unknown keys are errors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from jsonargparse import ArgumentParser

from weakseg.data.values import shown
from weakseg.errors import ConfigError, cut
from weakseg.methods import METHODS, Method
from weakseg.methods.recipe import Recipe
from weakseg.settings.command_line import parse_words
from weakseg.settings.old_words import refuse_old_words
from weakseg.yaml_text import MAX_CHARACTERS, yaml_value

RECIPE_FILE = "recipe.json"
BASE_KEY, METHODS_KEY = "base", "methods"
MAX_FILES = 100  # that a recipe is made of


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in a YAML or JSON file and the files it is based on, or a method's defaults, with overrides.

    Args:
        source: Path of a recipe, or the name of a method.
        overrides: As on the command line: ``["--data.root", "photos", "--seed=1"]``.

    Raises:
        ConfigError: If the file is missing or malformed, the method is unknown, a key does not exist or a value is of
            another type than its setting.
    """
    path = Path(source)
    given = read_settings(path) if path.is_file() else {"method": source}
    method = given.get("method")
    if not isinstance(method, str) or method not in METHODS:
        known = ", ".join(METHODS)
        if not path.is_file():
            raise ConfigError(f"{cut(source)}: neither a recipe file nor a method; methods: {known}")
        raise ConfigError(f"{source}: method {cut(repr(method))} is unknown; methods: {known}")
    said = _of_sections(given, settings_of(method).sections, source)
    return parse_recipe(method, [*config_words(said), *overrides], source)


class Settings(NamedTuple):
    """Dotted names of what a recipe holds: ``sections`` have settings of their own, ``values`` have not."""

    sections: frozenset[str]
    values: frozenset[str]


@cache
def settings_of(method: str) -> Settings:
    """Return what may be set of a method; to build a parser of the same takes a quarter of a second."""
    names = dict(_names_in(METHODS[method].recipe))
    names.pop("method")
    return Settings(*(frozenset(name for name, holds in names.items() if holds is kind) for kind in (True, False)))


def _names_in(config: type, above: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the dotted name of each field, and whether it is a dataclass, which its own fields follow."""
    for name, hint in get_type_hints(config).items():
        inner = next((one for one in (hint, *get_args(hint)) if is_dataclass(one)), None)
        yield f"{above}{name}", inner is not None
        if isinstance(inner, type):
            yield from _names_in(inner, f"{above}{name}.")


def _of_sections(given: Mapping[str, Any], sections: frozenset[str], source: str, above: str = "") -> dict[str, Any]:
    """Return settings without sections of which nothing is said; a value in place of a section is refused."""
    said = {}
    for key, value in given.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            said[key] = _of_sections(value, sections, source, f"{name}.")
        elif name not in sections:
            said[key] = value
        elif value is not None:
            raise ConfigError(f"{source}: {name}: a section is a mapping of settings, got {cut(repr(value))}")
    return said


def parse_recipe(method: str, words: Sequence[str], source: str) -> Recipe:
    """Return a method's recipe from words of a command line; ``source`` says in errors where they come from.

    Raises:
        ConfigError: If a key does not exist, or a value is of another type than its setting.
    """
    values = vars(parse_words(_parser_of(METHODS[method], parses=True), words, source))
    values.pop("config", None)
    if values["method"] != method:
        raise ConfigError(f"{source}: is for method {method!r}; write a recipe of its own for {values['method']!r}")
    return METHODS[method].recipe(**values)


def config_words(given: Mapping[str, Any]) -> list[str]:
    """Return settings as words of a command line."""
    return ["--config", json.dumps(given, default=str)]


def recipe_parser(method: str) -> ArgumentParser:
    """Return the parser whose flags are the settings of a method's recipe dataclass; to read, not to add to."""
    return _parser_of(METHODS[method])


@cache
def _parser_of(method: Method, *, parses: bool = False) -> ArgumentParser:
    """Return a parser that is read, or another one that parses, which adds flags of jsonargparse's own."""
    parser = ArgumentParser(
        prog="weakseg run RECIPE", exit_on_error=False, add_help=False, default_env=False, allow_abbrev=False
    )
    parser.add_argument("--config", action="config", help="recipe file")
    parser.add_class_arguments(method.recipe, nested_key=None)
    return parser


def recipe_as_json(recipe: Recipe) -> dict[str, Any]:
    """Return all settings as JSON values, apart from where the data lies: a data set may be moved."""
    settings = asdict(recipe)
    settings["data"].pop("root")
    return settings


def read_settings(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML or JSON file, over those of the files beside it that it names as its ``base``.

    Sections are merged setting by setting; of several bases later ones win. ``methods`` are not merged: they are the
    file's own where it has any. An entry of theirs may have bases of its own.

    Raises:
        ConfigError: If a file cannot be read, holds no mapping, is its own base, or has one that lies elsewhere, or if
            there are more than a hundred.
    """
    given = _over_bases(path, [], [])
    refuse_old_words(given, str(path))
    return given


def _over_bases(path: Path, above: list[Path], read: list[Path]) -> dict[str, Any]:
    """Return what a file says, over its bases; ``above`` are the files that it is a base of, ``read`` all so far."""
    read.append(path)
    if len(read) > MAX_FILES:
        raise ConfigError(f"{read[0]}: base: there are more than {MAX_FILES} files below it; name fewer")
    given, chain = _read_mapping(path), [*above, path.resolve()]
    if isinstance(methods := given.get(METHODS_KEY), dict):
        entries = {name: entry for name, entry in methods.items() if isinstance(entry, dict)}
        methods |= {name: _with_bases(entry, chain, read) for name, entry in entries.items()}
    return _with_bases(given, chain, read)


def _with_bases(given: Mapping[str, Any], chain: list[Path], read: list[Path]) -> dict[str, Any]:
    """Return settings of the last file of a chain over those of the files that they name as their ``base``."""
    own, below = dict(given), dict[str, Any]()
    bases = own.pop(BASE_KEY, None)
    for base in bases if isinstance(bases, list) else () if bases is None else (bases,):
        found = _base_beside(chain[-1], base)
        if found in chain:
            raise ConfigError(f"{read[0]}: base: {cut(base)} is based on itself")
        below = _merged(below, _over_bases(found, chain, read))
    return _merged(below, own)


def _base_beside(path: Path, base: object) -> Path:
    """Return the file that a recipe names as its base, which lies beside it or below."""
    where = f"{path}: base: {shown(base)}"
    if not isinstance(base, str) or not base.strip():
        raise ConfigError(f"{where} is no file name; name a recipe beside this one")
    try:
        found = (path.parent / base).resolve()
        there = found.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{where} is no usable path ({cut(error)}); name a recipe beside this one") from error
    if not found.is_relative_to(path.parent):
        raise ConfigError(f"{where} lies outside of the folder of the recipe; copy it there, and name the copy")
    if not there:
        raise ConfigError(f"{where}: no such file; name a recipe beside this one")
    return found


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both recipes as one; what is in both is that of ``above``, or merged where both are mappings."""
    merged = {**below, **above}
    for key in (below.keys() & above.keys()) - {METHODS_KEY}:
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = _merged(below[key], above[key])
    return merged


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > 4 * MAX_CHARACTERS:
            raise ValueError(f"it is larger than {4 * MAX_CHARACTERS:,} bytes")
        given = yaml_value(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of settings, got {type(given).__name__}")
    return given
