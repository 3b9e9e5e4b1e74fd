"""Pictures by which an exported network is compared with the one that it was made of."""

import numpy as np
from numpy.typing import NDArray

from weakseg.ops.resample import resize_image
from weakseg.rng import numpy_generator_for

SIZES = ((97, 131), (246, 329), (600, 801))  # rows, columns; the last is larger than networks look at by default


def picture(size: tuple[int, int], number: int = 0) -> NDArray[np.uint8]:
    """Return ``(*size, 3)`` uint8: colour fields with structure of all sizes, the same in every call."""
    rng = numpy_generator_for(0, f"{size}", f"exported picture/{number}")
    total = np.zeros((*size, 3))
    for cells, weight in ((3, 0.5), (12, 0.3), (48, 0.2)):
        field = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        total += weight * resize_image(field, size)
    return np.asarray(np.clip((total - 127.5) * 1.6 + 127.5, 0, 255), np.uint8)
