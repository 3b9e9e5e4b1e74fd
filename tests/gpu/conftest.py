"""Tests that need a GPU: skipped by name without one.

``WEAKSEG_GPU=required`` says that there is one, so that they fail where torch sees none; ``WEAKSEG_GPU=named`` carries
them out on a GPU in name, see ``named_gpu``, by which errors in the tests themselves are found.

Convolutions and products are compared in full single precision: TF32 keeps ten bits, by which results differ anyway.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from weakseg.pipeline.options import RunOptions

HERE, WANTED = Path(__file__).parent, os.environ.get("WEAKSEG_GPU", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available() or WANTED:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real GPU, or one in name."""
    if WANTED != "named":
        yield
        return
    from named_gpu import named_gpu

    monkeypatch.setattr(RunOptions, "resolve", lambda options: RunOptions(1, options.device))
    with named_gpu():
        yield
