"""The picture of the README: photographs of scikit-image, what was said of each, and the masks with their reliability.

python tools/readme_picture.py docs/images/demo.jpg
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from weakseg import Photograph
from weakseg.cli.demo import BOXES, OBJECT, POINTS, REST, SCRIBBLES, TAGS, photograph
from weakseg.photograph.overlay import draw_labels, shrink
from weakseg.photograph.segmentation import Segmentation

SHOWN = ("coffee", "rocket", "motorcycle", "astronaut")
SIDE, GAP, LINE = 240, 6, 20
COLOURS = {OBJECT: (255, 60, 60), REST: (60, 160, 255)}
Rgb = NDArray[np.uint8]


def main(path: Path) -> None:
    rows = []
    for name in SHOWN:
        image = photograph(name)
        photo, (click, beside), (stroke, others) = Photograph(image), POINTS[name], SCRIBBLES[name]
        found = {
            f"tag {TAGS[name][0]!r}": photo.mark(TAGS[name]).segment(),
            "box": photo.undo().mark(boxes=(OBJECT, *BOXES[name])).segment(),
            "strokes": photo.undo().mark(scribbles=[(OBJECT, stroke), (REST, others)]).segment(),
            "two clicks": photo.undo().mark(points=[(OBJECT, *click), (REST, *beside)]).segment(),
        }
        rows.append([marked(image, name), *(labelled(kind, each) for kind, each in found.items())])
    heights = [row[0].height for row in rows]
    whole = Image.new("RGB", (5 * (SIDE + GAP) - GAP, sum(heights) + GAP * (len(rows) - 1)), "white")
    for index, row in enumerate(rows):
        for column, tile in enumerate(row):
            whole.paste(tile, (column * (SIDE + GAP), sum(heights[:index]) + index * GAP))
    whole.save(path, quality=82, optimize=True)


def marked(image: Rgb, name: str) -> Image.Image:
    """Return a photograph with what was drawn on it, in red for the object and blue for the rest."""
    picture = Image.fromarray(image)
    draw, width = ImageDraw.Draw(picture), max(3, image.shape[1] // 120)
    draw.rectangle(BOXES[name], outline=(255, 220, 0), width=width)
    stroke, others = SCRIBBLES[name]
    draw.line(stroke, fill=COLOURS[OBJECT], width=width)
    draw.line(others, fill=COLOURS[REST], width=width)
    for place, colour in zip(POINTS[name], COLOURS.values(), strict=True):
        draw.circle(place, 3 * width, fill=colour, outline="white", width=width)
    return titled(np.asarray(picture), "photograph and marks")


def labelled(kind: str, found: Segmentation) -> Image.Image:
    return titled(draw_labels(shrink(found.image, SIDE), found.mask), f"{kind}: {found.reliability:.2f}")


def titled(image: Rgb, text: str) -> Image.Image:
    small = Image.fromarray(image)
    small = small.resize((SIDE, round(SIDE * small.height / small.width)), Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (SIDE, small.height + LINE), "white")
    tile.paste(small, (0, 0))
    ImageDraw.Draw(tile).text((2, small.height + 2), text, fill=(40, 40, 40), font=ImageFont.load_default(13))
    return tile


if __name__ == "__main__":
    main(Path(sys.argv[1]))
