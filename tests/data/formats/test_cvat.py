import re
import time
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from weakseg.data.annotations import AnnotationTable, Box, Shape
from weakseg.data.binding import bind
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats import shapes as shapes_module
from weakseg.data.formats.cvat import read_table
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags
from weakseg.errors import DataError

SIZE = (6, 8)
META = "<meta><task><labels>{}</labels></task></meta>"


def element(tag: str, **attributes: object) -> str:
    attributes = {"label": "cat", "occluded": 0, "source": "manual", **attributes}
    pairs = " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items() if value is not None)
    return f"<{tag} {pairs}><attribute name='colour'>red</attribute></{tag}>"


def image(*elements: str, **attributes: object) -> str:
    attributes = {"id": 0, "name": "a.jpg", "width": SIZE[1], "height": SIZE[0], **attributes}
    pairs = " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items() if value is not None)
    return f"<image {pairs}>{''.join(elements)}</image>"


def read(folder: Path, *images: str, meta: str = "") -> AnnotationTable:
    path = folder / "annotations.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?><annotations>{meta}{"".join(images)}</annotations>', encoding="utf-8"
    )
    return read_table(path)


def shapes(folder: Path, *elements: str) -> tuple[Shape, ...]:
    table = read(folder, image(*elements))
    assert table.dropped == {}
    return table.images[0].shapes


def pixels(found: Shape) -> NDArray[np.bool_]:
    assert found.kind == "region" and found.size is not None and found.positions == ()
    return mask_of_runs(found.runs, found.size)


def mask(crop: NDArray[np.bool_], top: int, left: int, **more: object) -> str:
    """Write a mask the slow and obvious way."""
    counts, value = [0], False
    for pixel in crop.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    rows, columns = crop.shape
    rle = ", ".join(map(str, counts))
    return element("mask", **{"rle": rle, "left": left, "top": top, "width": columns, "height": rows, **more})


def box(left: object, top: object, right: object, bottom: object, **more: object) -> str:
    return element("box", xtl=left, ytl=top, xbr=right, ybr=bottom, **more)


def test_every_kind(tmp_path: Path) -> None:
    found = shapes(
        tmp_path,
        box("1.5", "2.00", "4", "5.25", label="dog"),
        element("polygon", points="1.0,2;5,2;5,4;1,4"),
        element("polyline", points="0,1;9.5,-2"),
        element("points", points="3.5,1.5;0,0"),
        mask(np.array([[0, 1, 1], [1, 0, 0]], bool), 3, 2),
    )
    where = f"{tmp_path / 'annotations.xml'}: image[0]:"
    assert found[0] == Shape("box", "dog", ((2.0, 1.5), (5.25, 4.0)), f"{where} box[0]")
    assert found[2] == Shape("scribble", "cat", ((1.0, 0.0), (-2.0, 9.5)), f"{where} polyline[2]")
    assert found[3:5] == tuple(Shape("point", "cat", (at,), f"{where} points[3]") for at in ((1.5, 3.5), (0.0, 0.0)))
    polygon, painted = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    polygon[2:4, 1:5] = painted[3, 3:5] = painted[4, 2] = True
    np.testing.assert_array_equal(pixels(found[1]), polygon)
    np.testing.assert_array_equal(pixels(found[5]), painted)


def test_images_tags_and_labels(tmp_path: Path) -> None:
    labels = "".join(f"<label><name>{name}</name><attributes/></label>" for name in ("dog", "cat", "dog", ""))
    tags = element("tag", label="cat") + element("tag", label="old dog")
    second = image(name="b/ü.png", width="3", height="2.0")
    table = read(tmp_path, image(tags), second, meta=META.format(labels))
    assert [(i.name, i.size, i.tags) for i in table.images] == [
        ("a.jpg", SIZE, frozenset({"cat", "old dog"})),
        ("b/ü.png", (2, 3), frozenset()),
    ]
    assert table.declared == ("dog", "cat")
    assert table.images[1].where == f"{tmp_path / 'annotations.xml'}: image[1]"
    project = "<meta><project><labels><label><name>bird</name></label></labels></project></meta>"
    assert read(tmp_path, image(), meta=project).declared == ("bird",)


def test_later_in_the_list_is_higher(tmp_path: Path) -> None:
    orders = (4, None, -1, 4, 0)
    found = shapes(tmp_path, *(element("points", points="1,1", label=str(n), z_order=z) for n, z in enumerate(orders)))
    assert [point.label for point in found] == ["2", "1", "4", "0", "3"]


