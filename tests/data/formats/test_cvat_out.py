"""CVAT's XML of objects and masks, read back by our own reader."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap
from weakseg.data.binding import bind
from weakseg.data.classes import Classes
from weakseg.data.formats.cvat import read_table
from weakseg.data.formats.cvat_out import crop_of, write_cvat
from weakseg.data.formats.instances_out import regions_of
from weakseg.data.formats.palettes import Palette
from weakseg.data.regions import mask_of_runs
from weakseg.errors import DataError
from weakseg.instances import Instances
from weakseg.stages.weak_seeds import paint_regions

CLASSES = Classes(("cat", 'großer <Hund> & "Co"', "馬"))
SEVERAL = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
MASKS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2, 3, 255]))
NAMES = {"tief/nested/a": "tief/nested/a.jpg", "ü ä/日本": "ü ä/日本.png", 'q"<&>': 'q"<&>.png'}


def read_masks(path: Path) -> dict[str, NDArray[np.uint8]]:
    """Return the masks of a file as the data sets of weakseg see them."""
    binding = bind(read_table(path), CLASSES)
    assert binding.dropped == {}
    sizes = {Path(image.name).with_suffix("").as_posix(): image.size for image in read_table(path).images}
    return {
        image_id: paint_regions(drawn.regions, sizes[image_id]).labels
        if drawn.regions
        else np.zeros(sizes[image_id], np.uint8)
        for image_id, (_, drawn) in binding.labels.items()
    }


@pytest.mark.parametrize("polygons", [False, True])
@SEVERAL
@given(masks=st.lists(MASKS, min_size=3, max_size=3))
def test_random_masks_come_back_bit_for_bit(tmp_path: Path, polygons: bool, masks: list[NDArray[np.uint8]]) -> None:
    """Undecided pixels, too; holes, single pixels and borders are among them."""
    given = {name: regions_of(LabelMap(mask), undecided=True) for name, mask in zip(NAMES, masks, strict=True)}
    write_cvat(tmp_path / "a.xml", given, NAMES, CLASSES, polygons=polygons)
    found = read_masks(tmp_path / "a.xml")
    assert list(found) == list(NAMES)
    for name, mask in zip(NAMES, masks, strict=True):
        np.testing.assert_array_equal(found[name], mask)


@pytest.mark.parametrize("polygons", [False, True])
def test_holes_parts_of_one_pixel_and_borders(tmp_path: Path, polygons: bool) -> None:
    labels = np.zeros((40, 50), np.uint8)
    labels[0, :], labels[:, -1], labels[39, 0], labels[5, 5] = 1, 2, 3, 3
    labels[10:30, 10:30] = 1
    labels[12:20, 12:20], labels[14:18, 14:18], labels[15, 15], labels[25, 25] = 0, 1, 0, 0
    write_cvat(tmp_path / "a.xml", {"a": regions_of(LabelMap(labels))}, {"a": "a.png"}, CLASSES, polygons=polygons)
    np.testing.assert_array_equal(read_masks(tmp_path / "a.xml")["a"], labels)
    kinds = {node.tag for node in ElementTree.parse(tmp_path / "a.xml").find("image") or ()}
    assert kinds == {"polygon" if polygons else "mask"}


@pytest.mark.parametrize("polygons", [False, True])
@SEVERAL
@given(masks=arrays(np.bool_, (4, 7, 9)), seed=st.integers(0, 999))
def test_overlapping_objects_come_back_one_by_one(
    tmp_path: Path, polygons: bool, masks: NDArray[np.bool_], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kept = masks[masks.any((1, 2))]
    objects = Instances.of(kept, rng.integers(1, 4, len(kept)).tolist(), scores=rng.random(len(kept)).tolist())
    write_cvat(tmp_path / "a.xml", {"a": objects}, {"a": "a.png"}, CLASSES, polygons=polygons)
    shapes = read_table(tmp_path / "a.xml").images[0].shapes
    nodes = list(ElementTree.parse(tmp_path / "a.xml").findall("image/*"))
    assert all(node.get("source") == "auto" for node in nodes)
    found: dict[object, NDArray[np.bool_]] = {}
    for node, shape in zip(nodes, shapes, strict=True):
        key = (node.get("group_id") or id(node), shape.label)
        found[key] = found.get(key, np.zeros((7, 9), np.bool_)) | mask_of_runs(shape.runs, (7, 9))
    order = sorted(range(len(kept)), key=lambda n: (objects.scores[n], -int(kept[n].sum()), -n))
    assert [label for _, label in found] == [CLASSES.names[objects.class_ids[n] - 1] for n in order]
    for mask, number in zip(found.values(), order, strict=True):
        np.testing.assert_array_equal(mask, kept[number])


def test_layers_only_where_objects_overlap(tmp_path: Path) -> None:
    masks = np.zeros((2, 4, 6), np.bool_)
    masks[0, 1:3, 1:3], masks[1, 1:3, 3:5] = True, True
    over = masks.copy()
    over[1, 1, 1] = True
    given = {"a": Instances.of(masks, [1, 2]), "b": Instances.of(over, [1, 2])}
    write_cvat(tmp_path / "a.xml", given, {"a": "a.png", "b": "b.png"}, CLASSES)
    layers = [[n.get("z_order") for n in image] for image in ElementTree.parse(tmp_path / "a.xml").findall("image")]
    assert layers == [["0", "0"], ["0", "1"]]


def test_runs_are_those_of_cvat(tmp_path: Path) -> None:
    """The example of CVAT's own description: runs along rows of the rectangle, the first of zeros."""
    mask = np.zeros((6, 8), np.bool_)
    mask[2:4, 3:6] = True
    mask[2, 3] = mask[3, 5] = False
    assert crop_of(mask) == ([1, 4, 1], 2, 3, 2, 3)
    write_cvat(tmp_path / "a.xml", {"a": Instances.of(mask[None], [1])}, {"a": "a.png"}, CLASSES)
    (node,) = ElementTree.parse(tmp_path / "a.xml").findall("image/mask")
    wanted = {"rle": "1, 4, 1", "left": "3", "top": "2", "width": "3", "height": "2", "label": "cat"}
    assert {name: node.get(name) for name in wanted} == wanted


