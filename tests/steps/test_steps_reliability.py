"""How far the masks of a run are to be trusted: what the step leaves, and the list of all masks."""

import csv
from pathlib import Path

import numpy as np
import pytest

from generated import write_folder
from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Box, Drawn, Point, Region
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.regions import whole_runs
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import StoreError
from weakseg.methods import METHODS
from weakseg.methods.recipes import load_recipe
from weakseg.pipeline.plan import Kind, Role, check_plan
from weakseg.stages.reliability import EMPTY, RUN_REGRESSIONS
from weakseg.steps.reliability import (
    COLUMNS,
    RELIABILITY,
    MaskDoubt,
    ReliabilityJob,
    Sources,
    doubts_of,
    label_of,
    reliability_step,
    write_list,
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    root = write_folder(tmp_path / "data", 4)
    return open_dataset(DataConfig(root=str(root), format="folder", train="tags.json"))


def words(dataset_root: Path) -> list[str]:
    return ["--data.root", str(dataset_root), "--data.format", "folder", "--data.train", "tags.json"]


class TestPlan:
    @pytest.mark.parametrize(
        ("method", "needs"),
        [
            ("cam", {"masks", "seeds"}),
            ("irnet", {"masks", "before_crf", "seeds"}),
            ("drawn", {"masks", "seeds"}),
        ],
    )
    def test_masks_are_judged_by_what_the_plan_has(self, dataset: Dataset, method: str, needs: set[str]) -> None:
        recipe = load_recipe(method)
        plan = METHODS[method].build(recipe, dataset)
        (step,) = (step for step in plan if step.name == RELIABILITY)
        assert set(step.needs) == needs and step.role == Role.PART and step.kind == Kind.RELIABILITY
        check_plan(plan)

    def test_of_several_rounds_it_is_the_last(self, dataset: Dataset) -> None:
        plan = METHODS["cam"].build(load_recipe("cam", ["--rounds", "2"]), dataset)
        (step,) = (step for step in plan if step.name == RELIABILITY)
        assert "masks_2" in step.needs and step.role == Role.AFTER
        check_plan(plan)

    def test_true_masks_have_none(self, dataset: Dataset) -> None:
        plan = METHODS["supervised"].build(load_recipe("supervised"), dataset)
        assert RELIABILITY not in {step.name for step in plan}


class TestJob:
    def judged(self, sample: WeakSample, mask: np.ndarray, folder: Path) -> tuple[MaskDoubt, ...]:
        LabelMap(mask).save(folder / "masks" / f"{sample.id}.png")
        ReliabilityJob(folder / "masks", folder / RELIABILITY, Sources(), "strongest").one(sample)
        return doubts_of(folder / RELIABILITY, sample.id)

    def test_every_class_that_is_named_or_shown_has_one(self, dataset: Dataset, tmp_path: Path) -> None:
        sample = next(one for one in dataset.splits["train"] if one.tags.present)
        mask = np.zeros((48, 64), np.uint8)
        mask[10:20, 10:20] = 2
        named = WeakSample(sample.id, sample.image_path, Tags(frozenset({1})))
        first, second = self.judged(named, mask, tmp_path)
        assert (first.class_id, first.reliability, first.reasons, first.trusted) == (1, 0.0, (EMPTY,), False)
        assert second.class_id == 2 and second.share == 100 / (48 * 64) and 0 < second.reliability < 1

    def test_nothing_named_and_nothing_shown(self, dataset: Dataset, tmp_path: Path) -> None:
        empty = WeakSample("i00", dataset.splits["train"][0].image_path, Tags(frozenset()))
        assert self.judged(empty, np.zeros((48, 64), np.uint8), tmp_path) == ()

    def test_what_is_outlined_is_trusted(self, dataset: Dataset, tmp_path: Path) -> None:
        sample = dataset.splits["train"][0]
        drawn = Drawn(regions=(Region(1, (48, 64), b""),))
        outlined = WeakSample(sample.id, sample.image_path, Tags(frozenset({1})), drawn)
        mask = np.zeros((48, 64), np.uint8)
        mask[:20, :20] = 1
        (found,) = self.judged(outlined, mask, tmp_path)
        assert (found.label, found.reliability, found.reasons) == ("regions", 1.0, ())

    def test_what_a_class_is_decided_by(self) -> None:
        box, other = Box(1, 0, 0, 5, 5), Point(2, 3, 3)
        assert [label_of(Drawn(boxes=(box,), points=(other,)), class_id) for class_id in (1, 2)] == ["boxes", "boxes"]
        outlined = Region(3, (48, 64), b"11")
        beside = Drawn(boxes=(box,), regions=(outlined, Region(1, (48, 64), b"11")))
        assert label_of(beside, 3) == "regions"
        assert label_of(beside, 1) == "boxes"  # one of it is outlined, and another in a box
        assert label_of(Drawn(regions=(outlined,)), 3) == "regions" and label_of(Drawn(), 1) == "tags"
        partial = Drawn(regions=(Region(255, (48, 64), whole_runs((48, 64))), outlined))
        assert label_of(partial, 3) == "tags"  # more of it may be elsewhere

    def test_masks_of_a_later_round_do_not_keep_outlines(self, dataset: Dataset, tmp_path: Path) -> None:
        sample = dataset.splits["train"][0]
        drawn = Drawn(boxes=(Box(1, 0, 0, 20, 20),), regions=(Region(2, (48, 64), b"11"),))
        mask = np.zeros((48, 64), np.uint8)
        mask[:20, :20], mask[30:, 30:] = 1, 2
        LabelMap(mask).save(tmp_path / "masks" / f"{sample.id}.png")
        outlined = WeakSample(sample.id, sample.image_path, Tags(frozenset({1, 2})), drawn)
        for outlines in (True, False):
            job = ReliabilityJob(tmp_path / "masks", tmp_path / RELIABILITY, Sources(), "strongest", outlines)
            job.one(outlined)
            _, second = doubts_of(tmp_path / RELIABILITY, sample.id)
            assert (second.reliability == 1.0) == outlines and second.label == ("regions" if outlines else "boxes")

    def test_an_outline_that_is_covered_is_empty(self, dataset: Dataset, tmp_path: Path) -> None:
        sample = dataset.splits["train"][0]
        drawn = Drawn(regions=(Region(2, (48, 64), b"11"),))
        outlined = WeakSample(sample.id, sample.image_path, Tags(frozenset({2})), drawn)
        (found,) = self.judged(outlined, np.zeros((48, 64), np.uint8), tmp_path)
        assert (found.label, found.reliability, found.reasons) == ("regions", 0.0, (EMPTY,))

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.reliability.json").write_text('[{"class_id": 1}]')
        with pytest.raises(StoreError, match=r"a\.reliability\.json: says nothing of masks"):
            doubts_of(tmp_path, "a")


def test_the_list_has_a_row_for_each_class(dataset: Dataset, tmp_path: Path) -> None:
    sample = next(one for one in dataset.splits["train"] if one.tags.present)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 10:20] = 2
    TestJob().judged(WeakSample(sample.id, sample.image_path, Tags(frozenset({1}))), mask, tmp_path)
    write_list(
        tmp_path / "masks.csv", dataset.classes, [sample.id, "other"], tmp_path / RELIABILITY, tmp_path / "masks"
    )
    with (tmp_path / "masks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 2
    assert rows[0]["class"] == dataset.classes.names[0] and rows[0]["reasons"] == EMPTY
    assert rows[1]["share"] == "0.0326" and (tmp_path / rows[1]["mask"]).is_file()


def test_what_the_step_depends_on(dataset: Dataset) -> None:
    plan = METHODS["cam"].build(load_recipe("cam"), dataset)
    masks = next(step for step in plan if step.name == "masks")
    settings = reliability_step(dataset, plan, masks).settings
    assert settings["use"] == "tags" and set(settings["weights"]) == set(RUN_REGRESSIONS)  # others: judged anew
