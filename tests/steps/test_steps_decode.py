"""The steps from scores to masks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from weakseg.artifacts import LabelMap, Scores
from weakseg.data.annotations import Box, Drawn, Region
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.sample import Tags, WeakSample
from weakseg.ops.runs import encode_masks
from weakseg.pipeline.plan import Kind, Role
from weakseg.pipeline.units import Unit
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig
from weakseg.steps.decode import DecodeJob, Kept, decode_steps

CONFIG = DecodeConfig(CrfParams(iterations=3))


def test_the_plain_masks_are_those_without_a_crf() -> None:
    samples = (WeakSample("i", Path("i.png"), Tags(frozenset({1}))),)
    dataset = Dataset(Classes(("cat",)), {"train": samples})
    steps = decode_steps(dataset, CONFIG, "completed", kept=Kept(boxes=True, use="strongest"))
    assert [(step.name, step.role, step.kind) for step in steps] == [
        ("before_crf", Role.PLAIN, Kind.LABELS),
        ("masks", Role.RESULT, Kind.LABELS),
    ]
    assert [step.settings["crf"]["iterations"] for step in steps] == [0, 3]
    assert all(step.needs == {"completed": Kind.SCORES} and step.settings["within_boxes"] for step in steps)
    assert not any("outlines" in step.settings for step in steps)  # nothing is outlined


def test_a_class_stays_in_its_boxes_where_it_is_asked_to_and_boxes_are_drawn(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "i.png")
    Scores(torch.tensor([0.2, 0.8]).reshape(2, 1, 1).expand(2, 8, 8).clone(), (0, 1), (8, 8)).save(
        tmp_path / "i.safetensors"
    )
    plain = replace(CONFIG, crf=CrfParams(iterations=0))
    boxed = WeakSample("i", tmp_path / "i.png", Tags(frozenset({1})), Drawn((Box(1, 2, 3, 6, 8),)))
    bare = replace(boxed, drawn=Drawn())
    inside = np.zeros((8, 8), np.uint8)
    inside[2:6, 3:8] = 1
    for within, sample, expected in ((True, boxed, inside), (True, bare, inside | 1), (False, boxed, inside | 1)):
        job = DecodeJob(tmp_path, tmp_path / "out", plain, Kept(boxes=within))
        job.run(Unit((sample,)))
        np.testing.assert_array_equal(LabelMap.load(job.output("i")).labels, expected)


def test_what_is_outlined_stays_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "i.png")
    Scores(torch.tensor([0.2, 0.8]).reshape(2, 1, 1).expand(2, 8, 8).clone(), (0, 1), (8, 8)).save(
        tmp_path / "i.safetensors"
    )
    outline = np.zeros((1, 8, 8), np.bool_)
    outline[0, :3, :3] = True
    drawn = Drawn((Box(1, 2, 3, 6, 8),), regions=(Region(2, (8, 8), encode_masks(outline)[0]),))
    sample = WeakSample("i", tmp_path / "i.png", Tags(frozenset({1, 2})), drawn)
    expected = np.zeros((8, 8), np.uint8)
    expected[2:6, 3:8], expected[:3, :3] = 1, 2
    kept = Kept(boxes=True, use="strongest")
    job = DecodeJob(tmp_path, tmp_path / "out", replace(CONFIG, crf=CrfParams(iterations=0)), kept)
    job.run(Unit((sample,)))
    np.testing.assert_array_equal(LabelMap.load(job.output("i")).labels, expected)
    assert kept.settings(Dataset(Classes(("cat", "dog")), {"train": (sample,)})) == {
        "within_boxes": True,
        "outlines": True,
    }
