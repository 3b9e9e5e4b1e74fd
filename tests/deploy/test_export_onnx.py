"""Exported files do what the networks do that they were made of."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from exported_models import BACKBONE, SMALL, cone, write_classifier, write_segmenter  # noqa: F401 - the fixture
from generated import CLASSES
from weakseg.deploy.agreement import check_agreement, runner, single_scale
from weakseg.deploy.export import export_onnx
from weakseg.deploy.network import Given, load_exportable
from weakseg.deploy.pictures import picture
from weakseg.deploy.torch_file import PROPERTIES, export_torch
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.exported.described import Sides
from weakseg.nn.exported.file import read_onnx
from weakseg.nn.weights import save_model
from weakseg.settings.predict import PredictConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.stages.classify import load_classifier
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import load_predictor, load_segmenter

PSPNET = SegmenterConfig(BACKBONE, "pspnet", hidden=16)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(write_segmenter(tmp_path_factory.mktemp("exported") / "model.safetensors"), Sides(256, 300))


@pytest.fixture(scope="module")
def exported(given: Given) -> Path:
    path = given.path.with_suffix(".onnx")
    export_onnx(given, path, probabilities=True)
    return path


def test_what_goes_in_and_comes_out(given: Given, exported: Path) -> None:
    session, (segmenter, _) = onnxruntime.InferenceSession(exported), load_segmenter(given.path)
    images = np.stack([picture((310, 330), number) for number in range(2)])
    labels, logits, probabilities = session.run(["labels", "logits", "probabilities"], {"images": images})
    assert labels.shape == (2, 310, 330) and labels.dtype == np.uint8 and labels.max() <= 2
    assert logits.shape == (2, 3, 15, 16)  # of 240 x 256 pixels
    assert probabilities.shape == (2, 3, 282, 300)  # at which labels are decided
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    for image, mine in zip(images, labels, strict=True):
        assert (predict_image(segmenter, image, single_scale(given)).labels == mine).mean() >= 0.999
        assert len(np.unique(mine)) > 1
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["labels"]) == ["background", *CLASSES]
    assert json.loads(told["colours"]) == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    assert (told["kind"], told["stride"], told["max_side"], told["mask_side"]) == ("segmenter", "16", "256", "300")


@pytest.mark.parametrize("name", ["scales, mirror and CRF", "windows", "tiles"])
def test_predict_takes_the_file_in_place_of_the_network(name: str, given: Given, exported: Path) -> None:
    plain = PredictConfig(max_side=128, mask_side=128)
    config = {
        "scales, mirror and CRF": replace(plain, scales=(0.75, 1.0, 1.25), crf=True),
        "windows": replace(plain, scales=(1.0,), window=64, fusion="mean_logits"),
        "tiles": replace(plain, tiles=replace(plain.tiles, tile=64, overlap=16, beyond=100), tiles_for="labels"),
    }[name]
    image = picture((120, 130))
    network, classes = load_predictor(exported)
    found, wanted = (predict_image(one, image, config).labels for one in (network, load_segmenter(given.path)[0]))
    assert (found == wanted).mean() >= 0.999 and classes.names == CLASSES


def test_corners_of_a_pspnet(tmp_path: Path) -> None:
    """Heads that align corners see padding; the file adds it, and takes images that predict has padded."""
    given = Given(write_segmenter(tmp_path / "model.safetensors", PSPNET), Sides(256))
    agreement = export_onnx(given, tmp_path / "model.onnx")
    assert len(agreement.shares) == 4 and min(agreement.shares) >= 0.999
    config = replace(PredictConfig(), scales=(1.0, 0.5), max_side=150)
    found, wanted = (
        predict_image(load_predictor(path)[0], picture((97, 131)), config).labels
        for path in (tmp_path / "model.onnx", given.path)
    )
    assert (found == wanted).mean() >= 0.999
    images = torch.rand(1, 3, 49, 81) * 255
    with torch.inference_mode():
        exportable, plain = load_exportable(given)[0](images), load_segmenter(given.path)[0](images).logits
    torch.testing.assert_close(exportable, plain)
    with pytest.raises(ConfigError, match=r"padded until corners lie on cells .* take --format onnx"):
        export_torch(given, tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()


def test_a_classifier_says_what_and_where(tmp_path: Path) -> None:
    given = Given(write_classifier(tmp_path / "model.safetensors"), Sides(128))
    export_onnx(given, tmp_path / "tags.onnx")
    session, (model, _) = onnxruntime.InferenceSession(tmp_path / "tags.onnx"), load_classifier(given.path)
    image = picture((90, 101))
    scores, activations = session.run(["scores", "activations"], {"images": image[None]})
    assert scores.shape == (1, 2) and activations.shape == (1, 2, 23, 26)
    with torch.inference_mode():
        logits = model(torch.from_numpy(image).permute(2, 0, 1)[None].float()).logits
    np.testing.assert_allclose(scores, logits.sigmoid(), atol=1e-3)
    mirrored = session.run(["activations"], {"images": image[None, :, ::-1].copy()})[0]
    assert activations.min() >= 0 and activations.max() <= 1 and (mirrored != activations[..., ::-1]).any()
    with pytest.raises(CheckpointError, match="is a classifier, no segmenter"):
        load_predictor(tmp_path / "tags.onnx")
    with pytest.raises(ConfigError, match="--probabilities: is for segmenters"):
        export_onnx(given, tmp_path / "again.onnx", probabilities=True)
    assert not (tmp_path / "again.onnx").exists()


@pytest.mark.parametrize("export", [export_onnx, export_torch])
def test_what_cannot_be_exported_says_why(export: Callable[..., object], tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, torch.nn.Linear(1, 1), {"kind": "affinities", "classes": CLASSES})
    with pytest.raises(CheckpointError, match="is a affinities; segmenters"):
        export(Given(path), tmp_path / "model.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_tree_has_so_many_cells_at_most(tmp_path: Path) -> None:
    path = write_segmenter(tmp_path / "model.safetensors", SegmenterConfig(BACKBONE, "tree", hidden=16))
    with pytest.raises(ConfigError, match=r"65536 cells at most, .* 4097 pixels .* give --max-side 4096 or less"):
        export_onnx(Given(path, Sides(4097)), tmp_path / "model.onnx")


def test_a_file_of_another_network_is_told(given: Given, exported: Path, tmp_path: Path) -> None:
    other = Given(write_segmenter(tmp_path / "other.safetensors", replace(SMALL, hidden=9)), given.sides)
    _, described = read_onnx(exported)
    with pytest.raises(CheckpointError, match=r"is not the network: it agrees with torch on [0-9.]+ % at 131 x 97"):
        check_agreement(runner(exported.read_bytes(), described, "a file"), other, described)


def test_torch_export_gives_the_same_labels(given: Given, tmp_path: Path) -> None:
    assert min(export_torch(given, tmp_path / "model.pt2").shares) >= 0.999
    extra = {PROPERTIES: ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    image = picture((70, 85))
    labels, logits = program.module()(torch.from_numpy(image)[None])
    wanted = predict_image(load_segmenter(given.path)[0], image, single_scale(given))
    assert (labels[0].numpy() == wanted.labels).mean() >= 0.999 and logits.shape == (1, 3, 5, 6)
    assert json.loads(json.loads(extra[PROPERTIES])["labels"]) == ["background", *CLASSES]
