"""Values of mask files as stored, against Pillow and drawn cases, and the facts that tell masks apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from blemish.dataset.mask_files import mask_facts, read_stored, voc_palette
from blemish.dataset.masks import chosen_pixels
from blemish.dataset.samples import MaskFile
from blemish.errors import BlemishError
from tests.dataset.builders import SIZE
from tests.dataset.mask_builders import CUT, DENT, painted


def saved(path: Path, image: Image.Image | NDArray[Any], **options: Any) -> Path:
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def indexed(values: NDArray[Any], palette: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.frombytes("P", values.shape[::-1], values.tobytes())
    image.putpalette([value for colour in palette for value in colour])
    return image


def circle(value: int = 255) -> NDArray[np.uint8]:
    """A disc with soft edges."""
    return cv2.circle(np.zeros((48, 64), np.uint8), (30, 24), 9, value, -1, cv2.LINE_AA)


def test_the_palette_of_voc() -> None:
    """Colours of the development kit's VOClabelcolormap."""
    palette = voc_palette()
    known = {
        1: (128, 0, 0),
        2: (0, 128, 0),
        8: (64, 0, 0),
        16: (0, 64, 0),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    assert {number: palette[number] for number in known} == known
    assert len({*palette}) == 256


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([".png", ".tif", ".bmp"]), st.sampled_from(["L", "I;16", "1", "P", "RGB"]), st.data())
def test_stored_values_are_those_of_pillow(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, mode: str, data: st.DataObject
) -> None:
    top = 65535 if mode == "I;16" else 255
    values = painted(
        ((2, 3, 9, 8), data.draw(st.integers(1, top))), dtype=np.uint16 if top > 255 else np.uint8
    )
    if mode == "I;16" and suffix == ".bmp":
        return
    image = indexed(values, list(voc_palette())) if mode == "P" else Image.fromarray(values)
    image = image.convert(mode) if mode in ("1", "RGB") else image
    path = saved(tmp_path_factory.mktemp("m") / f"m{suffix}", image)
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert("L") if opened.mode in ("1", "RGB") else opened)
    assert np.array_equal(read_stored(path).values, expected)


def test_sixteen_bits_are_not_scaled(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png", painted((CUT, 1), (DENT, 300), dtype=np.uint16))
    assert mask_facts(path).values == (1, 300)
    stored = read_stored(path)
    assert chosen_pixels(stored, MaskFile(path, above=0)).sum() == 35 + 24
    assert chosen_pixels(stored, MaskFile(path, above=1)).sum() == 24
    assert chosen_pixels(stored, MaskFile(path, values=(1,))).sum() == 35


def test_levels_are_values_of_regions_not_of_edges(tmp_path: Path) -> None:
    soft = mask_facts(saved(tmp_path / "soft.png", circle()))
    assert len(soft.values) > 3
    assert (soft.levels, soft.is_exact) == ((255,), False)
    drawn = mask_facts(saved(tmp_path / "drawn.png", painted((CUT, 3), (DENT, 7), ((0, 0, 30, 1), 5))))
    assert (drawn.levels, drawn.is_exact) == ((3, 5, 7), True)


def test_jpeg_is_never_exact(tmp_path: Path) -> None:
    assert not mask_facts(saved(tmp_path / "m.jpg", painted((CUT, 255)))).is_exact


@pytest.mark.parametrize(
    ("palette", "kind"),
    [
        (list(voc_palette()), "palette"),
        ([(0, 0, 0), (255, 0, 0), (0, 0, 0)], "palette"),  # index 2 looks like background
        ([(0, 0, 0)] * 3, "palette"),
        ([(0, 0, 0), (1, 1, 1), (2, 2, 2)], "gray"),
        ([(0, 0, 0), (255, 255, 255), (128, 128, 128)], "gray"),
        ([(255, 255, 255), (0, 0, 0), (9, 9, 9)], "gray"),
        ([(255, 255, 255), (255, 0, 0), (0, 0, 255)], "colour"),
    ],
)
def test_palettes_of_classes_are_read_by_index(
    tmp_path: Path, palette: list[tuple[int, int, int]], kind: str
) -> None:
    path = saved(tmp_path / "m.png", indexed(painted((CUT, 1), (DENT, 2)), palette))
    facts = mask_facts(path)
    assert facts.kind == kind
    if kind == "palette":
        assert facts.values == (1, 2)


def test_a_picture_reduced_to_a_palette_is_read_by_its_colours(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = circle()
    path = saved(tmp_path / "m.png", Image.fromarray(red).quantize(16))
    assert mask_facts(path).kind == "colour"
    assert mask_facts(path).colours.keys() == {(255, 0, 0)}


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_an_image_of_one_colour_is_marked_in_its_alpha_channel(tmp_path: Path, gray: int) -> None:
    shown = Image.new("L", SIZE[::-1], gray)
    alpha = Image.fromarray(painted((CUT, 255)))
    for mode in ("LA", "RGBA"):
        image = Image.merge(mode, [*[shown] * (len(mode) - 1), alpha])
        stored = read_stored(saved(tmp_path / f"{mode}.png", image))
        assert stored.from_alpha
        assert (stored.values > 0).sum() == 35


def test_transparent_pixels_are_background_and_opaque_images_have_none(tmp_path: Path) -> None:
    """Red strokes on transparent white, as an editor saves a layer."""
    marked = painted((CUT, 255))
    white = 255 - marked
    layer = Image.merge("RGBA", [Image.fromarray(a) for a in (marked | white, white, white, marked)])
    facts = mask_facts(saved(tmp_path / "layer.png", layer))
    assert (facts.colours, facts.transparent) == ({(255, 0, 0): 35}, 600 - 35)
    opaque = Image.merge("RGBA", [Image.fromarray(marked)] * 3 + [Image.new("L", SIZE[::-1], 255)])
    facts = mask_facts(saved(tmp_path / "opaque.png", opaque))
    assert (facts.kind, facts.values, facts.transparent, facts.from_alpha) == ("gray", (255,), 0, False)


def test_black_strokes_on_transparent_white_are_asked_about(tmp_path: Path) -> None:
    marked = painted((CUT, 255))
    layer = Image.merge("LA", [Image.fromarray(255 - marked), Image.fromarray(marked)])
    with pytest.raises(
        BlemishError, match=r"layer\.png must be marked in its colours or in its alpha channel"
    ):
        read_stored(saved(tmp_path / "layer.png", layer))


def test_photographs_are_told_from_masks(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    photograph = np.clip(generator.normal(128, 8, (48, 64)), 0, 255).astype(np.uint8)
    colour = np.clip(generator.normal(128, 8, (48, 64, 3)), 0, 255).astype(np.uint8)
    for name, pixels in (("a.png", photograph), ("b.jpg", photograph), ("c.png", colour)):
        assert mask_facts(saved(tmp_path / name, pixels)).photograph, name
    inverted = 255 - circle()
    for name, pixels in (("d.png", circle()), ("e.jpg", circle()), ("f.jpg", inverted), ("g.png", inverted)):
        assert not mask_facts(saved(tmp_path / name, pixels)).photograph, name


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_broken_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.png").write_bytes(content)
    with pytest.raises(BlemishError, match=r"m\.png must be"):
        mask_facts(tmp_path / "m.png")
