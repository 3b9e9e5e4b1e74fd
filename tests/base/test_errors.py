import inspect

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


def test_what_python_and_the_store_know_them_as() -> None:
    assert len(KINDS) == 8
    assert issubclass(ShapeError, ValueError)
    assert issubclass(OutputError, StoreError)
