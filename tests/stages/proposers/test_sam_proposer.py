"""SAM 2 and SAM 3 of transformers, tiny and with random weights: what they answer, and checkpoints that are wrong."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from generated import draw
from tiny_sam import save_tiny, tiny_sam2, tiny_sam3
from weakseg.data.annotations import Box, Drawn, Point
from weakseg.errors import CheckpointError, ConfigError, StoreError
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.box_seeds import box_seeds, look_of
from weakseg.stages.proposers import build_proposer, check_proposer, forget_proposers
from weakseg.stages.proposers.sam import SamProposer

TINY: dict[str, Callable[[], tuple[Any, Any]]] = {"sam2": tiny_sam2, "sam3": tiny_sam3}
IMAGE = draw(3, (96, 120))[0]
BOXES = np.array([[10.0, 20, 60, 90]])
POINTS, SIGNS = np.array([[[30.0, 40], [50, 80]]]), np.array([[1, 0]])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save_tiny(make(), tmp_path_factory.mktemp(name) / "tiny") for name, make in TINY.items()}


def config(folder: Path, name: Any = "sam2") -> BoxSeedConfig:
    return BoxSeedConfig(proposer=name, proposer_file=str(folder))


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("asked", ["box", "points", "box and points"])
def test_masks_are_those_of_transformers(name: str, asked: str) -> None:
    """By its own call, without features that are kept."""
    model, processor = TINY[name]()
    proposer = SamProposer(model, processor, "cpu")
    boxes, points = BOXES if "box" in asked else None, POINTS if "points" in asked else None
    found = proposer.propose(proposer.encode(IMAGE), boxes, points, None if points is None else SIGNS)
    told: dict[str, Any] = {"input_boxes": [[[20.0, 10.0, 90.0, 60.0]]]} if "box" in asked else {}
    if "points" in asked:
        told |= {"input_points": [[[[40.0, 30.0], [80.0, 50.0]]]], "input_labels": [[[1, 0]]]}
    inputs = processor(images=IMAGE, return_tensors="pt", **told)
    with torch.no_grad():
        expected = model(**inputs)
    (masks,) = processor.post_process_masks(expected.pred_masks, inputs["original_sizes"])
    assert found.masks.shape == (1, 3, 96, 120) and found.scores.shape == (1, 3)
    assert (found.masks > 0).any() and not (found.masks > 0).all()
    assert ((found.masks > 0) != masks.numpy()).mean() < 1e-3
    np.testing.assert_allclose(found.scores, expected.iou_scores[0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_a_folder_holds_all_of_it(name: str, folders: dict[str, Path]) -> None:
    made, loaded = SamProposer(*TINY[name](), "cpu"), build_proposer(config(folders[name], name))
    assert loaded.side == made.side and loaded is build_proposer(config(folders[name], name))
    found = [one.propose(one.encode(IMAGE), BOXES, POINTS, SIGNS) for one in (made, loaded)]
    np.testing.assert_array_equal(found[0].masks, found[1].masks)
    forget_proposers()
    assert loaded is not build_proposer(config(folders[name], name))


def test_seeds_of_boxes(folders: dict[str, Path]) -> None:
    """Segments stay in their boxes, repeat to the bit, and follow marks."""
    boxes = [Box(1, 10, 20, 60, 90), Box(2, 5, 60, 90, 115)]
    first, again = (box_seeds(boxes, IMAGE, config(folders["sam2"])) for _ in range(2))
    np.testing.assert_array_equal(first.segments, again.segments)
    assert not first.segments[0, :10].any() and not first.segments[0, :, 90:].any() and first.segments[0].any()
    found = [
        box_seeds(boxes[:1], IMAGE, config(folders["sam2"]), marks=Drawn(points=(Point(1, row, column),)))
        for row in range(12, 60, 12)
        for column in range(22, 90, 16)
    ]
    assert len({one.segments.tobytes() for one in found}) > 1


def damaged(folder: Path, tmp_path: Path, **weights: Any) -> Path:
    """Return a copy of a checkpoint with other weights; ``None`` leaves one out."""
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    kept = load_file(copy / "model.safetensors")
    for name, value in weights.items():
        (full,) = [key for key in kept if key.endswith(name.replace("__", "."))]
        del kept[full]
        if value is not None:
            kept[full] = value
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    return copy


def test_nothing_silent_about_weights_that_are_no_numbers(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = damaged(folders["sam2"], tmp_path, no_memory_embedding=torch.full((1, 1, 32), torch.nan))
    seeds = box_seeds([Box(1, 10, 20, 60, 90)], IMAGE, config(copy))
    (answer,) = seeds.found.values()
    assert seeds.failures == ("error",) and "not finite" in answer.trouble and seeds.segments.sum() == 3500


def test_missing_and_strange_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = damaged(folders["sam2"], tmp_path, no_memory_embedding=None)
    with pytest.raises(CheckpointError, match=r"copy: 1 weights are missing, the first no_memory_embedding"):
        build_proposer(config(copy))
    shutil.rmtree(copy)
    copy = damaged(folders["sam2"], tmp_path, no_memory_embedding=torch.zeros(1, 1, 7))
    with pytest.raises(CheckpointError, match=r"copy: .*mismatch"):
        build_proposer(config(copy))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.safetensors", b"\x00" * 40, "cannot be loaded as 'sam2'"),
        ("model.safetensors", None, "cannot be loaded as 'sam2'"),
        ("config.json", None, "has no config.json"),
        ("config.json", b'{"model_type": "clip"}', "is of a model 'clip', wanted 'sam2'"),
        ("config.json", b'{"model_type": "sam2", "vision_config": 3}', "cannot be loaded as 'sam2'"),
        ("processor_config.json", b"[", "cannot be loaded as 'sam2'"),
    ],
)
def test_damaged_folders(
    file: str, content: bytes | None, message: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folders["sam2"], tmp_path / "copy"))
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"copy.*{message}"):
        build_proposer(config(copy))


def test_no_pickle_is_opened(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folders["sam2"], tmp_path / "copy"))
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        build_proposer(config(copy))


def test_what_is_no_checkpoint(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nowhere", "a/b/c", str(tmp_path / "nowhere")):
        with pytest.raises(ConfigError, match=r"seeds\.boxes\.proposer_file: .* is no folder"):
            check_proposer(BoxSeedConfig(proposer="sam2", proposer_file=name))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is no folder"):
        check_proposer(config(tmp_path / "file"))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(StoreError, match=r"config\.json: expected a JSON object"):
        check_proposer(config(tmp_path))
    with pytest.raises(CheckpointError, match="is of a model 'sam2', wanted 'sam3'"):
        check_proposer(config(folders["sam2"], "sam3"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check_proposer(BoxSeedConfig(proposer="sam2", proposer_file="nobody/has-this"))  # the hub is not looked at


def test_the_video_kind_of_a_published_checkpoint(folders: dict[str, Path], tmp_path: Path) -> None:
    """Published folders say ``sam2_video``; the weights that only videos need are left out."""
    copy = Path(shutil.copytree(folders["sam2"], tmp_path / "copy"))
    told = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**told, "model_type": "sam2_video"}))
    weights = load_file(copy / "model.safetensors")
    save_file({**weights, "memory_encoder.x": torch.ones(2)}, copy / "model.safetensors", metadata={"format": "pt"})
    found, plain = (build_proposer(config(folder)) for folder in (copy, folders["sam2"]))
    masks = [one.propose(one.encode(IMAGE), BOXES, None, None).masks for one in (found, plain)]
    np.testing.assert_array_equal(*masks)


def test_a_device_that_is_not_there(folders: dict[str, Path]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="proposer_device: 'cuda' cannot be used"):
        _ = look_of(IMAGE, replace(config(folders["sam2"]), proposer_device="cuda")).proposer


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"proposer": "sam1"}, "proposer: 'grabcut', 'sam2' or 'sam3', got 'sam1'"),
        ({"proposer": "sam2"}, "proposer_file: 'sam2' needs its weights"),
        ({"proposer_file": "x"}, "proposer_file: has no effect with seeds.boxes.proposer 'grabcut', got 'x'"),
        ({"prompts": "boxes"}, "prompts: has no effect"),
        ({"proposer_device": "tpu"}, "proposer_device: '', 'cpu' or 'cuda', got 'tpu'"),
    ],
)
def test_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"seeds.boxes.{message}"):
        BoxSeedConfig(**settings)
