"""Words of a command line as values of settings: lists as people write them, and errors of one line."""

import difflib
import json
import re
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin
from weakref import WeakKeyDictionary

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from weakseg.errors import ConfigError, cut
from weakseg.settings.old_words import refuse_old_words
from weakseg.settings.rules import SettingError, spoken

_defaults: WeakKeyDictionary[ArgumentParser, Namespace] = WeakKeyDictionary()
_NUMBERS = re.compile(r"(?=.*\d)[-+.,\de\s]+", re.IGNORECASE)
_BRACKETS = {"[": "]", "(": ")"}
_TYPES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    NoneType: "null",
}


def parse_words(parser: ArgumentParser, words: Sequence[str], source: str = "") -> Namespace:
    """Return what words of a command line say, config dataclasses included.

    Args:
        parser: Knows the flags.
        words: As typed. Lists may be written ``1,2``, ``[1, 2]``, ``"(1, 2)"`` or ``1 2``.
        source: Where the words come from, for errors.

    Raises:
        ConfigError: If a flag is unknown or missing, or a value breaks the rule of its setting; says in one line which.
    """
    refuse_old_words(words, source)
    where = f"{source}: " if source else ""
    values: Namespace | None = None
    try:
        values = parser.parse_args(_with_lists(parser, words), _defaults_of(parser), defaults=False)
        given: Namespace = parser.instantiate(values)
        return given
    except SettingError as error:
        raise ConfigError(f"{where}{_placed(error, values)}") from error
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from error
    except (ArgumentError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}{_explained(parser, str(error))}") from error


def _defaults_of(parser: ArgumentParser) -> Namespace:
    """Return a parser's defaults, found once: jsonargparse finds them twice a call, which takes most of its time."""
    if parser not in _defaults:
        _defaults[parser] = parser.get_defaults(skip_validation=True)
    found: Namespace = _defaults[parser].clone()
    return found


def joined_lists(words: Sequence[str], is_list: Callable[[str], bool]) -> list[str]:
    """Return words in which a list that was typed with spaces is one word.

    Args:
        words: As typed: ``--scales 1.0 1.5``, or ``--scales [1.0, 1.5]`` without quotes.
        is_list: Whether a flag takes a list.
    """
    found: list[str] = []
    flag = ""  # whose value the last word is, or is part of
    for word in words:
        if flag and _goes_on(found[-1].removeprefix(f"{flag}="), word):
            found[-1] += f" {word}"
            continue
        name, equals, _ = word.partition("=")
        if name.startswith("--"):
            flag = name if equals and is_list(name) else ""
        else:
            flag = found[-1] if found and found[-1].startswith("--") and is_list(found[-1]) else ""
        found.append(word)
    return found


def _goes_on(value: str, word: str) -> bool:
    """Return whether a word belongs to the list that a value begins."""
    if word.startswith("--"):
        return False
    unclosed = value[:1] in _BRACKETS and _BRACKETS[value[:1]] not in value
    return unclosed or value.endswith(",") or all(_NUMBERS.fullmatch(text) for text in (value, word))


