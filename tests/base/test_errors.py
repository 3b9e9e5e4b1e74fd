import inspect
import pickle

import pytest

from cases import each
from weakseg import errors
from weakseg.errors import OutputError, ShapeError, StoreError, WeaksegError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@each("kind", KINDS)
def test_every_error_is_one_of_weaksegs(kind: type[Exception]) -> None:
    assert issubclass(kind, WeaksegError)
    with pytest.raises(WeaksegError, match="what to do"):
        raise kind("what to do")


def test_what_is_quoted_is_cut_and_paths_are_not() -> None:
    path = f"/data/{'p' * 300}.json"
    for name in ("x" * 5000, "it's " * 1000, 'say "x" ' * 900):
        message = str(WeaksegError(f"{path}: class {name!r} is 'unknown'; known: 'cat', 'dog'"))
        assert message.startswith(f"{path}: class ") and message.endswith("is 'unknown'; known: 'cat', 'dog'")
        assert name[:100] in message.replace("\\", "") and len(message) < 2001
    assert str(WeaksegError(f"{'x' * 200!r} {'y' * 200!r}")) == f"{'x' * 200!r} {'y' * 200!r}"
    between = "backbone 'a': cannot be loaded (it doesn't answer)" + 30 * " and so on" + "; set backbone.weights 'none'"
    assert str(WeaksegError(between)) == between  # what stands between two quotes is no quote
    assert "z" * 201 not in str(WeaksegError(f"no class {'z' * 5000!r}"))
    assert len(str(ShapeError("word " * 10_000))) <= 2000


def test_errors_travel_between_processes() -> None:
    for kind in KINDS:
        assert str(pickle.loads(pickle.dumps(kind("what to do")))) == "what to do"


def test_what_python_and_the_store_know_them_as() -> None:
    assert len(KINDS) == 9
    assert issubclass(ShapeError, ValueError)
    assert issubclass(OutputError, StoreError)
