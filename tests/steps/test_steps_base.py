"""What steps share."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError, OutputError
from weakseg.files import write_bytes
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.plan import Kind, Step, StepContext, StepResult, Work, way_to
from weakseg.pipeline.units import ImageJob, Unit
from weakseg.settings.affinity import AffinityConfig
from weakseg.steps.base import (
    cached,
    classifier_of,
    code_of,
    fitted,
    forget_models,
    given_model,
    having,
    over_images,
    prediction_split,
    started,
    tagged,
    training,
)
from weakseg.training.loop import FitPlace


@dataclass(frozen=True)
class Note(ImageJob):
    """Writes the image's id; fails on names that ask for it."""

    out: Path
    suffix: ClassVar[str] = ".png"

    def one(self, sample: WeakSample) -> None:
        if "bad" in sample.id:
            raise ValueError("torn")
        write_bytes(self.output(sample.id), sample.id.encode())


@dataclass(frozen=True)
class NoteTogether(Note):
    """Notes all at once, as what depends on the others."""

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        return [Unit(tuple(samples), whole=True)]


@dataclass(frozen=True)
class IdleEngine(LocalEngine):
    """Notes what it was asked to give back."""

    released: list[str] = field(default_factory=list)

    def release(self) -> None:
        self.released.append("released")


def samples(*names: str, tags: Sequence[int] = ()) -> list[WeakSample]:
    return [WeakSample(name, Path(f"{name}.png"), Tags(frozenset(tags))) for name in names]


def context_of(folder: Path, inputs: Mapping[str, Path] | None = None) -> StepContext:
    return StepContext(folder, inputs or {}, LocalEngine(), "cpu")


def noting(context: StepContext) -> Note:
    return Note(context.folder)


class TestOverImages:
    def test_failures_are_returned_and_the_rest_is_counted(self, tmp_path: Path) -> None:
        work = over_images(Note, noting, samples("a", "bad", "b"))
        result = work.run(context_of(tmp_path / "notes"))
        assert result.summary == {"images": 2}
        assert [(f.image_id, f.step, f.reason) for f in result.failures] == [("bad", "notes", "ValueError: torn")]
        assert {path.name for path in (tmp_path / "notes").glob("*.png")} == {"a.png", "b.png"}

    def test_the_report_hears_of_images_that_were_to_be_looked_at_together(self, tmp_path: Path) -> None:
        work = over_images(NoteTogether, lambda context: NoteTogether(context.folder), samples("a", "bad"))
        result = work.run(context_of(tmp_path / "notes"))
        assert result.summary == {
            "images": 1,
            "warnings": [
                "notes: 2 images at once failed (ValueError: torn); each is tried alone, without the others: a, bad"
            ],
        }

    def test_the_name_of_the_job_is_the_code(self) -> None:
        work = over_images(Note, noting, [])
        assert work.code == code_of(Note) == f"{__name__}.Note"

    def test_if_every_image_fails_the_step_does(self, tmp_path: Path) -> None:
        work = over_images(Note, noting, samples("bad0", "bad1"))
        with pytest.raises(DataError, match="notes: every image failed; the first, bad0: ValueError: torn"):
            work.run(context_of(tmp_path / "notes"))

    def test_images_that_the_step_before_left_out_take_no_part(self, tmp_path: Path) -> None:
        before = {"seeds": tmp_path / "seeds"}
        write_bytes(tmp_path / "seeds" / "b.png", b"x")
        work = over_images(Note, noting, samples("a", "b"), source=("seeds", Kind.LABELS))
        assert work.run(context_of(tmp_path / "notes", before)).summary == {"images": 1}
        assert [path.name for path in (tmp_path / "notes").glob("*.png")] == ["b.png"]


class TestWhoTakesPart:
    def test_those_with_a_file_of_the_kind(self, tmp_path: Path) -> None:
        write_bytes(tmp_path / "a.png", b"x")
        write_bytes(tmp_path / "b.safetensors", b"x")
        both = samples("a", "b")
        assert having(both, tmp_path, Kind.LABELS) == both[:1]
        assert having(both, tmp_path, Kind.SCORES) == both[1:]
        with pytest.raises(DataError, match=r"left nothing for any image; see failures\.csv"):
            having(both, tmp_path, Kind.INSTANCES)

    def test_those_with_a_tag(self) -> None:
        shown, empty = samples("a", tags=[1]), samples("b")
        assert tagged([*shown, *empty]) == shown
        with pytest.raises(DataError, match="no training image has a tag"):
            tagged(empty)

    def test_the_split_that_a_segmenter_is_applied_to(self) -> None:
        train, classes = tuple(samples("a")), Classes(("cat",))
        assert prediction_split(Dataset(classes, {"train": train})) == "train"
        assert prediction_split(Dataset(classes, {"train": train, "val": ()})) == "train"
        assert prediction_split(Dataset(classes, {"train": train, "val": tuple(samples("b"))})) == "val"


