"""Names of files in any Unicode form."""

import unicodedata
from itertools import islice, product
from pathlib import Path

_TRIED_FORMS = 81  # three forms of four parts


def composed(name: str) -> str:
    """Return a name with letters and their marks as one character each, as most programs write them."""
    return unicodedata.normalize("NFC", name)


def in_any_form(path: Path) -> Path:
    """Return the path that there is, each part composed or decomposed; the path itself where there is none.

    A Mac decomposes names of files, and label files of the same photographs seldom are.
    """
    if str(path).isascii():
        return path
    forms = [dict.fromkeys((part, composed(part), unicodedata.normalize("NFD", part))) for part in path.parts]
    others = (Path(*parts) for parts in islice(product(*forms), _TRIED_FORMS))
    return next((other for other in others if other.exists()), path)
