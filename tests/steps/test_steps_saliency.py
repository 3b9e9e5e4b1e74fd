"""Steps to saliency maps and to the seeds that they make with activations: keys, counts, and what is missing."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from generated import draw
from weakseg.artifacts import Activations, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.saliency import load_map, save_map
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError, DataError, ShapeError
from weakseg.evaluation.protocol import described_saliency
from weakseg.pipeline.keys import step_keys
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Kind, Step, StepContext, StepResult
from weakseg.settings.saliency import FusionConfig, SaliencyConfig
from weakseg.settings.seed import SeedConfig
from weakseg.steps.saliency import check_weights, saliency_of, saliency_step
from weakseg.steps.seed import reading_steps, seeds_step

SALIENT = SeedConfig("saliency")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three photographs: a disc, a square, both; maps of the first two, of which one is half as large."""
    samples = []
    for index in (1, 2, 3):
        image, mask = draw(index)
        path = tmp_path / "images" / f"i{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
        ids = tuple(int(label) for label in np.unique(mask) if label)
        values = torch.stack([torch.from_numpy((mask == label).astype(np.float32))[::4, ::4] for label in ids])
        Activations(values, ids, mask.shape).save(tmp_path / "activations" / f"i{index}.safetensors")
        saliency = tmp_path / "maps" / f"i{index}.png"
        saliency.parent.mkdir(exist_ok=True)
        if index < 3:
            Image.fromarray(np.uint8(mask > 0)[::index, ::index] * 200).save(saliency)
        sample = WeakSample(f"i{index}", path, Tags(frozenset(ids)), saliency=saliency if index < 3 else None)
        samples.append(sample)
    return Dataset(Classes(("disc", "square")), {"train": tuple(samples)})


def carried_out(step: Step, root: Path) -> StepResult:
    inputs = {name: root / name for name in step.needs}
    return step.work.run(StepContext(root / step.name, inputs, RunOptions(1, "cpu").resolve().make_engine(), "cpu"))


def key(step: Step) -> str:
    return step_keys([step], "")[step.name]


class TestMaps:
    def test_of_a_detector(self, dataset: Dataset, tmp_path: Path) -> None:
        step = saliency_step(dataset, SaliencyConfig("spectral"))
        assert (step.name, step.kind, dict(step.needs)) == ("saliency", Kind.SALIENCY, {})
        assert carried_out(step, tmp_path).summary == {"images": 3, "warnings": []}
        for index in (1, 2, 3):
            found = load_map(tmp_path / "saliency" / f"i{index}.png")
            assert (found.dtype, found.shape, found.min(), found.max()) == (np.float32, (48, 64), 0, 1)

    def test_of_files(self, dataset: Dataset, tmp_path: Path) -> None:
        found = carried_out(saliency_step(dataset, SaliencyConfig(), every=False), tmp_path)
        assert found.summary["images"] == 2
        assert found.summary["warnings"] == [
            "saliency: 1 of 2 maps are of another size than the photograph, and resized"
        ]
        mapped = load_map(tmp_path / "saliency" / "i2.png")
        assert mapped.shape == (48, 64) and mapped.max() == pytest.approx(200 / 255)
        missing = "saliency: no map of 1 of 3 training images: i3; add them as ID.png to the folder of data.saliency"
        with pytest.raises(DataError, match=missing):
            carried_out(saliency_step(dataset, SaliencyConfig()), tmp_path / "other")
        assert not (tmp_path / "other").exists()

    def test_keys_count_detector_weights_and_maps(self, dataset: Dataset, tmp_path: Path) -> None:
        first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
        for path in (first, second):
            path.write_bytes(b"weights")
        steps = [saliency_step(dataset, SaliencyConfig("u2netp", str(path))) for path in (first, second)]
        before = key(steps[0])
        assert before == key(steps[1])  # where a file lies does not count
        second.write_bytes(b"Weights")
        assert key(steps[1]) != before
        keys = {key(saliency_step(dataset, SaliencyConfig(kind))) for kind in ("files", "spectral", "fine_grained")}
        assert len(keys | {before}) == 4
        files = key(saliency_step(dataset, SaliencyConfig()))
        Image.fromarray(np.full((48, 64), 9, np.uint8)).save(tmp_path / "maps" / "i1.png")
        assert key(saliency_step(dataset, SaliencyConfig())) != files

    def test_weights_of_the_cache(
        self, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data: Path
    ) -> None:
        monkeypatch.setenv("WEAKSEG_CACHE", str(tmp_path / "cache"))
        config, place = SaliencyConfig("u2netp"), tmp_path / "cache" / "weights" / "u2netp.onnx"
        check_weights(SaliencyConfig("spectral"))
        check_weights(SaliencyConfig("u2netp", "own.onnx"))
        with pytest.raises(ConfigError, match=r"u2netp\.onnx: is not there; weakseg weights get u2netp fetches it"):
            check_weights(config)
        assert saliency_step(dataset, config).settings["file"] == str(place)  # a plan can be made without them
        place.parent.mkdir(parents=True)
        place.write_bytes(b"cut")
        with pytest.raises(CheckpointError, match="is damaged; weakseg weights get u2netp fetches it anew"):
            check_weights(config)
        with pytest.raises(CheckpointError, match="cannot be read as ONNX file of U2-Net"):
            carried_out(saliency_step(dataset, config), tmp_path)
        shutil.copyfile(real_data / "saliency" / "u2netp.onnx", place)
        check_weights(config)
        one = replace(dataset, splits={"train": dataset.splits["train"][:1]})
        assert carried_out(saliency_step(one, config), tmp_path).summary["images"] == 1
        assert load_map(tmp_path / "saliency" / "i1.png")[draw(1)[1] > 0].mean() > 0.8

    def test_maps_as_they_are_kept(self, tmp_path: Path) -> None:
        values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
        for factor in (1, 1 / 255, 0):  # few levels are fine in what a step has made
            save_map(tmp_path / "a.png", values * np.float32(factor))
            np.testing.assert_allclose(load_map(tmp_path / "a.png"), values * factor, atol=0.5 / 255 + 1e-6)
        with pytest.raises(ShapeError, match=r"saliency: expected finite values in \[0, 1\]"):
            save_map(tmp_path / "a.png", values * 255)
        with pytest.raises(DataError, match=r"b\.png: no such saliency map; the step before has to make it first"):
            load_map(tmp_path / "b.png")
        LabelMap(np.zeros((3, 4), np.uint8)).save(tmp_path / "c.png")
        with pytest.raises(DataError, match=r"c\.png: a step's saliency map is an 8-bit grey PNG, got mode P"):
            load_map(tmp_path / "c.png")


