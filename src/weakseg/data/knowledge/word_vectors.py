"""Word vectors of class names: from a text file, from an installed model, or made up from a fixed seed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakseg.data.knowledge.terms import candidates, first_known, term_of, words_of
from weakseg.errors import ConfigError, DataError, cut, quoted
from weakseg.rng import numpy_generator_for

Vectors = NDArray[np.float32]
RANDOM_WIDTH, RANDOM_NORM = 300, 6.5  # of vectors that are all made up: as those of GloVe are, for names of classes


@dataclass(frozen=True)
class NamedVectors:
    """Word vectors of classes.

    Attributes:
        vectors: ``(M, D)`` float32.
        notes: A sentence for each class that was not found as it is written.
        missing: Classes whose vectors are made up.
    """

    vectors: Vectors
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def random_vectors(names: Sequence[str]) -> NamedVectors:
    """Return ``(M, 300)`` vectors of norm 6.5 from a fixed seed; that of a name does not depend on the others."""
    vectors = np.stack([RANDOM_NORM * _direction(name, RANDOM_WIDTH) for name in names]).astype(np.float32)
    return NamedVectors(vectors, (), ())


def read_text_vectors(path: Path, names: Sequence[str]) -> NamedVectors:
    """Return the vectors of class names in a text file: a word and its numbers a line, as GloVe writes them.

    The file is read once, line by line; only lines of these names are kept.

    Args:
        path: UTF-8. A first line with two numbers, as word2vec writes it, is left out.
        names: Class names.

    Returns:
        As ``named_vectors``.

    Raises:
        DataError: If the file cannot be read, a line has another number of numbers than the first, or a number of a
            class is none; names the line.
    """
    return named_vectors(names, _lines_of(path, _wanted(names)))


def package_vectors(package: str, names: Sequence[str]) -> NamedVectors:
    """Return the vectors of class names in an installed spaCy model.

    Raises:
        ConfigError: If spaCy or the model is not installed, or the model has no vectors.
    """
    try:
        model: Any = import_module("spacy").load(package)
    except ImportError as error:
        raise ConfigError(
            "class_graph.vectors: 'package' needs spaCy, which is not installed: pip install 'weakseg[words]'"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"class_graph.package: no installed model {quoted(package)} ({cut(error)}); python -m spacy download NAME"
        ) from error
    if not model.vocab.vectors_length:
        raise ConfigError(f"class_graph.package: model {quoted(package)} has no word vectors; choose one that has")
    words = [word for word in _wanted(names) if model.vocab.has_vector(word)]
    return named_vectors(names, {word: np.array(model.vocab.get_vector(word), np.float32) for word in words})


def named_vectors(names: Sequence[str], known: Mapping[str, Vectors]) -> NamedVectors:
    """Return a vector for each class: that of its term, the mean of its words, or one that is made up.

    What is made up has a fixed seed and the mean norm of the others.

    Args:
        names: Class names.
        known: ``(D,)`` vectors by term.

    Raises:
        DataError: If no class is found.
    """
    found = {name: _vector_of(name, known) for name in names}
    vectors = {name: vector for name, (vector, _) in found.items() if vector is not None}
    if not vectors:
        raise DataError(f"word vectors: none of the classes {cut(', '.join(names))} is in them; use other vectors")
    norm = float(np.mean([np.linalg.norm(vector) for vector in vectors.values()]))
    width = len(next(iter(vectors.values())))
    chosen = [vectors[name] if name in vectors else norm * _direction(name, width) for name in names]
    missing = tuple(name for name in names if name not in vectors)
    notes = [f"word vectors, class {quoted(name)}: {note}" for name, (_, note) in found.items() if note]
    return NamedVectors(np.stack(chosen).astype(np.float32), tuple(notes), missing)


def _vector_of(name: str, known: Mapping[str, Vectors]) -> tuple[Vectors | None, str]:
    """Return the vector of a class, and from where it is unless it is that of the name itself."""
    if term := first_known(name, known.__contains__, heads=False):
        return known[term], f"looked up as {quoted(term)}" if term != term_of(name) else ""
    words = [word for word in (first_known(one, known.__contains__) for one in words_of(name)) if word]
    if not words:
        return None, "not found, so that its vector is random"
    mean: Vectors = np.mean([known[word] for word in words], axis=0)
    return mean, f"mean of {quoted(', '.join(words))}"


def _direction(name: str, width: int) -> Vectors:
    values = numpy_generator_for(0, term_of(name), "class graph/vectors").standard_normal(width)
    direction: Vectors = (values / np.linalg.norm(values)).astype(np.float32)
    return direction


def _wanted(names: Sequence[str]) -> set[str]:
    """Return every word that the vectors of some names may be made of."""
    return {term for name in names for one in (name, *words_of(name)) for term in candidates(one)}


def _lines_of(path: Path, wanted: Collection[str]) -> dict[str, Vectors]:
    found: dict[str, Vectors] = {}
    width = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                parts = line.split()
                if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
                    continue
                width = width or len(parts) - 1
                if len(parts) != width + 1:
                    _check_width(parts, width, f"{path}:{number}")
                    continue
                word = parts[0].decode("utf-8", "replace")
                if word in wanted and word not in found:
                    found[word] = _numbers(parts[1:], f"{path}:{number}")
    except OSError as error:
        raise DataError(f"{path}: word vectors cannot be read ({error.strerror}); correct the path") from error
    if width < 1:
        raise DataError(f"{path}: holds no word vectors; a line is a word and its numbers")
    return found


def _check_width(parts: list[bytes], width: int, where: str) -> None:
    """Refuse a line with too few or too many numbers; words with spaces are none that are wanted."""
    if parts and (len(parts) <= width or _is_number(parts[-width - 1])):
        raise DataError(f"{where}: {len(parts) - 1} numbers, but {width} in the first line; vectors have one width")


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(parts: list[bytes], where: str) -> Vectors:
    try:
        vector = np.array([float(part) for part in parts], np.float32)
    except ValueError as error:
        raise DataError(f"{where}: {cut(error)}; a line is a word and its numbers") from error
    if not np.isfinite(vector).all():
        raise DataError(f"{where}: a number is not finite; repair the file")
    return vector
