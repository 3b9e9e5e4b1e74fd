import io
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from weakseg.data.image import IMAGE_SUFFIXES, MAX_PIXELS, Frame, as_rgb, image_size, load_rgb, read_frame
from weakseg.errors import DataError
from weakseg.image_file import photograph_formats

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
GREY = PIXELS[..., 0]

# EXIF 2.32, tag 0x0112: what must be done to the stored pixels to see them upright.
UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def grey_to_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=2)


def over_white(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    share = alpha[..., None] / 255.0
    return np.round(rgb * share + 255.0 * (1 - share)).astype(np.uint8)


def write_png_header(path: Path, rows: int, columns: int) -> None:
    """Write a PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str) -> None:
    for orientation, turn in UPRIGHT.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"photo.{suffix}"
        Image.fromarray(PIXELS).save(path, exif=exif, lossless=True)
        expected = turn(PIXELS)
        np.testing.assert_array_equal(load_rgb(path), expected)
        assert image_size(path) == expected.shape[:2]
        frame = read_frame(path)
        assert frame == Frame((3, 5), orientation) and frame.size == expected.shape[:2]
        np.testing.assert_array_equal(frame.upright_mask(GREY), expected[..., 0])
        np.testing.assert_array_equal(frame.as_stored(expected), PIXELS)
        for row, column in np.ndindex(GREY.shape):
            there = frame.upright_position(row + 0.25, column + 0.75)
            assert (expected[int(there[0]), int(there[1])] == PIXELS[row, column]).all()
        assert frame.labelled_as_stored((3, 5)) == (orientation in (5, 6, 7, 8))
        assert not frame.labelled_as_stored((5, 3)) and not frame.labelled_as_stored((3, 3))


@pytest.mark.parametrize(("corner", "expected"), [((0, 0), (5, 3)), ((3, 5), (0, 0)), ((1, 1.5), (3.5, 2))])
def test_positions_are_continuous(corner: tuple[float, float], expected: tuple[float, float]) -> None:
    assert Frame((3, 5), 7).upright_position(*corner) == expected


def test_exif_orientation_of_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    Image.fromarray(PIXELS).save(path, exif=exif)
    assert load_rgb(path).shape == (5, 3, 3)
    assert image_size(path) == (5, 3)


def test_rgb_is_kept_and_writable(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    loaded = load_rgb(tmp_path / "a.png")
    np.testing.assert_array_equal(loaded, PIXELS)
    assert loaded.flags.writeable and loaded.flags.c_contiguous and loaded.dtype == np.uint8


def test_grayscale(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), grey_to_rgb(GREY))


def test_one_bit(tmp_path: Path) -> None:
    bits = GREY > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "1"
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), grey_to_rgb(bits.astype(np.uint8) * np.uint8(255)))


def write_palette(path: Path, **options: object) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Write indices 0..3 and return them with their colours."""
    indices = np.arange(15, dtype=np.uint8).reshape(3, 5) % 4
    palette = np.array([[10, 20, 30], [200, 0, 0], [0, 150, 0], [1, 2, 250]], np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    image.save(path, **options)
    return indices, palette


def test_palette(tmp_path: Path) -> None:
    indices, palette = write_palette(tmp_path / "a.png")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), palette[indices])


def test_palette_with_one_transparent_index(tmp_path: Path) -> None:
    indices, palette = write_palette(tmp_path / "a.png", transparency=1)
    palette[1] = 255
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), palette[indices])


def test_palette_with_an_opacity_for_each_index(tmp_path: Path) -> None:
    opacity = np.array([255, 0, 128, 64], np.uint8)
    indices, palette = write_palette(tmp_path / "a.png", transparency=opacity.tobytes())
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), over_white(palette[indices], opacity[indices]))


def test_grey_with_opacity(tmp_path: Path) -> None:
    Image.fromarray(np.stack([GREY, PIXELS[..., 1]], axis=2), mode=None).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "LA"
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), over_white(grey_to_rgb(GREY), PIXELS[..., 1]))


