"""Values and colours of masks become class ids."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from weakseg.artifacts import LabelMap
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import Classes
from weakseg.data.formats import mask_files
from weakseg.data.formats.mask_files import MaskRules, check_meaning, load_mask, load_numbers, palette_classes
from weakseg.data.formats.palettes import Palette
from weakseg.errors import ConfigError, DataError

CLASSES = Classes(("lid", "crate"))
RED, BLUE, BLACK = (250, 50, 83), (1, 2, 200), (0, 0, 0)
PALETTE = Palette(Path("labelmap.txt"), {BLACK: "background", RED: "crate", BLUE: "lid", (9, 9, 9): "Ignored"})
RULES = MaskRules(CLASSES, palette=PALETTE)


def save(path: Path, pixels: object, mode: str | None = None) -> Path:
    image = Image.fromarray(np.array(pixels, np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_names_decide_which_class_a_colour_is(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / "a.png", [[BLACK, RED, BLUE], [(9, 9, 9), RED, BLACK]], mode)
    np.testing.assert_array_equal(load_mask(path, RULES), [[0, 2, 1], [255, 2, 0]])


def test_strips_give_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = np.array([BLACK, RED, BLUE], np.uint8)
    which = np.random.default_rng(0).integers(0, 3, (7, 5))
    path = save(tmp_path / "a.png", colours[which])
    for pixels in (1, 5, 11, 35, 1000):
        monkeypatch.setattr(mask_files, "_STRIP", pixels)
        np.testing.assert_array_equal(load_mask(path, RULES), np.array([0, 2, 1])[which])
        assert load_numbers(path).shape == (7, 5)


def indexed(path: Path, values: object, palette: list[int]) -> Path:
    image = Image.fromarray(np.array(values, np.uint8))
    image.putpalette([*palette, *[0] * 768][:768])
    image.save(path)
    return path


def test_indexed_masks_with_the_colours_of_the_palette(tmp_path: Path) -> None:
    """The order of the indices is not that of the classes: colours and names decide, not numbers."""
    path = indexed(tmp_path / "a.png", [[0, 1, 2, 255]], [*BLACK, *RED, *BLUE])
    np.testing.assert_array_equal(load_mask(path, RULES), [[0, 2, 1, 255]])
    np.testing.assert_array_equal(load_mask(path, MaskRules(CLASSES)), [[0, 1, 2, 255]])


def test_indexed_and_grey_masks_with_other_colours_keep_their_values(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    LabelMap(labels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_mask(tmp_path / "a.png", RULES), labels)
    np.testing.assert_array_equal(load_mask(save(tmp_path / "b.png", labels), RULES), labels)


def test_grey_masks_with_the_greys_of_the_palette(tmp_path: Path) -> None:
    palette = Palette(Path("p"), {BLACK: "background", (255, 255, 255): "crate", (100, 100, 100): "lid"})
    rules = MaskRules(CLASSES, palette=palette)
    np.testing.assert_array_equal(load_mask(save(tmp_path / "a.png", [[0, 255, 100]]), rules), [[0, 2, 1]])
    np.testing.assert_array_equal(load_mask(save(tmp_path / "b.png", [[0, 255]], "1"), rules), [[0, 2]])


def test_the_class_map_counts(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", [[BLACK, RED, BLUE]])
    rules = MaskRules(
        Classes(("box",)), palette=PALETTE, class_map=ClassMap({"crate": "box"}, ignore=frozenset({"lid"}))
    )
    np.testing.assert_array_equal(load_mask(path, rules), [[0, 1, 255]])


@pytest.mark.parametrize(
    ("pixels", "rules", "message"),
    [
        ([[(1, 1, 1), RED]], RULES, r"a\.png: colour \(1, 1, 1\) is none of those in labelmap\.txt; add its class"),
        (
            [[RED]],
            MaskRules(Classes(("lid",)), palette=PALETTE),
            r"shows 'crate' of labelmap\.txt, .*none of the classes",
        ),
        ([[RED]], MaskRules(CLASSES), "is a coloured mask, and nothing says which colour is which class"),
    ],
)
def test_colours_without_a_class(tmp_path: Path, pixels: object, rules: MaskRules, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_mask(save(tmp_path / "a.png", pixels), rules)


def test_an_indexed_colour_of_no_class(tmp_path: Path) -> None:
    path = indexed(tmp_path / "a.png", [[1]], [*BLACK, *RED])
    with pytest.raises(DataError, match="shows 'crate'"):
        load_mask(path, MaskRules(Classes(("lid",)), palette=PALETTE))


def test_what_is_no_mask(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_bytes(b"\x89PNG nothing")
    for name, message in (("deep", "of 8 bits or in colours"), ("text", "cannot be read"), ("gone", "no such mask")):
        with pytest.raises(DataError, match=rf"{name}\.png: .*{message}"):
            load_mask(tmp_path / f"{name}.png", RULES)


def test_numbers_of_objects(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", [[BLACK, RED, BLUE], [(224, 224, 192), RED, BLACK]])
    np.testing.assert_array_equal(load_numbers(path), [[0, 2, 1], [0, 2, 0]])
    np.testing.assert_array_equal(load_numbers(save(tmp_path / "b.png", [[0, 7, 255]])), [[0, 7, 0]])
    np.testing.assert_array_equal(load_numbers(save(tmp_path / "c.png", [[BLACK, BLACK]])), [[0, 0]])


ONE = Classes(("crate",))


def masks(folder: Path, *values: list[int]) -> list[Path]:
    return [save(folder / f"{number}.png", [row]) for number, row in enumerate(values)]


@pytest.mark.parametrize(
    "values", [([0, 255],), ([0, 0], [0, 255]), ([255, 255],)], ids=["one", "the second", "nothing else"]
)
def test_masks_of_0_and_255_alone_are_a_question(tmp_path: Path, values: tuple[list[int], ...]) -> None:
    paths = masks(tmp_path, *values)
    for classes in (ONE, CLASSES):
        with pytest.raises(DataError, match=r"truth: the masks hold no values but 0 and 255, .*set data\.void to none"):
            check_meaning(paths, MaskRules(classes), "truth")
    check_meaning(paths, MaskRules(ONE, void=255), "truth")
    check_meaning(paths, MaskRules(ONE, void="none"), "truth")
    check_meaning(paths, RULES, "truth")


def test_masks_that_show_a_class_or_nothing_at_all_are_none(tmp_path: Path) -> None:
    check_meaning(masks(tmp_path, [0, 255], [0, 1]), MaskRules(ONE), "truth")
    check_meaning(masks(tmp_path, [0, 0]), MaskRules(ONE), "truth")
    check_meaning([tmp_path / "gone.png"], MaskRules(ONE), "truth")


@pytest.mark.parametrize(
    ("void", "expected"),
    [("auto", [0, 1, 7, 255]), (255, [0, 1, 7, 255]), ("none", [0, 1, 7, 1]), (7, [0, 1, 255, 1]), (0, [255, 1, 7, 1])],
)
def test_what_255_is(tmp_path: Path, void: object, expected: list[int]) -> None:
    (path,) = masks(tmp_path, [0, 1, 7, 255])
    found: NDArray[np.uint8] = load_mask(path, MaskRules(ONE, void=void))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, [expected])


def test_255_is_none_of_several_classes() -> None:
    with pytest.raises(ConfigError, match=r"data\.void: none makes 255 a class, but there are 2 of them"):
        MaskRules(CLASSES, void="none")


def test_classes_of_a_palette(tmp_path: Path) -> None:
    assert palette_classes(tmp_path) == ()
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\nlid:1,2,3::\nundecided:7,7,7::\ncrate:4,5,6::\n")
    assert palette_classes(tmp_path) == ("lid", "crate")
