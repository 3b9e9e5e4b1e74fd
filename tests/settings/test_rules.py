import math
from dataclasses import dataclass
from typing import Any

import pytest

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings, spoken


@dataclass(frozen=True)
class Settings:
    size: Any = 1
    share: Any = 0.5
    sides: Any = (1, 2)
    kind: Any = "a"


def check(settings: Settings) -> None:
    check_settings("part", settings, size=">= 1", share="in (0, 1]", sides="> 0", kind=("a", "b"))


@pytest.mark.parametrize("settings", [Settings(), Settings(share=1), Settings(sides=3), Settings(1e9, 1e-9, (1,), "b")])
def test_values_that_keep_their_rules(settings: Settings) -> None:
    check(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(size=0), "part.size: need >= 1, got 0"),
        (Settings(size="1"), "part.size: need >= 1, got '1'"),
        (Settings(share=0), "part.share: need in (0, 1], got 0"),
        (Settings(share=1.1), "part.share: need in (0, 1], got 1.1"),
        (Settings(share=math.nan), "part.share: need in (0, 1], got nan"),
        (Settings(size=math.inf), "part.size: need >= 1, got inf"),
        (Settings(sides=(1, 0)), "part.sides: need > 0, got (1, 0)"),
        (Settings(sides=()), "part.sides: need > 0, got ()"),
        (Settings(kind="c"), "part.kind: 'a' or 'b', got 'c'"),
        (Settings(size=0, kind="c"), "part.size: need >= 1, got 0"),
    ],
)
def test_the_first_that_does_not_is_named(settings: Settings, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(settings)
    assert str(error.value) == message


def test_without_a_section() -> None:
    with pytest.raises(ConfigError, match=r"^size: need > 1, got 1$"):
        check_settings("", Settings(), size="> 1")


def test_words_as_they_are_spoken() -> None:
    assert spoken(("a",)) == "'a'"
    assert spoken(("a", "b", "c")) == "'a', 'b' or 'c'"
