"""What the verbs share: parsers whose flags come from config dataclasses, and the closing summary."""

import logging
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.several import check_gpus
from weakseg.cli.short_help import short_help
from weakseg.errors import ConfigError, DataError
from weakseg.pipeline.aside import HIDDEN_FOLDER, exchange, identity_of
from weakseg.pipeline.keys import digest_of, settings_that_count
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Failure
from weakseg.pipeline.store import SETTINGS_FILE, Store
from weakseg.settings.command_line import joined_lists, parse_words

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from weakseg.data.classes import Classes
    from weakseg.pipeline.shards import ShardResult
    from weakseg.pipeline.share import Share

logger = logging.getLogger(__name__)

SHOWN_FAILURES = 5
RUN_FLAGS = ("--out", "--workers", "--device", "--gpus", "--engine", "--address", "--units-per-call", "--shard")
HELP_FLAGS, ALL_FLAG = ("-h", "--help"), "--help-all"

Config = TypeVar("Config", bound="DataclassInstance")


def build_parser(verb: str, description: str, examples: str) -> ArgumentParser:
    """Return the parser of a verb; its help ends with examples."""
    return ArgumentParser(
        prog=f"weakseg {verb}",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=RawDescriptionHelpFormatter,
        exit_on_error=False,
        default_env=False,
        allow_abbrev=False,
        add_help=False,
    )


def parse(parser: ArgumentParser, words: Sequence[str], *, shown: Sequence[str] = ()) -> Namespace:
    """Return the arguments, config dataclasses included; where help is asked for, print it and stop.

    Args:
        parser: From ``build_parser``.
        words: As typed.
        shown: Flags of settings that the short help shows, too.

    Raises:
        ConfigError: If a flag is unknown or missing, or a value breaks the rule of its setting.
        SystemExit: After help.
    """
    if ALL_FLAG in words:
        print(parser.format_help())
        raise SystemExit(0)
    if not set(HELP_FLAGS).isdisjoint(words):
        print(short_help(parser, parser, shown))
        raise SystemExit(0)
    try:
        return parse_words(parser, words)
    except ConfigError as error:
        raise ConfigError(f"{error} (see {parser.prog} --help)") from error


def add_settings(parser: ArgumentParser, config: type[Any]) -> None:
    """Add a flag for each setting of a config dataclass."""
    parser.add_class_arguments(config, nested_key=None)


def settings_of(arguments: Namespace, config: type[Config]) -> Config:
    """Return the config dataclass that the flags of ``add_settings`` describe.

    Raises:
        ConfigError: If the settings contradict each other.
    """
    return config(**{field.name: arguments[field.name] for field in fields(config)})


def add_run_options(parser: ArgumentParser, *, spreads: bool = True, trains: bool = False) -> None:
    """Add ``--workers`` and ``--device``, ``--gpus`` to a verb that trains, and over what work on images is spread."""
    parser.add_argument("--workers", type=int, default=0, help="processes for images; 0: one a core")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    if trains:
        parser.add_argument("--gpus", type=int, default=1, help="GPUs here that train together")
    if not spreads:
        return
    parser.add_argument(
        "--engine", default="joblib", help="joblib: processes of this machine; ray: actors, of a cluster with --address"
    )
    parser.add_argument(
        "--address",
        default="",
        help="of a running Ray cluster, auto or HOST:PORT; all its machines need the data and --out at the same path, "
        "on a file system that they share",
    )
    parser.add_argument("--units-per-call", type=int, default=4, help="images that an actor of ray gets at once")
    parser.add_argument(
        "--shard", default="", help="i/n: that share alone of the work on single images, as one of n jobs on one folder"
    )


def run_options(arguments: Namespace) -> RunOptions:
    """Return the resolved options that ``add_run_options`` asked for.

    Raises:
        SeveralWanted: If the command is to be started again, as one process a GPU.
    """
    check_gpus(arguments.get("gpus", 1), arguments.device)
    names = {field.name for field in fields(RunOptions)} & vars(arguments).keys()
    return RunOptions(**{name: arguments[name] for name in names}).resolve()


