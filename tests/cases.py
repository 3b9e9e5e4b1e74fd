"""Tests of many values that are one case: quick to collect and to run, and a failure still names its value."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch

Test = Callable[..., None]


def each(names: str | tuple[str, ...], values: Iterable[Any]) -> Callable[[Test], Test]:
    """Return a decorator like ``pytest.mark.parametrize``, but the test stays one case that goes through all values.

    What a test got of pytest, such as ``tmp_path``, is the same for all values.

    Args:
        names: An argument of the test, or several.
        values: What it is to be; of several arguments a tuple each.
    """
    rows = [value if isinstance(names, tuple) else (value,) for value in values]
    arguments = names if isinstance(names, tuple) else (names,)

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def for_all(*args: Any, **kwargs: Any) -> None:
            assert rows, "no values"
            for row in rows:
                chosen = dict(zip(arguments, row, strict=True))
                try:
                    test(*args, **kwargs, **chosen)
                except BaseException as error:
                    error.add_note(f"with {', '.join(f'{name} = {value!r}' for name, value in chosen.items())}")
                    raise

        signature = inspect.signature(test)
        others = [p for name, p in signature.parameters.items() if name not in arguments]
        for_all.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return for_all

    return decorate


def assert_exact(found: Any, expected: Any, *, rtol: float = 1e-12, atol: float = 1e-12) -> None:
    """Fail where numbers of double precision differ by more than their last digits."""
    torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)
