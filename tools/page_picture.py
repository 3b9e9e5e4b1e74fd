"""The picture of the page: photographs of scikit-image that are being labelled, in a browser.

OMP_WAIT_POLICY=PASSIVE python tools/page_picture.py docs/images/page.jpg
"""

import io
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

from weakseg.cli.demo import photograph
from weakseg.web.album import Album
from weakseg.web.labels import LabelBook
from weakseg.web.page import LABELS_FILE, Page
from weakseg.web.serve import Place, guarded

SHOWN = ("astronaut", "chelsea", "coffee", "rocket")
CLASSES = ("person", "cat", "cup", "rocket")
SIZE = {"width": 1280, "height": 760}
QUALITY = 86


def main(path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photographs"
        folder.mkdir()
        for one in SHOWN:
            Image.fromarray(photograph(one)).save(folder / f"{one}.jpg", quality=92)
        page, place = Page(Album(folder), LabelBook(folder / LABELS_FILE, CLASSES)), Place("127.0.0.1", 0, "picture")
        server = uvicorn.Server(uvicorn.Config(guarded(page, place), log_level="warning", timeout_graceful_shutdown=1))
        with place.listen() as listening:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            content = drawn(place.address(listening))
            server.should_exit = True
            thread.join()
    Image.open(io.BytesIO(content)).convert("RGB").save(path, quality=QUALITY, optimize=True)
    print(f"{path}: {path.stat().st_size >> 10} kB")


def drawn(address: str) -> bytes:
    """Draw on three photographs, and return what is seen then."""
    browser = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = running.new_page(viewport=SIZE)
        opened(page, f"{address}#coffee")
        page.keyboard.press("3")
        box(page, (15, 170), (300, 425))
        page.keyboard.press("a")
        wait(page, "weakseg.record.verdict === 'accepted'")
        opened(page, f"{address}#chelsea")
        page.keyboard.press("2")
        box(page, (5, 30), (299, 420))
        opened(page, f"{address}#astronaut")
        page.keyboard.press("1")
        box(page, (8, 20), (511, 370))
        page.keyboard.press("4")
        box(page, (1, 378), (262, 462))
        page.mouse.move(640, 750)
        page.wait_for_timeout(4500)  # what was said has gone
        content = page.screenshot()
        running.close()
    return content


def opened(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("body.ready")
    wait(page, f"weakseg.id === '{address.rpartition('#')[2]}'")


def box(page: Any, first: tuple[int, int], last: tuple[int, int]) -> None:
    """Drag a box from one (row, column) to another, and wait for its mask."""
    places = [page.evaluate(f"weakseg.client({row}, {column})") for row, column in (first, last)]
    page.mouse.move(places[0]["x"], places[0]["y"])
    page.mouse.down()
    page.mouse.move(places[1]["x"], places[1]["y"], steps=8)
    page.mouse.up()
    wait(page, "true")
    print(page.evaluate("weakseg.id"), page.evaluate("weakseg.mask.seconds"), flush=True)


def wait(page: Any, expression: str) -> None:
    """Wait for something, and until all is stored and its mask is there."""
    end = time.monotonic() + 300
    while not page.evaluate(f"({expression}) && !weakseg.unsaved && !weakseg.waiting"):
        if time.monotonic() > end:
            raise TimeoutError(expression)
        page.wait_for_timeout(50)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
