"""Which boxes count in which phase, and what is said about images left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blemish.dataset.boxes import Boxed
from blemish.dataset.samples import Annotation, Sample
from blemish.dataset.splits.support_sets import SupportSet
from blemish.errors import BlemishError
from blemish.methods.tlsdd.scenes import Marked, Phase, Scenes, phase_samples, survey

COMMON, RARE = ("dent", "spot"), ("fray",)


def marked(name: str, *labels: str, placeless: bool = False) -> Marked:
    boxes = tuple(
        Boxed(label, (i, 0, i + 5, 9), f"{name}#{i}") for i, label in enumerate(() if placeless else labels)
    )
    return Marked(Sample(Path(name), name, tuple(Annotation(label) for label in labels)), (20, 30), boxes)


IMAGES = (
    marked("0", "dent", "fray"),
    marked("1", "spot", "spot", "burr"),
    marked("2", "fray"),
    marked("3"),
    marked("4", "burr"),
    marked("5", "dent", placeless=True),
    marked("6", "fray", "dent"),
)
DRAW = SupportSet("f", 0, 1, {"dent": ("6#1",), "spot": ("1#1",), "fray": ("2#0",)})


def scenes(phase: Phase) -> Scenes:
    return phase_samples(IMAGES, COMMON, RARE, DRAW, phase=phase)


def table(found: Scenes) -> dict[int, list[int]]:
    return {scene.number: scene.labels.tolist() for scene in found.scenes}


def test_base_knows_common_classes_and_ignores_the_rest() -> None:
    assert table(scenes("base")) == {0: [0, -2], 1: [1, 1, -2], 3: [], 6: [-2, 0]}


def test_few_knows_drawn_boxes_alone_and_has_no_clean_image() -> None:
    assert table(scenes("few")) == {1: [-2, 1, -2], 2: [2], 6: [-2, 0]}


def test_joint_knows_all_common_boxes_and_the_drawn_rare_ones() -> None:
    assert table(scenes("joint")) == {0: [0, -2], 1: [1, 1, -2], 2: [2], 3: [], 6: [-2, 0]}


def test_mixed_knows_what_joint_knows_without_clean_images() -> None:
    assert table(scenes("mixed")) == {
        number: labels for number, labels in table(scenes("joint")).items() if labels
    }


def test_boxes_stand_beside_their_labels() -> None:
    scene = scenes("base").scenes[1]
    np.testing.assert_array_equal(scene.boxes, [[0, 0, 5, 9], [1, 0, 6, 9], [2, 0, 7, 9]])
    assert scene.boxes.dtype == np.float32 and scene.size == (20, 30)
    assert scene.counting.tolist() == [0, 1]
    assert scenes("base").scenes[2].boxes.shape == (0, 4)


@pytest.mark.parametrize("phase", ["base", "few", "mixed", "joint"])
def test_images_of_unlisted_classes_or_without_a_place_are_named(phase: Phase) -> None:
    assert scenes(phase).notes == (
        "4 is left out: boxes of unlisted classes alone (burr)",
        "5 is left out: marked as defective without a place",
    )


def test_a_drawn_box_of_an_unlisted_class_does_not_count() -> None:
    drawn = SupportSet("f", 0, 1, {**DRAW.classes, "burr": ("4#0",)})
    assert 4 not in table(phase_samples(IMAGES, COMMON, RARE, drawn, phase="few"))


def test_no_box_that_counts_is_refused() -> None:
    with pytest.raises(BlemishError, match=r"classes to learn \(dnt\)\. Received: none for phase 'base'"):
        phase_samples(IMAGES, ("dnt",), (), None, phase="base")


def test_a_survey_keeps_order_and_gathers_notes(tmp_path: Path) -> None:
    import cv2

    samples = []
    for name, box in (("b.png", (0.0, 0.0, 5.0, 5.0)), ("a.png", (25.0, 0.0, 40.0, 5.0))):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 30), np.uint8))
        samples.append(Sample(tmp_path / name, name, (Annotation("dent", box),)))
    found = survey(samples)
    assert [image.sample.id for image in found.images] == ["b.png", "a.png"]
    assert [box.box_xyxy for box in found.boxes] == [(0, 0, 5, 5), (25, 0, 30, 5)]
    assert len(found.notes) == 1 and "a.png#0" in found.notes[0]