def _with_lists(parser: ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return words in which the values of settings that are lists are JSON."""
    listed = {
        flag: item
        for action in parser._actions
        for flag in action.option_strings
        if (item := item_of(getattr(action, "_typehint", None)))
    }
    found = joined_lists(words, listed.__contains__)
    for number, word in enumerate(found):
        flag, equals, value = word.partition("=")
        if equals and flag in listed:
            found[number] = f"{flag}={_as_json(value, listed[flag])}"
        elif number and found[number - 1] in listed and not word.startswith("--"):
            found[number] = _as_json(word, listed[found[number - 1]])
    return found


def item_of(hint: Any) -> Any:
    """Return the type of the values of a tuple, or of what may be one; else nothing."""
    for one in (hint, *get_args(hint)):
        if get_origin(one) is tuple:
            return get_args(one)[0]
    return None


def _as_json(value: str, item: Any) -> str:
    """Return a list as people write it as JSON; what is no such list is left as it is."""
    text = value.strip()
    inner = text[1:-1].strip() if text[:1] in _BRACKETS and text.endswith(_BRACKETS[text[:1]]) else text
    if not inner:
        return "[]"
    if item is not str:
        parts = re.split(r"[,\s]+", inner.strip(", "))
        return f"[{', '.join(parts)}]" if _NUMBERS.fullmatch(inner) else value
    if text.startswith("["):
        return value
    return json.dumps([one for part in inner.split(",") if (one := part.strip().strip("\"'"))])


def _placed(error: SettingError, values: Namespace | None) -> str:
    """Return the error with the whole name of its setting, where just one setting of that name has such a value."""
    every = values.items() if values is not None else ()
    found = {key: value for key, value in every if key.rpartition(".")[2] == error.setting}
    same = [key for key, value in found.items() if value == error.value or repr(value) == repr(error.value)]
    return f"{same[0]}: {error.wanted}, got {cut(repr(error.value))}" if len(same) == 1 else str(error)


def _explained(parser: ArgumentParser, message: str) -> str:
    """Return in one line what is wrong and what to write."""
    if match := re.search(r'Parser key "(?P<key>[^"]+)".*?(?:Got|Given) value: (?P<value>.*)', message, re.DOTALL):
        action = next((one for one in parser._actions if one.dest == match["key"]), None)
        if action is not None and (wanted := _wanted(getattr(action, "_typehint", action.type))):
            return f"{match['key']}: need {wanted}, got {_cut(match['value'])!r}"
    if match := re.search(r"argument (?P<flag>\S+): invalid choice: (?P<value>.*) \(choose", message, re.DOTALL):
        action = next(one for one in parser._actions if match["flag"] in one.option_strings)
        return f"{match['flag']}: need {spoken(tuple(action.choices or ()))}, got {_cut(match['value'])}"
    if match := re.search(r"unrecognized arguments: (?P<words>.*)", message, re.DOTALL):
        return _unknown(parser, match["words"].split())
    if match := re.search(r"arguments are required: (?P<names>.*)", message):
        return "; ".join(_missing(parser, name) for name in match["names"].split(", "))
    if match := re.search(r"Group '(?P<group>.*)' does not accept option '(?P<name>.*)'", message):
        return _no_such_setting(parser, f"{match['group']}.{match['name']}")
    if match := re.search(r"Option '(?P<name>.*)' is not accepted", message):
        return _no_such_setting(parser, match["name"])
    return _cut(re.sub(r"^argument (?=-)", "", message).replace("expected one argument", "needs a value"))


def _wanted(hint: Any) -> str:
    """Return what a value has to be, in words; nothing where they are missing."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(filter(None, map(_wanted, get_args(hint))))
    if get_origin(hint) is dict:
        return "a mapping from names to " + ("mappings" if get_origin(get_args(hint)[1]) is dict else "values")
    if get_origin(hint) is Literal:
        return spoken(tuple(map(str, get_args(hint))))
    if (item := item_of(hint)) is not None:
        kind, example = {int: ("whole numbers", "[2,3]"), float: ("numbers", "[1.0,1.5]")}.get(item, ("names", "[a,b]"))
        return f"a list of {kind}, such as {example}"
    return _TYPES.get(hint, "")


def _no_such_setting(parser: ArgumentParser, name: str) -> str:
    """Return that a setting does not exist, with those that it might be."""
    near = near_names(name, _settings(parser))
    return f"{_cut(name)}: no such setting" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _settings(parser: ArgumentParser) -> list[str]:
    return [flag[2:] for action in parser._actions for flag in action.option_strings if flag.startswith("--")]


def near_names(name: str, known: Sequence[str]) -> list[str]:
    """Return those names that end as one does, or the one that is most like it."""
    ends = [one for one in known if one.endswith(f".{name}")]
    return ends[:3] or difflib.get_close_matches(name, known, n=1)


def _unknown(parser: ArgumentParser, words: Sequence[str]) -> str:
    """Return that the first of words is unknown, with flags that are near."""
    flag = words[0].partition("=")[0]
    if not flag.startswith("-"):
        return (
            f"{_cut(words[0])!r} belongs to no option; repeat an option for several values, and quote what has spaces"
        )
    near = [f"--{name}" for name in near_names(flag.lstrip("-"), _settings(parser))]
    return f"{_cut(flag)}: no such option" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _missing(parser: ArgumentParser, name: str) -> str:
    """Return that an argument is missing, and what it is."""
    action = next((one for one in parser._actions if name in (one.dest, *one.option_strings)), None)
    if action is None:
        return f"{name} is missing"
    if not action.option_strings:
        return f"{action.dest.upper()} is missing: {action.help}"
    flag = action.option_strings[0]
    return f"{flag} is missing; add {flag} {action.dest.upper()}: {action.help}"


def _cut(message: str) -> str:
    """Return a message on one line, of a length that can be read."""
    return cut(" ".join(message.split()))
