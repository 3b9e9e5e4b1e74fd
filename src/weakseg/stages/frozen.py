"""What a backbone that does not learn makes of training images, computed once."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.errors import OutputError
from weakseg.files import where_full
from weakseg.nn.backbones import Backbone

KEPT_BY_ONE = "it keeps the features of its frozen backbone"
"""Why such a training is that of one process."""


class FrozenFeatures:
    """Features of the variants of images, each computed once, in half precision on disk.

    Where each epoch draws a new variant those of the epoch alone are kept.

    Args:
        backbone: Does not learn.
        count: Number of images.
        folder: Where the disk is.
        variants: Of each image, as ``AugmentConfig`` has them.
        pooled: The mean over all cells is kept alone, as one cell.
    """

    def __init__(
        self, backbone: Backbone, count: int, folder: Path, *, variants: int = 0, pooled: bool = False
    ) -> None:
        self.backbone, self.count, self.folder = backbone, count, folder
        self.variants, self.pooled = variants, pooled
        self.epoch = -1
        self._known = np.zeros((max(1, variants), count), bool)
        self._values: NDArray[np.float16] | None = None

    def get(self, index: int, epoch: int, image: Callable[[], Tensor]) -> Tensor:
        """Return ``(C, h, w)`` float32 features of an image in an epoch; ``image`` makes its ``(3, H, W)`` pixels."""
        if not self.variants and epoch != self.epoch:
            self.epoch = epoch
            self._known[:] = False
        place = epoch % len(self._known), index
        if not self._known[place]:
            self._store(place, image())
        assert self._values is not None
        return torch.from_numpy(self._values[place].astype(np.float32))

    @torch.no_grad()
    def _store(self, place: tuple[int, int], image: Tensor) -> None:
        backbone = self.backbone.eval()
        maps = backbone(image[None].to(next(backbone.parameters()).device))[0]
        found = (maps.mean((1, 2), keepdim=True) if self.pooled else maps).cpu().numpy()
        if self._values is None:
            shape = (*self._known.shape, *found.shape)
            self._values = np.memmap(self._room(found.nbytes // 2), np.float16, shape=shape)
        self._values[place], self._known[place] = found, True

    def _room(self, size: int) -> IO[bytes]:
        """Return a file that has taken the room for ``size`` bytes of each: a map ends the process where there is none.

        Raises:
            OutputError: If the disk has less.
        """
        needed, free = self._known.size * size, shutil.disk_usage(self.folder).free
        file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 (gone with the array)
        try:
            if needed > free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, needed)
            file.truncate(needed)
        except OSError as error:
            file.close()
            what = f"{self.count} images" + (f" in {self.variants} variants" if self.variants else "")
            raise OutputError(
                f"{self.folder}: features of {what} need {needed / 1e9:.1f} GB in training, and {free / 1e9:.1f} are "
                f"free ({error.strerror}){where_full(self.folder / 'file', error)}; make room, set augment.variants to "
                "less, or let the backbone learn (frozen: false)"
            ) from error
        return file