@pytest.mark.parametrize(
    ("degrees", "corners"),
    [
        (None, ((2, 1), (4, 7))),
        ("0.0", ((2, 1), (4, 7))),
        ("90", ((0, 3), (6, 5))),
        ("180", ((2, 1), (4, 7))),
        ("30", ((3 - 3 * 0.5 - 3**0.5 / 2, 4 - 3 * 3**0.5 / 2 - 0.5), (3 + 3 * 0.5 + 3**0.5 / 2, 4.5 + 1.5 * 3**0.5))),
        ("-30", ((1.5 - 3**0.5 / 2, 3.5 - 1.5 * 3**0.5), (4.5 + 3**0.5 / 2, 4.5 + 1.5 * 3**0.5))),
    ],
)
def test_rotated_box_becomes_the_upright_box_around_it(tmp_path: Path, degrees: object, corners: object) -> None:
    (found,) = shapes(tmp_path, box(1, 2, 7, 4, rotation=degrees))
    assert found.kind == "box"
    np.testing.assert_allclose(found.positions, corners, atol=1e-12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(degrees=st.floats(-720, 720, width=32))
def test_the_upright_box_holds_the_rotated_one_and_touches_it(tmp_path: Path, degrees: float) -> None:
    (found,) = shapes(tmp_path, box(10, 20, 70, 40, rotation=degrees))
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    half = (abs(30 * sine) + abs(10 * cosine), abs(30 * cosine) + abs(10 * sine))  # rows, columns
    expected = ((30 - half[0], 40 - half[1]), (30 + half[0], 40 + half[1]))
    np.testing.assert_allclose(found.positions, expected, atol=1e-9)


def ellipse(folder: Path, rx: float, ry: float, **more: object) -> NDArray[np.bool_]:
    drawn = element("ellipse", cx=80.3, cy=70.6, rx=rx, ry=ry, **more)
    (found,) = read(folder, image(drawn, height=140, width=160)).images[0].shapes
    return pixels(found)


@pytest.mark.parametrize("degrees", [None, 0, 30, 90, -75, 540.5])
def test_ellipses_become_regions(tmp_path: Path, degrees: float | None) -> None:
    found = ellipse(tmp_path, 60, 25, rotation=degrees)
    assert found.sum() == pytest.approx(np.pi * 60 * 25, rel=0.01)
    down, right = (axis + 0.5 - middle for axis, middle in zip(np.mgrid[:140, :160], (70.6, 80.3), strict=True))
    sine, cosine = np.sin(np.radians(degrees or 0)), np.cos(np.radians(degrees or 0))
    level = np.hypot((right * cosine + down * sine) / 60, (down * cosine - right * sine) / 25)  # clockwise on a screen
    assert found[level < 0.96].all() and not found[level > 1.04].any()


def test_a_right_angle_swaps_the_radii_of_an_ellipse(tmp_path: Path) -> None:
    np.testing.assert_array_equal(ellipse(tmp_path, 60, 25, rotation=90), ellipse(tmp_path, 25, 60))


def test_an_ellipse_is_cut_at_the_border(tmp_path: Path) -> None:
    (found,) = shapes(tmp_path, element("ellipse", cx=0, cy=3, rx=5, ry=8))
    assert pixels(found)[:, :4].all() and not pixels(found)[:, 6:].any()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    crop=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=7)),
    top=st.integers(-3, 5),
    left=st.integers(-3, 7),
)
def test_masks_survive(tmp_path: Path, crop: NDArray[np.bool_], top: int, left: int) -> None:
    wide = np.zeros((30, 30), bool)
    wide[10 + top : 10 + top + crop.shape[0], 10 + left : 10 + left + crop.shape[1]] = crop
    expected = wide[10 : 10 + SIZE[0], 10 : 10 + SIZE[1]]
    table = read(tmp_path, image(mask(crop, top, left)))
    assert len(table.images[0].shapes) == expected.any() == (not table.dropped)
    for region in table.images[0].shapes:
        np.testing.assert_array_equal(pixels(region), expected)