class TestTraining:
    def test_idle_memory_is_given_back_first(self, tmp_path: Path) -> None:
        engine, places = IdleEngine(), []

        def run(context: StepContext, place: FitPlace) -> StepResult:
            assert engine.released == ["released"]
            places.append(place)
            return fitted([{"loss": 2.0}, {"loss": 0.5}], samples("a", "b"))

        work = training(having, run, 7)
        result = work.run(StepContext(tmp_path, {}, engine, "cpu"))
        assert result.summary == {"loss": 0.5, "images": 2}
        assert places == [FitPlace(tmp_path, 7, "cpu")] and work.code == "weakseg.steps.base.having"

    def test_it_starts_from_the_classifier_where_it_should(self, tmp_path: Path) -> None:
        assert started(AffinityConfig("classifier")) == {"classifier": Kind.MODEL}
        assert started(AffinityConfig("pretrained")) == {}
        assert classifier_of(context_of(tmp_path)) is None
        assert classifier_of(context_of(tmp_path, {"classifier": tmp_path})) == tmp_path / MODEL_FILE

    def test_a_given_model_takes_its_place_and_that_of_what_it_needed(self, tmp_path: Path) -> None:
        def refuse(context: StepContext) -> StepResult:
            raise AssertionError("nothing is trained")

        plan = [
            Step("readings", Kind.SCORES, {}, {}, Work("tests.refuse", refuse)),
            Step("affinity", Kind.MODEL, {"readings": Kind.SCORES}, {"lr": 1}, Work("tests.refuse", refuse)),
            Step("walk", Kind.SCORES, {"affinity": Kind.MODEL}, {}, Work("tests.refuse", refuse)),
        ]
        write_bytes(tmp_path / "trained", b"weights")
        plan[1] = given_model(plan[1], tmp_path / "trained", "digest")
        assert [step.name for step in way_to(plan, "walk")] == ["affinity", "walk"]
        assert (plan[1].needs, plan[1].settings, plan[1].kind) == ({}, {"model": "digest"}, Kind.MODEL)
        (tmp_path / "affinity").mkdir()
        plan[1].work.run(context_of(tmp_path / "affinity"))
        assert (tmp_path / "affinity" / MODEL_FILE).read_bytes() == b"weights"


class TestCached:
    @pytest.fixture(autouse=True)
    def fresh(self) -> Iterator[None]:
        forget_models()
        yield
        forget_models()

    @pytest.mark.parametrize("make", [lambda: nn.Linear(1, 1), lambda: (nn.Linear(1, 1), 64)])
    def test_the_last_model_is_loaded_once(self, make: Callable[[], Any], tmp_path: Path) -> None:
        loaded = []

        def load(path: Path) -> Any:
            loaded.append(path.name)
            return make()

        one, two = tmp_path / "one", tmp_path / "two"
        one.write_bytes(b"1")
        two.write_bytes(b"2")
        assert cached(load, one, "cpu") is cached(load, one, "cpu") and loaded == ["one"]
        cached(load, two, "cpu")
        cached(load, one, "cpu")
        assert loaded == ["one", "two", "one"]
        os.utime(one, ns=(1, 1))  # written anew
        cached(load, one, "cpu")
        forget_models()
        cached(load, one, "cpu")
        assert loaded == ["one", "two", "one", "one", "one"]

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_it_is_on_the_device(self, tmp_path: Path) -> None:
        (tmp_path / "m").write_bytes(b"1")
        assert cached(lambda path: nn.Linear(1, 1), tmp_path / "m", "cuda").weight.is_cuda


def test_a_folder_that_cannot_be_written_stops_the_step(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("a file")
    with pytest.raises(OutputError):
        over_images(Note, noting, samples("a", "b")).run(context_of(tmp_path / "notes"))
