import subprocess
import sys
from typing import Any

import pytest

from weakseg.data.config import DataConfig
from weakseg.errors import ConfigError

SLOW = ("torch", "numpy", "PIL", "cv2", "pycocotools", "jsonargparse", "yaml", "scipy")


def test_it_is_quick_to_import() -> None:
    """Parsers of command lines are built of it before anything is computed."""
    script = (
        "import sys\nfrom weakseg.data.config import DataConfig\nDataConfig()\n"
        f"print([name for name in {SLOW} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["tags", "whats_the_point", "VOC", ""])
def test_unknown_formats(name: str) -> None:
    with pytest.raises(ConfigError, match=f"data.format: unknown '{name}'; .*voc, coco, folder, labelme, .* csv$"):
        DataConfig(format=name, train="t.csv")


def test_the_nearest_format_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown 'label-me'; did you mean 'labelme'\? There are"):
        DataConfig(format="label-me", train="t")


@pytest.mark.parametrize(
    "given", [{"format": "voc"}, {"format": "csv"}, {"min_pixels": 0}, {"void": 256}, {"void": -1}]
)
def test_contradictions(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"data\.(train|min_pixels|void): "):
        DataConfig(**given)
