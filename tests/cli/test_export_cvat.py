"""``weakseg export --format cvat`` and ``--palette``, as a user types them."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from generated import CLASSES, draw, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats.mask_files import MaskRules, load_mask
from weakseg.data.formats.palettes import read_palette
from weakseg.instances import SUFFIX, Instances
from weakseg.stages.weak_seeds import paint_regions

Capture = pytest.CaptureFixture[str]
NAMES = [f"i{index:02}" for index in range(4)]
GIVEN = ("--images", "images", "--classes", "classes.txt")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs and masks; works in their folder."""
    root = write_folder(tmp_path / "data", 4)
    monkeypatch.chdir(root)
    return root


def export(*words: str) -> int:
    return main(["export", *words])


def masks_of_data_set(root: Path) -> dict[str, np.ndarray]:
    """Return what weakseg reads of the exported file beside the photographs."""
    config = DataConfig(root=str(root), format="cvat", train="a.xml", images="images", classes=CLASSES)
    samples = open_dataset(config).splits["train"]
    return {one.id: paint_regions(one.drawn.regions, draw(0)[1].shape).labels for one in samples}


@pytest.mark.parametrize("more", [(), ("--polygons",)])
def test_masks_are_a_data_set_of_cvat(more: tuple[str, ...], data: Path, capsys: Capture) -> None:
    labels = LabelMap.load(data / "masks/i01.png").labels.copy()
    labels[:5] = 255
    LabelMap(labels).save(data / "masks/i01.png")
    assert export("masks", *GIVEN, "--format", "cvat", "--out", "a.xml", *more) == 0
    said = capsys.readouterr().out
    assert "regions on 4 images, 1 with undecided pixels, which have the label 'undecided': " in said
    found = masks_of_data_set(data)
    assert list(found) == NAMES
    for name in NAMES:
        np.testing.assert_array_equal(found[name], LabelMap.load(data / f"masks/{name}.png").labels)


def test_objects_lose_their_scores_and_are_told_so(data: Path, capsys: Capture) -> None:
    _, mask = draw(3)
    found = Instances.of(mask == np.reshape([1, 2], (-1, 1, 1)), [1, 2], scores=[0.9, 0.4])
    found.save(data / "found" / f"i03{SUFFIX}")
    assert export("found", *GIVEN, "--format", "cvat", "--out", "a.xml") == 0
    assert "2 objects on 1 images, without their scores, for which CVAT's file has no place" in capsys.readouterr().out
    assert export("found", *GIVEN, "--format", "cvat", "--out", "a.xml", "--score", "0.5", "--overwrite") == 0
    assert [node.get("label") for node in ElementTree.parse("a.xml").iter("mask")] == ["disc"]


class TestPalette:
    LINES = ("# label:color_rgb:parts:actions", "lid:9,8,7::", "square:250,50,83::", "Void:1,1,1::", "disc:61,61,245::")

    @pytest.fixture
    def palette(self, data: Path) -> str:
        Path("own.txt").write_text("\n".join(self.LINES))
        labels = LabelMap.load(data / "masks/i00.png").labels.copy()
        labels[:5] = 255
        LabelMap(labels).save(data / "masks/i00.png")
        return "own.txt"

    def check(self, folder: str) -> None:
        """Masks in these colours come back as they were, by the file beside them."""
        rules = MaskRules(Classes(CLASSES), palette=read_palette(Path(folder) / "labelmap.txt"))
        for name in NAMES:
            path = Path(folder) / f"SegmentationClass/{name}.png"
            np.testing.assert_array_equal(load_mask(path, rules), LabelMap.load(Path(f"masks/{name}.png")).labels)
            shown = {tuple(colour) for colour in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()}
            assert shown <= {(0, 0, 0), (250, 50, 83), (61, 61, 245), (1, 1, 1)}

    @pytest.mark.parametrize("format", ["segmentation-mask", "voc"])
    def test_a_users_colours_and_their_order_are_kept(self, format: str, data: Path, palette: str) -> None:
        assert export("masks", *GIVEN, "--format", format, "--palette", palette, "--out", "o") == 0
        lines = Path("o/labelmap.txt").read_text().splitlines()
        assert lines == [*self.LINES, "background:0,0,0::"]
        self.check("o")
        assert export("masks", *GIVEN, "--format", format, "--palette", "o/labelmap.txt", "--out", "again") == 0
        assert Path("again/labelmap.txt").read_bytes() == Path("o/labelmap.txt").read_bytes()
        self.check("again")

    def test_objects(self, data: Path, palette: str) -> None:
        _, mask = draw(3)
        Instances.of(mask == np.reshape([1, 2], (-1, 1, 1)), [1, 2]).save(data / "found" / f"i03{SUFFIX}")
        assert export("found", *GIVEN, "--format", "segmentation-mask", "--palette", palette, "--out", "o") == 0
        rules = MaskRules(Classes(CLASSES), palette=read_palette(Path("o/labelmap.txt")))
        np.testing.assert_array_equal(load_mask(Path("o/SegmentationClass/i03.png"), rules), mask)

    def test_labels_of_the_xml(self, data: Path, palette: str) -> None:
        assert export("masks", *GIVEN, "--format", "cvat", "--palette", palette, "--out", "a.xml") == 0
        found = {node.findtext("name"): node.findtext("color") for node in ElementTree.parse("a.xml").iter("label")}
        assert found == {"disc": "#3d3df5", "square": "#fa3253", "undecided": "#010101"}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("disc:1,2,3::", "own.txt: has no colour for 'square'; add a line for each"),
            ("disc:0,0,0::\nsquare:1,1,1::", "names no 'background', and its colour (0, 0, 0) is that of 'disc'"),
            ("disc:5,5,5::\nsquare:224,224,192::", "names no 'undecided', and its colour (224, 224, 192) is that of"),
            ("disc:5,5,5::\nsquare:6,6,6::\n1 2 3 a:b", "class 'a:b' has a colon"),
        ],
    )
    def test_palettes_that_do_not_do(self, text: str, message: str, data: Path, palette: str, capsys: Capture) -> None:
        Path("own.txt").write_text(text)
        words = ("masks", *GIVEN, "--format", "segmentation-mask", "--palette", palette, "--out", "o")
        assert export(*words) == 2
        assert message in capsys.readouterr().err

    def test_a_format_without_colours(self, data: Path, palette: str, capsys: Capture) -> None:
        assert export("masks", *GIVEN, "--format", "coco", "--palette", palette, "--out", "o.json") == 2
        assert "--palette: is for --format voc or segmentation-mask or cvat, got coco" in capsys.readouterr().err
