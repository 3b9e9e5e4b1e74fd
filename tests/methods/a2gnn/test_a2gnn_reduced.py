"""Photographs that are too large for a free graph: reduced by the job, or by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from generated import draw
from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.data.annotations import Box, Drawn, Point
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ShapeError
from weakseg.methods.a2gnn.config import A2gnnConfig, RegionConfig
from weakseg.methods.a2gnn.graphs import GraphSource, GraphWalkJob
from weakseg.methods.a2gnn.jobs import A2gnnCompletion, A2gnnJob
from weakseg.methods.a2gnn.problem import reduce_labelled
from weakseg.ops.resample import resize_image, resize_labels, resize_maps
from weakseg.pipeline.units import Unit
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig, Fusion
from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.graph_network import NetworkConfig
from weakseg.settings.walk import GraphWalkConfig
from weakseg.stages.decode import decode_image, fuse_walked

LARGE, SMALL = (194, 254), (97, 127)  # neither makes whole cells
TINY = A2gnnConfig(first_steps=15, second_steps=5, network=NetworkConfig(hidden=16, dropout=0.0))
NO_CRF = CrfParams(iterations=0)


def write(folder: Path, image: NDArray[np.uint8], labels: NDArray[np.uint8], *boxes: Box) -> WeakSample:
    folder.mkdir()
    Image.fromarray(image).save(folder / "a.png")
    LabelMap(labels).save(folder / "seeds" / "a.png")
    return WeakSample("a", folder / "a.png", Tags(frozenset({1, 2})), Drawn(boxes))


def complete(
    sample: WeakSample, max_side: int, *, walk: bool = False, superpixels: bool = False
) -> tuple[bytes, Scores]:
    """Return the file of scores and what is in it."""
    folder = sample.image_path.parent
    how = A2gnnCompletion(
        FreeGraphConfig(stride=8, max_side=max_side),
        replace(TINY, crf_weight=0.0) if superpixels else TINY,
        "strongest",
        2,
        0,
        RegionConfig(num_regions=150) if superpixels else None,
    )
    job = A2gnnJob(GraphSource(how.graph), folder / "seeds", folder / f"to {max_side}", how)
    job.run(Unit((sample,)))
    path = job.output("a")
    if walk:
        walker = GraphWalkJob(folder, folder / f"walk {max_side}", GraphSource(how.graph), GraphWalkConfig())
        walker.run(Unit((sample,)))
        walked = Scores.load(walker.output("a"))
        fuse_walked(Scores.load(path), walked, DecodeConfig(NO_CRF), Fusion(3.0, "cells")).save(path)
    return path.read_bytes(), Scores.load(path)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[WeakSample, WeakSample]:
    """A photograph with boxes and seeds, and the same of half the size."""
    image, mask = draw(3, SMALL)
    image, mask = (
        np.asarray(Image.fromarray(one).resize(LARGE[::-1], Image.Resampling.NEAREST)) for one in (image, mask)
    )
    seeds = mask.copy()
    seeds[::2, ::3] = 255
    boxes = []
    for class_id in (1, 2):
        rows, columns = np.nonzero(mask == class_id)
        boxes.append(Box(class_id, rows.min(), columns.min(), rows.max() + 1, columns.max() + 1))
    halves = [Box(b.class_id, b.top / 2, b.left / 2, b.bottom / 2, b.right / 2) for b in boxes]
    large = write(tmp_path / "large", image, seeds, *boxes)
    return large, write(tmp_path / "small", resize_image(image, SMALL), resize_labels(seeds, SMALL), *halves)


@pytest.mark.parametrize("kind", ["cells", "walk", "superpixels"])
def test_a_large_photograph_has_the_scores_of_the_reduced_one(kind: str, pair: tuple[WeakSample, WeakSample]) -> None:
    truth = draw(3, SMALL)[1]
    values = resize_maps(torch.from_numpy(np.stack([truth == 1, truth == 2])).float(), (25, 32))
    for sample, size in zip(pair, (LARGE, SMALL), strict=True):
        Activations(values, (1, 2), size).save(sample.image_path.parent / "a.safetensors")
    how = {kind: True} if kind != "cells" else {}
    (_, large), (_, small) = (complete(sample, max(SMALL), **how) for sample in pair)
    torch.testing.assert_close(large.values, small.values, rtol=0, atol=0)
    assert (large.image_size, small.image_size) == (LARGE, SMALL)
    config = DecodeConfig(NO_CRF, enlarged="logits")
    found, by_hand = (
        decode_image(s, one.load_image(), config).labels for s, one in ((large, pair[0]), (small, pair[1]))
    )
    assert np.mean(found == resize_labels(by_hand, LARGE)) > 0.99
    assert np.mean(by_hand == truth) > 0.88


@pytest.mark.parametrize("superpixels", [False, True])
def test_one_that_is_not_larger_is_as_if_there_were_no_bound(
    superpixels: bool, pair: tuple[WeakSample, WeakSample]
) -> None:
    bound, scores = complete(pair[1], max(SMALL), superpixels=superpixels)
    free, _ = complete(pair[1], 10_000, superpixels=superpixels)
    assert bound == free and scores.reduced_size is None
    assert scores.stride == (None if superpixels else 8)


class TestReduction:
    def test_boxes_pixels_and_seeds_shrink_together(self) -> None:
        drawn = Drawn((Box(1, 10, 20, 30, 40),), (Point(2, 5, 5),))
        sample = WeakSample("a", Path("a.png"), Tags(frozenset({1})), drawn)
        image, labels = np.zeros((100, 201, 3), np.uint8), np.full((100, 201), 7, np.uint8)
        found, small, seeds = reduce_labelled(sample, image, LabelMap(labels), max_side=67)
        assert small.shape == (33, 67, 3) and seeds.labels.shape == (33, 67) and (seeds.labels == 7).all()
        (box,) = found.drawn.boxes
        expected = (10 * 33 / 100, 20 / 3, 30 * 33 / 100, 40 / 3)
        assert (box.top, box.left, box.bottom, box.right) == pytest.approx(expected)
        assert found.drawn.class_ids == {1, 2} and found.tags == sample.tags

    def test_what_fits_stays_as_it_is(self) -> None:
        sample = WeakSample("a", Path("a.png"), Tags(frozenset({1})))
        image, seeds = np.zeros((30, 40, 3), np.uint8), LabelMap(np.zeros((30, 40), np.uint8))
        found = reduce_labelled(sample, image, seeds, max_side=40)
        assert found[0] is sample and found[1] is image and found[2] is seeds

    def test_seeds_of_another_photograph(self) -> None:
        sample = WeakSample("b/a", Path("a.png"), Tags(frozenset({1})))
        image, seeds = np.zeros((300, 400, 3), np.uint8), LabelMap(np.zeros((400, 300), np.uint8))
        with pytest.raises(ShapeError, match=r"b/a: seeds is \(400, 300\) but image is \(300, 400\)"):
            reduce_labelled(sample, image, seeds, max_side=40)
