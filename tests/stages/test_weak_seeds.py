from dataclasses import replace

import numpy as np
import pytest
import torch

from weakseg.artifacts import UNDECIDED, Activations, LabelMap
from weakseg.data.annotations import Box, Drawn, Point, Region, Scribble
from weakseg.data.regions import deciding
from weakseg.errors import ConfigError, DataError, ShapeError
from weakseg.ops.runs import encode_masks
from weakseg.settings.seed import SeedConfig
from weakseg.settings.stroke_seeds import StrokeSeedConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.box_seeds import box_seeds, check_seeds, fill_boxes, fuse_seeds
from weakseg.stages.proposers.look import Look
from weakseg.stages.saliency_seeds import saliency_seeds
from weakseg.stages.seed import seed_image
from weakseg.stages.stroke_seeds import merge_over, stroke_seeds
from weakseg.stages.tag_seeds import tag_seeds
from weakseg.stages.weak_seeds import SeedParts, keep_outlines, paint_regions, weak_seeds

SIZE = (40, 60)
DEFAULT = WeakSeedConfig(strokes=StrokeSeedConfig(superpixels=4000))
BOXES = Drawn(boxes=(Box(2, 8, 10, 32, 40),))
SCRIBBLES = Drawn(scribbles=(Scribble(2, ((20.0, 15.0), (20.0, 35.0))), Scribble(0, ((2.0, 2.0), (2.0, 50.0)))))
POINTS = Drawn(points=(Point(2, 20.5, 20.5),))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """A bright square on noise."""
    pixels = np.random.default_rng(0).integers(0, 60, (*SIZE, 3)).astype(np.uint8)
    pixels[10:30, 12:38] += 150
    return pixels


@pytest.fixture(scope="module")
def activations() -> Activations:
    values = torch.zeros(1, 10, 15)
    values[0, 3:7, 3:9] = 1
    return Activations(values, (2,), SIZE)


def region(class_id: int, rows: slice, columns: slice) -> Region:
    mask = np.zeros((1, *SIZE), np.bool_)
    mask[0, rows, columns] = True
    return Region(class_id, SIZE, encode_masks(mask)[0])


def test_regions_are_the_whole_mask_later_ones_on_top(image: np.ndarray) -> None:
    regions = (region(1, slice(0, 20), slice(0, 20)), region(255, slice(10, 20), slice(10, 30)))
    labels = weak_seeds(Drawn(regions=regions), image, None, DEFAULT).labels
    expected = np.zeros(SIZE, np.uint8)
    expected[:20, :20], expected[10:20, 10:30] = 1, UNDECIDED
    np.testing.assert_array_equal(labels, expected)


def test_marks_beside_regions_decide_the_rest(image: np.ndarray) -> None:
    outlined = region(3, slice(0, 6), slice(0, 6))
    for marks in (BOXES, SCRIBBLES):
        alone = weak_seeds(marks, image, None, DEFAULT).labels.copy()
        ignored = region(255, slice(36, 40), slice(50, 60))
        both = replace(marks, regions=(region(255, slice(0, 40), slice(0, 60)), outlined, ignored))
        assert deciding(both) == marks.strongest
        alone[:6, :6], alone[36:, 50:] = 3, UNDECIDED
        np.testing.assert_array_equal(weak_seeds(both, image, None, DEFAULT).labels, alone)


def test_where_not_all_is_outlined_activations_say_more(image: np.ndarray, activations: Activations) -> None:
    drawn = Drawn(regions=(region(255, slice(0, 40), slice(0, 60)), region(1, slice(0, 6), slice(0, 6))))
    said = weak_seeds(Drawn(), image, activations, DEFAULT).labels.copy()
    said[:6, :6] = 1
    assert deciding(drawn) == "tags"
    np.testing.assert_array_equal(weak_seeds(drawn, image, activations, DEFAULT).labels, said)
    assert set(np.unique(weak_seeds(drawn, image, None, DEFAULT).labels)) == {1, UNDECIDED}