def out_path(text: str | Path) -> Path:
    """Return the path that ``--out`` names; ``~`` is a home, and a path stays what it is.

    Raises:
        ConfigError: If it is empty, holds a null byte, or names the home of nobody.
    """
    if isinstance(text, Path):
        return text
    if not text.strip():
        raise ConfigError("--out: is empty; name a folder or file, '.' for the working folder")
    if "\0" in text:
        raise ConfigError(f"--out: {text[:200]!r} holds a null byte; correct the path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"--out: {text[:200]!r} names an unknown home; write the whole path") from error


def add_overwrite(parser: ArgumentParser, outputs: str = "--out") -> None:
    """Add ``--overwrite``."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace {outputs} where there is something already")


def check_output(flag: str, path: Path | None, *, overwrite: bool, folder: bool = False) -> None:
    """Refuse to replace a file, or to write among those of a folder, unless that is asked for.

    Args:
        flag: That names the path.
        path: What will be written; ``None``: nothing.
        overwrite: Whether what is there may be replaced.
        folder: Whether it is a folder.

    Raises:
        ConfigError: If something is there, or is no file or folder where one is wanted.
    """
    if path is None:
        return
    if path.exists() and path.is_dir() != folder:
        raise ConfigError(f"{flag}: {path} is a {'file; give a folder' if folder else 'folder; give a file'}")
    if overwrite or not path.exists():
        return
    if not folder:
        raise ConfigError(f"{flag}: {path} exists; give another {flag}, or --overwrite to replace it")
    if any(found.is_file() for found in path.rglob("*")):
        raise ConfigError(
            f"{flag}: {path} holds files; give a new folder, or --overwrite to replace those of the same names"
        )


def split_words(
    words: Sequence[str], *, with_value: Sequence[str] = (), switches: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Return a verb's own words, and the overrides of a recipe's settings with their values.

    Args:
        words: As typed.
        with_value: The verb's flags that take a value, ``--out`` and ``add_run_options`` apart.
        switches: Its flags that take none, ``--help`` apart.
    """
    switches, with_value = (*switches, *HELP_FLAGS, ALL_FLAG), (*with_value, *RUN_FLAGS)
    own: list[str] = []
    overrides: list[str] = []
    rest = iter(joined_lists(words, lambda flag: flag not in (*switches, *with_value)))
    for word in rest:
        flag, equals, _ = word.partition("=")
        alone = not word.startswith("-") or flag in switches
        chosen = own if alone or flag in with_value else overrides
        chosen.append(word)
        if not alone and not equals:
            chosen.extend([value] if (value := next(rest, None)) is not None else [])
    return own, overrides


def settle(out: Path, settings: Mapping[str, Any], share: "Share | None" = None, **inputs: Path | None) -> Store:
    """Remember in ``out`` what it is made with, and never mix it with anything else.

    What it holds of other settings is put aside, where these find it again. Within a ``with`` block of what is returned
    no other process may work on the folder.

    Args:
        out: Folder of the products.
        settings: All settings.
        share: Which one this is of several processes that work on the folder; none of them puts anything aside.
        inputs: Files, compared by content, and folders, compared by path and by the settings that they were made with.

    Raises:
        StoreError: If the folder was made of other inputs, which it says, or another process works on it.
    """
    given = {name: _identity(path, out) for name, path in inputs.items() if path is not None}
    store, told = Store(out, share=share), {"settings": settings_that_count(settings), "inputs": given}
    if share:
        store.settle(SETTINGS_FILE, told, "settings or inputs, which a call without --shard puts aside")
        return store
    if changes := exchange(out, SETTINGS_FILE, told):
        more = f"; and {len(changes) - 5} more" if len(changes) > 5 else ""
        logger.info(
            "%s: changed: %s%s; what was made is kept in %s", out, "; ".join(changes[:5]), more, out / HIDDEN_FOLDER
        )
    store.settle(SETTINGS_FILE, told, "inputs")
    return store


def _identity(path: Path, out: Path) -> str:
    if path.is_file():
        return digest_of(path)
    # what is remembered in the folder of the products says nothing of it as an input
    return str(path.resolve()) if path.resolve() == out.resolve() else identity_of(path, SETTINGS_FILE)


def check_there(arguments: Namespace, inputs: Mapping[str, str]) -> None:
    """Refuse files and folders that do not exist, and files where a folder is wanted.

    Args:
        arguments: Hold their paths.
        inputs: What each is, by name; a folder if it says ``folder`` first.

    Raises:
        DataError: If one is missing.
    """
    for name, text in inputs.items():
        path = arguments[name]
        if not path.exists():
            raise DataError(f"--{name}: {path} does not exist; give the {text}")
        if text.startswith("folder") and not path.is_dir():
            raise DataError(f"--{name}: {path} is a file; give the {text}")


def read_class_file(path: Path) -> "Classes":
    """Return the classes that a text file lists, one a line; a first line ``background`` is left out.

    Raises:
        DataError: If there is no such file, or its names cannot be used.
    """
    from weakseg.data.classes import Classes
    from weakseg.data.paths import read_lines

    if not path.is_file():
        raise DataError(f"--classes: {path}: no such file; give a text file with one class name a line")
    names = [name for _, name in read_lines(path, "list of classes")]
    return Classes(tuple(names[1:] if names[:1] == ["background"] else names))


def conclude_shard(shards: Mapping[str, "ShardResult"], out: Path, options: RunOptions) -> int:
    """Print what a shard has done of each of some methods, and which images failed, and return the exit code."""
    from weakseg.pipeline.shards import failures_of

    named = [f"{name}: {shard.text}" if name else shard.text for name, shard in shards.items()]
    failures = list(dict.fromkeys(failure for shard in shards.values() for failure in shard.failures))
    done = "\n".join(f"shard {options.share}: {text}" for text in named)
    return conclude(failures, done, listed=failures_of(out, options.share))


def conclude(failures: Sequence[Failure], done: str, *, listed: Path | None = None) -> int:
    """Print what was done and which images failed (all are in the file ``listed``), and return the exit code."""
    print(done)
    for failure in failures[:SHOWN_FAILURES]:
        print(f"failed: {failure.image_id} in {failure.step}: {failure.reason}", file=sys.stderr)
    if len(failures) > SHOWN_FAILURES:
        print(f"and {len(failures) - SHOWN_FAILURES} more failed images", file=sys.stderr)
    if failures and listed:
        print(f"all failures: {listed}", file=sys.stderr)
    return 1 if failures else 0
