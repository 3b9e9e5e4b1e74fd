"""GrabCut as a proposer: one mask of a box, and no use of points."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import Box
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.grab_cut import grab_cut
from weakseg.stages.proposers.proposer import Proposals

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class GrabCutProposer:
    """GrabCut in each box.

    Attributes:
        iterations: Of GrabCut.
        margin: It sees the box and this fraction of its sides around it; 0: the whole image.
        side: Larger images are reduced to this.

    Reference:
        [rother2004grabcut].
    """

    iterations: int
    margin: float
    side: int
    takes_points: ClassVar[bool] = False
    needs_rest: ClassVar[bool] = True

    @classmethod
    def of(cls, config: BoxSeedConfig, _device: str) -> "GrabCutProposer":
        """Return GrabCut as settings ask for it; no device makes it faster."""
        return cls(config.iterations, config.margin, config.max_side)

    def encode(self, image: Pixels) -> Pixels:
        """Return the pixels, blue first."""
        return np.ascontiguousarray(image[..., ::-1])

    def propose(
        self,
        encoded: Pixels,
        boxes: NDArray[np.float64] | None,
        points: NDArray[np.float64] | None,
        signs: NDArray[np.int64] | None,
    ) -> Proposals:
        """Return one mask of each box; points are not looked at.

        Raises:
            cv2.error: As ``grab_cut``.
        """
        rows = [] if boxes is None else boxes.tolist()
        masks = [self._cut(Box(1, *edges), encoded) for edges in rows]
        found = np.array(masks, np.bool_).reshape(len(masks), 1, *encoded.shape[:2])
        return Proposals(found, np.ones((len(masks), 1)))

    def _cut(self, box: Box, pixels: Pixels) -> NDArray[np.bool_]:
        """Return ``(h, w)`` where GrabCut sees foreground; the same in every call."""
        size = (pixels.shape[0], pixels.shape[1])
        rows, columns = box.pixels(size) or (slice(0, 0), slice(0, 0))
        seen = (slice(0, size[0]), slice(0, size[1]))
        if self.margin:
            down, right = (self.margin * (side.stop - side.start) for side in (rows, columns))
            wider = Box(1, rows.start - down, columns.start - right, rows.stop + down, columns.stop + right)
            seen = wider.pixels(size) or seen
        marks = np.zeros((seen[0].stop - seen[0].start, seen[1].stop - seen[1].start), np.uint8)
        place = (columns.start - seen[1].start, rows.start - seen[0].start)
        rectangle = (*place, columns.stop - columns.start, rows.stop - rows.start)
        cut = np.zeros(size, np.bool_)
        cut[seen] = grab_cut(pixels[seen], marks, self.iterations, rectangle=rectangle)
        return cut
