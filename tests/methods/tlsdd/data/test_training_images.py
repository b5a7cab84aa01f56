"""Which boxes count in which phase, and which notes there are on images left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blemish.dataset.boxes import Boxed
from blemish.dataset.samples import Annotation, Sample
from blemish.dataset.splits.support_sets import SupportSet
from blemish.errors import BlemishError
from blemish.methods.tlsdd.data.training_images import (
    AnnotatedImage,
    Phase,
    PhaseImages,
    phase_images,
    read_annotations,
)

COMMON, RARE = ("dent", "spot"), ("fray",)


def annotated(name: str, *labels: str, placeless: bool = False) -> AnnotatedImage:
    boxes = tuple(
        Boxed(label, (i, 0, i + 5, 9), f"{name}#{i}") for i, label in enumerate(() if placeless else labels)
    )
    return AnnotatedImage(
        Sample(Path(name), name, tuple(Annotation(label) for label in labels)), (20, 30), boxes
    )


IMAGES = (
    annotated("0", "dent", "fray"),
    annotated("1", "spot", "spot", "burr"),
    annotated("2", "fray"),
    annotated("3"),
    annotated("4", "burr"),
    annotated("5", "dent", placeless=True),
    annotated("6", "fray", "dent"),
)
DRAW = SupportSet("f", 0, 1, {"dent": ("6#1",), "spot": ("1#1",), "fray": ("2#0",)})


def images_of(phase: Phase) -> PhaseImages:
    return phase_images(IMAGES, COMMON, RARE, DRAW, phase=phase)


def table(found: PhaseImages) -> dict[int, list[int]]:
    return {image.number: image.labels.tolist() for image in found.images}


def test_base_knows_common_classes_and_ignores_the_rest() -> None:
    assert table(images_of("base")) == {0: [0, -2], 1: [1, 1, -2], 3: [], 6: [-2, 0]}


def test_few_knows_drawn_boxes_alone_and_the_clean_images() -> None:
    assert table(images_of("few")) == {1: [-2, 1, -2], 2: [2], 3: [], 6: [-2, 0]}


def test_joint_knows_all_common_boxes_and_the_drawn_rare_ones() -> None:
    assert table(images_of("joint")) == {0: [0, -2], 1: [1, 1, -2], 2: [2], 3: [], 6: [-2, 0]}


def test_mixed_knows_what_joint_knows() -> None:
    assert table(images_of("mixed")) == table(images_of("joint"))


@pytest.mark.parametrize("phase", ["few", "mixed"])
def test_phase_two_has_no_clean_images_where_it_is_not_to(phase: Phase) -> None:
    without = table(phase_images(IMAGES, COMMON, RARE, DRAW, phase=phase, clean=False))
    assert without == {number: labels for number, labels in table(images_of(phase)).items() if labels}


def test_boxes_stand_beside_their_labels() -> None:
    image = images_of("base").images[1]
    np.testing.assert_array_equal(image.boxes, [[0, 0, 5, 9], [1, 0, 6, 9], [2, 0, 7, 9]])
    assert image.boxes.dtype == np.float32 and image.size == (20, 30)
    assert image.counting.tolist() == [0, 1]
    assert images_of("base").images[2].boxes.shape == (0, 4)


@pytest.mark.parametrize("phase", ["base", "few", "mixed", "joint"])
def test_images_of_unlisted_classes_or_without_a_place_are_named(phase: Phase) -> None:
    assert images_of(phase).notes == (
        "4 is left out: boxes of unlisted classes alone (burr)",
        "5 is left out: marked as defective without a place",
    )


def test_a_drawn_box_of_an_unlisted_class_does_not_count() -> None:
    drawn = SupportSet("f", 0, 1, {**DRAW.classes, "burr": ("4#0",)})
    assert 4 not in table(phase_images(IMAGES, COMMON, RARE, drawn, phase="few"))


def test_no_box_that_counts_is_refused() -> None:
    with pytest.raises(BlemishError, match=r"classes to learn \(dnt\)\. Received: none for phase 'base'"):
        phase_images(IMAGES, ("dnt",), (), None, phase="base")


def test_a_survey_keeps_order_and_gathers_notes(tmp_path: Path) -> None:
    import cv2

    samples = []
    for name, box in (("b.png", (0.0, 0.0, 5.0, 5.0)), ("a.png", (25.0, 0.0, 40.0, 5.0))):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 30), np.uint8))
        samples.append(Sample(tmp_path / name, name, (Annotation("dent", box),)))
    found = read_annotations(samples)
    assert [image.sample.id for image in found.images] == ["b.png", "a.png"]
    assert [box.box_xyxy for box in found.boxes] == [(0, 0, 5, 5), (25, 0, 30, 5)]
    assert len(found.notes) == 1 and "a.png#0" in found.notes[0]


def test_crowd_and_difficult_regions_are_neither_learned_nor_background(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30), np.uint8))
    box = Annotation("dent", (0.0, 0.0, 5.0, 5.0))
    crowd, difficult = (
        Annotation("dent", (8, 0, 30, 20), crowd=True),
        Annotation("spot", (0, 9, 5, 14), difficult=True),
    )
    marks = {"both": (box, crowd, difficult), "crowd alone": (crowd,), "clean": ()}
    found = read_annotations(Sample(tmp_path / "a.png", name, of) for name, of in marks.items())
    assert found.notes == (
        "3 crowd or difficult regions in 2 images are ignored: "
        "they are learned neither as defects nor as surface",
    )
    assert len(found.boxes) == 1, "a support set is drawn of these"
    chosen = phase_images(found.images, COMMON, RARE, None, phase="base")
    assert table(chosen) == {0: [0, -2, -2], 2: []}
    assert chosen.images[0].boxes.tolist() == [[0, 0, 5, 5], [8, 0, 30, 20], [0, 9, 5, 14]]
    assert chosen.notes == ("crowd alone is left out: crowd or difficult regions alone",)