numbers = st.floats(-50, 50, width=32)
positions = st.tuples(numbers, numbers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(path=st.lists(positions, min_size=2, max_size=6))
def test_positions_survive_also_outside(tmp_path: Path, path: list[tuple[float, float]]) -> None:
    points = ";".join(f"{column},{row}" for row, column in path)
    line, *clicks = shapes(tmp_path, element("polyline", points=points), element("points", points=points))
    assert line.positions == tuple(path)
    assert [click.positions for click in clicks] == [(at,) for at in path]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (element("cuboid"), "shapes of type 'cuboid' are not known"),
        (element("ellipse", cx=1, cy=1, rx=0, ry=2), "radii of 0 x 2 pixels make no ellipse: both must be above 0"),
        (element("ellipse", cx=1, cy=1, rx=2, ry=-3), "radii of 2 x -3 pixels make no ellipse"),
        (element("ellipse", cx="nan", cy=1, rx=2, ry=2), "x nan, y 1.0 is not finite"),
        (element("ellipse", cx=1, cy=1, rx="nan", ry=2), "x nan, y 2.0 is not finite"),
        (element("ellipse", cx=1, cy=1, rx=2, ry="inf"), "x 2.0, y inf is not finite"),
        (element("ellipse", cx="1e308", cy=1, rx="1e308", ry=2), "is not finite"),
        (element("ellipse", cx=1, cy=1, rx=2, ry=2, rotation="nan"), "its rotation is nan"),
        (element("ellipse", cx=1, cy=1, rx=1e6, ry=2), "reaches farther outside"),
        (element("ellipse", cx=-6, cy=1, rx=2, ry=2), "covers no pixel"),
        (element("skeleton"), "none of its points is visible"),
        (box(1, 1, 1, 4), "a box of 3 x 0 pixels has no area"),
        (box(1, 1, "nan", 4), "is not finite"),
        (box(1, 1, 3, "1e999"), "is not finite"),
        (box(1, 1, 3, 4, rotation="inf"), "its rotation is inf"),
        (element("polygon", points="1,1;2,2"), "a region needs at least 3 positions, got 2"),
        (element("polygon", points="1,1;2,2;nan,4"), "x nan, y 4.0 is not finite"),
        (element("polygon", points="1,1;2,2;3,3"), "covers no pixel of the image of 6 x 8 pixels"),
        (element("polygon", points="1,1;2,2;1e9,3"), "reaches farther outside"),
        (element("polyline", points="1,1"), "a line needs at least 2 positions, got 1"),
        (element("points", points="1,-inf"), "is not finite"),
        (mask(np.zeros((2, 2), bool), 0, 0), "covers no pixel"),
        (mask(np.ones((2, 2), bool), 100, 0), "covers no pixel"),
    ],
)
def test_unusable_shapes_are_left_out(tmp_path: Path, wrong: str, message: str) -> None:
    table = read(tmp_path, image(wrong, element("points", points="1,1")))
    assert [found.kind for found in table.images[0].shapes] == ["point"]
    ((where, reason),) = table.dropped.items()
    assert where.startswith(f"{tmp_path / 'annotations.xml'}: image[0]: ") and where.endswith("[0]")
    assert message in reason


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (box(1, 1, None, 4), r"attribute 'xbr' is missing"),
        (box(1, 1, "wide", 4), r"attribute 'xbr' must be a number, got 'wide'"),
        (box(1, 1, 3, 4, label=None), r"attribute 'label' is missing"),
        (box(1, 1, 3, 4, label=" "), r"attribute 'label' is missing or empty"),
        (box(1, 1, 3, 4, rotation="left"), r"attribute 'rotation' must be a number"),
        (element("polygon"), r"attribute 'points' is missing"),
        (element("polygon", points="1,1;2,2;3"), r"'points' must be x,y;x,y;..., got '3'"),
        (element("polygon", points="1,1,1"), r"'points' must be x,y"),
        (element("polygon", points="1,1;;2,2"), r"'points' must be x,y;x,y;..., got ''"),
        (element("points", points="a,b"), r"'points' must be x,y;x,y;..., got 'a,b'"),
        (element("ellipse", cx=1, cy=1, rx=2), r"attribute 'ry' is missing"),
        (element("ellipse", cx=1, cy="low", rx=2, ry=2), r"attribute 'cy' must be a number, got 'low'"),
        (mask(np.ones((2, 2), bool), 0, 0, rle="0, 5"), r"'rle' covers 5 pixels, but its rectangle has 2 x 2"),
        (mask(np.ones((2, 2), bool), 0, 0, rle="-1, 5"), r"'rle' covers 4 pixels"),
        (mask(np.ones((2, 2), bool), 0, 0, rle="0 4"), r"'rle' must be run lengths with commas"),
        (mask(np.ones((2, 2), bool), 0, 0, rle="0, 4.0"), r"'rle' must be run lengths"),
        (mask(np.ones((2, 2), bool), 0, 0, rle=f"0, 1{'0' * 30}"), r"'rle' covers a huge number"),
        (mask(np.ones((2, 2), bool), 0, 0, rle=f"0, 1{'0' * 5000}"), r"'rle' must be run lengths"),
        (mask(np.ones((2, 2), bool), 0, 0, rle=None), r"attribute 'rle' is missing"),
        (mask(np.ones((2, 2), bool), 0, 0, width="-2"), r"must be at least 1"),
        (mask(np.ones((2, 2), bool), 0, 0, width="1e9", height="1e9"), r"more than the limit of 100,000,000"),
        (mask(np.ones((2, 2), bool), 0, 0, width="17", height="2"), r"2 x 17 pixels is far larger than the photograph"),
        (mask(np.ones((2, 2), bool), 0, 0, width="1", height="1e8"), r"100000000 x 1 pixels is far larger"),
        (mask(np.ones((2, 2), bool), 0, "0.5"), r"attribute 'left' must be a whole number, got 0.5"),
        (element("tag", label=""), r"attribute 'label' is missing"),
        (box(1, 1, 3, 4, z_order="top"), r"attribute 'z_order' must be a number, got 'top'"),
        (box(1, 1, 3, 4, z_order="nan"), r"attribute 'z_order' must be a whole number, got nan"),
    ],
)
def test_malformed_shapes_are_left_out(tmp_path: Path, wrong: str, message: str) -> None:
    table = read(tmp_path, image(name="b.jpg"), image(wrong, element("points", points="1,1")))
    assert [found.kind for found in table.images[1].shapes] == ["point"]
    ((where, entry),) = table.images[1].dropped.items()
    assert where.startswith(f"{tmp_path / 'annotations.xml'}: image[1]: ") and re.search(message, entry.reason)
    assert entry.labels == (None if "label" in message else {"cat"}) and len(entry.reason) < 300


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"name": None}, "attribute 'name' is missing"),
        ({"width": None}, "attribute 'width' is missing"),
        ({"height": "tall"}, "attribute 'height' must be a number, got 'tall'"),
        ({"height": "2.5"}, "attribute 'height' must be a whole number, got 2.5"),
        ({"height": "inf"}, "attribute 'height' must be a whole number, got inf"),
        ({"height": 0}, "height 0 and width 8 must be at least 1"),
        ({"height": 10**9}, "1000000000 x 8 pixels: more than the limit of 100,000,000"),
    ],
)
def test_malformed_images_are_left_out(tmp_path: Path, attributes: dict[str, object], message: str) -> None:
    table = read(tmp_path, image(**attributes), image(name="b.jpg"))
    assert [one.name for one in table.images] == ["b.jpg"]
    assert message in table.skipped[f"{tmp_path / 'annotations.xml'}: image[0]"]
    with pytest.raises(DataError, match=rf"lists no images that can be used: .*image\[0\]: {message}"):
        read(tmp_path, image(**attributes))


