"""``weakseg saliency`` and ``weakseg seed --saliency``: maps and seeds of a folder of photographs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from generated import draw
from weakseg.artifacts import Activations, LabelMap
from weakseg.cli.main import main
from weakseg.data.saliency import load_map, save_map

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for index in (1, 3):
        image, mask = draw(index)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"photos/i{index}.png")
        disc = torch.from_numpy((mask == 1).astype(np.float32))[None, ::4, ::4]
        Activations(disc, (1,), mask.shape).save(tmp_path / f"act/i{index}.safetensors")
    return tmp_path / "photos"


def words(verb: str, photos: Path, out: str, **flags: object) -> list[str]:
    root = photos.parent
    given = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return [verb, "--images", str(photos), "--out", str(root / out), "--workers", "1", *given]


def test_from_photographs_to_maps_and_seeds(photos: Path, capsys: Capture, caplog: pytest.LogCaptureFixture) -> None:
    root = photos.parent
    assert main(words("saliency", photos, "maps", detector="fine_grained")) == 0
    assert "2 maps: " in capsys.readouterr().out and load_map(root / "maps/i1.png").shape == (48, 64)
    salient = words("seed", photos, "seeds", activations=root / "act", saliency=root / "maps", background="saliency")
    assert main(salient) == 0
    assert any("undecided by conflicts are" in text for text in caplog.messages)
    before = LabelMap.load(root / "seeds/i1.png").labels
    assert set(np.unique(before)) <= {0, 1, 255}
    for index in (1, 3):
        save_map(root / f"others/i{index}.png", np.float32(draw(index)[1] > 0))
    assert main([*salient, "--saliency", str(root / "others")]) == 2  # made of other maps
    assert "seeds" in capsys.readouterr().err
    (root / "others/i3.png").unlink()
    few = words("seed", photos, "few", activations=root / "act", saliency=root / "others", background="saliency")
    assert main([*few, "--strict", "0.5"]) == 1
    assert "image 'i3': no saliency map; add i3.png to the folder of data.saliency" in capsys.readouterr().err
    assert any("strict do nothing" in text for text in caplog.messages)
    disc = draw(1)[1] == 1
    assert (LabelMap.load(root / "few/i1.png").labels[disc] == 1).mean() > 0.8


def test_what_does_not_go_together(photos: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photos.parent
    monkeypatch.setenv("WEAKSEG_CACHE", str(root / "cache"))
    seed = words("seed", photos, "seeds", activations=root / "act")
    (root / "maps").mkdir()
    for given, message in (
        ([*seed, "--background", "saliency"], "--saliency: give the folder of the maps with --background saliency"),
        ([*seed, "--saliency", str(root / "maps")], "--saliency: give the folder of the maps with --background"),
        ([*seed, "--background", "saliency", "--saliency", str(root / "none")], "give the folder of saliency maps"),
        ([*seed, "--background", "threshold", "--fusion.floor", "0.3"], "seeds.fusion: has no effect"),
        (words("saliency", photos, "maps"), "--detector: 'files' detects nothing; name a detector"),
        (words("saliency", photos, "maps", detector="u2netp"), "weakseg weights get u2netp fetches it"),
    ):
        assert main(given) == 2
        assert message in capsys.readouterr().err
    assert not (root / "seeds").exists() and not list((root / "maps").iterdir())
