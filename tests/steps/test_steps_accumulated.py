"""Runs whose activations were accumulated while the classifier learned."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import Activations
from weakseg.data.dataset import open_dataset
from weakseg.data.image import load_rgb
from weakseg.errors import ConfigError, StoreError
from weakseg.files import read_json
from weakseg.methods import METHODS
from weakseg.methods.label import label_images
from weakseg.methods.recipes import load_recipe
from weakseg.methods.run import run_recipe
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import TRAIN, StepContext
from weakseg.settings.activate import ActivateConfig
from weakseg.stages.accumulated import ACCUMULATED_FILE, AccumulatedMaps
from weakseg.stages.activate import activate_image
from weakseg.stages.classify import load_classifier

WORDS = [
    *FAST,
    "--classifier.accumulate=true",
    "--classifier.augment.warp=true",
    "--classifier.augment.long_side=null",
    "--classifier.backbone.name=vgg16_pool5_thin",
    "--classifier.backbone.output_stride=8",
    "--classifier.backbone.weights=none",
    "--segmenter.model.backbone.name=vgg16_pool5_thin",
    "--segmenter.model.backbone.weights=none",
    "--segmenter.model.backbone.output_stride=8",
    "--segmenter.fit.epochs=1",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen images without a part for validation, so that one is held out."""
    root = write_folder(tmp_path_factory.mktemp("accumulated") / "data", 14)
    tags = read_json(root / "tags.json") | read_json(root / "val.json")
    (root / "tags.json").write_text(json.dumps(tags))
    return root


def words(root: Path) -> list[str]:
    return [word for word in folder_arguments(root) if "--data.val" not in word] + WORDS


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "cam"
    assert not run_recipe(load_recipe("cam", words(root)), out, RunOptions(1, "cpu")).failures
    return out


def test_activations_are_those_that_were_accumulated(run: Path, root: Path) -> None:
    store = AccumulatedMaps.open(run / "classifier" / ACCUMULATED_FILE)
    files = sorted((run / "activations").glob("*.safetensors"))
    assert len(files) == 14 == len(store.index.images)
    for file in files:
        found, expected = Activations.load(file), store.activations(file.stem, 4)
        assert found.class_ids == expected.class_ids and found.image_size == (48, 64)
        np.testing.assert_allclose(found.values.numpy(), expected.values.numpy(), atol=1e-3)
    told = read_json(run / "classifier" / "manifest.json")["summary"]["accumulated"]
    assert told["none"] == 0 and sum(told[name] for name in ("trained", "last", "accepted")) == len(store.origins)


def test_it_is_done_again_where_maps_are_lost(run: Path, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, before = run / "classifier" / ACCUMULATED_FILE, (run / "classifier" / ACCUMULATED_FILE).read_bytes()
    file.write_bytes(before[:-5])
    with caplog.at_level(logging.INFO):
        run_recipe(load_recipe("cam", words(root)), run, RunOptions(2, "cpu"))
    assert "1 are missing or damaged: accumulated.safetensors; made anew" in caplog.text
    assert "activations: done before" in caplog.text
    assert file.read_bytes() == before


def test_new_photographs_get_activations_of_the_classifier(
    run: Path, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        found = label_images(run, root / "images", root / "tags.json", tmp_path / "out", RunOptions(1, "cpu"))
    assert not found.failures and "was not trained on these images; its activations are computed" in caplog.text
    other = Activations.load(tmp_path / "out" / "activations" / "i01.safetensors")
    assert not other.values.equal(Activations.load(run / "activations" / "i01.safetensors").values)


def test_a_store_of_another_list(run: Path, root: Path, tmp_path: Path) -> None:
    recipe = load_recipe("cam", words(root))
    dataset = open_dataset(recipe.data)
    step = next(s for s in METHODS["cam"].build(recipe, dataset) if s.name == "activations")
    store = AccumulatedMaps.open(run / "classifier" / ACCUMULATED_FILE)
    fewer = type(store.index).of(dataset.classes, store.index.images[1:])
    AccumulatedMaps(fewer).save(tmp_path / "classifier" / ACCUMULATED_FILE)
    context = StepContext(tmp_path, {"classifier": tmp_path / "classifier"}, RunOptions(1, "cpu").make_engine(), "cpu")
    first = min(sample.id for sample in dataset.splits[TRAIN])
    with pytest.raises(StoreError, match=f"was accumulated on another list, without image '{first}'"):
        step.work.run(context)


def test_there_is_no_training_to_accumulate_from(root: Path) -> None:
    recipe = load_recipe("cam", [*words(root), f"--activations.from_folder={root}"])
    with pytest.raises(ConfigError, match=r"classifier\.accumulate: with activations.from_folder there is no training"):
        METHODS["cam"].build(recipe, open_dataset(recipe.data))
    seam = [word for word in words(root) if word.startswith(("--data", "--classifier"))]
    recipe = load_recipe("a2gnn", [*seam, "--activations_of=seam", "--seeds.use=tags"])
    with pytest.raises(ConfigError, match=r"classifier\.accumulate: the activations are those of SEAM's classifier"):
        METHODS["a2gnn"].build(recipe, open_dataset(recipe.data))


def test_a_second_network_learns_what_was_accumulated(
    run: Path, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(run, tmp_path / "oaa")
    network = [word.replace("--classifier", "--network") for word in WORDS if word.startswith("--classifier")]
    network = [*(word for word in network if "accumulate" not in word), "--network.convolutions=1", "--integral=true"]
    with caplog.at_level(logging.INFO):
        found = run_recipe(load_recipe("oaa", [*words(root), *network]), tmp_path / "oaa", RunOptions(1, "cpu"))
    assert not found.failures and "classifier: done before" in caplog.text and "accumulated; scales" not in caplog.text
    model, _ = load_classifier(tmp_path / "oaa" / "integral" / MODEL_FILE)
    image = load_rgb(root / "images" / "i01.png")
    expected = activate_image(model, image, (1,), ActivateConfig(scales=(1.0, 0.5)))
    activations = Activations.load(tmp_path / "oaa" / "activations" / "i01.safetensors")
    np.testing.assert_allclose(activations.values.numpy(), expected.values.numpy(), atol=1e-3)
    options = RunOptions(1, "cpu")
    assert not label_images(tmp_path / "oaa", root / "images", root / "tags.json", tmp_path / "new", options).failures
    assert not (tmp_path / "new" / "classifier").exists()


def test_settings_that_do_nothing(root: Path) -> None:
    for more, message in (
        ("--network.threshold=0.1", "network: has no effect without integral; set integral to true"),
        ("--classifier.accumulate=false", "method 'oaa' accumulates; leave it true, or use method 'cam'"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_recipe("oaa", [*words(root), more])
