"""What takes longer than CI has time for: ``make page-test``."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from browsing import Tab, save_photograph
from PIL import Image
from served import serving

PORT = 8911
CUP = 1


@contextmanager
def commanded(folder: Path, *words: str) -> Iterator[str]:
    """Run ``weakseg page``, and give the address that it prints."""
    command = [sys.executable, "-m", "weakseg", "page", str(folder), "--port", str(PORT), "--browser", "false", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        lines = (found.group() for line in run.stdout if (found := re.search(r"http://\S+", line)))
        try:
            yield next(lines)
        finally:
            run.send_signal(signal.SIGINT)
            assert run.wait(30) in (0, 130)


def test_the_server_is_stopped_and_started_again(new_tab: Callable[..., Tab], tmp_path: Path) -> None:
    save_photograph(tmp_path / "coffee.jpg")
    with commanded(tmp_path, "--classes", "cup,spoon") as address:
        tab = new_tab().open(address)
        tab.press("d", "1")
        tab.drag((50, 50), (50, 80))
        tab.settle()
        drawn = tab.record["regions"]
    tab.drag((20, 50), (20, 80))
    tab.until("weakseg.saved === 'not saved'")
    assert tab.get("unsaved")
    with commanded(tmp_path) as address:
        again = new_tab().open(address)
        again.settle()
        assert again.record["regions"] == drawn and again.label(50, 60) == CUP
        again.press("d", "2")
        again.drag((80, 50), (80, 80))
        again.settle()
        assert len(again.record["regions"]) == 2


def test_twenty_megapixels_that_lie_on_their_side(new_tab: Callable[..., Tab], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    save_photograph(tmp_path / "large.jpg", (5200, 3900), quality=80, exif=exif)
    with serving(tmp_path, ("cup", "spoon")) as served:
        tab = new_tab().open(served.address)
        assert tab.get("size") == [5200, 3900]
        tab.press("g", "1")
        corners = [(1000, 1000), (1000, 2000), (2000, 2000), (2000, 1000)]
        for corner in corners:
            tab.click(corner)
        tab.press("Enter")
        tab.settle()
        pixel = 1 / tab.get("view.scale")  # of the screen
        np.testing.assert_allclose(tab.record["regions"][0]["outline"], corners, atol=pixel)
        assert (tab.label(1500, 1500), tab.label(1500, 2600)) == (CUP, 0)
        with tab.page.expect_response(lambda answer: "side=4096" in answer.url):
            tab.press("z")
        tab.press("f", "d")
        tab.drag((3000, 1000), (3000, 2000))
        tab.settle()
        assert tab.label(3000, 1500) == CUP
        tab.reload()
        assert (tab.label(1500, 1500), tab.label(3000, 1500), tab.label(4000, 1500)) == (CUP, CUP, 0)


def test_ten_thousand_photographs(new_tab: Callable[..., Tab], tmp_path: Path) -> None:
    save_photograph(tmp_path / "00000.jpg", (60, 40))
    for number in range(1, 10_000):
        (tmp_path / f"{number:05}.jpg").hardlink_to(tmp_path / "00000.jpg")
    with serving(tmp_path, ("cup",)) as served:
        tab = new_tab().open(served.address)
        assert tab.page.text_content("#count") == "10000 photographs"
        rows = tab.page.locator("#rows li")
        assert rows.count() < 40
        tab.page.locator("#rows-frame").evaluate("frame => frame.scrollTop = frame.scrollHeight")
        tab.page.get_by_role("button", name="09999.jpg").click()
        tab.until("weakseg.id === '09999'")
        tab.press("p")
        tab.until("weakseg.id === '09998'")
        tab.press("d", "1")
        tab.drag((20, 20), (20, 40))
        tab.settle()
        assert rows.count() < 40


def test_fifty_strokes_are_undone_and_done_again(new_tab: Callable[..., Tab], tmp_path: Path) -> None:
    save_photograph(tmp_path / "coffee.jpg")
    with serving(tmp_path, ("cup", "spoon")) as served:
        tab = new_tab().open(served.address)
        tab.press("d", "1")
        for number in range(50):  # drawn faster than they are stored
            row, column = 5 + 9 * (number // 5), 10 + 28 * (number % 5)
            tab.drag((row, column), (row, column + 8))
        tab.settle()
        assert len(tab.record["regions"]) == 50
        all_drawn = tab.labels(100, 150)
        tab.press(*["Control+z"] * 50)
        tab.settle()
        assert tab.record["regions"] == [] and tab.get("mask") is None
        tab.press(*["Control+y"] * 50)
        tab.settle()
        assert (tab.labels(100, 150) == all_drawn).all()
        tab.reload()
        assert (tab.labels(100, 150) == all_drawn).all()


@pytest.mark.parametrize("name", ["gone", "broken"])
def test_photographs_that_cannot_be_shown(new_tab: Callable[..., Tab], tmp_path: Path, name: str) -> None:
    for one in ("broken", "coffee", "gone"):
        save_photograph(tmp_path / f"{one}.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with serving(tmp_path, ("cup",)) as served:
        (tmp_path / "gone.jpg").unlink()
        tab = new_tab().open(f"{served.address}#{name}")
        assert name in tab.page.get_by_role("alert").text_content()
        tab.page.get_by_role("button", name="coffee.jpg").click()
        tab.until("weakseg.id === 'coffee'")
        assert not tab.page.locator("#broken").is_visible()