def test_rgb_with_opacity(tmp_path: Path) -> None:
    rgba = np.concatenate([PIXELS, GREY[..., None]], axis=2)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), over_white(PIXELS, GREY))


def test_rgb_with_one_transparent_colour(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", transparency=tuple(PIXELS[1, 2].tolist()))
    expected = PIXELS.copy()
    expected[1, 2] = 255
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), expected)


def test_cmyk(tmp_path: Path) -> None:
    inks = np.random.default_rng(1).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    Image.fromarray(inks, mode="CMYK").save(tmp_path / "a.tif")
    light = 255.0 - inks
    expected = light[..., :3] * light[..., 3:] / 255.0
    assert np.abs(load_rgb(tmp_path / "a.tif") - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_grey(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 128, 257], [256, 65535, 32768]], np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    expected = np.array([[0, 0, 1], [1, 255, 128]], np.uint8)  # round(value / 257)
    np.testing.assert_array_equal(load_rgb(tmp_path / name), grey_to_rgb(expected))


LOW = np.array([[300, 1700], [1000, 650]], np.uint16)  # as of a camera of 12 bits
STRETCHED = np.array([[0, 255], [128, 64]], np.uint8)  # round(255 * (value - 300) / 1400)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_low_range_is_stretched_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: type[np.generic]
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(LOW.astype(kind)).save(path)
    for _ in range(2):
        np.testing.assert_array_equal(load_rgb(path), grey_to_rgb(STRETCHED))
    (said,) = caplog.messages
    assert (
        said == f"{path}: values 300..1700 are stretched: 300 becomes black, 1700 white; as they stand 7 of 256 "
        "levels were left"
    )


def test_low_range_of_an_array_is_stretched_and_said(caplog: pytest.LogCaptureFixture) -> None:
    np.testing.assert_array_equal(as_rgb(LOW), grey_to_rgb(STRETCHED))
    opacity = np.full_like(LOW, 65535)
    np.testing.assert_array_equal(as_rgb(np.stack([LOW, LOW, LOW, opacity], axis=2)), grey_to_rgb(STRETCHED))
    assert [message.startswith("image: values 300..1700 are stretched") for message in caplog.messages] == [True, True]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 200], [0, 200]), ([0, 16384], [0, 64]), ([0, 16383], [0, 255]), ([700, 700], [0, 0]), ([255, 0], [255, 0])],
)
def test_where_sixteen_bits_are_stretched(tmp_path: Path, values: list[int], expected: list[int]) -> None:
    array = np.array([values], np.uint16)
    Image.fromarray(array).save(tmp_path / "a.png")
    for found in (load_rgb(tmp_path / "a.png"), as_rgb(array)):
        np.testing.assert_array_equal(found, grey_to_rgb(np.array([expected], np.uint8)))


@pytest.mark.parametrize("values", [[-5.0, 95.0], [0.0, 1e6], [-1.0, 1.0]])
def test_values_beyond_sixteen_bits_are_stretched(tmp_path: Path, values: list[float]) -> None:
    Image.fromarray(np.array([[*values, sum(values) / 2]], np.float32)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.tif")[0, :, 0], [0, 255, 128])


def test_lost_levels_of_sixteen_bit_colours_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.png"
    pixels = np.stack([LOW] * 3, axis=2)[..., ::-1]
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    assert load_rgb(path).max() == 1700 >> 8
    assert "a.png: colours of 16 bits are read by their upper 8, of which 7 levels are left" in caplog.text


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_floating_point(tmp_path: Path, top: float) -> None:
    values = np.array([[0.0, 0.25, 0.5, 1.0]], np.float32) * np.float32(top)
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.tif")[0, :, 0], [0, 64, 128, 255])


def test_floating_point_with_nan(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.5, np.nan]], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: .*NaN"):
        load_rgb(tmp_path / "a.tif")


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((2, 2), level, np.uint8)) for level in (50, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.gif"), np.full((2, 2, 3), 50))


def test_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "a.png")
    assert load_rgb(tmp_path / "a.png").tolist() == [[[1, 2, 3]]]
    assert image_size(tmp_path / "a.png") == (1, 1)


