"""Formats other than TIFF over bits, channels and turns, held to Pillow, imageio and hand-written files."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import imageio.v3 as imageio
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES, UNREAD_IMAGE_SUFFIXES, image_size, page_count, read_image
from blemish.images.opening import EncodedImage

HEIGHT, WIDTH = 14, 19


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def png(
    depth: int,
    colour_type: int,
    rows: list[bytes],
    *chunks: tuple[bytes, bytes],
    late: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG of WIDTH × HEIGHT by hand. chunks: before the pixels; late: EXIF behind them"""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour_type, 0, 0, interlaced)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    behind = [(b"eXIf", late)] if late else []
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), *behind, (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def packed(values: NDArray[Any], depth: int) -> list[bytes]:
    """Rows of a PNG. values: [H, W, channels]"""
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in values]
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
    return [np.packbits(row.ravel()).tobytes() for row in bits]


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(
    ("depth", "colour_type", "channels"),
    [
        *((depth, 0, 1) for depth in (1, 2, 4, 8, 16)),
        *((depth, kind, channels) for depth in (8, 16) for kind, channels in ((2, 3), (4, 2), (6, 4))),
    ],
)
def test_png_of_every_depth_and_type(
    rng: np.random.Generator, depth: int, colour_type: int, channels: int, transparent: bool
) -> None:
    stored = rng.integers(0, 2**depth, (HEIGHT, WIDTH, channels))
    chunks = []
    if transparent:  # a colour that counts as transparent changes no pixel
        if channels in (2, 4):
            pytest.skip("has alpha already")
        chunks = [(b"tRNS", b"".join(struct.pack(">H", int(value)) for value in stored[0, 0]))]
    data = png(depth, colour_type, packed(stored, depth), *chunks)
    colours = stored[..., 0] if channels < 3 else stored[..., :3]
    top = 65535 if depth == 16 else 255
    expected = colours * (top // (2**depth - 1))
    pixels = read_image(EncodedImage(data, "a.png"))
    assert pixels.dtype == (np.uint16 if depth == 16 else np.uint8)
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_interlaced_png_and_chunks_about_colour(
    rng: np.random.Generator, depth: int, colour_type: int, channels: int
) -> None:
    stored = rng.integers(0, 2**depth, (HEIGHT, WIDTH, channels))
    expected = stored[..., 0] if channels < 3 else stored[..., :3]
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    pieces = [stored[top::down, left::right] for left, top, right, down in passes]
    rows = [row for piece in pieces if piece.size for row in packed(piece, depth)]
    data = png(depth, colour_type, rows, interlaced=True)
    assert np.array_equal(read_image(EncodedImage(data, "a.png")), expected)
    for chunk in ((b"gAMA", struct.pack(">I", 100_000)), (b"sBIT", bytes([5] * channels)), (b"sRGB", b"\0")):
        data = png(depth, colour_type, packed(stored, depth), chunk)
        assert np.array_equal(read_image(EncodedImage(data, "a.png")), expected)


@pytest.mark.filterwarnings("ignore:Palette images")  # of the reference
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_png_palettes(rng: np.random.Generator, depth: int, transparent: bool) -> None:
    index = rng.integers(0, 2**depth, (HEIGHT, WIDTH, 1))
    palette = rng.integers(0, 256, (2**depth, 3), dtype=np.uint8)
    chunks = [(b"PLTE", palette.tobytes())] + ([(b"tRNS", bytes(2))] if transparent else [])
    data = png(depth, 3, packed(index, depth), *chunks)
    assert np.array_equal(read_image(EncodedImage(data, "a.png")), palette[index[..., 0]])
    assert np.array_equal(imageio.imread(data, mode="RGB"), palette[index[..., 0]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_png_is_turned_by_exif_behind_its_pixels(
    tmp_path: Path, rng: np.random.Generator, orientation: int
) -> None:
    stored = rng.integers(0, 256, (HEIGHT, WIDTH, 1))
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HH", orientation, 0) + bytes(4)
    (tmp_path / "late.png").write_bytes(png(8, 0, packed(stored, 8), late=exif))
    (tmp_path / "early.png").write_bytes(png(8, 0, packed(stored, 8), (b"eXIf", exif)))
    with Image.open(tmp_path / "early.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    for name in ("late.png", "early.png"):
        assert np.array_equal(read_image(tmp_path / name), expected)
        assert image_size(tmp_path / name) == expected.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".jfif", ".JPEG"])
def test_exif_turns_jpeg_and_webp(
    tmp_path: Path, rng: np.random.Generator, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned{suffix}"
    kind = "WEBP" if suffix == ".webp" else "JPEG"
    Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(path, kind, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_image(path), expected)
    assert image_size(path) == expected.shape[:2]


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (64, 48), (33, 517)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_pixels_are_those_of_pillow(
    tmp_path: Path, rng: np.random.Generator, size: tuple[int, int], options: dict[str, Any], mode: str
) -> None:
    bands = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    noise = rng.integers(0, 256, (*size, bands), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (5, 5), 0).reshape(*size, bands)
    Image.fromarray(smooth[..., 0] if bands == 1 else smooth, mode).save(tmp_path / "a.jpg", **options)
    with Image.open(tmp_path / "a.jpg") as image:
        expected = np.asarray(image if mode == "L" else image.convert("RGB"))
    assert np.array_equal(read_image(tmp_path / "a.jpg"), expected)
    if mode != "CMYK":
        assert np.array_equal(imageio.imread(tmp_path / "a.jpg"), expected)


def test_a_jpeg_of_rare_sampling_is_named_as_such() -> None:
    stream = BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "JPEG", subsampling=0)
    data = bytearray(stream.getvalue())
    place = data.index(b"\xff\xc0") + 11  # sampling of the first component
    assert data[place] == 0x11
    data[place] = 0x13
    with pytest.raises(BlemishError, match=r"a\.jpg must be a common image\. Received: a rare encoding"):
        read_image(EncodedImage(bytes(data), "a.jpg"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp(tmp_path: Path, rng: np.random.Generator, mode: str) -> None:
    image = Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).convert(mode)
    image.save(tmp_path / "a.bmp")
    expected = np.asarray(image.convert("L" if mode in "1L" else "RGB"))
    assert np.array_equal(read_image(tmp_path / "a.bmp"), expected)
    assert image_size(tmp_path / "a.bmp") == (HEIGHT, WIDTH)


@pytest.mark.parametrize("highest", [1, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_raw_pnm_of_every_highest_value(rng: np.random.Generator, highest: int, channels: int) -> None:
    values = rng.integers(0, highest + 1, (HEIGHT, WIDTH, channels))
    head = f"P{5 if channels == 1 else 6}\n# a comment\n{WIDTH} {HEIGHT}\n{highest}\n".encode()
    data = head + values.astype("u1" if highest < 256 else ">u2").tobytes()
    top = 255 if highest < 256 else 65535
    expected = (2 * values * top + highest) // (2 * highest)
    pixels = read_image(EncodedImage(data, "a.pnm"))
    assert np.array_equal(pixels, expected[..., 0] if channels == 1 else expected)
    with pytest.raises(BlemishError, match="more data behind the picture"):
        read_image(EncodedImage(data + data, "two.pnm"))
    with pytest.raises(BlemishError, match="the file ends early"):
        read_image(EncodedImage(data[:-1], "short.pnm"))
    if highest not in (255, 65535):
        with pytest.raises(BlemishError, match=f"where {highest} is declared"):
            read_image(EncodedImage(head + b"\xff" * (len(data) - len(head)), "over.pnm"))


def test_plain_pnm(rng: np.random.Generator) -> None:
    values = rng.integers(0, 256, (HEIGHT, WIDTH, 3))
    text = f"P3\n{WIDTH} {HEIGHT}\n255\n" + "\n".join(" ".join(map(str, row.ravel())) for row in values)
    assert np.array_equal(read_image(EncodedImage(text.encode(), "a.ppm")), values)
    deep = text.replace("\n255\n", "\n4095\n")
    with pytest.raises(BlemishError, match="a rare encoding"):
        read_image(EncodedImage(deep.encode(), "deep.ppm"))


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_each_frame_of_an_animation_is_read(rng: np.random.Generator, kind: str) -> None:
    frames = rng.integers(0, 256, (3, HEIGHT, WIDTH, 3), dtype=np.uint8)
    stream = BytesIO()
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(stream, kind, save_all=True, append_images=others, duration=40, lossless=True)
    file = EncodedImage(stream.getvalue(), "moving")
    assert page_count(file) == 3
    for number, frame in enumerate(frames):
        assert np.array_equal(read_image(file, page=number), frame)
    with pytest.raises(BlemishError, match=r"moving must hold one picture\. Received: 3"):
        read_image(file)


def test_previews_in_a_jpeg_are_no_frames_of_it_but_equal_ones_are(rng: np.random.Generator) -> None:
    pictures = [Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)) for _ in range(2)]
    preview = Image.fromarray(np.zeros((4, 5), np.uint8))
    for others, count in (([preview], 1), ([pictures[1]], 2), ([pictures[1], preview], 2)):
        stream = BytesIO()
        pictures[0].save(stream, "MPO", save_all=True, append_images=others, quality=95)
        file = EncodedImage(stream.getvalue(), "a.mpo")
        assert page_count(file) == count
        for number in range(count):
            alone = BytesIO()
            pictures[number].save(alone, "JPEG", quality=95)
            expected = read_image(EncodedImage(alone.getvalue(), "alone.jpg"))
            assert np.array_equal(read_image(file, page=number), expected)


def test_suffixes_are_lower_case_and_either_read_or_named() -> None:
    assert {".jfif", ".jpe", ".jpeg", ".tif", ".tiff", ".pnm", ".dib"} <= SUFFIXES
    assert {".gif", ".heic", ".avif", ".jp2", ".exr", ".dng"} <= UNREAD_IMAGE_SUFFIXES
    assert not SUFFIXES & UNREAD_IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() for suffix in SUFFIXES | UNREAD_IMAGE_SUFFIXES)


def animation(declared: int, *, own_first: bool = False) -> bytes:
    """APNG of three frames, whose header says so many, or is left out where that is -1."""
    first = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    stream = BytesIO()
    others = [first.rotate(90), first.rotate(180)] + [first.rotate(270)] * own_first
    first.save(stream, "PNG", save_all=True, append_images=others, default_image=own_first)
    data = stream.getvalue()
    place = data.index(b"acTL")
    content = b"acTL" + struct.pack(">II", declared, 0)
    return data[:place] + content + struct.pack(">I", zlib.crc32(content)) + data[place + 16 :]


@pytest.mark.parametrize("own_first", [False, True])
def test_an_animation_has_the_frames_that_it_says(own_first: bool) -> None:
    file = EncodedImage(animation(3, own_first=own_first), "a.png")
    assert page_count(file) == 3 + own_first
    for page in range(3 + own_first):
        assert read_image(file, page=page).shape == (8, 8)


@pytest.mark.parametrize("declared", [0, 1, 2, 4, 10**6, 2**31 - 1, 2**32 - 1])
def test_an_animation_with_fewer_or_more_frames_than_it_says_is_damaged(declared: int) -> None:
    """A header of some bytes must neither hide frames nor promise as many as would never end."""
    file = EncodedImage(animation(declared), "a.png")
    with pytest.raises(
        BlemishError, match=rf"a\.png must be a whole image.*an animation of {declared} frames"
    ):
        page_count(file)
    with pytest.raises(BlemishError, match="an animation of"):
        read_image(file, page=0)
