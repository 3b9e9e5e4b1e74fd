"""Settings of recipes and command lines under names that they no longer have: an error says what to write."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from weakseg.errors import ConfigError

_SETTINGS = {
    "data.masks": "data.truth",
    "fit.poly_power": "fit.schedule.power",
    "completion.seed": "seed",
    "network.frozen_norms": "fit.norm_affine",
    "classifier.frozen_norms": "classifier.fit.norm_affine",
    "segmenter.balanced": "segmenter.loss",
    "network.frozen_levels": "fit.frozen_levels",
    "classifier.frozen_levels": "classifier.fit.frozen_levels",
}
_WORDS = "; its value is a word now: frozen where it was true, trained where it was false"
_NOW_WORDS = dict.fromkeys(("fit.norm_affine", "classifier.fit.norm_affine"), _WORDS) | {
    "segmenter.loss": "; its value is a word now: balanced_halved where it was true, cross_entropy where it was false"
}
_VALUES = {
    ("data.tags", "masks"): "truth",
    ("data.labels", "masks"): "regions",
    ("seeds.use", "masks"): "regions",
}


def refuse_old_words(given: Mapping[str, Any] | Sequence[str], source: str = "") -> None:
    """Refuse settings, in a mapping of sections or as words of a command line, that have another name.

    Raises:
        ConfigError: If there is one; names the new one.
    """
    where = f"{source}: " if source else ""
    for path, value in _leaves(given) if isinstance(given, Mapping) else _flags(given):
        name = ".".join(".".join(path).split(".")[-2:])
        if (new := _SETTINGS.get(name)) is not None:
            raise ConfigError(f"{where}{name}: is called {new}{_NOW_WORDS.get(new, '; rename it')}")
        if isinstance(value, str) and (new := _VALUES.get((name, value))) is not None:
            raise ConfigError(f"{where}{name}: {value!r} is called {new!r}; write that")


def _leaves(given: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield path and value of all that is no mapping."""
    for key, value in given.items():
        path = (*above, str(key))
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _flags(words: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield path and value of ``--flag value`` and ``--flag=value``."""
    for word, following in pairwise([*words, ""]):
        flag, equals, value = word.partition("=")
        if flag.startswith("--"):
            yield tuple(flag[2:].split(".")), value if equals else following
