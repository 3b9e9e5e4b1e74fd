"""Several photographs in one call of ``weakseg segment``."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from weakseg import Photograph, SegmentOptions, read_marks
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.photograph.config import group_options
from weakseg.photograph.group import segment_together
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.refine import RefineConfig

Capture = pytest.CaptureFixture[str]
NONE = CrfParams(iterations=0)


def quick(options: SegmentOptions) -> SegmentOptions:
    """Return options with one scale and no CRF, as ``FLAGS``."""
    seeds, masks = replace(options.seeds, crf=NONE), RefineConfig(crf=NONE)
    return replace(options, activations=ActivateConfig(scales=(1.0,)), seeds=seeds, masks=masks)


ALONE, TOGETHER = quick(SegmentOptions()), quick(group_options())
FLAGS = ("--activations.scales", "1", "--seeds.crf.iterations", "0", "--masks.crf.iterations", "0")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return three photographs in the working folder."""
    monkeypatch.chdir(tmp_path)
    image = skimage.data.coffee()[::6, ::6]
    for name, pixels in {"a.png": image, "b.png": image[:, ::-1], "c.png": image[:50, 20:]}.items():
        Image.fromarray(pixels).save(name)
    return ["a.png", "b.png", "c.png"]


def segment(*words: str) -> int:
    return main(["segment", *words, "--tags", "cup", *FLAGS])


def test_photographs_together(photos: list[str], capsys: Capture) -> None:
    assert segment(*photos, "--together", "--out", "masks", "--overlay", "looks") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{Path('masks/a-mask.png')}: 1 cup: ") and printed[-1] == "3 of 3 photographs"
    expected = segment_together([Photograph(photo) for photo in photos], ["cup"], TOGETHER)
    for photo, one in zip(photos, expected, strict=True):
        name = Path(photo).stem
        np.testing.assert_array_equal(LabelMap.load(Path(f"masks/{name}-mask.png")).labels, one.mask)
        assert Image.open(f"looks/{name}-overlay.jpg").size == one.mask.shape[::-1]


def test_photographs_that_share_tags_alone(photos: list[str]) -> None:
    assert segment(*photos) == 0
    for photo in photos:
        expected = Photograph(photo).segment(read_marks(["cup"]), ALONE)
        np.testing.assert_array_equal(LabelMap.load(Path(f"{Path(photo).stem}-mask.png")).labels, expected.mask)


def test_a_photograph_that_cannot_be_read_is_named_and_the_others_are_done(photos: list[str], capsys: Capture) -> None:
    Path("b.png").write_text("no image")
    for more, made in ((("--together",), "ac"), ((), "ac")):
        assert segment("nowhere.png", *photos, *more, "--out", f"masks{len(more)}") == 1
        printed = capsys.readouterr()
        assert sorted(path.name[0] for path in Path(f"masks{len(more)}").iterdir()) == list(made)
        assert "2 of 4 photographs" in printed.out
        assert "failed: nowhere.png in segment: nowhere.png: no such image; check the path" in printed.err
        assert "failed: b.png in segment: b.png: cannot be read as an image" in printed.err


def test_one_that_is_left_of_a_group_is_alone(
    photos: list[str], caplog: pytest.LogCaptureFixture, capsys: Capture
) -> None:
    assert segment("nowhere.png", "a.png", "--together") == 1
    assert "a.png is segmented alone: no other photograph of its group can be read" in caplog.messages
    expected = Photograph("a.png").segment(read_marks(["cup"]), TOGETHER)
    np.testing.assert_array_equal(LabelMap.load(Path("a-mask.png")).labels, expected.mask)
    assert segment("nowhere.png", "nothing.png", "--together") == 1
    assert "0 of 2 photographs" in capsys.readouterr().out


def test_what_is_refused_before_anything_is_computed(photos: list[str], capsys: Capture) -> None:
    Path("old").mkdir()
    Path("old/b-mask.png").write_bytes(b"precious")
    Path("sub").mkdir()
    before = Path("a.png").read_bytes()
    Image.open("a.png").save("x-mask.png")
    for words, message in (
        (["a.png", "--together"], "--together: a.png is one photograph; give two or more that show the same"),
        (["a.png", "b.png", "--out", "m.png"], "--out: m.png is one file for 2 photographs; give a folder"),
        (["a.png", "b.png", "--out", "old"], f"{Path('old/b-mask.png')} exists; give another --out, or --overwrite"),
        (["a.png", "b.png", "--together", "--points", "cup 1,2"], "several photographs share --tags alone"),
        (["a.png", "sub/a.jpg"], "a.png and sub/a.jpg would have one mask, a-mask.png; rename one"),
        (["x.png", "x-mask.png", "--overwrite"], "x-mask.png is the photograph itself"),
    ):
        assert segment(*words) == 2, words
        assert message in capsys.readouterr().err, words
    assert sorted(path.name for path in Path().rglob("*mask*")) == ["b-mask.png", "x-mask.png"]
    assert Path("a.png").read_bytes() == before


def test_together_needs_tags(photos: list[str], capsys: Capture) -> None:
    assert main(["segment", *photos, "--together"]) == 2
    assert "say what the photograph shows: --tags" in capsys.readouterr().err
    assert main(["segment", *photos, "--together", "--tags", "tabby kat"]) == 2
    assert "written alike: tabby cat" in capsys.readouterr().err
