"""How large photographs are worked on in tiles."""

from dataclasses import dataclass

from weakseg.settings.rules import SettingError, check_settings

SMALLEST_TILE = 32


@dataclass(frozen=True)
class TileConfig:
    """When a photograph is worked on in square tiles that overlap, beside the whole, reduced, and in which.

    Attributes:
        tile: Side of a tile in pixels of the photograph; 0: none is worked on in tiles.
        overlap: Pixels that neighbouring tiles share at least; what both find there is blended linearly.
        beyond: Photographs with a longer side than this, and than a tile, are worked on in tiles; others never.
    """

    tile: int = 512
    overlap: int = 64
    beyond: int = 4096

    def __post_init__(self) -> None:
        """Refuse tiles that are too small, and overlaps that leave no step from one tile to the next."""
        check_settings("tiles", self, tile=">= 0", overlap=">= 0", beyond=">= 1")
        if not self.tile:
            return
        if self.tile < SMALLEST_TILE:
            raise SettingError("tiles", "tile", self.tile, f"need 0, which is none, or at least {SMALLEST_TILE} pixels")
        if 2 * self.overlap > self.tile:
            wanted = f"need at most half of a tile, of {self.tile} pixels"
            raise SettingError("tiles", "overlap", self.overlap, wanted)

    def covers(self, size: tuple[int, int]) -> bool:
        """Return whether a photograph of (rows, columns) is worked on in tiles."""
        return bool(self.tile) and max(size) > max(self.tile, self.beyond)

    def on_cells(self, stride: int) -> tuple[int, int]:
        """Return side and overlap in cells of ``stride`` pixels; the tile is no longer than in pixels.

        Raises:
            SettingError: If a tile would have less than two cells, or no step to the next one.
        """
        side, overlap = self.tile // stride, -(-self.overlap // stride)
        if side < 2 or overlap >= side:
            wanted = f"need at least two cells of {stride} pixels in a tile, and more than in its overlap"
            raise SettingError("tiles", "tile", self.tile, wanted)
        return side, overlap
