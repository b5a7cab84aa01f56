"""What settings leave to the data: rare classes, the size of images, anchors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from blemish.bundle.store import Bundle
from blemish.dataset.boxes import Boxed
from blemish.dataset.samples import Sample
from blemish.methods.tlsdd.data.training_images import AnnotatedImage
from blemish.methods.tlsdd.runtime.anchors import anchor_sizes, map_strides
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.methods.tlsdd.training.data_choices import with_data_choices

NAMES = ("dent", "crack", "pit", "stain")


def images(side: float = 32, size: tuple[int, int] = (200, 300), **counts: int) -> list[AnnotatedImage]:
    """One image for each box."""
    sample = Sample(Path("x.png"), "x")
    box = (0.0, 0.0, side, side)
    return [
        AnnotatedImage(sample, size, (Boxed(name, box, f"{name}{n}"),))
        for name, count in counts.items()
        for n in range(count)
    ]


def chosen(
    annotated: list[AnnotatedImage], start: tuple[str, ...] = (), **settings: Any
) -> tuple[TlsddSettings, str]:
    bundle = SimpleNamespace(path=Path("base"), manifest=SimpleNamespace(class_names=start))
    found, lines = with_data_choices(
        TlsddSettings(**settings), NAMES, annotated, cast(Bundle, bundle) if start else None
    )
    return found, " ".join(lines)


def test_classes_with_few_boxes_are_rare_and_all_of_those_are_drawn() -> None:
    settings, told = chosen(images(dent=50, crack=19, pit=20, stain=3))
    assert (settings.common, settings.rare) == (("dent", "pit"), ("crack", "stain"))
    assert settings.fine_tune_boxes == 19
    assert "fewer than 20 training boxes: crack (19), stain (3). Common: dent, pit." in told


@pytest.mark.parametrize(
    ("counts", "which"), [({"dent": 50, "pit": 20}, "none has"), ({"dent": 5, "pit": 3}, "each has")]
)
def test_classes_with_alike_many_boxes_are_all_common(counts: dict[str, int], which: str) -> None:
    settings, told = chosen(images(**counts))
    assert (settings.common, settings.rare, settings.fine_tune_boxes) == (("dent", "pit"), (), None)
    assert told.startswith("Not learned, as split 'train' has no box of them: crack, stain.")
    assert f"No class is rare, as {which} fewer than 20 training boxes" in told


@pytest.mark.parametrize("given", [{"rare": ()}, {"variant": "fr-ff-joint"}, {"common": ("dent", "stain")}])
def test_named_classes_and_training_in_one_phase_are_left_as_they_are(given: dict[str, Any]) -> None:
    settings, _ = chosen(images(dent=50, stain=3), **given)
    assert (settings.common, settings.rare) == (("dent", "stain"), ())


def test_with_rare_classes_named_all_others_are_common() -> None:
    settings, told = chosen(images(dent=50, crack=30, stain=3), rare=("crack",))
    assert (settings.common, settings.rare) == (("dent", "stain"), ("crack",))
    assert settings.fine_tune_boxes is None and "pit" in told


def test_from_a_bundle_the_classes_that_it_lacks_are_rare() -> None:
    settings, told = chosen(images(dent=50, crack=30, stain=3), start=("dent", "pit"))
    assert settings.rare == ("crack", "stain") and "crack, stain" in told


@pytest.mark.parametrize(
    ("side", "size", "expected"),
    [(48, (200, 300), None), (16, (640, 900), None), (48, (640, 900), 224), (32, (640, 900), 320)],
)
def test_large_images_are_reduced_while_boxes_stay_large_enough(
    side: float, size: tuple[int, int], expected: int | None
) -> None:
    settings, told = chosen(images(side, size, dent=30))
    assert settings.size == expected and ("Images are brought to" in told) == (expected is not None)
    assert chosen(images(side, size, dent=30), size=77)[0].size == 77


def test_anchors_span_the_boxes_evenly_and_can_be_dealt_out() -> None:
    annotated = [image for side in range(10, 161) for image in images(side, dent=1)]
    settings, _ = chosen(annotated, anchor_sizes="auto")
    sizes = np.array(settings.anchor_sizes)
    assert len(sizes) == 2 * len(map_strides(settings)) and (np.diff(sizes) > 0).all()
    assert sizes[0] == pytest.approx(17.5, abs=1) and sizes[-1] == pytest.approx(152.5, abs=1)
    np.testing.assert_allclose(np.diff(np.log(sizes)), np.log(152.5 / 17.5) / 7, atol=0.06)
    assert len(anchor_sizes(settings, map_strides(settings))[0]) == 2
    halved, _ = chosen(annotated, size=100)
    np.testing.assert_allclose(halved.anchor_sizes, sizes / 2, atol=1)
    alike, _ = chosen(images(32, dent=30))
    assert alike.anchor_sizes[0] == 16 and alike.anchor_sizes[-1] == 64
    assert chosen(annotated, anchor_sizes=(8, 16, 32, 64))[0].anchor_sizes == (8, 16, 32, 64)