class TestSeeds:
    def test_what_they_hold_and_what_the_rules_did(self, dataset: Dataset, tmp_path: Path) -> None:
        for index in (1, 2, 3):
            mask = draw(index)[1]
            save_map(
                tmp_path / "saliency" / f"i{index}.png", np.float32((mask == 1) * 0.9)
            )  # the square is not salient
        step = seeds_step(dataset, SALIENT)
        assert dict(step.needs) == {"activations": Kind.ACTIVATIONS, "saliency": Kind.SALIENCY}
        found: dict[str, Any] = dict(carried_out(step, tmp_path).summary)
        assert found["images"] == 3 and found["fusion"]["pixels"] == 3 * 48 * 64
        assert found["fusion"]["conflict"] > 0 and found["fusion"]["voided"] == 1
        counts = found["seed_counts"]
        assert (counts["background"], counts["without_seed"]["square"], counts["without_map"]) == ("saliency", 2, 0)
        assert "seeds: too little of a class, so that nothing is decided: i2" in found["warnings"]
        assert any("images that show a class and have no seed of it: square on 2" in text for text in found["warnings"])
        disc = LabelMap.load(tmp_path / "seeds" / "i1.png").labels
        assert (disc[draw(1)[1] == 1] == 1).mean() > 0.8 and (disc[:, 40:] == 0).all()
        assert (LabelMap.load(tmp_path / "seeds" / "i2.png").labels == 255).all()

    def test_an_image_without_a_map_fails_and_is_made_when_it_is_there(self, dataset: Dataset, tmp_path: Path) -> None:
        for index in (1, 2):
            save_map(tmp_path / "saliency" / f"i{index}.png", np.float32(draw(index)[1] > 0))
        (failure,) = carried_out(seeds_step(dataset, SALIENT), tmp_path).failures
        assert failure.image_id == "i3" and "i3.png: no such saliency map" in failure.reason
        save_map(tmp_path / "saliency" / "i3.png", np.float32(draw(3)[1] > 0))
        (tmp_path / "seeds" / "fusion" / "i1.json").unlink()
        found = carried_out(seeds_step(dataset, SALIENT), tmp_path)
        assert not found.failures and found.summary["fusion"]["pixels"] == 3 * 48 * 64

    def test_keys_count_what_is_read(self, dataset: Dataset) -> None:
        plan = [saliency_step(dataset, SaliencyConfig("spectral"))]
        same, other = (
            seeds_step(dataset, config).settings
            for config in (replace(SALIENT, strict=0.6), replace(SALIENT, fusion=FusionConfig(floor=0.3)))
        )
        assert seeds_step(dataset, SALIENT).settings == same != other
        assert "fusion" not in seeds_step(dataset, SeedConfig()).settings
        assert saliency_of([*plan, seeds_step(dataset, SALIENT)], "saliency") == {}

    def test_settings_that_do_nothing_are_said(self, dataset: Dataset, tmp_path: Path) -> None:
        for index in (1, 2, 3):
            save_map(tmp_path / "saliency" / f"i{index}.png", np.float32(draw(index)[1] > 0))
        summary = carried_out(seeds_step(dataset, replace(SALIENT, strict=0.6)), tmp_path).summary
        assert summary["warnings"] == ["seeds: with background 'saliency' strict do nothing; fusion counts"]

    def test_readings_have_no_map(self, dataset: Dataset) -> None:
        with pytest.raises(ConfigError, match=r"readings\.background: 'threshold' or 'power', got 'saliency'"):
            reading_steps(dataset, SALIENT)


@pytest.mark.parametrize(
    ("detector", "learned", "words"),
    [
        ("u2netp", True, "tags + saliency: u2netp (own.onnx), which learned from masks of pixels that people drew"),
        ("files", True, "tags + saliency: maps of files, whose maker may have learned from masks of pixels"),
        ("spectral", False, "saliency: spectral, which learned nothing"),
    ],
)
def test_what_results_say(detector: Any, learned: bool, words: str, dataset: Dataset) -> None:
    config = SaliencyConfig(detector, "folder/own.onnx" if detector == "u2netp" else "")
    source = replace(seeds_step(dataset, SeedConfig()), name="activations", kind=Kind.ACTIVATIONS, needs={})
    plan = [saliency_step(dataset, config), source, seeds_step(dataset, SALIENT)]
    told = saliency_of(plan, "seeds")
    assert (told["detector"], told["learned_from_masks"]) == (detector, learned)
    assert described_saliency(told) == words and saliency_of(plan, "activations") == {}
