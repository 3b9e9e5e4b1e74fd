"""The steps to proposals and seeds: keys, what is counted, and what stays as it was without a proposer."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from generated import draw
from tiny_sam import save_tiny, tiny_sam2
from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.annotations import Box, Drawn, Point
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.pipeline.keys import settings_that_count, step_keys
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Step, StepContext, StepResult
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.box_seeds import box_seeds
from weakseg.stages.proposers.kept import asked_of, load_asked
from weakseg.stages.proposers.sam import SamProposer
from weakseg.stages.stroke_seeds import stroke_seeds
from weakseg.stages.weak_seeds import SeedParts, weak_seeds
from weakseg.steps.proposals import proposal_steps, proposer_of
from weakseg.steps.weak_seeds import weak_seeds_step

TWICE = Box(2, 60, 80, 61, 82)
BOXES = Drawn(boxes=(Box(1, 8, 6, 40, 34), TWICE, TWICE), points=(Point(1, 20.5, 20.5),))
NEW = {"proposer", "proposer_file", "proposer_device", "prompts"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tiny_sam2(), tmp_path_factory.mktemp("sam") / "tiny")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two photographs with boxes, of which one is tiny, and there twice."""
    samples = []
    for index in (1, 2):
        path = tmp_path / f"i{index}.png"
        Image.fromarray(draw(index, (72, 96))[0]).save(path)
        samples.append(WeakSample(f"i{index}", path, Tags(frozenset({1, 2})), BOXES))
    return Dataset(Classes(("disc", "square")), {"train": tuple(samples)})


def proposing(folder: Path | str, **more: Any) -> WeakSeedConfig:
    boxes = BoxSeedConfig(proposer="sam2", proposer_file=str(folder))
    return WeakSeedConfig(**{"boxes": boxes, "boxes_as": "segments", **more})


def key(dataset: Dataset, config: WeakSeedConfig) -> dict[str, str]:
    return step_keys(steps_of(dataset, config), "")


def steps_of(dataset: Dataset, config: WeakSeedConfig) -> list[Step]:
    return [*proposal_steps(dataset, config), weak_seeds_step(dataset, config, activations=False)]


def carried_out(dataset: Dataset, config: WeakSeedConfig, root: Path) -> dict[str, StepResult]:
    engine, found = RunOptions(1, "cpu").resolve().make_engine(), {}
    for step in steps_of(dataset, config):
        context = StepContext(root / step.name, {name: root / name for name in step.needs}, engine, "cpu")
        found[step.name] = step.work.run(context)
    return found


def test_settings_of_before_are_the_settings_of_now() -> None:
    """Their step keys are those of before: no new name is counted."""
    settings = asdict(WeakSeedConfig())
    before = {**settings, "boxes": {name: one for name, one in settings["boxes"].items() if name not in NEW}}
    assert settings_that_count(settings) == settings_that_count(before)
    assert NEW - {"proposer_device"} <= set(settings["boxes"])


