"""What is typed becomes values of settings, or one line that says what to type."""

from dataclasses import dataclass, field
from typing import Literal

import pytest
from jsonargparse import ArgumentParser

from weakseg.errors import ConfigError
from weakseg.settings.command_line import joined_lists, parse_words
from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class Fit:
    lr: float = 0.1
    epochs: int = 2

    def __post_init__(self) -> None:
        check_settings("fit", self, lr="> 0", epochs=">= 1")


@dataclass(frozen=True)
class Settings:
    scales: tuple[float, ...] = (1.0,)
    sides: tuple[int, int] | None = (1, 2)
    names: tuple[str, ...] = ()
    flip: bool = False
    kind: Literal["a", "b"] = "a"
    void: Literal["auto", "none"] | int = "auto"
    one: Fit = field(default_factory=Fit)
    other: Fit = field(default_factory=Fit)


def read(*words: str) -> Settings:
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--out", required=True, help="folder of the results")
    parser.add_argument("--format", choices=("png", "jpg"))
    parser.add_class_arguments(Settings, nested_key=None)
    given = parse_words(parser, ["--out", "o", *words])
    return Settings(**{name: given[name] for name in Settings.__dataclass_fields__})


@pytest.mark.parametrize(
    "words",
    [
        ("--scales", "1.0,1.5,2.0"),
        ("--scales", "1, 1.5, 2"),
        ("--scales", "1 1.5 2"),
        ("--scales", "[1.0, 1.5, 2.0]"),
        ("--scales", "(1.0, 1.5, 2.0)"),
        ("--scales=1.0,1.5,2.0",),
        ("--scales=(1.0, 1.5,2.0)",),
        ("--scales", "1.0", "1.5", "2.0"),
        ("--scales", "1.0,", "1.5,", "2.0"),
        ("--scales", "[1.0,", "1.5,", "2.0]"),
        ("--scales=(1.0,", "1.5,", "2.0)"),
    ],
)
def test_lists_of_numbers_as_people_write_them(words: tuple[str, ...]) -> None:
    for more in ((), ("--one.epochs", "3")):
        assert read(*words, *more).scales == (1.0, 1.5, 2.0)
    assert read("--one.epochs", "3", *words).one == Fit(epochs=3)


def test_lists_of_other_things() -> None:
    assert read("--sides", "3,4").sides == read("--sides", "3", "4").sides == (3, 4)
    assert read("--sides", "null").sides is None
    assert read("--scales", "0.5").scales == (0.5,)
    assert read("--names", "cat, big dog").names == read("--names", "[cat, big dog]").names == ("cat", "big dog")
    assert read("--names", "cat").names == ("cat",) and read("--names", '["a, b", c]').names == ("a, b", "c")


def test_only_lists_are_joined() -> None:
    words = ["--size", "3", "4", "--scales", "1", "-2", "x.jpg", "--names", "a,", "b", "--boxes", "cat 1,2", "3"]
    assert joined_lists(words, {"--scales", "--names"}.__contains__) == [
        *("--size", "3", "4", "--scales", "1 -2", "x.jpg", "--names", "a, b", "--boxes", "cat 1,2", "3")
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--scales", "1,x"), "scales: need a list of numbers, such as [1.0,1.5], got '1,x'"),
        (("--sides", "1.5,2"), "sides: need a list of whole numbers, such as [2,3] or null, got"),
        (("--void", "many"), "void: need 'auto' or 'none' or a whole number, got 'many'"),
        (("--format", "gif"), "--format: need 'png' or 'jpg', got 'gif'"),
        (("--kind", "c"), "kind: need 'a' or 'b', got 'c'"),
        (("--flip", "maybe"), "flip: need true or false, got 'maybe'"),
        (("--one.lr", "fast"), "one.lr: need a number, got 'fast'"),
        (("--one.epochs", "1.5"), "one.epochs: need a whole number, got '1.5'"),
        (("--one.lr", "-1"), "one.lr: need > 0, got -1.0"),
        (("--one.lr", "-1", "--other.lr", "-1"), "fit.lr: need > 0, got -1.0"),
        (("--one.epocs", "3"), "--one.epocs: no such option; did you mean --one.epochs?"),
        (("--lr", "3"), "--lr: no such option; did you mean --one.lr or --other.lr?"),
        (("--scal", "3"), "--scal: no such option; did you mean --scales?"),
        (("--qwertz=3",), "--qwertz: no such option"),
        (("dog",), "'dog' belongs to no option; repeat an option for several values, and quote what has spaces"),
        (("--one.lr",), "--one.lr: needs a value"),
    ],
)
def test_errors_of_one_line(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(*words)
    assert str(error.value).startswith(message) and "\n" not in str(error.value) and len(str(error.value)) < 200


def test_what_is_missing() -> None:
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("run", help="run folder")
    parser.add_argument("--out", required=True, help="folder of the results")
    with pytest.raises(ConfigError, match=r"^r\.yaml: --out is missing; add --out OUT: folder of the results$"):
        parse_words(parser, ["folder"], "r.yaml")
    with pytest.raises(ConfigError, match=r"RUN is missing: run folder"):
        parse_words(parser, ["--out", "o"])