def test_a_mask_keeps_outlines(image: np.ndarray) -> None:
    mask, outlined = LabelMap(np.full(SIZE, 2, np.uint8)), region(1, slice(0, 6), slice(0, 6))
    assert keep_outlines(mask, Drawn()) is mask
    alone = keep_outlines(mask, Drawn(regions=(outlined,))).labels
    beside = keep_outlines(mask, replace(BOXES, regions=(outlined,))).labels
    for labels, rest in ((alone, 0), (beside, 2)):
        assert (labels[:6, :6] == 1).all() and (labels[6:] == rest).all()
    ignored = region(255, slice(36, 40), slice(50, 60))
    labels = keep_outlines(mask, Drawn(regions=(outlined, ignored))).labels
    assert (labels[36:, 50:] == 2).all() and (labels[6:36] == 0).all()  # what is ignored is what it was


def test_a_region_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="region"):
        paint_regions((region(1, slice(0, 2), slice(0, 2)),), (40, 61))


def test_boxes_win_over_strokes_and_are_used_as_asked(image: np.ndarray, activations: Activations) -> None:
    drawn = Drawn(BOXES.boxes, POINTS.points, SCRIBBLES.scribbles)
    seeds = box_seeds(BOXES.boxes, image, DEFAULT.boxes)
    said = tag_seeds(activations, image, DEFAULT.tags)
    expected = {
        "agreed": fuse_seeds(seeds, said.trimap, confident=said.confident),
        "fused": fuse_seeds(seeds, said.trimap),
        "segments": seeds.labels,
        "checked": check_seeds(seeds, said.trimap),
        "grabcut": seeds.complete(),
        "filled": fill_boxes(BOXES.boxes, SIZE),
    }
    assert len({found.labels.tobytes() for found in expected.values()}) >= 3
    for use, found in expected.items():
        config = replace(DEFAULT, boxes_as=use)  # type: ignore[arg-type]
        np.testing.assert_array_equal(weak_seeds(drawn, image, activations, config).labels, found.labels)


def test_without_activations_boxes_are_segments(image: np.ndarray) -> None:
    found = weak_seeds(BOXES, image, None, DEFAULT)
    seeds = box_seeds(BOXES.boxes, image, DEFAULT.boxes)
    np.testing.assert_array_equal(found.labels, seeds.labels.labels)
    checked = weak_seeds(BOXES, image, None, replace(DEFAULT, boxes_as="checked"))
    np.testing.assert_array_equal(checked.labels, check_seeds(seeds, None).labels)


@pytest.mark.parametrize(
    ("drawn", "setting"),
    [(POINTS, "points_over_tags"), (SCRIBBLES, "scribbles_over_tags")],
    ids=["points", "scribbles"],
)
def test_strokes_alone_or_over_activations(
    drawn: Drawn, setting: str, image: np.ndarray, activations: Activations
) -> None:
    alone = stroke_seeds(drawn, image, DEFAULT.strokes)
    over = merge_over(alone, tag_seeds(activations, image, DEFAULT.tags).confident)
    assert over.coverage > alone.coverage > 0
    for wanted, expected in ((False, alone), (True, over)):
        config = replace(DEFAULT, **{setting: wanted})
        np.testing.assert_array_equal(weak_seeds(drawn, image, activations, config).labels, expected.labels)
        np.testing.assert_array_equal(weak_seeds(drawn, image, None, config).labels, alone.labels)


def test_tags_are_confident_activations(image: np.ndarray, activations: Activations) -> None:
    found = weak_seeds(Drawn(), image, activations, DEFAULT)
    np.testing.assert_array_equal(found.labels, tag_seeds(activations, image, DEFAULT.tags).confident.labels)


