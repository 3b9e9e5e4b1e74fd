"""Which images a tag classifier learns from, and what is doubtful about it."""

from pathlib import Path
from typing import Any

import pytest

from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.sample import Tags, WeakSample
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.plan import StepContext
from weakseg.settings.classify import ClassifierConfig
from weakseg.steps.classify import classifier_step, hold_out


def dataset_of(train: int, val: int = 0) -> Dataset:
    names = [f"i{number:02}" for number in range(train + val)]
    samples = [WeakSample(name, Path(f"{name}.png"), Tags(frozenset({1}))) for name in names]
    return Dataset(Classes(("cat",)), {"train": tuple(samples[:train]), "val": tuple(samples[train:])})


class TestHoldOut:
    def test_a_tenth_where_there_is_no_val(self) -> None:
        dataset = dataset_of(30)
        learned, measured = hold_out(dataset, 0)
        assert (len(learned), len(measured)) == (27, 3)
        assert sorted(s.id for s in (*learned, *measured)) == [s.id for s in dataset.splits["train"]]

    def test_it_depends_on_seed_and_ids_and_on_no_order(self) -> None:
        dataset = dataset_of(30)
        turned = Dataset(dataset.classes, {"train": dataset.splits["train"][::-1]})
        held = [{s.id for s in hold_out(d, seed)[1]} for d, seed in ((dataset, 0), (turned, 0), (dataset, 1))]
        assert held[0] == held[1] != held[2]

    def test_none_of_few_or_where_there_is_a_val(self) -> None:
        few, with_val = dataset_of(9), dataset_of(20, 2)
        assert hold_out(few, 0) == (few.splits["train"], ())
        assert hold_out(with_val, 0) == (with_val.splits["train"], with_val.splits["val"])


@pytest.mark.parametrize(
    ("value", "warned"),
    [
        (float("nan"), "mAP could not be measured"),
        (12.0, "validation mAP is 12.0 %, under 50 %: activations mean little"),
        (50.0, ""),
    ],
)
def test_a_doubtful_classifier_is_said_in_manifest_and_log(
    value: float, warned: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def train(*samples: object, **settings: object) -> list[dict[str, Any]]:
        return [{"mAP": 0.0, "loss": 9.0}, {"mAP": value, "loss": 0.5}]

    step = classifier_step(dataset_of(4), ClassifierConfig(warn_below=50.0), 0, train=train)
    result = step.work.run(StepContext(tmp_path, {}, LocalEngine(), "cpu"))
    assert result.summary["loss"] == 0.5
    assert len(result.summary["warnings"]) == bool(warned)
    assert all(warned in text and text in caplog.text for text in result.summary["warnings"])