@pytest.mark.parametrize("read", [load_rgb, image_size])
@pytest.mark.parametrize(("rows", "columns"), [(20_000, 20_000), (10_001, 10_000)])
def test_too_large_is_refused_without_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object], rows: int, columns: int
) -> None:
    path = tmp_path / "huge.png"
    write_png_header(path, rows, columns)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"huge\.png: .*(400000000 .*100,000,000|10001 x 10000 .*88,571,428) .*reduce"):
        read(path)
    assert rows * columns > MAX_PIXELS


@pytest.mark.parametrize(("kind", "limit"), [("L", 100), ("RGB", 88), ("F", 77), ("WEBP", 38), ("progressive", 62)])
def test_the_limit_is_lower_where_decoding_takes_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, limit: int
) -> None:
    """Limits in millions of pixels; here a million is one."""
    monkeypatch.setattr("weakseg.image_file.MAX_PIXELS", 100)
    monkeypatch.setattr("weakseg.image_file.MAX_DECODING_BYTES", 620)
    for columns in (limit, limit + 1):
        image = Image.new(kind if kind in ("L", "F") else "RGB", (columns, 1))
        path = tmp_path / f"{columns}"
        image.save(path, {"L": "PNG", "RGB": "PNG", "F": "TIFF", "WEBP": "WEBP"}.get(kind, "JPEG"), progressive=True)
        if columns == limit:
            assert load_rgb(path).shape == (1, limit, 3)
        else:
            with pytest.raises(DataError, match=f"1 x {columns} pixels: more than the limit of {limit} pixels"):
                load_rgb(path)


