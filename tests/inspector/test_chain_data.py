"""Chains of bundles that know no image in common are refused, and doubts are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.bundle.store import Bundle
from blemish.errors import BlemishError
from blemish.inspector.chain_data import notes_on_data, refuse_unrelated
from blemish.inspector.input_check import KEY
from blemish.training.input_statistics import known_inputs


def images(
    seed: int, *, size: tuple[int, int] = (96, 96), mean: float = 120, scale: float = 1.0
) -> list[Any]:
    generator = np.random.default_rng(seed)
    noise = [cv2.GaussianBlur(generator.normal(0, 40, size), (0, 0), scale) for _ in range(20)]
    return [np.clip(mean + generator.normal(0, 4) + each, 0, 255).astype(np.uint8) for each in noise]


def bundle(
    name: str, learned: list[Any], *, digests: tuple[str, ...] = (), classes: tuple[str, ...] = ("a",)
) -> Bundle:
    statistics = known_inputs(learned).model_dump(mode="json") if learned else None
    data = {"trained_on": list(digests), **({KEY: statistics} if statistics else {})}
    manifest = Manifest(method="m", class_names=classes, preprocessing=Preprocessing(channels=1), data=data)
    return Bundle(Path(name), manifest, {})


OWN = bundle("gate", images(0), digests=("x", "y"))
OTHERS = {
    "images of 96 × 96 and 96 × 200 px": bundle("b", images(1, size=(200, 96)), digests=("z",)),
    "stored in 8 and 16 bits": bundle("b", [i.astype(np.uint16) * 257 for i in images(1)], digests=("z",)),
    "gray images and of images in colour": bundle(
        "b", [cv2.applyColorMap(i, cv2.COLORMAP_JET) for i in images(1)], digests=("z",)
    ),
    "another brightness": bundle("b", images(1, mean=30), digests=("z",)),
    "different products": bundle("b", images(1, scale=6.0), digests=("z",)),
}


@pytest.mark.parametrize("reason", OTHERS)
def test_bundles_that_know_no_image_in_common_are_refused(reason: str) -> None:
    with pytest.raises(BlemishError, match=f"gate and b, .*{reason}.*--no-input-check"):
        refuse_unrelated([OWN, OTHERS[reason]])


def test_bundles_of_one_product_are_a_chain() -> None:
    refuse_unrelated([OWN, bundle("b", images(1), digests=("z",)), bundle("c", images(2))])
    refuse_unrelated([OWN])
    assert not list(notes_on_data([OWN]))


def test_bundles_that_share_training_images_or_know_none_are_a_chain() -> None:
    shared = bundle("b", images(1, mean=30), digests=("y", "z"))
    refuse_unrelated([OWN, shared])
    assert not list(notes_on_data([OWN, shared]))
    refuse_unrelated([OWN, bundle("b", [])])


def test_doubts_are_told() -> None:
    (note,) = notes_on_data([OWN, bundle("b", images(1), digests=("z",))])
    assert note.startswith("gate and b were trained on different images, none in common.")
    first = bundle("a", images(0), digests=("x",), classes=("crack", "dent"))
    (note,) = notes_on_data([first, bundle("b", images(1), digests=("x",), classes=("stain", "chip"))])
    assert note == "a and b have no class in common: crack, dent and stain, chip."
    assert not list(notes_on_data([first, bundle("b", images(1), digests=("x",), classes=("dent", "chip"))]))
