"""The page in a tab of a real browser: what is done there with mouse and keys, and what is seen."""

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

Position = tuple[float, float]
SECONDS = 60.0  # a mask may take long where other work is done


def save_photograph(path: Path, size: tuple[int, int] = (150, 100), **options: Any) -> None:
    """Write the photograph of a cup of coffee, (columns, rows) large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(skimage.data.coffee()).resize(size).save(path, **options)


@dataclass(frozen=True)
class Tab:
    """A page that is open; positions are (row, column) in the full photograph."""

    page: Any

    def open(self, address: str) -> "Tab":
        """Go to an address, and wait until the page is ready to be drawn on."""
        self.page.goto(address)
        self.page.wait_for_selector("body.ready")
        return self

    def reload(self) -> None:
        self.page.reload()
        self.page.wait_for_selector("body.ready")
        self.settle()

    def get(self, expression: str) -> Any:
        return self.page.evaluate(f"window.weakseg.{expression}")

    @property
    def record(self) -> Any:
        return self.get("record")

    def until(self, expression: str) -> None:
        """Wait until JavaScript is true. The page's policy forbids wait_for_function, which compiles text."""
        end = time.monotonic() + SECONDS
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"{expression} has not become true"
            self.page.wait_for_timeout(20)

    def settle(self) -> None:
        """Wait until everything is stored, and its mask is there."""
        self.until("!weakseg.unsaved && !weakseg.waiting")

    def client(self, position: Position) -> tuple[float, float]:
        found = self.get(f"client({position[0]}, {position[1]})")
        return found["x"], found["y"]

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def click(self, position: Position, **options: Any) -> None:
        self.page.mouse.click(*self.client(position), **options)

    def drag(self, *positions: Position, button: str = "left") -> None:
        self.page.mouse.move(*self.client(positions[0]))
        self.page.mouse.down(button=button)
        for position in positions[1:]:
            self.page.mouse.move(*self.client(position), steps=6)
        self.page.mouse.up(button=button)

    def label(self, row: float, column: float) -> int | None:
        return self.get(f"label({row}, {column})")

    def labels(self, rows: int, columns: int) -> np.ndarray[Any, Any]:
        """The mask that is shown, (rows, columns) as the photograph."""
        every = f"Array.from({{length: {rows * columns}}}, (_, n) => L(Math.floor(n / {columns}), n % {columns}))"
        return np.asarray(self.page.evaluate(f"(({{ label: L }}) => {every})(weakseg)")).reshape(rows, columns)

    def position(self, x: float, y: float) -> Position:
        """The position in the photograph that lies at a place of the window."""
        left, top = self.client((0, 0))
        scale = self.get("view.scale")
        return (y - top) / scale, (x - left) / scale

    def picture(self) -> np.ndarray[Any, Any]:
        """What is seen of the photograph, one pixel for each of its own."""
        rows, columns = self.get("size")
        (left, top), (right, bottom) = self.client((0, 0)), self.client((rows, columns))
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        shot = Image.open(io.BytesIO(self.page.screenshot(clip=clip))).convert("RGB")
        return np.asarray(shot.resize((columns, rows), Image.Resampling.BOX), dtype=float)
