"""Episodes: what takes part, supports apart from queries, and that seed and step decide everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blemish.arrays import Pixels
from blemish.methods.tlsdd.data.supports import support_input
from blemish.methods.tlsdd.data.training_images import TrainingImage
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.methods.tlsdd.training.episodes import EpisodeSampler, ImageSampler

SIDE = 64


def training_image(number: int, *labels: int) -> TrainingImage:
    """Box i of an image is a 12×10 one at (4 + 14·i, 5 + number mod 40)."""
    boxes = [(4 + 14 * i, 5 + number % 40, 16 + 14 * i, 15 + number % 40) for i in range(len(labels))]
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return TrainingImage(number, (SIDE, SIDE), array, np.array(labels, np.int64))


def read(number: int) -> Pixels:
    """Each image has its own gray, so that a batch shows which images it is made of."""
    return np.full((SIDE, SIDE, 3), number + 1, np.uint8)


def sampler(images: Sequence[TrainingImage], **settings: Any) -> EpisodeSampler:
    return EpisodeSampler(TlsddSettings(preset="tiny", **settings), read, images, seed=0, stage=1)


def numbers_in(images: Tensor) -> list[int]:
    """Numbers of the images in a batch."""
    return [round(float(value) * 255) - 1 for value in images[:, 0, 0, 0]]


# 10 images of each of three classes, some with a box of the next class, some with an ignored one
IMAGES = [
    training_image(10 * label + i, label, *((label + 1) % 3,) * (i < 3), *(-2,) * (i > 7))
    for label in range(3)
    for i in range(10)
]


def test_an_episode_has_every_class_s_shots_and_queries() -> None:
    batch = sampler(IMAGES, shots=4, queries=2).draw(0)
    assert batch["classes"].tolist() == [0, 1, 2]
    assert batch["support_labels"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert batch["images"].shape == (6, 3, 64, 64) and batch["support_images"].shape == (12, 3, 64, 64)
    assert batch["supports"].shape == (12, 4, 64, 64) and batch["support_boxes"].shape == (12, 4)
    assert batch["sizes"].tolist() == [[64, 64]] * 6
    for i, label in enumerate((0, 0, 1, 1, 2, 2)):
        assert label in batch["labels"][i]
    assert batch["images"].is_contiguous(memory_format=torch.channels_last)
    for name, dtype in (("images", torch.float32), ("boxes", torch.float32), ("labels", torch.int64)):
        assert batch[name].dtype == dtype


def test_supports_and_queries_are_different_images_where_there_are_enough() -> None:
    for step in range(30):
        batch = sampler(IMAGES, shots=4, queries=2).draw(step)
        queries, supports = numbers_in(batch["images"]), numbers_in(batch["support_images"])
        assert not set(queries) & set(supports)
        assert len(set(queries)) == 6


def test_all_boxes_of_classes_that_take_part_count_and_others_are_ignored() -> None:
    by_number = {one.number: one for one in IMAGES}
    seen_two = False
    for step in range(10):
        batch = sampler(IMAGES, ways=2).draw(step)
        classes = batch["classes"].tolist()
        assert len(classes) == 2
        for number, labels in zip(numbers_in(batch["images"]), batch["labels"], strict=True):
            expected = [label if label in classes else -2 for label in by_number[number].labels]
            assert labels[labels != -1].tolist() == expected
            seen_two |= sum(label >= 0 for label in expected) == 2
    assert seen_two


def test_more_ways_than_classes_means_all() -> None:
    assert sampler(IMAGES, ways=9).draw(0)["classes"].tolist() == [0, 1, 2]


def test_few_examples_come_again_and_queries_stay_apart_while_two_images_are_there() -> None:
    batch = sampler([training_image(0, 0), training_image(1, 0)], shots=5, queries=3).draw(0)
    queries, supports = numbers_in(batch["images"]), numbers_in(batch["support_images"])
    assert len(queries) == 3 and len(supports) == 5
    assert len(set(queries)) == len(set(supports)) == 1 and set(queries) != set(supports)


def test_one_image_serves_as_both() -> None:
    batch = sampler([training_image(7, 0)], shots=2, queries=2).draw(0)
    assert numbers_in(batch["images"]) == numbers_in(batch["support_images"]) == [7, 7]


def test_five_examples_for_five_shots_all_take_part_over_time() -> None:
    few = sampler([training_image(i, 0) for i in range(5)], shots=5, queries=2)
    supports = {number for step in range(20) for number in numbers_in(few.draw(step)["support_images"])}
    queries = {number for step in range(20) for number in numbers_in(few.draw(step)["images"])}
    assert supports == queries == set(range(5))


def test_support_inputs_are_of_the_image_that_the_box_lies_in() -> None:
    def marked(number: int) -> Pixels:
        pixels = read(number).copy()
        pixels[5 + number % 40 : 15 + number % 40, 4:16] = 200
        return pixels

    settings = TlsddSettings(preset="tiny", shots=8)
    batch = EpisodeSampler(settings, marked, [training_image(i, 0) for i in range(9)], seed=3, stage=1).draw(
        2
    )
    flipped = 0
    for image, box, given in zip(
        batch["support_images"], batch["support_boxes"], batch["supports"], strict=True
    ):
        restored = (image.numpy() * 255).round().astype(np.uint8).transpose(1, 2, 0)
        left, top, right, bottom = (int(value) for value in box)
        assert (restored[top:bottom, left:right] == 200).all() and (restored == 200).sum() == 3 * 120
        np.testing.assert_allclose(given, support_input(restored, box.tolist(), settings), atol=1e-6)
        flipped += left != 4
    assert flipped


def test_seed_stage_step_and_rank_decide() -> None:
    one = sampler(IMAGES)
    same, again = one.draw(5), sampler(IMAGES).draw(5)
    assert all(torch.equal(same[name], again[name]) for name in same)
    other_stage = EpisodeSampler(one.settings, read, IMAGES, seed=0, stage=2)
    for other in (one.draw(6), one.draw(5, rank=1), other_stage.draw(5)):
        assert not torch.equal(same["support_images"], other["support_images"])


def test_images_without_a_defect_are_queries_of_no_class() -> None:
    clean = [training_image(50 + i) for i in range(3)]
    ignored = training_image(60, -2)  # shows something, though nobody knows what
    drawn = set()
    for step in range(20):
        batch = sampler([*IMAGES, *clean, ignored], queries=2, clean_queries=2).draw(step)
        assert batch["images"].shape[0] == 8 and batch["classes"].tolist() == [0, 1, 2]
        assert (batch["labels"][6:] == -1).all() and not (batch["labels"][:6] == -1).all(1).any()
        drawn |= set(numbers_in(batch["images"][6:]))
    assert drawn == {50, 51, 52}
    assert sampler(IMAGES, clean_queries=2).draw(0)["images"].shape[0] == 3, "none are there"
    assert TlsddSettings().clean_queries > 0


def test_plain_images_by_class_show_rare_ones_as_often_as_common_ones() -> None:
    images = [*(training_image(i, 0) for i in range(39)), training_image(39, 1), training_image(40)]
    settings = TlsddSettings(preset="tiny", batch=3, clean_queries=1)
    by_class = ImageSampler(settings, read, images, seed=0, stage=1, by_class=True)
    numbers = [number for step in range(30) for number in numbers_in(by_class.draw(step)["images"])]
    assert numbers.count(39) == numbers.count(40) == 30
    assert len({*numbers}) > 15


def test_resized_boxes_are_of_the_resized_image() -> None:
    batch = sampler(IMAGES, size=128).draw(0)
    assert batch["images"].shape[-2:] == (128, 128) and batch["sizes"].tolist() == [[128, 128]] * 3
    widths = batch["support_boxes"][:, 2] - batch["support_boxes"][:, 0]
    assert widths.tolist() == [24.0] * len(widths)


def test_plain_images_hold_clean_ones_and_keep_ignored_boxes() -> None:
    images = [training_image(0, 0, -2), training_image(1), training_image(2, 1)]
    images = ImageSampler(TlsddSettings(preset="tiny", batch=3), read, images, seed=0, stage=1)
    batch = images.draw(0)
    labels = dict(zip(numbers_in(batch["images"]), batch["labels"].tolist(), strict=True))
    assert labels == {0: [0, -2], 1: [-1, -1], 2: [1, -1]}
    assert set(batch) == {"images", "sizes", "boxes", "labels"}


def test_a_batch_larger_than_the_data_repeats_images() -> None:
    images = ImageSampler(
        TlsddSettings(preset="tiny", batch=5),
        read,
        [training_image(0, 0), training_image(1)],
        seed=0,
        stage=1,
    )
    assert images.draw(0)["images"].shape[0] == 5
    assert torch.equal(images.draw(3)["images"], images.draw(3)["images"])


@pytest.mark.parametrize("stage", [1, 2])
def test_every_image_comes_up_in_plain_batches(stage: int) -> None:
    images = ImageSampler(TlsddSettings(preset="tiny", batch=4), read, IMAGES, seed=0, stage=stage)
    drawn_numbers = {number for step in range(60) for number in numbers_in(images.draw(step)["images"])}
    assert drawn_numbers == {one.number for one in IMAGES}
