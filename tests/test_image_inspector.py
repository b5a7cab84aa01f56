"""The inspector of the Python API: images of every form, streams, and what is refused."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import blemish
from blemish.dataset.samples import Dataset
from blemish.images.decode import read_image
from blemish.inspection import Inspection, Verdict
from blemish.inspector.loading import open_inspector
from tests.cli.tlsdd_bundles import make_bundle, parent

__all__ = ["make_bundle", "parent"]  # fixtures


@pytest.fixture(scope="module")
def inspector(tiny_bundle: Path) -> blemish.Inspector:
    return blemish.load(tiny_bundle, device="cpu")


@pytest.fixture(scope="module")
def images(tiny_dataset: Dataset) -> list[Path]:
    return [sample.image for sample in tiny_dataset.split("test")]


def answer(inspection: Inspection) -> Inspection:
    """All but the name and the times."""
    return replace(inspection, image="", timings_ms={})


def test_every_form_of_an_image_has_the_answer_of_its_file(
    inspector: blemish.Inspector, tiny_bundle: Path, images: list[Path]
) -> None:
    path = images[0]
    expected = answer(open_inspector(tiny_bundle, device="cpu").inspect(path))
    with Image.open(path) as picture:
        forms = [path, str(path), path.read_bytes(), read_image(path), picture]
        assert [answer(inspector.inspect(form)) for form in forms] == [expected] * len(forms)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_are_brought_to_the_bundles_as_those_of_a_file(
    tiny_bundle: Path, parent: Path, images: list[Path], tmp_path: Path, channels: int
) -> None:
    """A gray image for a bundle of colour, and colour for one that takes images as they are."""
    pixels = read_image(images[0], channels=channels)
    cv2.imwrite(str(tmp_path / "stored.png"), pixels[..., ::-1] if channels == 3 else pixels)
    for bundle in (tiny_bundle, parent):
        inspector = blemish.load(bundle, device="cpu")
        assert answer(inspector.inspect(pixels)) == answer(inspector.inspect(tmp_path / "stored.png"))


def test_a_chain_answers_as_one(tiny_bundle: Path, parent: Path, images: list[Path]) -> None:
    chain = blemish.load(tiny_bundle, then=[parent], device="cpu")
    own, other = (blemish.load(bundle, device="cpu") for bundle in (tiny_bundle, parent))
    assert chain.bundle == f"{own.bundle}+{other.bundle}"
    assert chain.class_names == own.class_names and set(other.class_names) <= set(own.class_names)
    gray = read_image(images[0], channels=1)
    single = answer(chain.inspect(images[0]))
    assert single.bundle == chain.bundle and single.verdict is not Verdict.ERROR
    assert answer(chain.inspect(read_image(images[0]))) == single
    assert chain.inspect(gray).verdict is not Verdict.ERROR
    with pytest.raises(blemish.BlemishError, match="in this order"):
        blemish.load(parent, then=[tiny_bundle], device="cpu")


def test_names(inspector: blemish.Inspector, images: list[Path]) -> None:
    pixels = read_image(images[0])
    assert inspector.inspect(images[0]).image == str(images[0])
    assert inspector.inspect(images[0], "part 7").image == "part 7"
    assert inspector.inspect(pixels).image == "array"
    assert inspector.inspect(pixels, name="part 7").image == "part 7"
    assert inspector.inspect(Image.fromarray(pixels)).image == "PIL image"
    many = [each.image for each in inspector.inspect_many([images[0], pixels, images[0].read_bytes()])]
    assert many == [str(images[0]), "array#000001", "bytes#000002"]


def test_what_cannot_be_read_is_an_error_inspection(
    inspector: blemish.Inspector, images: list[Path], tmp_path: Path
) -> None:
    whole = images[0].read_bytes()
    truncated = Image.open(io.BytesIO(whole[: len(whole) // 2]))
    for image in (tmp_path / "nowhere.png", whole[: len(whole) // 2], b"", b"text", truncated):
        inspection = inspector.inspect(image, "part 7")
        assert inspection.verdict is Verdict.ERROR and inspection.size is None
        assert inspection.error and "\n" not in inspection.error
        (streamed,) = inspector.inspect_many([image])
        assert streamed.verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((9, 9), np.float32), "must be uint8 or uint16. Received: float32. Scale its known range"),
        (np.zeros((9, 9), np.bool_), "must be uint8 or uint16. Received: bool."),
        (
            np.zeros((9, 9, 4), np.uint8),
            "shape (height, width), or (height, width, 3) for RGB, and pixels. Received: (9, 9, 4)",
        ),
        (np.zeros((9, 9, 1), np.uint8), "Received: (9, 9, 1). Give gray as image[..., 0]"),
        (np.zeros((3, 9, 9), np.uint8), "Received: (3, 9, 9)"),
        (np.zeros((0, 9), np.uint8), "Received: (0, 9). Check where it was cut out"),
        (np.zeros(9, np.uint8), "Received: (9,)"),
        (
            [[1, 2], [3, 4]],
            "must be a path, a numpy array, a PIL image, or bytes of an image file. Received: list.",
        ),
        (None, "Received: NoneType."),
    ],
    ids=["float", "bool", "alpha", "one channel", "channels first", "empty", "flat", "list", "None"],
)
def test_what_is_no_image_is_refused(
    inspector: blemish.Inspector, images: list[Path], image: object, message: str
) -> None:
    with pytest.raises(blemish.BlemishError) as raised:
        inspector.inspect(image)  # type: ignore[arg-type]
    assert message in str(raised.value) and "\n" not in str(raised.value)
    many = inspector.inspect_many([images[0], image])  # type: ignore[list-item]
    assert next(many).verdict is not Verdict.ERROR, "the answers before it are given"
    with pytest.raises(blemish.BlemishError, match="An image"):
        next(many)


def test_a_stream_gives_the_answers_of_one_by_one_in_order(
    inspector: blemish.Inspector, images: list[Path]
) -> None:
    forms = [images[0], read_image(images[1]), images[2].read_bytes(), *images]
    assert [answer(each) for each in inspector.inspect_many(iter(forms))] == [
        answer(inspector.inspect(form)) for form in forms
    ]


def test_a_stream_takes_few_images_at_a_time_and_leaves_no_thread_behind(
    inspector: blemish.Inspector, images: list[Path]
) -> None:
    taken, closed = 0, False

    def camera() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken, closed
        try:
            while True:
                taken += 1
                yield read_image(images[0])
        finally:
            closed = True

    before = set(threading.enumerate())
    many = inspector.inspect_many(camera())
    assert taken == 0, "nothing is taken before the first answer is asked for"
    assert [next(many).verdict for _ in range(3)]
    assert taken <= 10
    assert set(threading.enumerate()) > before
    many.close()
    assert set(threading.enumerate()) <= before
    assert closed, "the camera is let go"


def test_a_buffer_may_be_filled_anew(inspector: blemish.Inspector, images: list[Path]) -> None:
    """As cameras do: the array that was given last holds the next image."""
    own = [read_image(path) for path in images[:4]]
    buffer = np.empty_like(own[0])

    def camera() -> Iterator[NDArray[np.uint8]]:
        for pixels in own:
            buffer[:] = pixels
            yield buffer

    streamed = [answer(each) for each in inspector.inspect_many(camera())]
    assert streamed == [answer(inspector.inspect(pixels)) for pixels in own]


def test_an_error_of_the_images_own_is_raised_in_its_place(
    inspector: blemish.Inspector, images: list[Path]
) -> None:
    def camera() -> Iterator[Path]:
        yield images[0]
        raise ConnectionError("camera unplugged")

    many = inspector.inspect_many(camera())
    assert next(many).image == str(images[0])
    with pytest.raises(ConnectionError, match="unplugged"):
        next(many)


def test_a_scale_gives_sizes_in_mm(tiny_bundle: Path, images: list[Path], tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    inspector = blemish.load(bundle, device="cpu", mm_per_px=0.5)
    found = next(each for each in inspector.inspect_many(images) if each.defects)
    assert found.defects[0].length_mm == 0.5 * found.defects[0].rectangle.length
    assert repr(inspector) == f"<blemish.Inspector {inspector.bundle}>"
