"""Parts of the peers' runs that need none of the tools: what YOLO reads and writes, views of Faster R-CNN."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.peers.bench import weights_file
from benchmarks.peers.task import PlainImage, Task, TrainImage
from benchmarks.peers.torchvision_frcnn.run import share_of_rate, view_of
from benchmarks.peers.vision import LITE_MEAN, LITE_STD, load_lite, scaled
from benchmarks.peers.yolo.run import found_in, write_dataset
from benchmarks.tables.kinds.external import ExternalSettings
from blemish.nn.efficientnet_lite import LiteScale, efficientnet_lite_stages

BOXES = ((3.0, 4.0, 23.0, 9.0), (30.0, 10.0, 50.0, 40.0))


@pytest.fixture
def marked(tmp_path: Path) -> TrainImage:
    """An image that is white in its boxes."""
    pixels = np.zeros((40, 60), np.uint8)
    for left, top, right, bottom in BOXES:
        pixels[int(top) : int(bottom), int(left) : int(right)] = 255
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    return TrainImage("a.png", str(tmp_path / "a.png"), (40, 60), boxes=BOXES, labels=(1, 0), defective=True)


def test_what_is_written_for_yolo_is_read_back_as_it_answers(marked: TrainImage, tmp_path: Path) -> None:
    write_dataset(Task("boxes", ("scratch", "it's"), (marked,), ()), tmp_path / "set")
    image = tmp_path / "set" / "images" / "train" / "000000.png"
    assert image.resolve() == Path(marked.image)
    labels = tmp_path / "set" / "labels" / "train" / "000000.txt"
    scored = "".join(f"{line} 0.5\n" for line in labels.read_text().splitlines())
    labels.write_text(scored)
    found = found_in(labels, PlainImage("a.png", marked.image, marked.size))
    assert [label for _, label, _ in found] == [1, 0]
    assert [box for box, _, _ in found] == [pytest.approx(box, abs=1e-5) for box in BOXES]


def test_an_image_without_a_file_has_no_detection(tmp_path: Path) -> None:
    assert found_in(tmp_path / "none.txt", PlainImage("a.png", "a.png", (4, 4))) == []


def test_boxes_are_mirrored_with_their_image(marked: TrainImage) -> None:
    generator = torch.Generator().manual_seed(0)
    views = set()
    for _ in range(20):
        image, target = view_of(marked, generator)
        inside = torch.zeros(image.shape[-2:], dtype=torch.bool)
        for left, top, right, bottom in target["boxes"].int().tolist():
            inside[top:bottom, left:right] = True
        assert torch.equal(inside, image[0] > 0.5)
        assert target["labels"].tolist() == [2, 1]
        views.add(tuple(target["boxes"][0].tolist()))
    assert len(views) == 4


def test_an_image_without_boxes_is_a_view_too(marked: TrainImage) -> None:
    clean = TrainImage("a.png", marked.image, marked.size)
    _, target = view_of(clean, torch.Generator().manual_seed(1))
    assert target["boxes"].shape == (0, 4)


def test_the_rate_warms_up_and_falls_twice() -> None:
    assert share_of_rate(0) < 0.01
    assert [round(share_of_rate(used), 6) for used in (0.3, 0.7, 0.95)] == [1, 0.1, 0.01]


def test_the_weights_of_efficientnet_lite_fit_by_their_order() -> None:
    """Names of another library's network differ, and it may lack the last stages; features are the same."""
    file = weights_file(ExternalSettings(peer="smp-unet", minutes=1, weights="efficientnet-lite0"))
    assert file is not None
    expected, _ = efficientnet_lite_stages("imagenet", deepest="stage4", setting="weights")
    stages, _ = efficientnet_lite_stages("none", deepest="stage4", setting="weights")
    assert load_lite(stages, file) == file.name
    image = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    features, wanted = image, image
    for name in expected:
        features, wanted = stages[name](features), expected[name](wanted)
    assert torch.equal(features, wanted)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="must hold EfficientNet-Lite0's weights"):
        load_lite(torch.nn.Linear(3, 3), tmp_path / "other.pth")


def test_images_are_scaled_as_these_weights_expect() -> None:
    image = torch.rand((1, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(scaled(image, LITE_MEAN, LITE_STD), LiteScale()(image), atol=1e-6)
