"""Whole runs with plain vision transformers, on photographs of the sizes of MSRC and VOC."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import CLASSES, draw, folder_arguments
from tiny_transformers import DINOV2, enter
from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.cli.main import main

SIZES = {"a": (213, 320), "b": (375, 500), "c": (320, 213)}  # c is held out
METHODS = {
    "wsgcn-i": ("boundary", DINOV2, 14),
    "wsgcn-p": ("affinity", "test_vit", 16),
}
FAST = (
    "--classifier.fit.epochs=1",
    "--classifier.augment.long_side=[96,128]",
    "--classifier.augment.crop=96",
    "--activations.scales=[1.0,0.5]",
    "--seeds.crf.iterations=1",
    "--completion.gcn.steps=10",
    "--completion.partial.crf.iterations=1",
    "--completion.partial.min_seeds=2",
    "--graph.radius_cells=2",
    "--masks.crf.iterations=0",
    "--segmenter.fit.epochs=1",
    "--segmenter.augment.long_side=[96,128]",
    "--segmenter.augment.crop=96",
    "--predictions.scales=[1.0]",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs")
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    tags = {}
    for index, (name, (rows, columns)) in enumerate(SIZES.items(), start=1):
        image, mask = (
            Image.fromarray(array).resize((columns, rows), Image.Resampling.NEAREST) for array in draw(index)
        )
        image.save(root / f"images/{name}.png")
        LabelMap(np.asarray(mask)).save(root / f"masks/{name}.png")
        tags[f"{name}.png"] = [CLASSES[label - 1] for label in np.unique(mask) if label]
    val = {"c.png": tags.pop("c.png")}
    (root / "tags.json").write_text(json.dumps(tags))
    (root / "val.json").write_text(json.dumps(val))
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


@pytest.mark.parametrize("method", METHODS)
def test_from_tags_to_masks_and_a_segmenter(
    method: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch)
    network, name, stride = METHODS[method]
    words = ["run", method, "--out", str(tmp_path / "out"), "--workers", "1", *folder_arguments(data), *FAST]
    for section in ("classifier", network, "segmenter.model"):
        words += [
            f"--{section}.backbone.{word}" for word in (f"name={name}", f"output_stride={stride}", "weights=none")
        ]
    words += [f"--{network}.{word}" for word in ("fit.epochs=1", "augment.long_side=[96,128]", "augment.crop=96")]
    assert main([*words, *(["--readings.crf.iterations=1"] if network == "affinity" else [])]) == 0
    for image_id, size in SIZES.items():
        held_out = image_id == "c"
        mask = LabelMap.load(tmp_path / "out" / ("predictions" if held_out else "masks") / f"{image_id}.png")
        assert mask.labels.shape == size
        if not held_out:
            found = Activations.load(tmp_path / f"out/activations/{image_id}.safetensors")
            assert found.values.shape[1:] == (-(-size[0] // 4), -(-size[1] // 4)) and len(found.values)
            assert set(found.values.amax((1, 2)).tolist()) <= {0.0, 1.0}  # zeros: no evidence for a class
            scores = Scores.load(tmp_path / f"out/completed/{image_id}.safetensors")
            assert set(scores.label_ids) == {0, *found.class_ids} and scores.image_size == size
            assert mask.label_ids <= set(scores.label_ids)
