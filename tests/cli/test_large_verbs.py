"""Tiles by flags: masks of the size of the photographs, what is said, and values that are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import draw
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main

TILES = ("--tiles.tile", "64", "--tiles.overlap", "16", "--tiles.beyond", "150")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One photograph of 160 x 200 pixels, and one of 96 x 128, with true labels as seeds."""
    for name, size in (("large", (160, 200)), ("small", (96, 128))):
        image, labels = draw(3, size)
        for kind in ("photos", "seeds"):
            (tmp_path / kind).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "photos" / f"{name}.png")
        LabelMap(labels).save(tmp_path / "seeds" / f"{name}.png")
    return tmp_path


def refine(folder: Path, out: str, *flags: str) -> Path:
    places = ("--seeds", str(folder / "seeds"), "--images", str(folder / "photos"), "--out", str(folder / out))
    assert main(["refine", *places, "--max_side", "50", "--workers", "1", *flags]) == 0
    return folder / out


def test_large_photographs_alone_are_worked_on_in_tiles(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    tiles, usual, none = refine(folder, "t", *TILES), refine(folder, "u"), refine(folder, "n", "--tiles.tile", "0")
    for name, same in (("large", False), ("small", True)):
        found, before, without = (LabelMap.load(out / f"{name}.png").labels for out in (tiles, usual, none))
        assert found.shape == Image.open(folder / "photos" / f"{name}.png").size[::-1]
        assert np.array_equal(found, before) is same and np.array_equal(before, without)
    assert "photographs of 200 x 160 pixels are longer than 150: outlines of masks are found in tiles" in caplog.text
    assert "128 x 96" not in caplog.text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--tiles.tile", "64", "--tiles.overlap", "64"),
            "tiles.overlap: need at most half of a tile, of 64 pixels, got",
        ),
        (("--tiles.tile", "8"), "tiles.tile: need 0, which is none, or at least 32 pixels, got 8"),
        (("--tiles.tile", "wide"), "tiles.tile"),
    ],
)
def test_tiles_that_make_no_sense_are_refused(folder: Path, flags: tuple[str, ...], said: str, capsys: Capture) -> None:
    places = ("--seeds", str(folder / "seeds"), "--images", str(folder / "photos"), "--out", str(folder / "o"))
    assert main(["refine", *places, *flags]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told
    assert not (folder / "o").exists()


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("predict", ["--tiles.tile", "--tiles.overlap", "--tiles.beyond"]),
        ("activate", ["--tiles.tile"]),
        (
            "segment",
            ["--masks.tiles.tile", "--activations.tiles.tile", "--drawn.decode.tiles.tile", "--drawn.surroundings"],
        ),
    ],
)
def test_every_verb_that_has_tiles_has_flags_of_them(verb: str, flags: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help-all"])
    told = capsys.readouterr().out
    assert all(flag in told for flag in flags)


def test_a_run_has_the_same_settings(capsys: Capture) -> None:
    assert main(["run", "cam", "--help-all"]) == 0
    told = capsys.readouterr().out
    assert all(f"--{section}.tiles.tile" in told for section in ("activations", "masks", "predictions"))
