"""Names of a package that are imported when they are first asked for, so that importing the package stays quick."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def imported_late(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``.

    Args:
        package: The module's name.
        places: Module that defines each name, relative to the package.
    """

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    return get
