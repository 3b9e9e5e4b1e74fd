import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

import weakseg
import weakseg.graph
import weakseg.ops
from generated import write_folder
from weakseg import SegmentOptions
from weakseg.errors import ConfigError, DataError
from weakseg.integrations import cvat, labelstudio
from weakseg.settings.activate import ActivateConfig

METHODS = ("cam", "wsgcn")
ROOT = Path(__file__).parent.parent
LISTED = (ROOT / "tests" / "public_api.txt").read_text().split()
PAGES = [page for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")) if page.name != "new-method.md"]


def test_what_is_public_is_listed() -> None:
    packages = (weakseg, weakseg.graph, cvat, labelstudio, weakseg.ops)
    assert sorted(f"{package.__name__}.{name}" for package in packages for name in package.__all__) == LISTED
    assert all(getattr(package, name) is not None for package in packages for name in package.__all__)
    for package in packages:
        assert not hasattr(package, "segmnt")


def test_pages_and_examples_import_what_is_public() -> None:
    """Only the page for those who add a method to the library itself looks behind that."""
    texts = {page.name: re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL) for page in PAGES}
    texts |= {path.name: [path.read_text()] for path in (ROOT / "examples").glob("*.py")}
    used = {(name, item) for name, parts in texts.items() for part in parts for item in imported(part)}
    assert len(used) > 8
    assert [item for item in sorted(used) if item[1] not in LISTED] == []


def imported(text: str) -> Iterator[str]:
    """Yield full names of what is taken from weakseg."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "weakseg":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "weakseg":
            yield f"weakseg.{node.attr}"


def test_a_missile_is_where_the_rocket_stands() -> None:
    """The rocket of this photograph stands in columns 320 to 350 of 640; the mask must agree."""
    result = weakseg.segment(skimage.data.rocket(), ["missile"])
    rows, columns = np.nonzero(result.mask)
    assert result.mask.shape == (427, 640) and result.tags == ("missile",)
    assert 310 < np.median(columns) < 370 and np.ptp(rows) > 100


def test_a_file_an_array_and_a_float_array_are_the_same(tmp_path: Path) -> None:
    from PIL import Image

    image = skimage.data.cat()[::4, ::4]
    Image.fromarray(image).save(tmp_path / "cat.png")
    masks = [weakseg.segment(source, ["cat"]).mask for source in (tmp_path / "cat.png", image, image / 255.0)]
    assert (masks[0] == masks[1]).all() and (masks[0] == masks[2]).all()


def test_a_photograph_of_which_nothing_is_said_is_refused() -> None:
    with pytest.raises(DataError, match="say what the photograph shows"):
        weakseg.segment(np.zeros((20, 30), np.uint8))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (9, 30)])
def test_small_images(method: Any, size: tuple[int, int]) -> None:
    assert (
        weakseg.segment(np.zeros((*size, 3), np.uint8), ["cat"], options=SegmentOptions(method=method)).mask.shape
        == size
    )


def test_a_graph_network_finds_the_cat() -> None:
    image = skimage.data.cat()
    masks = [
        weakseg.segment(image[::3, ::3], ["cat"], options=SegmentOptions(method=method)).mask
        for method in ("cam", "wsgcn")
    ]
    assert masks[0].shape == masks[1].shape and set(np.unique(masks[1])) == {0, 1}
    assert (masks[0] & masks[1]).sum() > 0.6 * (masks[0] | masks[1]).sum()


def test_an_unknown_method() -> None:
    with pytest.raises(ConfigError, match="method: 'auto', 'cam', 'wsgcn', 'a2gnn' or 'clicks', got 'crf'"):
        SegmentOptions(method="crf")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tags", "message"),
    [(["cat", "cat"], "'cat' is given more than once"), (["tabby kat"], "written alike: tabby cat")],
)
def test_bad_tags(tags: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        weakseg.segment(np.zeros((8, 8, 3), np.uint8), tags)


def test_the_mask_can_be_saved(tmp_path: Path) -> None:
    result = weakseg.segment(skimage.data.cat()[::6, ::6], ["cat"])
    result.save(tmp_path / "m.png")
    from weakseg.artifacts import LabelMap

    assert (LabelMap.load(tmp_path / "m.png").labels == result.mask).all()


def test_a_group_is_what_its_files_or_arrays_are(tmp_path: Path) -> None:
    from PIL import Image

    image = skimage.data.cat()[::6, ::6]
    Image.fromarray(image).save(tmp_path / "cat.png")
    options = SegmentOptions(activations=ActivateConfig(scales=(1.0,)))
    found = weakseg.segment_group([tmp_path / "cat.png", image[:, ::-1]], ["cat"], options=options)
    again = weakseg.segment_group([image / 255.0, image[:, ::-1]], ["cat"], options=options)
    assert [one.mask.shape for one in found] == [image.shape[:2]] * 2 and found[0].mask.any()
    assert all((one.mask == other.mask).all() for one, other in zip(found, again, strict=True))


def test_bad_groups(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    for images, message in (
        ("cat.jpg", "give a list of photographs, got 'cat.jpg' alone"),
        ([image], "need two photographs or more"),
        ([image, np.zeros((8, 8, 7), np.uint8)], r"images\[1\]: "),
        ([image, tmp_path / "no.png"], r"^[^:]*no.png: no such"),
    ):
        with pytest.raises(DataError, match=message):
            weakseg.segment_group(images, ["cat"])  # type: ignore[arg-type]


def test_several_photographs_each_by_itself() -> None:
    images = [skimage.data.cat()[::6, ::6], skimage.data.cat()[::6, ::-6]]
    done: list[tuple[int, int]] = []
    found = weakseg.segment_each(images, "cat", progress=lambda count, total: done.append((count, total)))
    assert done == [(1, 2), (2, 2)]
    for image, result in zip(images, found, strict=True):
        assert (result.mask == weakseg.segment(image, "cat").mask).all()
    with pytest.raises(DataError, match="segment_each: give a list of photographs, got ndarray alone"):
        weakseg.segment_each(images[0], "cat")  # type: ignore[arg-type]


def test_a_run_from_python_is_that_of_the_command_line(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", 6)
    fit = {"epochs": 1, "batch_size": 2}
    settings: dict[str, Any] = {
        "data": {"format": "folder", "train": "tags.json", "val": "val.json", "truth": "masks"},
        "classifier": {"frozen": True, "fit": fit},
        "segmenter": {"fit": fit},
    }
    found = weakseg.run("cam", root=tmp_path / "data", out=tmp_path / "out", **settings)
    assert found.report == tmp_path / "out" / "report.html" and "<html" in found.report.read_text()
    assert found.figures and all(0 <= value <= 100 for value in found.figures.values())
    assert repr(found).startswith(f"Run({str(tmp_path / 'out')!r}, mIoU %: ")
    names = sorted(path.stem for path in (tmp_path / "out" / "masks").glob("*.png"))
    assert found.mask(names[0]).dtype == np.uint8 and found.model.is_file()
    weakseg.load_segmenter(found.model)
    with pytest.raises(DataError, match="no such label map"):
        found.mask("another")
    with pytest.raises(ConfigError, match="epocs"):
        weakseg.run("cam", root=tmp_path / "data", out=tmp_path / "other", classifier={"fit": {"epocs": 1}})
