"""Help of a verb on one screen: what it does, the options that most people need, examples."""

import re
import shutil
import textwrap
from argparse import SUPPRESS, Action
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from jsonargparse import ArgumentParser

from weakseg.settings.command_line import item_of

NARROW, WIDE = 80, 120  # columns
SPREAD = ("gpus", "engine", "address", "units_per_call", "shard")
"""Options of those who have more than one machine or GPU: named together."""
NAMES = 26  # columns of names at most; longer ones have a line of their own


def short_help(parser: ArgumentParser, settings: ArgumentParser, shown: Sequence[str] = ()) -> str:
    """Return the help of a verb.

    Args:
        parser: With the verb's own arguments.
        settings: With the settings; may be the same.
        shown: Flags of settings that are shown, in this order; the others are counted alone.
    """
    width = min(max(shutil.get_terminal_size((NARROW, 24)).columns, NARROW), WIDE) - 1
    every = [*parser._positionals._group_actions, *parser._optionals._group_actions]
    spread, own = [a for a in every if a.dest in SPREAD], [a for a in every if a.dest not in SPREAD]
    by_flag = {flag: action for action in settings._actions for flag in action.option_strings}
    chosen = [by_flag[flag] for flag in shown if flag in by_flag]
    needed = [_name(action) for action in own if action.required or not action.option_strings]
    rows = [row for action in own for row in _rows(_name(action), _text(action), width)]
    names = ", ".join(action.option_strings[0] for action in spread)
    rows += _rows(names, "several GPUs, machines or jobs: docs/scale.md", width) if spread else []
    most = (2 if len(chosen) > 3 else 6) * (width - NAMES - 8)  # letters
    rows += [row for action in chosen for row in _rows(_name(action), _text(action, most), width)]
    rows += _rows("--help-all", _others(parser, settings, {*every, *chosen}), width)
    usage = f"usage: {' '.join([parser.prog, *needed, '[options]'])}"
    return "\n".join([usage, "", *_paragraphs(parser.description or "", width), "", *rows, "", parser.epilog or ""])


def _paragraphs(text: str, width: int) -> list[str]:
    """Return text wrapped anew; lines that are indented, or end a sentence, end where they did."""
    joined = re.sub(r"(?<![.:\n])\n(?=[^\s])", " ", text)
    wrapped = ([line] if line.startswith(" ") else textwrap.wrap(line, width) for line in joined.splitlines())
    return [part for lines in wrapped for part in lines or [""]]


def _others(parser: ArgumentParser, settings: ArgumentParser, known: set[Action]) -> str:
    """Return how many settings there are beside those that are known, and in which sections."""
    others = [a for a in settings._actions if a not in known and a.option_strings and a.help != SUPPRESS]
    sections = dict.fromkeys(action.dest.partition(".")[0] for action in others if "." in action.dest)
    names = f", of {', '.join(sections)}" if sections else ""
    return f"all options: {len(others)} more{names}" if others else "these options, with their types"


def _name(action: Action) -> str:
    """Return an argument as it is typed."""
    if not action.option_strings:
        return action.dest.upper()
    if action.nargs == 0:
        return action.option_strings[0]
    return f"{action.option_strings[0]} {_value(action)}"


def _value(action: Action) -> str:
    """Return what stands for the value of a flag."""
    hint = getattr(action, "_typehint", action.type)
    if _words(action):
        return "WORD"
    if (item := item_of(hint)) is not None:
        return {int: "N,N", float: "X,X"}.get(item, "NAME,NAME")
    known: dict[Any, str] = {int: "N", float: "X", bool: "true|false", Path: "PATH"}
    made = getattr(hint, "__annotations__", {}).get("return")  # of a function that reads a word
    return known.get(hint) or known.get(made, "TEXT")


def _words(action: Action) -> list[str]:
    """Return the words that a flag may have; none where it may have others."""
    words = list(action.choices or get_args(getattr(action, "_typehint", action.type)))
    return words if all(isinstance(word, str) for word in words) else []


def _text(action: Action, most: int = 1000) -> str:
    """Return what an argument is, in at most so many letters, with its words and its default."""
    words, said = _words(action), " ".join((action.help or "").replace("``", "").split())
    notes = [", ".join(words)] if words and not all(word in said for word in words) else []
    notes += ["needed"] if action.required and action.option_strings else []
    if action.nargs != 0 and action.default not in (None, "", SUPPRESS) and action.default not in ([], ()):
        notes += [f"default: {_typed(action.default)}"] if "default" not in said else []
    noted = f" ({'; '.join(notes)})" if notes else ""
    return textwrap.shorten(said, most - len(noted), placeholder=" ...") + noted


def _typed(value: Any) -> str:
    """Return a value as it is typed."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows(name: str, text: str, width: int) -> list[str]:
    """Return two columns, wrapped."""
    indent = " " * (NAMES + 3)
    wrapped = textwrap.wrap(text, width - len(indent)) or [""]
    lines = [f"{indent}{line}" for line in wrapped]
    if len(name) > NAMES:
        return [f"  {name}", *lines]
    return [f"  {name:<{NAMES}} {wrapped[0]}", *lines[1:]]
