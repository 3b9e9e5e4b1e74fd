import base64
import io

import numpy as np
from PIL import Image

from weakseg.report.pictures import data_uri, side_for


def test_pictures_shrink_as_they_become_many():
    assert [side_for(count) for count in (1, 800, 801, 1200, 1201, 5000)] == [320, 320, 272, 272, 240, 240]


def test_a_picture_survives_the_trip_into_the_page():
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[:, 100:] = (200, 40, 90)
    head, _, content = data_uri(photo, 50).partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        decoded = np.asarray(image.convert("RGB")).astype(int)
    assert decoded.shape == (25, 50, 3)
    assert np.abs(decoded[:, :20]).max() < 12
    assert np.abs(decoded[:, 30:] - (200, 40, 90)).max() < 12