MEASURE = """
import resource, sys
from pathlib import Path
if sys.argv[1] == "labels":
    from weakseg.artifacts import LabelMap
    read = LabelMap.load
else:
    from weakseg.data.image import load_rgb as read
read(Path(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read(Path(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count in other units")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "F", "labels"])
def test_memory(tmp_path: Path, mode: str) -> None:
    """At most 7 bytes a pixel, so that 88 million stay below 620 MB, and something for the part at work."""
    pixels, kind = 3000 * 3000, "L" if mode == "labels" else mode
    for side in (30, 3000):
        Image.new(kind, (side, side)).save(tmp_path / f"{side}.tif", compression="tiff_adobe_deflate")
    names = [str(tmp_path / f"{side}.tif") for side in (30, 3000)]
    run = subprocess.run([sys.executable, "-c", MEASURE, mode, *names], capture_output=True, text=True, check=True)
    assert int(run.stdout) * 1024 < 7 * pixels + 16e6


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg: no such image file; check"):
        load_rgb(tmp_path / "gone.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.bmp"])
def test_truncated(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=re.escape(name) + ".*cannot be read as an image"):
        load_rgb(path)


def postscript() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n"


def icon() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).resize((16, 16)).save(buffer, "ICO")
    return buffer.getvalue()


def with_exif(orientation: int, gps: bytes) -> bytes:
    """Return a JPEG whose EXIF, big-endian, holds an orientation and a GPS block of one altitude."""
    ifd = struct.pack(">HHHLHH", 2, 0x0112, 3, 1, orientation, 0) + struct.pack(">HHLL", 0x8825, 4, 1, 38)
    block = struct.pack(">HHHLL", 1, 6, 10, 1, 56) + struct.pack(">L", 0) + gps
    exif = b"Exif\0\0MM\0*" + struct.pack(">L", 8) + ifd + struct.pack(">L", 0) + block
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_exif_that_cannot_be_rewritten(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(with_exif(6, struct.pack(">ll", -3, 0)))
    assert load_rgb(tmp_path / "a.jpg").shape == (5, 3, 3)
    assert read_frame(tmp_path / "a.jpg") == Frame((3, 5), 6)


def test_exif_that_cannot_be_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", exif=b"Exif\0\0nonsense that is none")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert load_rgb(tmp_path / "a.jpg").shape == (3, 5, 3) and read_frame(tmp_path / "a.jpg") == Frame((3, 5))
    assert "a.jpg: EXIF cannot be read" in caplog.text and "taken as upright" in caplog.text


@pytest.mark.parametrize("read", [load_rgb, image_size])
@pytest.mark.parametrize("content", [postscript(), icon()])
def test_other_decoders_never_see_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object], content: bytes
) -> None:
    Image.init()
    for name in Image.OPEN.keys() - set(photograph_formats()):
        monkeypatch.setitem(Image.OPEN, name, (lambda *_: pytest.fail("opened"), lambda _: pytest.fail("asked")))
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image \(it is no sound file of JPEG, PNG"):
        read(tmp_path / "a.jpg")


@pytest.mark.parametrize("error", [IndexError("x"), MemoryError(), struct.error("y"), KeyError("z"), RecursionError()])
def test_whatever_a_decoder_throws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image \((x|y|'z'|MemoryError|RecursionError)\)"):
        load_rgb(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.jfif", "a.JPG", "a.TIF", "a.avif", "a.WebP"])
def test_suffixes(tmp_path: Path, name: str) -> None:
    if name.endswith("avif") and "AVIF" not in photograph_formats():
        pytest.skip("this Pillow reads no AVIF")
    Image.fromarray(np.full((16, 16, 3), 99, np.uint8)).save(tmp_path / name)
    assert Path(name).suffix.lower() in IMAGE_SUFFIXES
    assert np.abs(load_rgb(tmp_path / name).astype(int) - 99).max() <= 2


def test_heic_without_its_decoder_says_what_to_install(tmp_path: Path) -> None:
    if "HEIF" in photograph_formats():
        pytest.skip("pillow-heif is installed")
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(DataError, match=r"a\.HEIC: .*pillow-heif"):
        load_rgb(tmp_path / "a.HEIC")


@pytest.mark.parametrize("content", [b"", b"no image", b"<html></html>"])
def test_no_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image"):
        load_rgb(tmp_path / "a.jpg")


def test_folder_and_pipe_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    for name in ("folder.jpg", "pipe.jpg"):
        with pytest.raises(DataError, match=f"{name}: no such image file"):
            load_rgb(tmp_path / name)


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.png"
    Image.fromarray(PIXELS).save(path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)  # as root, chmod would not keep us out
    with pytest.raises(DataError, match=r"locked\.png: cannot be read .*Permission denied"):
        load_rgb(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP"]), data=st.data())
def test_damaged_files_give_an_image_or_a_data_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.img"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        assert load_rgb(path).dtype == np.uint8
    except DataError as error:
        assert "damaged.img" in str(error)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 200]], np.uint8), [0, 200]),
        (np.array([[[0], [200]]], np.uint8), [0, 200]),
        (np.array([[False, True]]), [0, 255]),
        (np.array([[256, 65535]], np.uint16), [1, 255]),
        (np.array([[0.1, 1.0]], np.float64), [26, 255]),
        (np.array([[0.5, 0.0]], np.float16), [128, 0]),
    ],
)
def test_arrays_of_one_channel(array: NDArray[np.generic], expected: list[int]) -> None:
    np.testing.assert_array_equal(as_rgb(array), grey_to_rgb(np.array([expected], np.uint8)))


def test_array_with_opacity() -> None:
    rgba = np.concatenate([PIXELS, GREY[..., None]], axis=2)
    np.testing.assert_array_equal(as_rgb(rgba), over_white(PIXELS, GREY))
    np.testing.assert_array_equal(as_rgb(rgba / 255.0), over_white(PIXELS, GREY))


@pytest.mark.parametrize("shape", [(4,), (0, 3, 3), (2, 2, 2), (2, 2, 5), (1, 2, 2, 3)])
def test_arrays_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=re.escape(f"got {shape}")):
        as_rgb(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.full((2, 2), 1.5), "1.5"),
        (np.full((2, 2), -0.25), "-0.25"),
        (np.full((2, 2), np.nan), "nan"),
    ],
)
def test_arrays_of_another_type_or_range(array: NDArray[np.generic], value: str) -> None:
    with pytest.raises(DataError, match=value):
        as_rgb(array)
