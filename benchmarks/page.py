"""How long a person waits on the page: from the end of a mark to its mask, in a real browser.

    python benchmarks/page.py [--marks clicks] [--number 50] [--threads 2]

The page is served by a process of its own on four photographs of scikit-image, each resized to 375 x 500 pixels, and
driven by Chromium. On each, clicks or strokes are made in turns on the object and beside it, at places drawn with
seed 0, each when the last mask of the one before is there; a box round the object is taken back before the next one.
The first mark of a photograph is told apart: its graph is made when the photograph is opened, two seconds before.
Waits are taken in the page itself, from the release of the button to the mask on the screen, storing on the disk
included; where a first mask is followed by a better one, to each of them.

Prints and appends one JSON line to benchmarks/results/page.jsonl: median and 95th percentile of first and further
marks, in seconds, to their first mask (``shown``) and to the one that stays (``kept``).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image
from playwright.sync_api import sync_playwright
from rows import append_rows

NAMES, SIZE, OPEN_SECONDS = ("cat", "coffee", "astronaut", "rocket"), (500, 375), 2.0
OBJECT = {"cat": (150, 220), "coffee": (190, 260), "astronaut": (220, 230), "rocket": (180, 255)}  # row, column
HALF = (100, 110)  # of boxes
LENGTHS, KEYS = (
    {"clicks": (0, 0), "strokes": (0, 30), "boxes": (200, 220)},
    {"clicks": "c", "strokes": "s", "boxes": "b"},
)
BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
WATCH = """() => {
  window.waits = [];
  let since = null, first = null, seen = window.weakseg.masks;
  addEventListener("pointerup", () => { since = performance.now(); }, true);
  const look = () => {
    if (since !== null && window.weakseg.masks > seen && !window.weakseg.unsaved) {
      first ??= performance.now() - since;
      if (!window.weakseg.waiting) {
        window.waits.push([first, performance.now() - since]);
        since = first = null;
      }
    }
    if (since === null) seen = window.weakseg.masks;
    requestAnimationFrame(look);
  };
  look();
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marks", choices=LENGTHS, default="clicks")
    parser.add_argument("--number", type=int, default=50, help="in all")
    parser.add_argument("--threads", type=int, default=2, help="of the server")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            Image.fromarray(getattr(skimage.data, name)()).resize(SIZE).save(Path(folder) / f"{name}.jpg", quality=92)
        command = [sys.executable, "-m", "weakseg", "page", folder, "--classes", "object", "--port", "0"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
        words = [*command, "--browser", "false"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as server:
            try:
                address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
                row = measure(address, given.number, given.marks)
            finally:
                server.terminate()
    print(json.dumps(row))
    append_rows("page", [row], marks=given.marks, number=given.number, server_threads=given.threads)


def measure(address: str, strokes: int, marks: str) -> dict[str, Any]:
    """Return waits in seconds, by first and further marks."""
    first: list[tuple[float, float]] = []
    further: list[tuple[float, float]] = []
    draw = np.random.default_rng(0)
    with sync_playwright() as play:
        path = next(path for path in BROWSERS if Path(path).exists())
        page = play.chromium.launch(executable_path=path, args=["--no-sandbox"]).new_page()
        for number, name in enumerate(NAMES):
            page.goto("about:blank")
            page.goto(f"{address}#{name}")
            page.wait_for_selector("body.ready")
            page.evaluate(WATCH)
            time.sleep(OPEN_SECONDS)
            page.keyboard.press(KEYS[marks])
            for stroke in range(strokes // len(NAMES) + (number < strokes % len(NAMES))):
                on_it = stroke % 2 == 0 or marks == "boxes"
                page.keyboard.press("1" if on_it else "0")
                spot = np.array(OBJECT[name] if on_it else (20, 20)) - (HALF if marks == "boxes" else (0, 0))
                row, column = np.clip(spot + draw.uniform(-15, 15, 2), 5, 340)
                (first if stroke == 0 else further).append(wait(page, row, column, *LENGTHS[marks]))
                if marks == "boxes":
                    page.keyboard.press("Control+z")
                    until(page, "!weakseg.waiting && !weakseg.unsaved")
    told = {"first": first, "further": further}
    return {
        f"{what}_{which}_{kind}": round(float(np.percentile([found[index] for found in waits], share)), 3)
        for what, waits in told.items()
        for index, which in enumerate(("shown", "kept"))
        for kind, share in (("median", 50), ("p95", 95))
    }


def wait(page: Any, row: float, column: float, down: float, right: float) -> tuple[float, float]:
    """Make a mark, and return the seconds until its first mask is there, and its last."""
    before = page.evaluate("window.waits.length")
    places = [page.evaluate(f"weakseg.client({row + part * down}, {column + part * right})") for part in (0, 0.5, 1)]
    page.mouse.move(places[0]["x"], places[0]["y"])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(place["x"], place["y"], steps=4)
    page.mouse.up()
    until(page, f"window.waits.length > {before}")
    first, last = page.evaluate("window.waits.at(-1)")
    return first / 1000, last / 1000


def until(page: Any, is_so: str) -> None:
    """Wait for what a script says of the page."""
    end = time.monotonic() + 120
    while not page.evaluate(is_so):
        if time.monotonic() > end:
            raise SystemExit("no mask after two minutes")
        page.wait_for_timeout(10)


if __name__ == "__main__":
    main()
