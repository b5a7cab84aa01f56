"""Peers on toy pictures: gray noise, and on the defective ones a black square of 24 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.tables.kinds.imagenet_peers import PeerKind, peer_inspector, score_of, with_thresholds
from benchmarks.tables.row_kind import find_kind
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.inspection import Verdict
from blemish.progress import Reporter

SIDE, SQUARE = 96, 24
OWN: dict[str, dict[str, Any]] = {
    "nearest-feature": {"level": "layer2"},
    "patch-memory": {"levels": ["layer1", "layer2"], "pool": 600, "projection": 16},
    "linear-probe": {"level": "layer2"},
}
QUIET = Reporter(quiet=True)


def corner_of(number: int) -> tuple[int, int]:
    """(top, left) of a picture's square."""
    return 8 + 5 * (number % 9), 60 - 5 * (number % 9)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 to learn from, 8 each for thresholds and test; every fourth is defective."""
    folder = tmp_path_factory.mktemp("toys")
    generator = np.random.default_rng(0)
    samples = []
    for number in range(40):
        pixels = np.clip(generator.normal(150, 12, (SIDE, SIDE)), 0, 255).astype(np.uint8)
        if number % 4 == 0:
            top, left = corner_of(number)
            pixels[top : top + SQUARE, left : left + SQUARE] = 0
        file = folder / f"{number:02}.png"
        cv2.imwrite(str(file), pixels)
        split = "train" if number < 24 else "val" if number < 32 else "test"
        marks = (Annotation("square"),) if number % 4 == 0 else ()
        samples.append(Sample(file, file.name, marks, split=split))
    return Dataset(folder, tuple(samples), ("square",))


PEERS = ("nearest-feature", "patch-memory", "linear-probe")


def peer_kind(name: str) -> PeerKind:
    kind = find_kind(name)
    assert isinstance(kind, PeerKind)
    return kind


def fitted(name: str, *arguments: Any) -> Any:
    return peer_kind(name).fitted(*arguments)


def settings_of(kind: str, **changes: Any) -> Any:
    toy = {"backbone": "resnet18", "weights": "none", "size": SIDE, "device": "cpu"}
    return peer_kind(kind).settings_type.model_validate({**toy, **OWN[kind], **changes})


def scores_of(kind: str, toys: Dataset, seed: int = 0) -> dict[str, float]:
    module = fitted(kind, toys.split("train"), settings_of(kind), seed, QUIET)
    inspector = peer_inspector(module, settings_of(kind), name=kind)
    found = {one.id: inspector.inspect(one.image).score for one in toys.split("test")}
    return {name: score for name, score in found.items() if score is not None}


@pytest.mark.parametrize("kind", PEERS)
def test_planted_defects_score_highest(kind: str, toys: Dataset) -> None:
    scores = scores_of(kind, toys)
    assert len(scores) == 8
    assert set(sorted(scores, key=scores.__getitem__)[-2:]) == {"32.png", "36.png"}
    assert scores_of(kind, toys) == scores


def test_normal_images_alone_make_the_memory(toys: Dataset) -> None:
    """600 patches of 18 normal images, 33 of each, a tenth kept; not one of a black square."""
    module = fitted("patch-memory", toys.split("train"), settings_of("patch-memory"), 0, QUIET)
    assert module.memory.shape == (59, 64 + 128)
    module = fitted("nearest-feature", toys.split("train"), settings_of("nearest-feature"), 0, QUIET)
    assert module.memory.shape == (18, 128)


def test_the_map_of_patches_is_hottest_on_the_defect(toys: Dataset) -> None:
    module = fitted("patch-memory", toys.split("train"), settings_of("patch-memory"), 0, QUIET)
    inspector = peer_inspector(module, settings_of("patch-memory"), name="toy")
    image = next(one for one in toys if one.id == "36.png").image
    heat = inspector.inspect(image, with_maps=True).maps["heat_map"]
    assert heat.shape == (SIDE, SIDE)
    assert 0 <= heat.min() <= heat.max() <= 1
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    top, left = corner_of(36)
    margin = 8  # of a neighbourhood
    assert top - margin <= row < top + SQUARE + margin
    assert left - margin <= column < left + SQUARE + margin


def test_thresholds_are_of_the_validation_images(toys: Dataset) -> None:
    settings = settings_of("linear-probe")
    module = fitted("linear-probe", toys.split("train"), settings, 0, QUIET)
    inspector, point = with_thresholds(
        peer_inspector(module, settings, name="toy"), toys.split("val"), settings, QUIET
    )
    assert (point.escapes.of, point.overkill.of) == (2, 6)
    assert (inspector.ng, inspector.review) == (point.threshold, point.review_threshold)
    assert inspector.inspect(toys.samples[36].image).verdict is Verdict.NG


def test_scores_keep_the_order_of_large_numbers() -> None:
    values = [-1e6, -40.0, -39.0, 0.0, 0.5, 39.0, 40.0, 1e6]
    scores = [score_of(value) for value in values]
    assert scores == sorted(set(scores))
    assert 0 <= scores[0] < scores[-1] <= 1
    assert score_of(0.0) == 0.5


def test_weights_that_are_no_file_are_told_by_their_setting(toys: Dataset, tmp_path: Path) -> None:
    settings = settings_of("linear-probe", weights=str(tmp_path / "none.safetensors"))
    with pytest.raises(BlemishError, match=r"weights: .*none\.safetensors is not a file"):
        fitted("linear-probe", toys.split("train"), settings, 0, QUIET)
