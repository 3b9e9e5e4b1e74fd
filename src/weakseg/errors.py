"""Typed errors: each says what was wanted, what was got, and what to do."""

import re

LONGEST_VALUE, LONGEST_MESSAGE = 200, 2000
_QUOTED = re.compile(r"(?<!\w)(?:'[^'\n]*'|\"[^\"\n]*\")(?!\w)")  # pairs in their order, and no apostrophes


def cut(value: object) -> str:
    """Return a value of unknown length as text for an error: at most 200 characters of it.

    >>> len(cut("x" * 5000))
    203
    """
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def quoted(name: str) -> str:
    """Return a name of unknown length in quotes, for an error."""
    return repr(cut(name))


def _cut_quoted(text: str) -> str:
    return text if len(text) < LONGEST_VALUE + 6 else f"{text[: LONGEST_VALUE + 1]}...{text[-1]}"


class WeaksegError(Exception):
    """Base of every error that weakseg raises on purpose.

    What is quoted in a message is cut at 200 characters, and the message at 2,000: names come from anyone.
    """

    def __init__(self, message: object = "") -> None:
        text = str(message)
        if len(text) > LONGEST_VALUE:
            text = _QUOTED.sub(lambda found: _cut_quoted(found[0]), text)
        if len(text) > LONGEST_MESSAGE:
            text = f"{text[: LONGEST_MESSAGE - 400]} [...] {text[-390:]}"
        super().__init__(text)


class ConfigError(WeaksegError):
    """A setting is unknown, contradicts another, or differs from what a run folder was made with."""


class DataError(WeaksegError):
    """An image, label file or data set cannot be used as it is."""


class ShapeError(WeaksegError, ValueError):
    """An array has another shape, data type or range than its docstring asks for."""


class StoreError(WeaksegError):
    """A run folder cannot be read or written."""


class OutputError(StoreError):
    """A file cannot be written: read-only folder, full disk. No image's fault, so it stops a run."""


class CheckpointError(WeaksegError):
    """A weight file is truncated, hostile, or belongs to another model."""


class ServerError(WeaksegError):
    """A server of another program cannot be reached, or refuses."""


class EvaluationError(WeaksegError):
    """Predictions and ground truth cannot be compared."""
