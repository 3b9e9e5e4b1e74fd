"""What seeds hold, counted over images."""

from pathlib import Path

import numpy as np
import pytest

from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.stages.seed_counts import count_seeds


def test_counts_say_what_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = {"a": [[1, 255]], "b": [[2, 0]], "c": [[255, 255]]}
    for name, rows in labels.items():
        LabelMap(np.array(rows, np.uint8)).save(tmp_path / f"{name}.png")
    tags = {"a": Tags(frozenset({1, 2})), "b": Tags(frozenset({2})), "c": Tags(frozenset(), frozenset({1}))}
    samples = [WeakSample(i, tmp_path, t) for i, t in tags.items()]
    found = count_seeds(samples, tmp_path, Classes(("cat", "dog")), "saliency", without_map=["b", "c"])
    assert found.as_json() == {
        "background": "saliency",
        "images": 3,
        "pixels": {"background": 1, "cat": 1, "dog": 1},
        "undecided": 3,
        "without_map": 2,
        "without_background": 2,
        "without_seed": {"dog": 1},
        "unknown": 1,
    }
    assert found.warnings == [
        "seeds: no saliency map, so that low activations are background: b, c",
        "seeds: images without background seeds: a, c",
        "seeds: images that show a class and have no seed of it: dog on 1",
        "seeds: images with classes of which nobody knows, which background seeds may hide: c",
    ]
    caplog.set_level("INFO")
    found.tell()
    assert caplog.messages[0].startswith("seeds of 3 images, background where saliency is low: background 17 %")
    plain = count_seeds(samples, tmp_path, Classes(("cat", "dog")), "activations")
    assert plain.without_map == () and plain.as_json()["background"] == "activations"