def test_labels_with_their_colours(tmp_path: Path) -> None:
    labels = LabelMap(np.array([[1, 255]], np.uint8))
    given = {"a": regions_of(labels, undecided=True)}
    names = dict.fromkeys(CLASSES.names)
    palette = Palette(
        Path("p"), {(250, 50, 83): "cat", (1, 2, 3): CLASSES.names[1], (4, 5, 6): "馬", (9, 9, 9): "Void"}
    )
    for used, colours in ((None, ["#800000", "#008000", "#808000", "#e0e0c0"]), (palette, [])):
        write_cvat(tmp_path / "a.xml", given, {"a": "a.png"}, CLASSES, palette=used)
        found = [(n.findtext("name"), n.findtext("color")) for n in ElementTree.parse(tmp_path / "a.xml").iter("label")]
        colours = colours or ["#fa3253", "#010203", "#040506", "#090909"]
        assert found == list(zip([*names, "undecided"], colours, strict=True))
        assert read_table(tmp_path / "a.xml").declared == CLASSES.names


def test_an_undecided_mask_that_is_damaged_leaves_no_background(tmp_path: Path) -> None:
    labels = LabelMap(np.array([[1, 255, 0]], np.uint8))
    write_cvat(tmp_path / "a.xml", {"a": regions_of(labels, undecided=True)}, {"a": "a.png"}, CLASSES)
    text = (tmp_path / "a.xml").read_text()
    whole = text.index('label="undecided"')
    (tmp_path / "a.xml").write_text(text[:whole] + text[whole:].replace('rle="0, 1"', 'rle="0, 7"', 1))
    binding = bind(read_table(tmp_path / "a.xml"), CLASSES)
    assert ["covers 7 pixels" in reason for reason in binding.dropped.values()] == [True]
    _, drawn = binding.labels["a"]
    np.testing.assert_array_equal(paint_regions(drawn.regions, (1, 3)).labels, [[1, 255, 255]])


@pytest.mark.parametrize(
    ("names", "class_id", "message"),
    [
        ({}, 1, "image 'a': has no file name"),
        ({"a": "a\x01.png"}, 1, "characters that XML cannot hold"),
        ({"a": "a.png"}, 4, "image 'a': class 4 has no label"),
    ],
)
def test_refused(tmp_path: Path, names: dict[str, str], class_id: int, message: str) -> None:
    given = {"a": Instances.of(np.ones((1, 2, 2), np.bool_), [class_id])}
    with pytest.raises(DataError, match=message):
        write_cvat(tmp_path / "a.xml", given, names, CLASSES)
    assert not list(tmp_path.iterdir())
