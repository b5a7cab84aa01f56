"""TIFF over a generated matrix of layouts: pixels as they were written, held to tifffile, or a refusal."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from blemish.errors import BlemishError
from blemish.images.decode import image_size, page_count, read_image

HEIGHT, WIDTH = 21, 37
FORMS: list[
    tuple[Literal["<", ">"], bool, tuple[int, int] | None]
] = [  # of the file: byte order, BigTIFF, tiles
    ("<", False, None),
    (">", False, (16, 16)),
    ("<", True, (16, 16)),
    (">", True, None),
]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def oriented(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels as TIFF's table of orientations shows them: where the stored row 0 and column 0 are."""
    rows_from_bottom, columns_from_right, transposed = {
        1: (False, False, False),
        2: (False, True, False),
        3: (True, True, False),
        4: (True, False, False),
        5: (False, False, True),
        6: (False, True, True),
        7: (True, True, True),
        8: (True, False, True),
    }[orientation]
    shown = pixels.swapaxes(0, 1) if transposed else pixels
    shown = shown[::-1] if rows_from_bottom else shown
    return shown[:, ::-1] if columns_from_right else shown


def seen(stored: NDArray[Any], photometric: str, bits: int) -> NDArray[Any]:
    """Picture that stored samples [H, W, S] mean: alpha dropped, white and black in their places."""
    if photometric == "rgb":
        return stored[..., :3]
    return (2**bits - 1) - stored[..., 0] if photometric == "miniswhite" else stored[..., 0]


def layouts() -> Iterator[tuple[int, int, str, str]]:
    for bits, (samples, photometric), planar in product(
        (8, 16),
        ((1, "minisblack"), (1, "miniswhite"), (2, "minisblack"), (3, "rgb"), (4, "rgb")),
        ("contig", "separate"),
    ):
        if samples > 1 or planar == "contig":
            yield bits, samples, photometric, planar


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_every_layout_is_read_as_it_was_written(
    tmp_path: Path, rng: np.random.Generator, compression: str | None, orientation: int
) -> None:
    path = tmp_path / "picture.tif"
    for (bits, samples, photometric, planar), (order, big, tile) in product(layouts(), FORMS):
        stored = rng.integers(0, 2**bits, (HEIGHT, WIDTH, samples)).astype(f"u{bits // 8}")
        data = (
            stored[..., 0] if samples == 1 else stored if planar == "contig" else np.moveaxis(stored, -1, 0)
        )
        tifffile.imwrite(
            path,
            np.ascontiguousarray(data),
            photometric=photometric,
            planarconfig=planar if samples > 1 else None,
            compression=compression,
            predictor=compression in ("lzw", "zlib") and order == "<",
            tile=tile,
            rowsperstrip=None if tile else 8,
            byteorder=order,
            bigtiff=big,
            extrasamples=["unassalpha"] if samples in (2, 4) else None,
            extratags=[(274, 3, 1, orientation, True)],
            metadata=None,
        )
        expected = oriented(seen(stored, photometric, bits), orientation)
        assert np.array_equal(tifffile.imread(path).ravel(), np.ravel(data))  # the writer wrote what is meant
        pixels = read_image(path)
        assert pixels.dtype == expected.dtype
        assert np.array_equal(pixels, expected), (bits, samples, photometric, planar, order, big, tile)
        assert image_size(path) == expected.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("bits", "samples"), [(1, 1), (8, 1), (16, 1), (8, 3), (16, 3)])
def test_all_eight_orientations(
    tmp_path: Path, rng: np.random.Generator, orientation: int, bits: int, samples: int
) -> None:
    stored = rng.integers(0, 2**bits, (HEIGHT, WIDTH, samples)).astype("u2" if bits == 16 else "u1")
    if samples == 1:
        stored = stored[..., 0]
    tifffile.imwrite(
        tmp_path / "turned.tif",
        stored.astype(bool) if bits == 1 else stored,
        photometric="rgb" if samples == 3 else "minisblack",
        extratags=[(274, 3, 1, orientation, True)],
        metadata=None,
    )
    expected = oriented(stored * 255 if bits == 1 else stored, orientation)
    assert np.array_equal(read_image(tmp_path / "turned.tif"), expected)
    assert image_size(tmp_path / "turned.tif") == expected.shape[:2]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 7, 9, 10, 12, 14])
