"""The step to sparse seeds: what its key covers, what it says, and images without maps or with bad ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.saliency import save_map
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, DataError
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.run import check_saliency_is_read
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Role, StepContext, StepResult
from weakseg.settings.area_seeds import AreaSeedConfig
from weakseg.settings.saliency import SaliencyConfig
from weakseg.steps.area_seeds import area_seeds_step
from weakseg.steps.saliency import saliency_step

SALIENT, FILES = AreaSeedConfig(background="saliency"), SaliencyConfig()
SIZE = (8, 12)


def write_maps(root: Path) -> Dataset:
    """Three photographs of class 1 at the left; maps for two, of which one is of another form."""
    left = torch.zeros(1, *SIZE)
    left[..., :3] = 0.8
    samples = []
    for name in "abc":
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / f"{name}.jpg")
        Activations(left, (1,), SIZE, stride=1).save(root / "activations" / f"{name}.safetensors")
        samples.append(WeakSample(name, root / f"{name}.jpg", Tags(frozenset({1}))))
    (root / "maps").mkdir()
    saliency = np.zeros(SIZE, np.uint8)
    saliency[:, :9] = 255
    Image.fromarray(saliency).save(root / "maps" / "a.png")
    Image.fromarray(saliency.T).save(root / "maps" / "b.png")
    mapped = [replace(sample, saliency=root / "maps" / f"{sample.id}.png") for sample in samples[:2]]
    return Dataset(Classes(("cat",)), {"train": (*mapped, samples[2])})


def carried_out(root: Path, dataset: Dataset, config: AreaSeedConfig) -> tuple[StepResult, StepResult | None]:
    """Carry out the step, and before it, where it reads them, that to the saliency maps."""
    inputs, engine, mapped = {"activations": root / "activations"}, RunOptions(1, "cpu").resolve().make_engine(), None
    if config.background == "saliency":
        inputs["saliency"] = root / "saliency"
        work = saliency_step(dataset, FILES, every=False).work
        mapped = work.run(StepContext(root / "saliency", {}, engine, "cpu"))
    step = area_seeds_step(dataset, config, FILES)
    assert (step.name, step.role) == ("seeds", Role.SEEDS) and step.needs.keys() == inputs.keys()
    return step.work.run(StepContext(root / "seeds", inputs, engine, "cpu")), mapped


def test_maps_where_there_are_any(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found, mapped = carried_out(tmp_path, write_maps(tmp_path), SALIENT)
    assert LabelMap.load(tmp_path / "seeds" / "a.png").labels[0].tolist() == [1] * 3 + [255] * 6 + [0] * 3
    assert LabelMap.load(tmp_path / "seeds" / "c.png").labels[0].tolist() == [1] * 3 + [0] * 9
    assert mapped is not None
    (failure,) = mapped.failures
    assert failure.image_id == "b" and "rows and columns are exchanged; turn it" in failure.reason
    (failure,) = found.failures
    assert failure.image_id == "b" and "b.png: no such saliency map" in failure.reason
    assert found.summary["seed_counts"]["pixels"] == {"background": 3 * 8 + 9 * 8, "cat": 6 * 8}
    assert found.summary["seed_counts"]["without_map"] == 1 and found.summary["images"] == 2
    assert found.summary["warnings"] == ["seeds: no saliency map, so that low activations are background: c"]
    assert found.summary["warnings"][0] in caplog.messages


def test_low_activations_alone(tmp_path: Path) -> None:
    found, _ = carried_out(tmp_path, write_maps(tmp_path), AreaSeedConfig())
    assert not found.failures and found.summary["seed_counts"]["background"] == "activations"
    assert found.summary["warnings"] == []
    assert LabelMap.load(tmp_path / "seeds" / "b.png").labels[0].tolist() == [1] * 3 + [0] * 9


def test_a_detector_leaves_no_image_to_its_activations(tmp_path: Path) -> None:
    dataset = write_maps(tmp_path)
    bare = [replace(sample, saliency=None) for sample in dataset.splits["train"]]
    dataset = replace(dataset, splits={"train": tuple(bare)})
    inputs = {"activations": tmp_path / "activations", "saliency": tmp_path / "saliency"}
    save_map(tmp_path / "saliency" / "a.png", np.zeros(SIZE, np.float32))
    step = area_seeds_step(dataset, SALIENT, SaliencyConfig("spectral"))
    found = step.work.run(StepContext(tmp_path / "seeds", inputs, RunOptions(1, "cpu").resolve().make_engine(), "cpu"))
    assert [failure.image_id for failure in found.failures] == ["b", "c"]
    assert found.summary["seed_counts"]["without_map"] == 0


def test_maps_that_nobody_reads_and_readers_without_maps(tmp_path: Path) -> None:
    dataset = write_maps(tmp_path)
    bare = replace(dataset, splits={"train": dataset.splits["train"][2:]})
    with pytest.raises(DataError, match=r"saliency: no training image has a map; add them as ID\.png"):
        carried_out(tmp_path, bare, SALIENT)
    plain = CamRecipe()
    reader = replace(plain, method="reader", seeds=SALIENT)  # type: ignore[arg-type]
    mapped = replace(plain.data, saliency="maps")
    assert reader.reads_saliency and not plain.reads_saliency
    check_saliency_is_read([plain])
    check_saliency_is_read([replace(plain, data=mapped), replace(reader, data=mapped)])
    with pytest.raises(ConfigError, match=r"data\.saliency: no step of method 'cam' reads saliency maps"):
        check_saliency_is_read([replace(plain, data=mapped)])
    with pytest.raises(ConfigError, match=r"background: 'saliency' needs maps for method 'reader'; set data\.saliency"):
        check_saliency_is_read([plain, reader])
    detected = replace(reader, saliency=SaliencyConfig("spectral"))
    check_saliency_is_read([plain, detected])
    check_saliency_is_read([replace(one, data=mapped) for one in (plain, reader, detected)])
    with pytest.raises(ConfigError, match=r"data\.saliency: the maps of detector 'spectral' are read, and no files"):
        check_saliency_is_read([replace(detected, data=mapped)])
    with pytest.raises(ConfigError, match=r"^saliency: no step of method 'cam' reads saliency maps; leave it out"):
        replace(plain, saliency=SaliencyConfig("spectral"))


def test_maps_that_look_inverted_are_in_the_report(tmp_path: Path) -> None:
    dark = np.full(SIZE, 250, np.uint8)
    dark[3:5, 4:8] = 10
    left = torch.zeros(1, *SIZE)
    left[..., :3] = 0.8
    samples = []
    for name in "abcdef":
        for folder, values in (("images", np.zeros((*SIZE, 3), np.uint8)), ("maps", dark)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(values).save(tmp_path / folder / f"{name}.png")
        Activations(left, (1,), SIZE, stride=1).save(tmp_path / "activations" / f"{name}.safetensors")
        image, saliency = (tmp_path / folder / f"{name}.png" for folder in ("images", "maps"))
        samples.append(WeakSample(name, image, Tags(frozenset({1})), saliency=saliency))
    mapped = carried_out(tmp_path, Dataset(Classes(("cat",)), {"train": tuple(samples)}), SALIENT)[1]
    assert mapped is not None
    warnings = mapped.summary["warnings"]
    assert [text for text in warnings if text.startswith("saliency: on 6 of 6 maps") and "are they inverted?" in text]
