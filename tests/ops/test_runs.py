import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from cases import each
from weakseg.errors import DataError, ShapeError
from weakseg.ops.runs import check_counts, counts_of_text, decode_runs, encode_masks, run_areas, run_boxes

stacks = array_shapes(min_dims=3, max_dims=3, max_side=7).flatmap(lambda shape: arrays(np.bool_, shape))


def ring(size: tuple[int, int] = (7, 9)) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[1:6, 2:8] = True
    mask[3:5, 4:6] = False
    return mask


@settings(max_examples=40)
@given(stacks)
def test_decoding_undoes_encoding(masks: NDArray[np.bool_]) -> None:
    size = masks.shape[1:]
    runs = encode_masks(masks)
    np.testing.assert_array_equal(decode_runs(runs, size), masks)
    assert run_areas(runs, size) == tuple(masks.sum((1, 2)))


@settings(max_examples=40)
@given(stacks)
def test_texts_hold_the_lengths_down_the_columns(masks: NDArray[np.bool_]) -> None:
    for mask, run in zip(masks, encode_masks(masks), strict=True):
        counts = counts_of_text(run.decode(), "x")
        check_counts(counts, mask.shape, "x")
        values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        np.testing.assert_array_equal(values.reshape(mask.shape, order="F"), mask)


def test_holes_stay() -> None:
    (found,) = decode_runs(encode_masks(ring()[None]), (7, 9))
    assert not found[3:5, 4:6].any() and found.sum() == 5 * 6 - 4


def test_boxes_are_tight_and_half_open() -> None:
    assert run_boxes(encode_masks(ring()[None]), (7, 9)) == ((1, 2, 6, 8),)


def test_no_masks() -> None:
    runs = encode_masks(np.zeros((0, 3, 4), np.bool_))
    assert runs == () and run_areas(runs, (3, 4)) == () and run_boxes(runs, (3, 4)) == ()
    assert decode_runs(runs, (3, 4)).shape == (0, 3, 4)


@pytest.mark.parametrize("masks", [np.zeros((3, 4), np.bool_), np.zeros((1, 3, 4), np.uint8)])
def test_other_arrays_are_refused(masks: NDArray[np.generic]) -> None:
    with pytest.raises(ShapeError, match="masks: expected"):
        encode_masks(masks)  # type: ignore[arg-type]


@each("counts", [[5, 6], [-1, 13], "text", [12.0], [True, 11]])
def test_lengths_must_cover_the_image(counts: object) -> None:
    with pytest.raises(DataError, match="x: counts"):
        check_counts(counts, (3, 4), "x")


@settings(max_examples=40)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        counts = counts_of_text(text, "x")
    except DataError as error:
        assert str(error).startswith("x: counts")
    else:
        assert all(isinstance(count, int) for count in counts)


def test_lengths_of_more_than_six_characters_are_refused() -> None:
    """The sign may be repeated for ever, but pycocotools reads other numbers from the eighth character on."""
    assert counts_of_text("PPPPP?", "x") == [15 << 25]
    with pytest.raises(DataError, match="counts hold"):
        counts_of_text("PPPPPP0", "x")