def test_fewer_bits_fill_the_range_of_their_type(tmp_path: Path, rng: np.random.Generator, bits: int) -> None:
    stored = rng.integers(0, 2**bits, (HEIGHT, WIDTH)).astype("u1" if bits <= 8 else "u2")
    path = tmp_path / "packed.tif"
    if bits == 1:
        tifffile.imwrite(path, stored.astype(bool), photometric="minisblack", metadata=None)
    else:
        tifffile.imwrite(path, stored, bitspersample=bits, photometric="minisblack", metadata=None)
    top = 255 if bits <= 8 else 65535
    expected = np.floor(stored * (top / (2**bits - 1)) + 0.5)
    assert np.array_equal(tifffile.imread(path), stored)
    assert np.array_equal(read_image(path), expected)


def test_palettes_of_sixteen_and_of_eight_bits(tmp_path: Path, rng: np.random.Generator) -> None:
    index = rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    for colours in (
        rng.integers(0, 65536, (3, 256), dtype=np.uint16),
        np.tile(np.arange(256, dtype=np.uint16), (3, 1)),
    ):
        tifffile.imwrite(tmp_path / "palette.tif", index, photometric="palette", colormap=colours)
        expected = (colours >> 8 if colours.max() > 255 else colours).T[index]
        assert np.array_equal(read_image(tmp_path / "palette.tif"), expected)


