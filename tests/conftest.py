"""Fixtures that tests of several parts share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("weakseg", deadline=None)  # a busy machine is no failure
settings.load_profile("weakseg")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with ``msrc/`` and ``coco/``, from WEAKSEG_DATA; without it tests skip, but in CI they fail."""
    name = os.environ.get("WEAKSEG_DATA", "")
    folder = Path(name)
    if name and (folder / "msrc").is_dir() and (folder / "coco").is_dir():
        return folder.resolve()
    reason = f"set WEAKSEG_DATA to a folder with msrc/ and coco/; it is {name!r}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
