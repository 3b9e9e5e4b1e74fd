"""What the values and colours of a data set's masks mean, by its settings and the palette beside them."""

from pathlib import Path

from weakseg.data.class_map import ClassMap
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.formats.mask_files import MaskRules
from weakseg.data.formats.palettes import find_palette, read_palette
from weakseg.data.paths import inside


def mask_rules(config: DataConfig, root: Path, folder: Path, classes: Classes, class_map: ClassMap) -> MaskRules:
    """Return the rules of a folder of masks.

    Raises:
        ConfigError: If ``data.void`` makes 255 a class, and there are several.
        DataError: If the palette is missing, malformed or outside the root.
    """
    named = read_palette(inside(root, config.palette, "data.palette")) if config.palette else None
    return MaskRules(classes, config.void, named or find_palette(folder, root), class_map)
