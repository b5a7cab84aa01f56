"""Damaged copies of whole files: cut, cut and closed, zeroed, shortened, overwritten, flipped.

The rule: a copy that shows other pixels than the whole file is an error. Formats with checksums keep it for
every damage. JPEG keeps it for every cut and every lost block; of smaller damage inside its data that leaves
the codes in step nothing can be told, and `test_rates_of_what_jpeg_cannot_tell` says how often that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from blemish.errors import BlemishError
from blemish.images.decode import read_image
from blemish.images.opening import EncodedImage

Damage = Callable[[bytes, int], bytes]


def photograph(height: int = 192, width: int = 256, channels: int = 3) -> NDArray[np.uint8]:
    """Smooth picture with grain, which no run of zeros occurs in."""
    rows, columns = np.mgrid[:height, :width]
    base = 120 + 50 * np.sin(columns / 23) + 40 * np.cos(rows / 17)
    grain = np.random.default_rng(3).normal(0, 6, (height, width, channels))
    pixels = np.clip(base[..., None] + grain + 8 * np.arange(channels), 1, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def jpeg(channels: int = 3, **options: Any) -> bytes:
    stream = BytesIO()
    image = Image.fromarray(photograph(channels=channels), {1: "L", 3: "RGB", 4: "CMYK"}[channels])
    image.save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def tiff(**options: Any) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, photograph(96, 128, 1), metadata=None, rowsperstrip=16, **options)
    return stream.getvalue()


def fax() -> bytes:
    stream = BytesIO()
    Image.fromarray(photograph(300, 400, 1) > 120).save(stream, "TIFF", compression="group4")
    return stream.getvalue()


def png(pixels: NDArray[Any]) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def pillow(kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(photograph(96, 128)).save(stream, kind, **options)
    return stream.getvalue()


JPEGS = {
    "colour": jpeg(),
    "gray": jpeg(1),
    "gray progressive": jpeg(1, progressive=True),
    "colour progressive": jpeg(progressive=True),
    "own codes": jpeg(optimize=True),
    "restart markers": jpeg(restart_marker_blocks=8),
    "inks": jpeg(4),
}
CHECKED = {  # formats with a checksum over all pixels; of TIFF, over these alone
    "png": png(photograph(96, 128)),
    "png gray": png(photograph(96, 128, 1)),
    "png 16 bits": png(photograph(96, 128).astype(np.uint16) * 257),
    "tiff deflate": tiff(compression="zlib"),
}
LENGTHS = {  # formats that tell only how much there must be
    "bmp": pillow("BMP"),
    "ppm": pillow("PPM"),
    "tiff": tiff(),
    "tiff lzw": tiff(compression="lzw"),
    "tiff packbits": tiff(compression="packbits"),
    "tiff fax": fax(),
    "tiff jpeg": tiff(compression="jpeg"),
    "webp": pillow("WEBP", quality=90),
    "webp lossless": pillow("WEBP", lossless=True),
}


def read(data: bytes) -> NDArray[Any] | None:
    """Pixels; None for a file that is refused."""
    try:
        return read_image(EncodedImage(data, "copy"))
    except BlemishError as error:
        assert "\n" not in str(error)
        return None


def unseen(data: bytes, damaged: bytes) -> bool:
    """True where the copy is read, and shows something else than the whole file."""
    pixels, whole = read(damaged), read(data)
    assert whole is not None
    return pixels is not None and not np.array_equal(pixels, whole)


def start_of_data(data: bytes) -> int:
    return data.index(b"\xff\xda") + 14


def zeroed(data: bytes, start: int, length: int) -> bytes:
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :]


@pytest.mark.parametrize("name", JPEGS)
def test_a_cut_jpeg_is_refused_also_when_it_is_closed(name: str) -> None:
    data = JPEGS[name]
    for stop in np.linspace(start_of_data(data), len(data) - 3, 60).astype(int):
        for end in (b"", b"\xff\xd9", bytes(512) + b"\xff\xd9"):
            assert read(data[:stop] + end) is None, (stop, end)


@pytest.mark.parametrize("name", JPEGS)
def test_a_lost_block_of_a_jpeg_is_seen(name: str) -> None:
    data = JPEGS[name]
    for start in range(-(-start_of_data(data) // 512) * 512, len(data) - 512, 512):
        assert read(zeroed(data, start, 512)) is None, start
        assert read(data[:start] + b"\xff" * 512 + data[start + 512 :]) is None, start


@pytest.mark.parametrize("name", ["gray progressive", "colour progressive"])
def test_a_progressive_jpeg_cut_between_its_scans_is_refused(name: str) -> None:
    data, place = JPEGS[name], start_of_data(JPEGS[name])
    scans = []
    while (place := data.find(b"\xff\xda", place + 1)) >= 0:
        scans.append(place)
    assert len(scans) >= 4
    for place in scans:
        tables = data.rfind(b"\xff\xc4", 0, place)  # the codes of a scan stand before it
        for stop in (tables, place):
            with pytest.raises(BlemishError, match=r"truncated or damaged data \(.*scans are missing\)"):
                read_image(EncodedImage(data[:stop] + b"\xff\xd9", "cut.jpg"))


def test_dark_and_flat_jpegs_with_many_zeros_are_whole() -> None:
    for optimize, progressive, value in (
        (True, False, 0),
        (True, True, 0),
        (False, False, 128),
        (True, False, 128),
    ):
        for shape in ((640, 640), (640, 640, 3)):
            stream = BytesIO()
            flat = Image.fromarray(np.full(shape, value, np.uint8))
            flat.save(stream, "JPEG", optimize=optimize, progressive=progressive)
            padded = stream.getvalue() + bytes(4096)  # behind the end of the image
            assert np.all(read_image(EncodedImage(padded, "flat.jpg")) == value)


@pytest.mark.parametrize("name", CHECKED)
@settings(max_examples=60, deadline=None)
@given(
    share=st.floats(0.0, 0.999),
    kind=st.sampled_from(["cut", "flip", "zero", "gone", "noise"]),
    bit=st.integers(0, 7),
)
def test_no_damage_of_a_format_with_checksums_is_unseen(name: str, share: float, kind: str, bit: int) -> None:
    data = CHECKED[name]
    first = len(data) - sum(strip_bytes(data)) if name.startswith("tiff") else 0
    place = first + int(share * (len(data) - first))
    damaged = {
        "cut": data[:place],
        "flip": data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :],
        "zero": zeroed(data, max(first, place // 512 * 512), 512),
        "gone": data[:place] + data[place + 64 :],
        "noise": data[:place] + b"\xa5" * 16 + data[place + 16 :],
    }[kind]
    assert not unseen(data, damaged)


def strip_bytes(data: bytes) -> tuple[int, ...]:
    with tifffile.TiffFile(BytesIO(data)) as file:
        assert max(file.pages.first.dataoffsets) + file.pages.first.databytecounts[-1] == len(data)
        return file.pages.first.databytecounts


@pytest.mark.parametrize("name", LENGTHS)
def test_a_cut_file_is_refused_in_every_format(name: str) -> None:
    data = LENGTHS[name]
    for stop in np.linspace(1, len(data) - 1, 80).astype(int):
        assert not unseen(data, data[:stop]), stop


def rate(data: bytes, damages: Iterator[bytes]) -> float:
    """Share of damaged copies that are read as if whole."""
    results = [unseen(data, damaged) for damaged in damages]
    return sum(results) / len(results)


def test_rates_of_what_jpeg_cannot_tell() -> None:
    """A changed bit of a coefficient leaves the codes in step: some 4 of 5 single bits go unseen."""
    generator, data = np.random.default_rng(1), JPEGS["colour"]
    places = generator.integers(start_of_data(data), len(data) - 600, 100)
    flipped = (data[:p] + bytes([data[p] ^ 1 << int(generator.integers(8))]) + data[p + 1 :] for p in places)
    assert 0.5 < rate(data, flipped) < 0.95
    assert rate(data, (data[:p] + data[p + 512 :] for p in places)) == 0.0
    assert rate(data, (data[:p] + generator.bytes(512) + data[p + 512 :] for p in places)) < 0.05


@pytest.mark.parametrize("name", LENGTHS)
def test_lost_blocks_are_seen_in_every_format(name: str) -> None:
    data = LENGTHS[name]
    for start in range(1024, len(data) - 600, 512):
        assert not unseen(data, zeroed(data, start, 512)), start
    for start in range(4096, len(data) - 512, 4096):  # from a page on to the end: writing was broken off
        assert not unseen(data, zeroed(data, start, len(data)))


@pytest.mark.parametrize("kind", ["BMP", "PPM", "TIFF", "WEBP", "PNG"])
def test_dark_surroundings_are_no_lost_blocks(kind: str) -> None:
    generator = np.random.default_rng(8)
    for _ in range(40):
        height, width = (int(side) for side in generator.integers(40, 200, 2))
        pixels = photograph(height, width)
        rows, columns = np.mgrid[:height, :width]
        centre, radius = generator.uniform(0, (height, width)), generator.uniform(10, 90)
        pixels[np.hypot(rows - centre[0], columns - centre[1]) > radius] = 0
        options = {"lossless": True} if kind == "WEBP" else {}
        stream = BytesIO()
        Image.fromarray(pixels).save(stream, kind, **options)
        assert np.array_equal(read_image(EncodedImage(stream.getvalue(), "dark")), pixels)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}])
@pytest.mark.parametrize("value", [0, 255])
def test_flat_pictures_in_webp_are_whole(options: dict[str, Any], value: int) -> None:
    stream = BytesIO()
    Image.new("RGB", (2500, 2000), (value, value, value)).save(stream, "WEBP", method=0, **options)
    assert np.all(read_image(EncodedImage(stream.getvalue(), "flat.webp")) == value)


def test_a_jpeg_whose_header_is_lost_is_refused_in_words_of_the_user() -> None:
    data = jpeg()
    for lost in (data[:2] + bytes(len(data) - 2), data[:20] + b"\xff\xd9"):
        with pytest.raises(BlemishError) as refused:
            read_image(EncodedImage(lost, "a.jpg"))
        assert "tj" not in str(refused.value)


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    data = jpeg(progressive=True)
    first, end = data.find(b"\xff\xda"), data.rfind(b"\xff\xd9")
    with pytest.raises(BlemishError, match="more than 100 scans"):
        read_image(EncodedImage(data[:first] + 1000 * data[first:end] + data[end:], "scans.jpg"))