@pytest.mark.parametrize("drawn", [Drawn(), POINTS], ids=["tags", "points"])
def test_activations_read_by_thresholds_decide_more(drawn: Drawn, image: np.ndarray, activations: Activations) -> None:
    thresholds = SeedConfig(strict=0.3, lenient=0.05)
    config = replace(DEFAULT, tags_as="thresholds", thresholds=thresholds)
    expected = seed_image(activations, image, thresholds)
    if drawn.points:
        expected = merge_over(stroke_seeds(drawn, image, DEFAULT.strokes), expected)
    found = weak_seeds(drawn, image, activations, config)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.coverage > weak_seeds(drawn, image, activations, DEFAULT).coverage


def test_activations_join_a_saliency_map(image: np.ndarray, activations: Activations) -> None:
    config = replace(DEFAULT, tags_as="thresholds", thresholds=SeedConfig("saliency"), points_over_tags=True)
    saliency = np.zeros(SIZE, np.float32)
    saliency[12:28, 12:36] = 1
    parts = SeedParts(saliency=saliency)
    seeds = weak_seeds(Drawn(), image, activations, config, parts=parts).labels
    wanted = saliency_seeds(activations, saliency, config.thresholds)
    assert (seeds == wanted.labels.labels).all() and parts.fusion == wanted.effects and set(seeds.flat) == {0, 2}
    below = weak_seeds(POINTS, image, activations, config, parts=SeedParts(saliency=saliency)).labels
    over = merge_over(stroke_seeds(POINTS, image, config.strokes), wanted.labels)
    np.testing.assert_array_equal(below, over.labels)
    with pytest.raises(DataError, match=r"seeds\.thresholds\.background: 'saliency' needs a map"):
        weak_seeds(Drawn(), image, activations, config)
    kinds = ("regions", "boxes", "scribbles", "points", "tags")
    assert [kind for kind in kinds if config.reads_saliency_for(kind)] == ["points", "tags"]


def test_a_background_class_is_no_way_to_read_activations_here() -> None:
    with pytest.raises(ConfigError, match="a background of their own"):
        WeakSeedConfig(thresholds=SeedConfig(background="class", background_class="grass"))


def test_nothing_at_all_is_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="nothing is drawn"):
        weak_seeds(Drawn(), image, None, DEFAULT)
    with pytest.raises(ConfigError, match="boxes_as"):
        WeakSeedConfig(boxes_as="round")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="tags_as"):
        WeakSeedConfig(tags_as="all")  # type: ignore[arg-type]


@pytest.mark.parametrize("drawn", [BOXES, SCRIBBLES, POINTS])
def test_parts_that_are_kept_change_nothing(drawn: Drawn, image: np.ndarray, activations: Activations) -> None:
    parts, expected = SeedParts(), weak_seeds(drawn, image, activations, DEFAULT).labels
    for _ in range(2):
        found = weak_seeds(drawn, image, activations, DEFAULT, parts=parts)
        np.testing.assert_array_equal(found.labels, expected)
    assert (parts.cuts is not None, parts.regions is not None) == (drawn is BOXES, drawn is not BOXES)


def test_boxes_that_are_known_are_not_cut_again(image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = BOXES.boxes[0], Box(1, 2, 42, 20, 58)
    known = box_seeds([one], image, DEFAULT.boxes)
    both = box_seeds([two, one], image, DEFAULT.boxes)
    found = box_seeds([two, one], image, DEFAULT.boxes, known=known)
    np.testing.assert_array_equal(found.labels.labels, both.labels.labels)
    np.testing.assert_array_equal(found.segments, both.segments)
    assert (found.boxes, found.failures) == (both.boxes, both.failures)
    monkeypatch.setattr(Look, "segment", lambda *arguments: pytest.fail("a known box was cut again"))
    again = box_seeds([one, two], image, DEFAULT.boxes, known=both)
    np.testing.assert_array_equal(again.labels.labels, both.labels.labels)
    assert again.boxes == (one, two)