def test_keys_cover_the_content_of_a_checkpoint(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    config = proposing(folder)
    copy, before = Path(shutil.copytree(folder, tmp_path / "copy")), key(dataset, config)
    assert key(dataset, proposing(copy)) == before
    assert before["seeds"] != key(dataset, WeakSeedConfig(boxes_as="segments"))["seeds"]
    cuda = replace(config, boxes=replace(config.boxes, proposer_device="cuda"))
    told = replace(config, boxes=replace(config.boxes, prompts="boxes"))
    assert key(dataset, cuda) == before and key(dataset, told)["proposals"] != before["proposals"]
    others = key(dataset, replace(config, boxes_as="checked", boxes=replace(config.boxes, contested="undecided")))
    assert others["proposals"] == before["proposals"] and others["seeds"] != before["seeds"]  # nobody is asked again
    with (copy / "config.json").open("a") as file:
        file.write("\n")
    assert key(dataset, proposing(copy))["proposals"] != before["proposals"]
    names = [key(dataset, proposing(name))["seeds"] for name in ("some/name", "other/name")]
    assert names[0] != names[1]


def test_seeds_and_what_is_said_of_them(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    config = proposing(folder)
    results = carried_out(dataset, config, tmp_path)
    found = [box_seeds(BOXES.boxes, draw(n, (72, 96))[0], config.boxes, marks=BOXES) for n in (1, 2)]
    for number, one in enumerate(found, start=1):
        np.testing.assert_array_equal(LabelMap.load(tmp_path / "seeds" / f"i{number}.png").labels, one.labels.labels)
        assert load_asked(tmp_path / "proposals" / f"i{number}.proposals.json") == asked_of(one.found)
    told = results["proposals"].summary
    failed = [answer.failure for one in found for answer in one.found.values() if answer.failure]
    assert told["proposer"] == "sam2" and told["images"] == 2 and told["objects"] == 4
    assert told["failures"]["tiny"] == 2 and sum(told["failures"].values()) == len(failed)
    (warning,) = told["warnings"]
    assert warning.startswith(f"proposals: sam2 has no mask for {len(failed)} of 4 objects (")
    assert proposer_of(steps_of(dataset, config), "seeds") == {"name": "sam2", "file": "tiny"}


def test_seeds_ask_nobody(dataset: Dataset, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image is encoded once, however many steps make seeds of it."""
    encoded, encode = [], SamProposer.encode
    monkeypatch.setattr(SamProposer, "encode", lambda self, pixels: encoded.append(1) or encode(self, pixels))
    config = proposing(folder)
    carried_out(dataset, config, tmp_path)
    other = weak_seeds_step(dataset, replace(config, boxes_as="checked"), activations=False, name="more")
    engine = RunOptions(1, "cpu").resolve().make_engine()
    other.work.run(StepContext(tmp_path / "more", {"proposals": tmp_path / "proposals"}, engine, "cpu"))
    assert len(encoded) == 2


def test_what_was_not_proposed_makes_no_seeds(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    config = proposing(folder)
    carried_out(dataset, config, tmp_path)
    (tmp_path / "proposals" / "i1.proposals.json").write_text("{}")
    (tmp_path / "seeds" / "i1.png").unlink()
    seeds = weak_seeds_step(dataset, config, activations=False)
    engine = RunOptions(1, "cpu").resolve().make_engine()
    result = seeds.work.run(StepContext(tmp_path / "seeds", {"proposals": tmp_path / "proposals"}, engine, "cpu"))
    (failure,) = result.failures
    assert failure.image_id == "i1" and "does not say what was proposed" in failure.reason


def test_grabcut_has_no_step_of_its_own(dataset: Dataset, tmp_path: Path) -> None:
    config = WeakSeedConfig(boxes_as="segments")
    assert [step.name for step in steps_of(dataset, config)] == ["seeds"]
    assert proposer_of(steps_of(dataset, config), "seeds") == {}
    tags = proposing("some/name", use="tags")
    assert [step.name for step in steps_of(dataset, tags)] == ["seeds"]


def test_a_missing_checkpoint_is_said_before_anything_runs(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="proposer_file: nowhere is no folder"):
        proposal_steps(dataset, proposing("nowhere"))


def test_a_checkpoint_that_cannot_be_loaded_ends_the_step(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="copy: cannot be loaded as 'sam2'"):
        carried_out(dataset, proposing(copy), tmp_path)


def test_strokes_by_a_proposer(folder: Path) -> None:
    """Over what superpixels say lie masks; over these the marks themselves."""
    image, parts = draw(1, (72, 96))[0], SeedParts()
    drawn = Drawn(points=(Point(1, 20.5, 20.5), Point(0, 70.5, 90.5)))
    config = proposing(folder, strokes_as="proposer", boxes_as="agreed")
    labels = weak_seeds(drawn, image, None, config, parts=parts).labels
    assert parts.proposed is not None and asked_of(parts.answers).objects == 1
    masks = parts.proposed.labels.labels
    rest = stroke_seeds(parts.proposed.left(drawn), image, config.strokes).labels
    assert labels[20, 20] == 1 and labels[70, 90] == 0
    expected = np.where(masks == UNDECIDED, rest, masks)
    expected[20, 20], expected[70, 90] = 1, 0
    np.testing.assert_array_equal(labels, expected)


def test_settings_that_nobody_would_look_at(folder: Path) -> None:
    with pytest.raises(ConfigError, match="'grabcut' takes boxes alone"):
        WeakSeedConfig(strokes_as="proposer")
    with pytest.raises(ConfigError, match=r"'sam2' has no effect with seeds\.boxes_as 'filled'"):
        proposing(folder, boxes_as="filled")
    proposing(folder, boxes_as="filled", strokes_as="proposer")
