from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from generated import draw
from weakseg.artifacts import Activations
from weakseg.data.sample import Tags, WeakSample
from weakseg.instances import Instances
from weakseg.nn.backbones import build_backbone
from weakseg.nn.pairs.boundary import BoundaryNet
from weakseg.nn.weights import save_model
from weakseg.pipeline.units import Unit
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.instances import InstanceConfig
from weakseg.steps.boundary import BoundaryInstanceJob


@pytest.mark.parametrize(("min_fraction", "some"), [(0.0, True), (1.0, False)])
def test_the_job_writes_objects_that_do_not_overlap(tmp_path: Path, min_fraction: float, some: bool) -> None:
    """Fragments score 0 and are left out: here all objects are, or none."""
    torch.manual_seed(0)
    backbone, size = BackboneConfig("resnet10t", 16, "none"), (41, 50)
    model = BoundaryNet(build_backbone(backbone))
    save_model(tmp_path / "m.safetensors", model, {"kind": "boundary", "backbone": vars(backbone), "pad": 64})
    Image.fromarray(draw(3)[0][: size[0], : size[1]]).save(tmp_path / "i.png")
    Activations(torch.rand(2, 11, 13), (2, 5), size).save(tmp_path / "cam/i.safetensors")
    config = replace(InstanceConfig(steps=8), min_fraction=min_fraction)
    job = BoundaryInstanceJob(tmp_path / "m.safetensors", tmp_path / "cam", tmp_path / "out", config)
    job.run(Unit((WeakSample("i", tmp_path / "i.png", Tags(frozenset({2, 5}))),)))
    found = Instances.load(job.output("i"))
    assert found.image_size == size and (len(found) > 0) == some
    assert set(found.class_ids) <= {2, 5} and all(0 < score <= 1 for score in found.scores)
    assert (found.masks.sum(0, dtype=np.int64) <= 1).all()
