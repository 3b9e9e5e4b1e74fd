"""Whole runs of the method that looks at groups, on a tiny generated data set."""

from pathlib import Path

import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.cli.main import main

SETTINGS = [
    *(word for word in FAST if not word.startswith("--classifier.augment")),
    "--classifier.fit.epochs=1",
    "--segmenter.fit.epochs=1",
    "--classifier.frozen=true",
    "--classifier.convolutions=0",
    "--classifier.augment.crop=64",
    "--classifier.head.channels=16",
    "--classifier.head.graph.gru_kernel=1",
]
RANDOM = ["--classifier.groups.draw=random"]
ACCUMULATED = ["--classifier.accumulate=true", "--classifier.accumulation.skip_epochs=0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tiny") / "data", 8)


def products(folder: Path, step: str, suffix: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / step).glob(f"*{suffix}")}


@pytest.mark.parametrize("more", [[], RANDOM, ACCUMULATED], ids=["shared", "random", "accumulated"])
def test_a_run_and_its_labels(more: list[str], data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["run", "group", "--out", str(out), *folder_arguments(data), *SETTINGS, *more]
    assert main([*words, "--workers", "1"]) == 0
    found = products(out, "activations", ".safetensors")
    assert len(found) == 6 and len(products(out, "masks", ".png")) == 6
    if more:
        return
    for path in (out / "activations").glob("*.safetensors"):
        path.unlink()
    assert main([*words, "--workers", "2"]) == 0
    assert products(out, "activations", ".safetensors") == found
    lost = sorted((out / "activations").glob("*.safetensors"))[-1]
    lost.unlink()
    assert main([*words, "--workers", "1"]) == 0  # its group is made anew, not the image alone
    assert products(out, "activations", ".safetensors") == found
    labels = ["--images", str(data / "images"), "--labels", str(data / "tags.json"), "--out", str(tmp_path / "new")]
    assert main(["label", str(out), *labels, "--workers", "1"]) == 0
    assert products(tmp_path / "new", "masks", ".png") == products(out, "masks", ".png")
