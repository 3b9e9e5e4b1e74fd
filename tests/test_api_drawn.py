from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

import weakseg
from generated import draw, write_labelme
from weakseg import SegmentOptions
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.errors import DataError


@pytest.fixture(scope="module")
def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photograph of a disc (1) and a square (2), large enough for cells of 8 pixels."""
    image, mask = draw(3, (96, 128))
    return image, mask


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def iou(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    return float((found & wanted).sum() / (found | wanted).sum())


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ({"boxes": [("cat", (1, 2, 3))]}, r"box of 'cat': got \(1, 2, 3\); give \(left, top, right, bottom\)"),
        ({"boxes": [("cat", (5, 2, 5, 9))]}, "no area"),
        ({"boxes": [("background", (1, 2, 3, 4))]}, "the background has none"),
        ({"points": [("cat", (1, float("nan")))]}, "point on 'cat'"),
        ({"scribbles": [("cat", [(1, 2, 3)])]}, "scribble on 'cat'"),
        ({"scribbles": [("cat", [])]}, "no position"),
        ({"points": [("cat", (1200, 5))]}, r"point of 'cat' at \(1200, 5\) is outside of the photograph of 32 x 32"),
        ({"points": [("cat", (5, 5)), ("background", (-1, 5))]}, r"point of 'background' at \(-1, 5\) is outside"),
        ({"boxes": [("cat", (40, 2, 50, 9))]}, r"box of 'cat' at \(40, 2, 50, 9\) is outside"),
        ({"scribbles": [("cat", [(40, 2), (50, 9)])]}, r"scribble of 'cat' at \(40, 2\) is outside"),
    ],
)
def test_malformed_marks(marks: dict[str, list[tuple[str, object]]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        weakseg.segment(np.zeros((32, 32, 3), np.uint8), **marks)  # type: ignore[arg-type]


def test_boxes_find_the_shapes(scene: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    image, mask = scene
    result = weakseg.segment(image, boxes=[("ball", box_of(mask == 1)), ("brick", box_of(mask == 2))])
    assert result.tags == ("ball", "brick") and not result.activations.class_ids
    assert iou(result.mask == 1, mask == 1) > 0.9 and iou(result.mask == 2, mask == 2) > 0.9
    again = weakseg.segment(image, boxes=[("ball", box_of(mask == 1)), ("brick", box_of(mask == 2))])
    np.testing.assert_array_equal(result.mask, again.mask)


def test_a_box_that_is_much_too_large_is_cut_with_a_warning(
    scene: tuple[NDArray[np.uint8], NDArray[np.uint8]], caplog: pytest.LogCaptureFixture
) -> None:
    image, _ = scene
    options = SegmentOptions(method="cam")
    weakseg.segment(image, boxes=[("ball", (0, 0, 132, 98))], options=options)
    assert "outside" not in caplog.text
    weakseg.segment(image, boxes=[("ball", (-128, 0, 256, 96))], options=options)
    assert "box of 'ball' at (-128, 0, 256, 96) is by 67% outside of the photograph of 128 x 96 pixels" in caplog.text


def test_scribbles_find_the_shapes(scene: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    image, mask = scene
    left, top, right, bottom = box_of(mask == 2)
    middle = (top + bottom) / 2
    lines = [("brick", [(left + 3, middle), (right - 3, middle)]), ("background", [(2, 2), (2, 90), (120, 90)])]
    result = weakseg.segment(image, scribbles=lines, options=SegmentOptions(method="clicks"))
    assert iou(result.mask == 1, mask == 2) > 0.5
    result = weakseg.segment(image, scribbles=lines)
    assert iou(result.mask == 1, mask == 2) > 0.6
    assert result.seeds.labels[round(middle), left + 5] == 1 and result.seeds.labels[50, 2] == 0


def test_points_with_one_on_the_background(scene: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    image, mask = scene
    left, top, right, bottom = box_of(mask == 2)
    inside, outside = ((left + right) / 2, (top + bottom) / 2), (4, 90)
    for method in ("auto", "cam"):
        options = SegmentOptions(method=method)  # type: ignore[arg-type]
        result = weakseg.segment(image, points=[("brick", inside), ("background", outside)], options=options)
        assert result.mask[round(inside[1]), round(inside[0])] == 1 and result.mask[90, 4] == 0


def test_every_method_takes_boxes_and_tags_and_gives_a_mask_of_its_own() -> None:
    image = np.ascontiguousarray(skimage.data.coffee()[::3, ::3])
    for labels in ({"boxes": [("cup", (57, 6, 136, 103))]}, {"tags": ["cup"]}):
        options = {method: SegmentOptions(method=method) for method in ("cam", "wsgcn", "a2gnn")}  # type: ignore[arg-type]
        found = {method: weakseg.segment(image, options=one, **labels).mask for method, one in options.items()}
        assert len({mask.tobytes() for mask in found.values()}) == 3
        auto = weakseg.segment(image, **labels).mask
        np.testing.assert_array_equal(auto, found["a2gnn" if "boxes" in labels else "cam"])


def test_a_large_photograph_is_worked_on_reduced() -> None:
    image, mask = draw(2, (700, 900))
    result = weakseg.segment(image, boxes=[("brick", box_of(mask == 2))])
    assert result.mask.shape == (700, 900) and not result.mask[mask != 2].mean() > 0.02


class TestLabelFiles:
    def test_it_gives_the_mask_of_what_it_holds(
        self, scene: tuple[NDArray[np.uint8], NDArray[np.uint8]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        image, mask = scene
        Image.fromarray(image).save(tmp_path / "i.png")
        left, top, right, bottom = box_of(mask == 2)
        path = write_labelme(tmp_path, ("rectangle", "brick", [(right, top), (left, bottom)]), size=(96, 128))
        found = weakseg.segment_labelled(tmp_path / "i.png", path)
        typed = weakseg.segment(image, boxes=[("brick", (left, top, right, bottom))])
        assert found.tags == ("brick",)
        with pytest.raises(DataError, match=r"file is needed, .* got ndarray; give arrays to segment"):
            weakseg.segment_labelled(image, path)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.mask, typed.mask)
        words = ["segment", str(tmp_path / "i.png"), "--labels", str(tmp_path), "--out", str(tmp_path / "m.png")]
        assert main(words) == 0
        assert "1 brick:" in capsys.readouterr().out
        np.testing.assert_array_equal(LabelMap.load(tmp_path / "m.png").labels, typed.mask)
        assert main([*words, "--overwrite", "--boxes", "brick 1,2,3,4"]) == 2
        assert "give that, and no tags, boxes, points or scribbles" in capsys.readouterr().err


def test_command(
    scene: tuple[NDArray[np.uint8], NDArray[np.uint8]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, mask = scene
    Image.fromarray(image).save(tmp_path / "i.png")
    words = ["segment", str(tmp_path / "i.png"), "--out", str(tmp_path / "m.png")]
    place = ",".join(map(str, box_of(mask == 2)))
    assert main([*words, "--boxes", f"red brick {place}"]) == 0
    assert "1 red brick:" in capsys.readouterr().out
    assert iou(LabelMap.load(tmp_path / "m.png").labels == 1, mask == 2) > 0.9
    for more, message in {
        (): "say what the photograph shows",
        ("--boxes", "cat"): "not a name and numbers",
        ("--boxes", "1,2,3,4"): "not a name and numbers",
        ("--points", "cat 1,2 3,4"): "2 places",
        ("--points", "cat 1,x"): "not a name and numbers",
        ("--boxes", "cat 1,2,30,40"): "m.png exists; give another --out, or --overwrite to replace it",
    }.items():
        assert main([*words, *more] if "exists" in message else [*words, "--overwrite", *more]) == 2
        assert message in capsys.readouterr().err


class TestOutlines:
    def test_they_are_the_mask_where_nothing_else_is_drawn(self, tmp_path: Path) -> None:
        image = draw(3, (96, 128))[0]
        Image.fromarray(image).save(tmp_path / "i.png")
        shapes = [("polygon", "ball", [(8, 4), (30, 4), (30, 40), (8, 40)])]
        result = weakseg.segment_labelled(tmp_path / "i.png", write_labelme(tmp_path, *shapes, size=(96, 128)))
        assert result.tags == ("ball",) and set(np.unique(result.mask)) == {0, 1}
        assert result.mask[6:38, 10:28].all() and result.mask.sum() < 38 * 24 and result.scores[1].sum() > 0
        assert result.reliability == 1

    def test_what_is_open_beside_them_is_completed_from_the_others(self, tmp_path: Path) -> None:
        image = draw(3, (96, 128))[0]
        Image.fromarray(image).save(tmp_path / "i.png")
        outline, box = [(8, 4), (30, 4), (30, 40), (8, 40)], [(38, 8), (56, 40)]
        both = [("polygon", "ball", outline), ("rectangle", "brick", box), ("rectangle", "ball", [(20, 20), (60, 60)])]
        result = weakseg.segment_labelled(tmp_path / "i.png", write_labelme(tmp_path, *both, size=(96, 128)))
        assert result.tags == ("ball", "brick") and not result.warnings
        assert (result.mask[6:38, 10:28] == 1).all() and (result.mask[8:40, 38:56] == 2).mean() > 0.5
        assert not (result.mask == 255).any()
        assert set(result.reliabilities) == {"ball", "brick"} and result.reliabilities["ball"].value < 1  # it has a box
