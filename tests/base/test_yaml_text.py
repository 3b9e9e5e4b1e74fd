"""YAML of anyone: what it may hold, and short errors for everything else, in time."""

import time

import pytest

from weakseg.yaml_text import MAX_CHARACTERS, MAX_DEPTH, yaml_value


def test_plain_values() -> None:
    text = "a: [1, 2.5, true, null, text]\nb: {c: 2024-01-31, d: '7'}\ne: &x {f: 1}\ng: {<<: *x, h: 2}\n"
    assert yaml_value(text) == {
        "a": [1, 2.5, True, None, "text"],
        "b": {"c": "2024-01-31", "d": "7"},
        "e": {"f": 1},
        "g": {"f": 1, "h": 2},
    }
    assert yaml_value("") is None and yaml_value("# nothing") is None
    assert yaml_value("names: [2024-13-45, 12:30]")["names"][0] == "2024-13-45"


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
CHAIN = "a0: &a0 [ha]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nested(MAX_DEPTH + 1), "nested"),
        (nested(100_000), "nested"),
        ("{" * 100_000, "nested"),
        ("&a [*a]", "in itself"),
        ("a: &a {b: *a}", "in itself"),
        ("a: &a\n  <<: *a", "in itself"),
        (LAUGHS, "more than 100,000 values"),
        (MERGES, "more than 100,000 values"),
        (CHAIN, "nested more than 50 deep"),
        ("seed: " + "9" * 5000, "integer of 5000 characters is too large"),
        ("seed: 1" + ":10" * 5000, "is too large"),
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is there twice"),
        ("? [1, 2]\n: 3", "a key must be text or a number"),
        ("!!python/object/apply:os.system [ls]", "type tag:yaml.org,2002:python"),
        ("!!binary aGk=", "none of text, number"),
        ("!!timestamp 5", "none of text, number"),
        ("a: !!int x", "invalid literal"),
        ("a: !!bool maybe", "maybe"),
        ("a: [", "expected"),
        ("a\0b", "unacceptable character"),
        ("--- 1\n--- 2\n", "single document"),
        ("x" * (MAX_CHARACTERS + 1), "more than 1,000,000"),
        ("key " * 1000 + ": [" + "x" * 1000, "not allowed here"),
    ],
)
def test_refused_in_time_and_few_words(text: str, message: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match=message) as caught:
        yaml_value(text)
    assert len(str(caught.value)) < 300
    assert time.monotonic() - begun < 5
