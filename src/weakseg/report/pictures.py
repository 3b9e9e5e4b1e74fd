"""Pictures as text inside the page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakseg.photograph.overlay import shrink

# Up to so many pictures, this longest side: about 11, 9 and 7 kB each, so that 1600 stay within 15 MB of base64.
SIDES_PX = ((800, 320), (1200, 272))
SMALLEST_SIDE_PX = 240
WEBP_QUALITY, WEBP_EFFORT = 70, 4


def side_for(count: int) -> int:
    """Return the longest side, in pixels, at which ``count`` pictures leave the page light."""
    return next((side for most, side in SIDES_PX if count <= most), SMALLEST_SIDE_PX)


def data_uri(image: NDArray[np.uint8], side: int) -> str:
    """Return the image, shrunk to ``side`` pixels, as a WebP data address."""
    content = io.BytesIO()
    Image.fromarray(shrink(image, side)).save(content, "WEBP", quality=WEBP_QUALITY, method=WEBP_EFFORT)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
