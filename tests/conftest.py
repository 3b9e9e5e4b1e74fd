"""Fixtures that tests of several parts share."""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

MOST_SEARCHED = 200_000  # objects, a tenth of a second

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


@pytest.fixture(autouse=True, scope="module")
def little_to_search() -> None:
    """Keep what libraries hold out of searches for garbage, of which each training ends with one."""
    if len(gc.get_objects()) > MOST_SEARCHED:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """One thread for tests of small arrays, where results must not depend on how sums are split."""
    before = torch.get_num_threads()
    if request.path.relative_to(Path(__file__).parent).parts[0] in ("graph", "nn", "ops", "training"):
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser's path; without one the tests are skipped, but fail where the environment says CI=true."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        message = f"none of {names} is on the PATH; install one to test pages in a real browser"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=arguments)
        yield running
        running.close()
