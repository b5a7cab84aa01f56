"""Decoding against Pillow, OpenCV and hand-written files; bad files against their one-line refusals."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from blemish.errors import BlemishError
from blemish.images.decode import image_size, luminance, read_image, to_bytes, to_unit
from tests.processor_time import processor_seconds


@pytest.fixture
def colour(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_gray_stays_two_dimensional_and_widens_on_request(tmp_path: Path, colour: NDArray[np.uint8]) -> None:
    gray = colour[..., 0]
    Image.fromarray(gray).save(tmp_path / "gray.png")
    assert np.array_equal(read_image(tmp_path / "gray.png"), gray)
    assert np.array_equal(read_image(tmp_path / "gray.png", channels=3), np.stack([gray] * 3, axis=-1))


def test_colour_is_rgb_and_luminance_follows_itu_601(tmp_path: Path, colour: NDArray[np.uint8]) -> None:
    Image.fromarray(colour).save(tmp_path / "colour.png")
    assert np.array_equal(read_image(tmp_path / "colour.png"), colour)
    exact = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_image(tmp_path / "colour.png", channels=1) - exact).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bit_gray_keeps_every_bit(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    gray = rng.integers(0, 65536, (5, 8), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), gray)
    pixels = read_image(tmp_path / f"deep{suffix}")
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels, gray)


@pytest.mark.parametrize(("suffix", "bands"), [(".png", 3), (".png", 4), (".tif", 3), (".ppm", 3)])
def test_sixteen_bit_colour_keeps_every_bit(
    tmp_path: Path, rng: np.random.Generator, suffix: str, bands: int
) -> None:
    stored = rng.integers(0, 65536, (5, 8, bands), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), stored)
    pixels = read_image(tmp_path / f"deep{suffix}")
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels, stored[..., 2::-1])
    assert read_image(tmp_path / f"deep{suffix}", channels=1).dtype == np.uint16


def test_sixteen_bit_gray_with_alpha_is_gray(tmp_path: Path, rng: np.random.Generator) -> None:
    gray = rng.integers(0, 65536, (3, 4), dtype=np.uint16)
    rows = np.stack([gray, np.full_like(gray, 9)], axis=-1).astype(">u2")
    write_png(tmp_path / "la16.png", 4, 3, 16, 4, b"".join(b"\0" + row.tobytes() for row in rows))
    assert np.array_equal(read_image(tmp_path / "la16.png"), gray)


def test_alpha_is_dropped_not_blended(tmp_path: Path, colour: NDArray[np.uint8]) -> None:
    alpha = np.zeros((6, 9, 1), np.uint8)
    Image.fromarray(np.concatenate([colour, alpha], axis=-1)).save(tmp_path / "rgba.png")
    Image.fromarray(np.concatenate([colour[..., :1], alpha], axis=-1), "LA").save(tmp_path / "la.png")
    assert np.array_equal(read_image(tmp_path / "rgba.png"), colour)
    assert np.array_equal(read_image(tmp_path / "la.png"), colour[..., 0])


def test_palette_becomes_rgb_and_one_bit_becomes_0_and_255(tmp_path: Path, rng: np.random.Generator) -> None:
    index = rng.integers(0, 3, (4, 5), dtype=np.uint8)
    palette = np.array([[255, 0, 0], [0, 255, 0], [9, 8, 7]], np.uint8)
    image = Image.fromarray(index, "P")
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "palette.png")
    assert np.array_equal(read_image(tmp_path / "palette.png"), palette[index])
    Image.fromarray(index > 0).save(tmp_path / "bit.png")
    assert np.array_equal(read_image(tmp_path / "bit.png"), np.where(index > 0, 255, 0))


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    pixels = read_image(tmp_path / "cmyk.jpg")
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_orientation_is_applied_as_pillow_does(
    tmp_path: Path, colour: NDArray[np.uint8], orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned{suffix}"
    Image.fromarray(colour).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_image(path), expected)
    assert image_size(path) == expected.shape[:2]


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_sixteen_bit_colour(
    tmp_path: Path, rng: np.random.Generator, orientation: int
) -> None:
    stored = rng.integers(0, 65536, (2, 3, 3), dtype=np.uint16)
    body = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HH", orientation, 0) + bytes(4)
    write_png(tmp_path / "turned.png", 3, 2, 16, 2, body, extra=(b"eXIf", exif))
    assert np.array_equal(read_image(tmp_path / "turned.png"), np.rot90(stored, {3: 2, 6: -1}[orientation]))


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "deep.png"])
def test_truncated_file_is_refused(tmp_path: Path, rng: np.random.Generator, name: str) -> None:
    kind = np.uint16 if name == "deep.png" else np.uint8
    cv2.imwrite(str(tmp_path / name), rng.integers(0, 256, (64, 64, 3)).astype(kind))
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(BlemishError, match=rf"{name} must be a whole image\. Received: truncated"):
        read_image(tmp_path / name)


def test_damaged_png_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    cv2.imwrite(str(tmp_path / "bad.png"), rng.integers(0, 256, (64, 64), dtype=np.uint8))
    content = bytearray((tmp_path / "bad.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(BlemishError, match=r"bad\.png must be a whole image"):
        read_image(tmp_path / "bad.png")


def test_huge_picture_is_refused_from_its_header(tmp_path: Path) -> None:
    side = 60_000

    def write() -> None:
        compressor = zlib.compressobj(9)
        body = b"".join(compressor.compress(bytes(side // 8 + 1)) for _ in range(side)) + compressor.flush()
        write_png(tmp_path / "huge.png", side, side, 1, 0, body, compressed=True)

    def read() -> None:
        with pytest.raises(
            BlemishError, match=r"huge\.png must have at most 268435456 pixels\. Received: 60000×60000"
        ):
            read_image(tmp_path / "huge.png")

    writing = processor_seconds(write)
    tracemalloc.start()
    assert processor_seconds(read) < 0.1 * writing
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert image_size(tmp_path / "huge.png") == (side, side)


def test_pillow_keeps_its_own_limit(tmp_path: Path, colour: NDArray[np.uint8]) -> None:
    before = Image.MAX_IMAGE_PIXELS
    Image.fromarray(colour).save(tmp_path / "a.png")
    read_image(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "an empty file"),
        ("text.png", b"this is a note about the images", "something else"),
        ("figure.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "something else"),
        ("header.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "Received"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    for read in (read_image, image_size):
        with pytest.raises(BlemishError, match=f"{name}.*{message}") as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"absent\.png must exist"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(BlemishError, match=r"must be a file\. Received: a folder"):
        read_image(tmp_path)


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((3, 3), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(BlemishError, match=r"float\.tif must hold 8-bit or 16-bit"):
        read_image(tmp_path / "float.tif")


def test_ranges_follow_the_declared_type_alone() -> None:
    dark = np.array([[0, 1]], np.uint8)
    assert to_unit(dark).tolist() == [[0.0, pytest.approx(1 / 255)]]
    assert to_unit(np.array([[65535, 1]], np.uint16)).tolist() == [[1.0, pytest.approx(1 / 65535)]]
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(to_bytes(every), np.rint(every / 257).astype(np.uint8))
    with pytest.raises(BlemishError, match="uint8 or uint16"):
        to_unit(np.zeros((2, 2), np.float32))  # type: ignore[arg-type]


def test_luminance_of_sixteen_bit_white_is_white() -> None:
    assert luminance(np.full((2, 2, 3), 65535, np.uint16)).min() == 65535


def write_png(
    path: Path,
    width: int,
    height: int,
    depth: int,
    colour_type: int,
    body: bytes,
    *,
    compressed: bool = False,
    extra: tuple[bytes, bytes] | None = None,
) -> None:
    """A PNG by hand, for what no library writes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = body if compressed else zlib.compress(body)
    chunks = [(b"IHDR", header), *([extra] if extra else []), (b"IDAT", data), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