def test_what_a_repeated_entry_shows_is_left_open(tmp_path: Path) -> None:
    table = read(
        tmp_path, image(box(1, 1, 3, 4)), image(element("tag", label="dog"), name="a.png"), image(name="b.jpg")
    )
    first, second = table.images
    assert (first.name, second.name, len(first.shapes)) == ("a.jpg", "b.jpg", 1)
    ((where, entry),) = first.dropped.items()
    assert where.endswith("image[1]") and entry.labels == {"dog"} and not entry.certain
    assert entry.reason.startswith("image 'a.png' is already at ") and "image[0]; keep one" in entry.reason


SKELETON = """<skeleton label="person" z_order="0"><points label="head" outside="0" occluded="1" points="2.50,1.50"/>
<points label="foot" outside="1" points="9,9"/></skeleton>"""
PARTS = "".join(
    f"<label><name>{name}</name><type>{kind}</type>{parent}</label>"
    for name, kind, parent in (
        ("person", "skeleton", ""),
        ("head", "points", "<parent>person</parent>"),
        ("cat", "rectangle", ""),
    )
)


def test_skeletons(tmp_path: Path) -> None:
    """Their points are points of the whole; labels with a parent are no classes."""
    table = read(tmp_path, image(SKELETON, box(1, 1, 3, 4)), meta=META.format(PARTS))
    assert table.declared == ("person", "cat") and table.dropped == {}
    assert [(s.kind, s.label) for s in table.images[0].shapes] == [("point", "person"), ("box", "cat")]
    assert table.images[0].shapes[0].positions == ((1.5, 2.5),)


