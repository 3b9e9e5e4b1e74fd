"""Jobs that train a network for each image."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weakseg.artifacts import Scores
from weakseg.data.sample import Tags, WeakSample
from weakseg.pipeline.units import Unit
from weakseg.steps.per_image import CHUNK, PerImageTraining


@dataclass(frozen=True)
class Halves(PerImageTraining):
    """Trains nothing: both labels are equally likely everywhere."""

    out: Path
    device: str = "cpu"
    trained: list[str] = field(default_factory=list)

    def train_batch(self, samples: Sequence[WeakSample]) -> list[Scores]:
        self.trained.append("+".join(sample.id for sample in samples))
        return [Scores(torch.full((2, 1, 1), 0.5), (0, 1), (6, 8)) for _ in samples]


def write(folder: Path, name: str, *tags: int) -> WeakSample:
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(folder / f"{name}.png")
    return WeakSample(name, folder / f"{name}.png", Tags(frozenset(tags)))


def test_one_that_shows_nothing_is_background_and_trains_nothing(tmp_path: Path) -> None:
    samples = [write(tmp_path, "a", 1), write(tmp_path, "b"), write(tmp_path, "c", 1)]
    job = Halves(tmp_path / "out")
    job.run(Unit(tuple(samples)))
    assert job.trained == ["a+c"]
    found = [Scores.load(job.output(name)) for name in "abc"]
    assert [scores.label_ids for scores in found] == [(0, 1), (0,), (0, 1)]
    assert found[1].values.equal(torch.ones(1, 1, 1)) and found[1].image_size == (6, 8)


def test_if_none_shows_anything_no_training_is_asked_for(tmp_path: Path) -> None:
    job = Halves(tmp_path / "out")
    job.run(Unit((write(tmp_path, "b"),)))
    assert job.trained == [] and job.output("b").exists()


@pytest.mark.parametrize(("device", "sizes"), [("cpu", [1] * (CHUNK + 1)), ("cuda", [CHUNK, 1])])
def test_many_at_once_on_a_gpu_alone(device: str, sizes: list[int]) -> None:
    samples = [WeakSample(f"i{n:03}", Path("i.png"), Tags(frozenset({1}))) for n in range(CHUNK + 1)]
    assert [len(unit.samples) for unit in Halves(Path(), device).units(samples)] == sizes


def test_how_it_is_trained_must_be_said(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Untold(PerImageTraining):
        out: Path
        device: str = "cpu"

    with pytest.raises(NotImplementedError):
        Untold(tmp_path).run(Unit((write(tmp_path, "a", 1),)))
