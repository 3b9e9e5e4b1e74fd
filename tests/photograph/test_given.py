"""Photographs in every form that a notebook has them in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from weakseg.errors import DataError
from weakseg.photograph.given import read_given

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def test_every_form_is_the_same_photograph(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "i.png")
    tensor = torch.from_numpy(PIXELS)
    forms = (
        tmp_path / "i.png",
        str(tmp_path / "i.png"),
        PIXELS,
        Image.fromarray(PIXELS),
        Image.fromarray(PIXELS).convert("RGBA"),
        tensor,
        tensor.permute(2, 0, 1),
        tensor.permute(2, 0, 1).double() / 255,
    )
    for form in forms:
        found = read_given(form)
        assert found.dtype == np.uint8 and (found == PIXELS).all()


def test_an_image_of_pillow_is_turned_upright_and_white_where_it_is_transparent() -> None:
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = 6  # the first column in the file is the upper side
    assert (read_given(image) == np.rot90(PIXELS, -1)).all()
    assert (read_given(Image.new("LA", (3, 2), (7, 0))) == 255).all()


def test_grey_images_and_tensors_of_one_channel() -> None:
    grey = PIXELS[..., 0]
    wanted = np.repeat(grey[..., None], 3, 2)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    for form in (Image.fromarray(grey), torch.from_numpy(grey.copy()), torch.from_numpy(grey.copy())[None], deep):
        assert (read_given(form) == wanted).all()
    assert (read_given(Image.fromarray(grey.astype(np.float32) / 255)) == wanted).all()
    assert set(np.unique(read_given(Image.fromarray(grey > 99)))) == {0, 255}


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (3, "image: give a file, an array, a tensor or an image of Pillow, got int"),
        (None, "got NoneType"),
        (torch.zeros(2, 3, 8, 8), r"got \(2, 3, 8, 8\)"),
        (Image.fromarray(np.full((2, 2), 70_000, np.int32)), "values 70000 to 70000 are no 16 bits"),
        (torch.full((3, 4, 4), 7.0), "image"),
    ],
)
def test_what_is_no_photograph(form: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_given(form)


def test_the_caller_s_array_is_not_held() -> None:
    own = PIXELS.copy()
    found = read_given(own), read_given(torch.from_numpy(own))
    own[:] = 0
    assert all((each == PIXELS).all() for each in found)
