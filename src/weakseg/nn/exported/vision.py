"""Parts of timm's vision transformers that exporters would fix at the size of the image that is traced."""

from typing import Any

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.layers.pos_embed_sincos import RotaryEmbeddingDinoV3
from torch import Tensor, nn


def open_sizes(module: nn.Module) -> None:
    """Let a part of a vision transformer take any number of patches, in place; its values stay."""
    if isinstance(module, PatchEmbed):
        module.img_size = None  # no look at whether images are of whole patches, which padding has made them
    if type(module) is RotaryEmbeddingDinoV3:
        module.__class__ = OpenRotary


class OpenRotary(RotaryEmbeddingDinoV3):
    """Rotary positions of DINOv3 whose centres of patches are counted in whole numbers, and moved by a half."""

    def _create_embed(self, feat_shape: Any, no_aug: bool = False) -> Tensor:
        """Return ``(h w, 2 dim)`` sines and cosines of a grid."""
        rows, columns = feat_shape
        whole = {"separate": None, "max": torch.sym_max(rows, columns), "min": torch.sym_min(rows, columns)}
        shared = whole[self.normalize_coords]
        places = [
            (torch.arange(side).float() + 0.5 + self.grid_offset) / (side if shared is None else shared)
            for side in ((rows, columns) if self.grid_indexing == "ij" else (columns, rows))
        ]
        grid = torch.stack(torch.meshgrid(places, indexing=self.grid_indexing), -1)
        return torch.cat(self._get_pos_embed_from_coords(2.0 * grid.flatten(0, 1) - 1.0), -1)