def test_a_skeleton_that_nobody_sees_is_unknown(tmp_path: Path) -> None:
    table = read(tmp_path, image(SKELETON.replace('outside="0"', 'outside="1"')), meta=META.format(PARTS))
    bound = bind(table, Classes(table.declared))
    assert bound.labels["a"][0] == Tags(frozenset(), frozenset({1}))


class TestProjects:
    """Photographs of a project lie in the folders of their subsets."""

    def open(self, root: Path, *files: str, **images: str) -> list[tuple[str, Path]]:
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6)).save(root / file)
        nodes = [image(box(1, 1, 3, 4), name=name, subset=s) for s, names in images.items() for name in names.split()]
        (root / "a.xml").write_text(f"<annotations>{''.join(nodes)}</annotations>")
        dataset = open_dataset(DataConfig(root=str(root), format="cvat", train="a.xml"))
        return [(s.id, s.image_path.relative_to(root.resolve())) for s in dataset.splits["train"]]

    def test_subsets_with_repeated_names(self, tmp_path: Path) -> None:
        files = [f"images/{name}" for name in ("Train/a.png", "Train/b.png", "Val/a.png")]
        found = self.open(tmp_path, *files, Train="a.png b.png", Val="a.png")
        assert found == [("Train/a", Path(files[0])), ("Train/b", Path(files[1])), ("Val/a", Path(files[2]))]

    def test_photographs_that_were_put_together(self, tmp_path: Path) -> None:
        found = self.open(tmp_path, "images/a.png", "images/b.png", Train="a.png", Val="b.png")
        assert found == [("a", Path("images/a.png")), ("b", Path("images/b.png"))]


def track(label: str | None, *frames: object, outside: tuple[object, ...] = ()) -> str:
    boxes = [
        box(
            n % 5 if isinstance(n, int) else 0,
            1,
            8,
            4,
            label=None,
            frame=n,
            keyframe=1,
            outside=int(n in outside),
            z_order=0,
        )
        for n in frames
    ]
    return f"<track id='0' {f'label={label!r}' if label else ''}>{''.join(boxes)}</track>"


SIZED = f"<meta><task><original_size><width>{SIZE[1]}</width><height>{SIZE[0]}</height></original_size></task></meta>"


class TestVideos:
    def open(self, root: Path, *tracks: str, frames: tuple[int, ...] = (0, 1, 2, 3), meta: str = SIZED) -> Dataset:
        (root / "images").mkdir(exist_ok=True)
        for number in frames:
            Image.new("RGB", SIZE[::-1]).save(root / f"images/frame_{number:06d}.PNG")
        (root / "a.xml").write_text(f"<annotations>{meta}{''.join(tracks)}</annotations>")
        return open_dataset(DataConfig(root=str(root), format="cvat", train="a.xml"))

    def test_tracks_become_shapes_of_their_frames(self, tmp_path: Path) -> None:
        dataset = self.open(tmp_path, track("cat", 0, 1, 2, outside=(2,)), track("dog", 1, 2, 3))
        samples = dataset.splits["train"]
        assert [sample.image_path.name for sample in samples] == [f"frame_{n:06d}.PNG" for n in range(4)]
        assert [{box.class_id for box in sample.drawn.boxes} for sample in samples] == [{1}, {1, 2}, {2}, {2}]
        assert [sample.tags for sample in samples] == [Tags(frozenset(ids)) for ids in ({1}, {1, 2}, {2}, {2})]
        assert samples[1].drawn.boxes[0] == Box(1, 1, 1, 4, 8) and dataset.dropped == {}

    def test_what_a_track_passes_over_is_there(self, tmp_path: Path) -> None:
        """cat is in frames 0 and 3 and passes over 1 and 2; bird ends at 1."""
        tracks = (track("cat", 0, 3), track("dog", 0, 1, 2, 3), track("bird", 0, 1, 3, outside=(1,)))
        dataset = self.open(tmp_path, *tracks)
        assert dataset.classes.names == ("bird", "cat", "dog")
        assert [s.tags.present for s in dataset.splits["train"]] == [{1, 2, 3}, {2, 3}, {2, 3}, {1, 2, 3}]
        assert [len(s.drawn.boxes) for s in dataset.splits["train"]] == [3, 1, 1, 3]
        assert len(dataset.dropped) == 2 and all("passes over this frame" in r for r in dataset.dropped.values())

    def test_a_track_that_is_lost_may_be_anywhere(self, tmp_path: Path) -> None:
        dataset = self.open(tmp_path, track("cat", 0, 1), track("dog", 1, "x"), track("dog", 3))
        assert [s.tags for s in dataset.splits["train"]] == [
            Tags(frozenset({1}), frozenset({2})),
            Tags(frozenset({1}), frozenset({2})),
            Tags(frozenset({2}), frozenset({1})),
        ]

    def test_frames_that_are_missing(self, tmp_path: Path) -> None:
        dataset = self.open(tmp_path, track("cat", 0, 1, 7), frames=(0, 1))
        assert [sample.id for sample in dataset.splits["train"]] == ["frame_000000", "frame_000001"]
        assert list(dataset.dropped.values()) == [f"no photograph frame_000007 is in {tmp_path.resolve() / 'images'}"]

    def test_without_any_frame_it_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"no photograph frame_000002 is in .*images; export it again with 'Save images'"
        ):
            self.open(tmp_path, track("cat", 2, 3), frames=())

    def test_without_a_size(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"lists no images that can be used: .*frame 0: attribute 'height' is missing"
        ):
            self.open(tmp_path, track("cat", 0), meta="")

    def test_many_tracks_of_two_entries_are_quick(self, tmp_path: Path) -> None:
        tracks = [track("cat", 0, 10**6) for _ in range(2000)]
        text = f"<annotations>{SIZED}{''.join(tracks)}{track('dog', *range(2000))}</annotations>"
        (tmp_path / "a.xml").write_text(text)
        begun = time.perf_counter()
        table = read_table(tmp_path / "a.xml")
        assert len(table.images) == 2001 and len(table.dropped) == 1999
        assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("size", [(10_000, 10_000), (12, 8), (6, 9)])
