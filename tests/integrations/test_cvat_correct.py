"""Masks of boxes that clicks correct."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label

from weakseg.data.annotations import Box
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.image import load_rgb
from weakseg.data.truth import open_truth
from weakseg.integrations.cvat.correct import Click, corrected

SIZE = (120, 160)
NUMBERS = st.floats(0, 1)


def two_discs() -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return a photograph with a red and a blue disc on grey noise, and both discs."""
    rng, (rows, columns) = np.random.default_rng(0), np.mgrid[: SIZE[0], : SIZE[1]]
    image, noise = np.full((*SIZE, 3), 115), rng.integers(-15, 16, (*SIZE, 3))
    red, blue = (np.hypot(rows - 60, columns - centre) < 24 for centre in (50, 110))
    image[red], image[blue] = (220, 40, 40), (40, 60, 220)
    return (image + noise).astype(np.uint8), red, blue


def test_a_click_on_what_is_not_the_object_takes_it_away() -> None:
    image, red, blue = two_discs()
    found = corrected(image, red | blue, Box(1, 20, 10, 100, 150), [(60.5, 110.5, False)])
    np.testing.assert_array_equal(found & ~blue, red)
    assert (found & blue).sum() < 0.1 * blue.sum()


def test_a_click_on_the_object_adds_what_is_around_it_and_nothing_else() -> None:
    image, red, blue = two_discs()
    found = corrected(image, red, Box(1, 20, 10, 100, 150), [(60.5, 110.5, True)])
    np.testing.assert_array_equal(found & ~blue, red)
    assert found[59:62, 109:112].all()


@settings(max_examples=60)
@given(
    mask=arrays(np.bool_, (9, 11)),
    edges=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    places=st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), min_size=1, max_size=3),
)
def test_clicks_are_obeyed_whatever_the_mask(
    mask: NDArray[np.bool_], edges: tuple[float, ...], places: list[tuple[float, float, bool]]
) -> None:
    """The last click is, if it lies in the box; what is outside of the box and was no object never becomes one."""
    mask = mask.repeat(4, 0).repeat(4, 1)
    rows, columns = mask.shape
    (top, bottom), (left, right) = sorted((edges[0], edges[1] + 0.1)), sorted((edges[2], edges[3] + 0.1))
    box = Box(1, top * rows, left * columns, bottom * rows, right * columns)
    image = np.random.default_rng(0).integers(0, 255, (*mask.shape, 3), dtype=np.uint8)
    clicks: list[Click] = [(row * rows, column * columns, on) for row, column, on in places]
    found = corrected(image, mask, box, clicks)
    inside = np.zeros_like(mask)
    if (part := box.pixels((rows, columns))) is not None:
        inside[part] = True
    assert not (found & ~mask & ~inside).any()
    row, column = min(int(clicks[-1][0]), rows - 1), min(int(clicks[-1][1]), columns - 1)
    if inside[row, column]:
        assert found[row, column] == clicks[-1][2]
    agree = [
        click for click in clicks if mask[min(int(click[0]), rows - 1), min(int(click[1]), columns - 1)] == click[2]
    ]
    np.testing.assert_array_equal(corrected(image, mask, box, agree), mask)


@pytest.mark.slow
def test_one_click_helps_on_photographs(real_data: Path) -> None:
    """A mask that lacks the half of an object that lies right: a click there brings most of it back."""
    config = DataConfig(root=str(real_data / "msrc"), format="voc", train="train", tags="truth")
    before, after = [], []
    for one in open_truth(config, open_dataset(config), "train")[273::20]:
        truth = one.load_truth()
        ids = [class_id for class_id in np.unique(truth) if 0 < class_id < 255]
        parts, count = label(truth == ids[0]) if ids else (truth, 0)
        if not count:
            continue
        wanted = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
        rows, columns = np.nonzero(wanted)
        half = wanted & (np.arange(wanted.shape[1]) < np.median(columns))
        depth = distance_transform_edt(np.pad(wanted & ~half, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(depth.argmax(), wanted.shape)
        box = Box(1, rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        found = corrected(load_rgb(one.sample.image_path), half, box, [(row + 0.5, column + 0.5, True)])
        for masks, mask in ((before, half), (after, found)):
            masks.append(float((mask & wanted).sum() / (mask | wanted).sum()))
    assert len(after) >= 4 and np.mean(after) > np.mean(before) + 0.1