def test_inks_become_rgb_as_in_pillow(tmp_path: Path, rng: np.random.Generator) -> None:
    inks = rng.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "inks.tif", inks, photometric="separated")
    with Image.open(tmp_path / "inks.tif") as image:
        assert np.array_equal(read_image(tmp_path / "inks.tif"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_jpeg_strips_and_tiles(tmp_path: Path, samples: int, tile: tuple[int, int] | None) -> None:
    rows, columns = np.mgrid[:40, :70]
    gray = (120 + 80 * np.sin(columns / 9) + 30 * np.cos(rows / 7)).astype(np.uint8)
    pixels = gray if samples == 1 else np.stack([gray, 255 - gray, gray // 2], axis=-1)
    tifffile.imwrite(
        tmp_path / "jpeg.tif",
        pixels,
        photometric="rgb" if samples == 3 else "minisblack",
        compression="jpeg",
        compressionargs={"level": 95},
        tile=tile,
        rowsperstrip=None if tile else 16,
    )
    expected = tifffile.imread(tmp_path / "jpeg.tif").astype(int)
    assert np.abs(read_image(tmp_path / "jpeg.tif") - expected).max() <= 1
    Image.fromarray(pixels).save(tmp_path / "pillow.tif", compression="jpeg")
    with Image.open(tmp_path / "pillow.tif") as image:
        assert np.abs(read_image(tmp_path / "pillow.tif").astype(int) - np.asarray(image)).max() <= 1


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_fax_encoding(tmp_path: Path, rng: np.random.Generator, compression: str) -> None:
    stored = np.repeat(rng.integers(0, 2, (HEIGHT, 9), dtype=np.uint8) * 255, 5, axis=1)
    Image.fromarray(stored).convert("1").save(tmp_path / "fax.tif", compression=compression)
    assert np.array_equal(read_image(tmp_path / "fax.tif"), stored)


def test_reversed_bits_of_a_byte(tmp_path: Path, rng: np.random.Generator) -> None:
    stored = rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    turned = np.packbits(np.unpackbits(stored[..., None], axis=-1), axis=-1, bitorder="little")[..., 0]
    Image.fromarray(turned).save(tmp_path / "reversed.tif", tiffinfo={266: 2})
    assert np.array_equal(read_image(tmp_path / "reversed.tif"), stored)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"dtype": "f4"}, "floating-point samples of 32 bits"),
        ({"dtype": "i2"}, "signed samples of 16 bits"),
        ({"dtype": "u4"}, "samples of 32 bits"),
        ({"dtype": "u1", "samples": 5, "photometric": "rgb"}, "5 samples a pixel"),
        ({"dtype": "u1", "samples": 2, "photometric": "minisblack"}, "a second channel"),
        ({"dtype": "u1", "photometric": 32803}, "a raw Bayer pattern"),
        ({"dtype": "u1", "samples": 3, "photometric": "cielab"}, "photometric interpretation 8"),
        ({"dtype": "u1", "compression": "zstd"}, "compression 50000"),
        ({"dtype": "u2", "samples": 4, "photometric": "separated"}, "16-bit inks"),
    ],
)
def test_rare_encodings_are_named_and_refused(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    samples = options.pop("samples", 1)
    shape = (16, 16) if samples == 1 else (16, 16, samples)
    planar = "contig" if samples > 1 else None
    pixels = np.ones(shape, options.pop("dtype"))
    photometric = options.pop("photometric", "minisblack")
    tifffile.imwrite(tmp_path / "rare.tif", pixels, photometric=photometric, planarconfig=planar, **options)
    with pytest.raises(BlemishError, match=what) as caught:
        read_image(tmp_path / "rare.tif")
    assert str(tmp_path / "rare.tif") in str(caught.value)


def test_colours_multiplied_by_alpha_are_refused_unless_opaque(tmp_path: Path) -> None:
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[..., 0] = 7
    tifffile.imwrite(tmp_path / "opaque.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    assert np.array_equal(read_image(tmp_path / "opaque.tif"), pixels[..., :3])
    pixels[2, 2, 3] = 128
    tifffile.imwrite(tmp_path / "thin.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    with pytest.raises(BlemishError, match="colours multiplied"):
        read_image(tmp_path / "thin.tif")


def test_each_page_is_read_and_none_is_taken_for_the_file(tmp_path: Path, rng: np.random.Generator) -> None:
    pages = rng.integers(0, 256, (4, 12, 15), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    assert page_count(tmp_path / "a.tif") == 4
    for number, page in enumerate(pages):
        assert np.array_equal(read_image(tmp_path / "a.tif", page=number), page)
    with pytest.raises(BlemishError, match=r"a\.tif must hold one picture\. Received: 4 pages"):
        read_image(tmp_path / "a.tif")
    with pytest.raises(BlemishError, match=r"page must be in 0 … 3 .*Received: 4"):
        read_image(tmp_path / "a.tif", page=4)


def test_reduced_copies_and_masks_are_no_pages(tmp_path: Path, rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (16, 20), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(picture[::4, ::4], subfiletype=1, photometric="minisblack", metadata=None)
        file.write(picture, photometric="minisblack", metadata=None, subifds=1)
        file.write(picture[::2, ::2], subfiletype=1, photometric="minisblack", metadata=None)
        file.write(picture > 9, subfiletype=4, photometric="minisblack", metadata=None)
    assert page_count(tmp_path / "a.tif") == 1
    assert np.array_equal(read_image(tmp_path / "a.tif"), picture)


def test_a_stack_of_imagej_with_one_directory_is_refused(tmp_path: Path) -> None:
    description = "ImageJ=1.53\nimages=7\nslices=7\n"
    tifffile.imwrite(
        tmp_path / "stack.tif", np.zeros((8, 8), np.uint8), description=description, metadata=None
    )
    with pytest.raises(BlemishError, match="a stack of 7 images"):
        read_image(tmp_path / "stack.tif")


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "jpeg"])
def test_short_and_missing_strips_are_damage(tmp_path: Path, compression: str | None) -> None:
    rows, columns = np.mgrid[:64, :64]
    pixels = ((rows * columns) % 251).astype(np.uint8)
    tifffile.imwrite(tmp_path / "whole.tif", pixels, compression=compression, rowsperstrip=16, metadata=None)
    data = (tmp_path / "whole.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "whole.tif") as file:
        page = file.pages.first
        counts, offsets = page.tags["StripByteCounts"], page.tags["StripOffsets"]
        code = {2: "H", 4: "I"}[counts.valuebytecount // 4]
    for place, value in ((counts.valueoffset, 3), (counts.valueoffset, 0), (offsets.valueoffset, 0)):
        form = code if place == counts.valueoffset else {2: "H", 4: "I"}[offsets.valuebytecount // 4]
        damaged = bytearray(data)
        struct.pack_into("<" + form, damaged, place, value)
        (tmp_path / "short.tif").write_bytes(damaged)
        with pytest.raises(BlemishError, match=r"short\.tif must be a whole image"):
            read_image(tmp_path / "short.tif")


def test_endless_chains_and_bombs_end_at_once(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), metadata=None)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    (tmp_path / "loop.tif").write_bytes(data)
    with pytest.raises(BlemishError, match="endless chain"):
        page_count(tmp_path / "loop.tif")
    head = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 5)
    tags = [(256, 60_000), (257, 60_000), (258, 8), (273, 100), (279, 4)]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    (tmp_path / "huge.tif").write_bytes(head + body + bytes(40))
    with pytest.raises(BlemishError, match=r"huge\.tif must have at most"):
        read_image(tmp_path / "huge.tif")


def test_tags_that_all_name_the_whole_file_are_refused(tmp_path: Path) -> None:
    """A file of 3 MB whose directories would hold 2 MB each."""
    numbers = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 8), (278, 4), (279, 16)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in numbers)
    entries = entries[:60] + struct.pack("<HHII", 270, 2, 2_000_000, 8) + entries[60:]
    size = 2 + len(entries) + 4
    starts = [8 + size * number for number in range(1, 10_001)]
    chain = b"".join(struct.pack("<H", 9) + entries + struct.pack("<I", start) for start in [*starts[:-1], 0])
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + chain + bytes(2_000_000))
    with pytest.raises(BlemishError, match="tags that hold more than the file"):
        page_count(tmp_path / "a.tif")
