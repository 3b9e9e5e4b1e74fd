"""``weakseg publish``."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import build_parser, parse
from weakseg.errors import ConfigError

HUB = "hub:"
WHAT = ("auto", "segmenter", "labeller", "both")
ADDRESSES = ("https://", "http://", "hf://", "hf:", "huggingface:")
DESCRIPTION = (
    "Make a folder that can be given to others: the model as safetensors, a card (README.md, as model hubs read it)\n"
    "with classes, counts of the data, figures and how they were measured, and limitations; and the settings.\n"
    "No photograph, and no path of this machine, is part of it. A published folder is pushed as it is: read its card,\n"
    "change it, then push it."
)
EXAMPLES = (
    "  weakseg publish out --to cows --license apache-2.0\n"
    "  weakseg publish cows --to hub:OWNER/cows\n"
    "  weakseg publish out --to cows --what both --example photos/17.jpg --license cc-by-4.0\n"
    "  weakseg publish comparison --method wsgcn-i --to hub:OWNER/cows --license mit --public"
)


def main(words: Sequence[str]) -> int:
    """Publish a run, a method of a comparison, a model, or a published folder."""
    given = parse(_parser(), words)
    _check(given)
    from weakseg.cli.publishing import publish

    return publish(given)


def _parser() -> ArgumentParser:
    parser = build_parser("publish", DESCRIPTION, EXAMPLES)
    parser.add_argument("source", type=Path, help="folder of a run, comparison, training, or published; or a model")
    parser.add_argument("--to", type=str, required=True, help=f"new folder, or {HUB}OWNER/NAME of a model hub")
    parser.add_argument("--method", type=str, default="", help="which method of a comparison")
    parser.add_argument("--what", choices=WHAT, default="auto", help="auto: the segmenter, else the labeller")
    parser.add_argument("--license", type=str, default="", help="of the model, such as apache-2.0")
    parser.add_argument("--title", type=str, default="", help="of the card; empty: the name of the folder")
    parser.add_argument("--example", type=Path, help="photograph whose mask, and no more, is added")
    parser.add_argument("--public", action="store_true", help="of a hub: seen by everybody; else by the owner")
    parser.add_argument("--overwrite", action="store_true", help="replace what was published there")
    return parser


def _check(given: Namespace) -> None:
    """Refuse places that are none, texts of several lines, and flags that do not go together."""
    if not given.source.exists():
        raise ConfigError(f"{given.source}: does not exist; give the folder of a run")
    if given.to.startswith(ADDRESSES):
        name = "/".join(given.to.rstrip("/").split("/")[-2:]).removeprefix("hf:").removeprefix("huggingface:")
        raise ConfigError(f"--to: {given.to} is an address; did you mean {HUB}{name}?")
    if not given.to.removeprefix(HUB).strip() or "\0" in given.to:
        raise ConfigError(f"--to: give a folder, or {HUB}OWNER/NAME")
    for flag in ("license", "title"):
        if given[flag] and (not given[flag].isprintable() or len(given[flag]) > 100 or not given[flag].strip()):
            raise ConfigError(f"--{flag}: must be one line of at most 100 characters, got {given[flag]!r}")
    if given.example is not None and not given.example.is_file():
        raise ConfigError(f"--example: {given.example}: no such file; give a photograph")
    if given.public and not given.to.startswith(HUB):
        raise ConfigError(f"--public: is for {HUB}OWNER/NAME; leave it out")