def test_nothing_is_rastered_for_a_size_that_is_not_the_photographs(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("runs_of_mask", "runs_of_polygons"):
        monkeypatch.setattr(shapes_module, name, lambda *_: pytest.fail("rastered"))
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.jpg")
    drawn = [mask(np.ones((2, 2), bool), 0, 0), element("polygon", points="1,1;3,1;3,3"), box(1, 1, 3, 4)]
    (tmp_path / "a.xml").write_text(f"<annotations>{image(*drawn, height=size[0], width=size[1])}</annotations>")
    dataset = open_dataset(DataConfig(root=str(tmp_path), format="cvat", train="a.xml"))
    (sample,) = dataset.splits["train"]
    assert len(sample.drawn.boxes) == 1 and not sample.drawn.regions and sample.tags.present == {1}
    assert len(dataset.dropped) == 2 and all("the photograph is 6 x 8" in reason for reason in dataset.dropped.values())


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
CONTENT = "<annotations><image name='{}' width='2' height='2'/></annotations>"


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE x [<!ENTITY a0 "ha">{BOMB}]>{CONTENT.format("&a9;")}',
        f'<!DOCTYPE x [<!ENTITY a "{"a" * 1000}">]>{CONTENT.format("&a;" * 1000)}',
        f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>{CONTENT.format("a")}',
        f'<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x.dtd"> %a;]>{CONTENT.format("a")}',
        "<annotations><image>",
        "",
        "no XML",
        f'<?xml version="1.0" encoding="nonsense"?>{CONTENT.format("a")}',
        "\udcff",
    ],
    ids=["laughs", "quadratic", "external", "parameter", "truncated", "empty", "text", "encoding", "no UTF-8"],
)
def test_hostile_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=r"a\.xml: CVAT file cannot be read .*; repair it, or export it again"):
        read_table(tmp_path / "a.xml")


@pytest.mark.parametrize("path", ["gone.xml", "."])
def test_no_file(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="CVAT file cannot be read"):
        read_table(tmp_path / path)


def test_deep_file(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotations>" + "<a>" * 20_000 + "</a>" * 20_000 + "</annotations>")
    with pytest.raises(DataError, match=r"a\.xml: lists no images"):
        read_table(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation/>", "holds no <annotations>; export it from CVAT as 'CVAT for images 1.1'"),
        (
            "<annotations><track id='0'/></annotations>",
            r"lists no images that can be used: .*track\[0\]: attribute 'label'",
        ),
        ("<annotations/>", "lists no images"),
    ],
)
def test_another_kind_of_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match=rf"a\.xml: {message}"):
        read_table(tmp_path / "a.xml")
