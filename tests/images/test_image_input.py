"""Images in memory have the pixels of their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blemish.errors import BlemishError
from blemish.images.decode import read_image
from blemish.images.image_input import image_reader

RGB = Image.fromarray(np.random.default_rng(0).integers(0, 256, (21, 17, 3), dtype=np.uint8))
DEEP = np.random.default_rng(1).integers(0, 65536, (21, 17), dtype=np.uint16)


def with_transparency() -> Image.Image:
    palette = RGB.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    palette.info["transparency"] = 3
    return palette


MODES = {
    "1": RGB.convert("1"),
    "L": RGB.convert("L"),
    "LA": RGB.convert("LA"),
    "P": RGB.convert("P", palette=Image.Palette.ADAPTIVE, colors=16),
    "P with transparency": with_transparency(),
    "RGB": RGB,
    "RGBA": RGB.convert("RGBA"),
    "I;16": Image.fromarray(DEEP),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_pil_image_has_the_pixels_of_its_saved_file(tmp_path: Path, mode: str) -> None:
    image, file = MODES[mode], tmp_path / "saved.png"
    image.save(file)
    expected = read_image(file)
    with Image.open(file) as opened:
        forms = [image, opened, file.read_bytes(), file, str(file)]
        for form in forms:
            pixels = image_reader(form, "part")()
            assert pixels.dtype == expected.dtype and np.array_equal(pixels, expected)
    assert expected.dtype == (np.uint16 if mode.startswith("I") else np.uint8)


def test_whole_numbers_of_32_bits_that_fit_into_16_are_taken() -> None:
    """PIL's mode "I", which older versions give for 16-bit PNG files."""
    pixels = image_reader(Image.fromarray(DEEP.astype(np.int32)), "part")()
    assert pixels.dtype == np.uint16 and np.array_equal(pixels, DEEP)


def test_cmyk_is_that_of_the_file(tmp_path: Path) -> None:
    image = RGB.convert("CMYK")
    image.save(tmp_path / "saved.tif")
    assert np.array_equal(image_reader(image, "part")(), read_image(tmp_path / "saved.tif"))


def test_a_photograph_is_turned_upright_as_its_file(tmp_path: Path) -> None:
    file = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    RGB.save(file, exif=exif)
    with Image.open(file) as opened:
        assert opened.size == (17, 21)
        for form in (opened, file.read_bytes()):
            assert np.array_equal(image_reader(form, "part")(), read_image(file))
    assert read_image(file).shape == (17, 21, 3)


def test_bytes_of_16_bit_colour_keep_all_bits_and_a_pil_image_of_them_is_refused(tmp_path: Path) -> None:
    import cv2

    colour = np.random.default_rng(2).integers(0, 65536, (9, 8, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), colour[..., ::-1])
    assert np.array_equal(image_reader((tmp_path / "deep.png").read_bytes(), "part")(), colour)
    with (
        Image.open(tmp_path / "deep.png") as opened,
        pytest.raises(BlemishError, match=r"Received: 16-bit colour.*Give the file's path"),
    ):
        image_reader(opened, "part")()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            Image.fromarray(np.ones((3, 3), np.float32)),
            "part must hold 8-bit or 16-bit unsigned pixels. Received: pixel",
        ),
        (Image.fromarray(np.full((3, 3), -1, np.int32)), r"values in 0 … 65535. Received: -1 … -1"),
    ],
)
def test_other_modes_are_refused(image: Image.Image, message: str) -> None:
    with pytest.raises(BlemishError, match=message):
        image_reader(image, "part")()


def test_messages_on_bytes_bear_the_name() -> None:
    for data, received in ((b"", "an empty file"), (b"text", "something else, or a broken header")):
        with pytest.raises(BlemishError, match=rf"^part 7 must be an image .* Received: {received}"):
            image_reader(data, "part 7")()


def test_an_array_is_taken_as_it_lies() -> None:
    pixels = np.asarray(RGB)
    turned = pixels[::-1, ::2]
    taken = image_reader(turned, "part")()
    assert np.array_equal(taken, turned) and taken.flags.c_contiguous
    assert not np.shares_memory(taken, pixels)
