"""The image score's head: learned from labels and places, where there are enough, and kept where it helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from blemish.dataset.samples import Annotation, Dataset, RunLengths, Sample
from blemish.errors import UnavailableError
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common import image_head as numpy_half
from blemish.methods.common.image_head import NAME, head_log_odds, rehearsed_images
from blemish.methods.common.training import image_head
from blemish.methods.common.training.image_head import (
    FirstMaps,
    ImageScoreFitter,
    SqueezedImage,
    ViewSource,
    defective_cells,
    mirror,
    trained_image_head,
)
from blemish.nn.image_head import UNKNOWN, ImageHead
from blemish.progress import Reporter
from blemish.training.trainer import RunTrainer


class Reading(RunTrainer):
    """Trainer whose images follow from the number in their name, striped where they are defective."""

    def __init__(self, run: Path) -> None:
        super().__init__(run, CasaeSettings(device="cpu"), seed=0, reporter=Reporter(quiet=True))
        self.notes: list[str] = []

    def read(self, sample: Sample, channels: int | None) -> np.ndarray:
        generator = np.random.default_rng(int(sample.id))
        pixels = generator.integers(90, 130, (40, 48), dtype=np.uint8)
        if sample.is_defective:
            pixels[::4] //= 3
        return pixels

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def trainer(tmp_path: Path) -> Reading:
    return Reading(tmp_path / "run")


def samples(number: int, first: int = 0) -> list[Sample]:
    """So many images of each kind; the defective ones have a label and no place."""
    return [
        Sample(Path("a.png"), str(index), (Annotation("a"),) if index % 2 else ())
        for index in range(first, first + 2 * number)
    ]


def asked(score: str = "learned", images: int = 6, steps: int = 25) -> Any:
    return SimpleNamespace(image_score=score, image_score_images=images, image_score_steps=steps)


@pytest.fixture(autouse=True)
def random_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_head, "ImageHead", lambda _weights: ImageHead())
    monkeypatch.setattr(image_head, "SIDE", 64)
    monkeypatch.setattr(numpy_half, "SIDE", 64)


def test_a_head_learns_from_labels_without_a_place(trainer: Reading) -> None:
    head = trained_image_head(samples(8), asked(), trainer, channels=1)
    assert head is not None
    networks = trainer.networks({NAME: head})
    fresh = samples(5, first=100)
    odds = [head_log_odds(trainer.read(each, 1), networks) for each in fresh]
    kinds = [
        [o for o, each in zip(odds, fresh, strict=True) if each.is_defective is k] for k in (True, False)
    ]
    assert min(kinds[0]) > max(kinds[1])


@pytest.mark.parametrize("settings", [asked("fitted"), asked("max"), asked(images=9)])
def test_there_is_none_where_it_is_not_wanted_or_images_are_too_few(settings: Any, trainer: Reading) -> None:
    assert trained_image_head(samples(8), settings, trainer, channels=1) is None


def test_a_rehearsal_learns_from_few_images_only_where_the_training_learns() -> None:
    dataset = Dataset(
        Path(), tuple(replace(each, split="train") for each in samples(8)), ("a",), "masks", "named"
    )
    assert rehearsed_images(dataset, asked(images=8)) == 5
    assert rehearsed_images(dataset, asked(images=9)) == 9
    assert rehearsed_images(dataset, asked("max", images=8)) == 8


def test_without_weights_a_line_says_so(monkeypatch: pytest.MonkeyPatch, trainer: Reading) -> None:
    def refused(_weights: str) -> None:
        raise UnavailableError("The weights are not installed.")

    monkeypatch.setattr(image_head, "ImageHead", refused)
    assert trained_image_head(samples(8), asked(), trainer, channels=1) is None
    (line,) = trainer.notes
    assert line.endswith("there is no pretrained encoder. The weights are not installed.")


@pytest.mark.parametrize("map_tells", [True, False])
def test_the_head_is_a_network_of_the_bundle_where_the_map_does_not_tell_as_much(
    map_tells: bool, trainer: Reading
) -> None:
    generator = np.random.default_rng(0)
    fitter = ImageScoreFitter(samples(8), asked(), trainer, channels=1, max_value=1.0)
    for sample in samples(10, first=200):
        values = generator.random((16, 16), dtype=np.float32) * np.float32(0.4)
        values += np.float32(0.55 * (map_tells and sample.is_defective))
        head_sees = trainer.read(sample, 1) if not map_tells else np.full((40, 48), 110, np.uint8)
        fitter.update(values, head_sees, defective=sample.is_defective)
    score, modules = fitter.fit()
    assert score is not None
    assert score.uses_head == (not map_tells) == (NAME in modules)


def test_cells_are_those_that_an_outline_or_a_box_touches() -> None:
    mask = np.zeros((40, 60), bool)
    mask[8:11, 20:41] = True  # rows 8 to 10, columns 20 to 40
    counts, last, run = [], 0, 0
    for value in mask.T.ravel().astype(int):
        if value != last:
            counts.append(run)
            last, run = int(value), 0
        run += 1
    outline = Annotation("a", mask=RunLengths((*counts, run), (40, 60)))
    box = Annotation("a", box_xyxy=(20.0, 8.0, 41.0, 11.0))
    expected = np.zeros((8, 8), np.float32)
    for row in range(8, 11):
        for column in range(20, 41):
            expected[row * 8 // 40, column * 8 // 60] = 1
    for mark in (outline, box):
        found = defective_cells(Sample(Path("a.png"), "a", (mark,)), (40, 60), 8)
        np.testing.assert_array_equal(found, expected)
    assert not defective_cells(Sample(Path("a.png"), "a"), (40, 60), 8).any()


def test_beside_a_defect_without_a_place_no_cell_is_known_to_be_clean() -> None:
    both = Annotation("a"), Annotation("a", box_xyxy=(-3.0, 0.0, 10.0, 10.0))
    found = defective_cells(Sample(Path("a.png"), "a", both), (40, 40), 4)
    assert found[0, 0] == 1 and {*found.ravel()} == {1.0, UNKNOWN}
    assert (found == 1).sum() == 1


def test_a_view_shows_an_image_and_its_cells_alike(trainer: Reading) -> None:
    generator = np.random.default_rng(0)
    images = [
        SqueezedImage(generator.integers(0, 256, (64, 64), np.uint8), generator.random((4, 4), np.float32), k)
        for k in (True, False)
    ]
    batch = ViewSource(images, seed=3).draw(5, 0)
    again = ViewSource(images, seed=3).draw(5, 0)
    assert all(torch.equal(batch[name], again[name]) for name in batch), "follows from the step"
    assert batch["defective"].tolist() == [1.0] * 8 + [0.0] * 8
    head = ImageHead()
    maps = FirstMaps(head, images)
    flips = {0: (), 1: (1,), 2: (0,), 3: (0, 1)}
    for (number, view), cells in zip(batch["views"].tolist(), batch["cells"], strict=True):
        image = np.flip(images[number].pixels, flips[view])
        np.testing.assert_array_equal(cells, np.flip(images[number].cells, flips[view]))
        np.testing.assert_array_equal(images[number].pixels[mirror(view)], image)
        with torch.inference_mode():
            expected = head.first_maps(torch.from_numpy(image / np.float32(255))[None, None])[0]
        torch.testing.assert_close(maps.of(number, view).float(), expected, rtol=2e-3, atol=2e-3)
    assert maps.use.computed == len({tuple(each) for each in batch["views"].tolist()})
    drawn = maps.drawn(batch)
    assert maps.use.requests == 2 * len(drawn)
    plain = torch.stack([maps.of(*each).float() for each in batch["views"].tolist()])
    ratio = (drawn * plain).sum((1, 2, 3)) / plain.square().sum((1, 2, 3))
    torch.testing.assert_close(drawn, plain * ratio[:, None, None, None])
    assert ratio.min() >= 0.9 and ratio.max() <= 1.1 and ratio.std() > 0.01
