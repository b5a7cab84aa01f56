"""What stage 4 is trained on, when it drops a defect, and that training learns from its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from blemish.bundle import load_bundle
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.evaluation.run import evaluate_samples
from blemish.images.decode import read_image
from blemish.inspector.loading import inspector_of
from blemish.methods import find_method
from blemish.methods.common.map_score import MapScoreFitter
from blemish.methods.contract import RegionThresholds
from blemish.methods.severity.inference import tells_types
from blemish.methods.severity.network import TypeNetwork
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.training.examples import WindowExample, WindowSource
from blemish.methods.severity.training.losses import severity_loss, type_loss
from blemish.methods.severity.training.marked import marked_regions, true_label
from blemish.methods.severity.training.run import SeverityTraining
from blemish.nn.resnets import resnet
from blemish.progress import Reporter
from blemish.regions.region import Region
from blemish.training.request import Request
from blemish.training.run import train

Pixels = NDArray[np.uint8]
AT_SIX = RegionThresholds(6.0, start=0.0)


class Reading:
    """As much of a trainer as the steps between the two trainings need: images from memory."""

    seed = 0

    def __init__(self, images: Mapping[str, tuple[Pixels, Pixels]]) -> None:
        self.images = images

    def read(self, sample: Any, channels: int | None) -> Pixels:
        return self.images[sample.id][0]

    def remember(self, sample: Any, compute: Any) -> Pixels:
        return self.images[sample.id][1]

    def networks(self, modules: Mapping[str, Any]) -> Mapping[str, Any]:
        return modules

    def track(self, items: Iterator[Any], title: str) -> Iterator[Any]:
        return items


def bright_is_severe(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return inputs * 12


@pytest.fixture
def training(tiny_dataset: Dataset) -> SeverityTraining:
    """Image with a marked bright scratch, a marked bright spot, a bright false positive, a faint one."""
    pixels, classes = np.zeros((200, 200), np.uint8), np.zeros((200, 200), np.uint8)
    pixels[20:30, 20:60] = pixels[100:120, 100:120] = pixels[160:165, 20:25] = 230
    pixels[20:25, 150:155] = 80
    classes[20:30, 20:60], classes[100:120, 100:120] = 1, 2
    samples = tuple(replace(tiny_dataset.samples[0], id=name, split=name) for name in ("train", "val"))
    dataset = replace(tiny_dataset, samples=samples, class_names=("scratch", "spot"))
    settings = SeveritySettings(
        cell=1, loss="paper", context=1, types_window=32, types_step=8, false_positive_ratio=0.5
    )
    images = dict.fromkeys(("train", "val"), (pixels, classes))
    return SeverityTraining(dataset, settings, Reading(images))


def test_examples_are_marked_defects_found_ones_and_false_positives(training: SeverityTraining) -> None:
    found = training.examples(training.inference(AT_SIX), {"severity": bright_is_severe})
    assert {label: len(examples) for label, examples in found.items()} == {0: 2, 1: 2, 2: 2}
    false_positives = {example.windows[0] for example in found[2]}
    assert len(false_positives) == 2, "at half of T the faint one is found as well"
    strict = replace(training, settings=training.settings.model_copy(update={"false_positive_ratio": 1.0}))
    assert len(strict.examples(strict.inference(AT_SIX), {"severity": bright_is_severe})[2]) == 1


def test_no_more_than_the_strongest_regions_of_an_image_are_examples(training: SeverityTraining) -> None:
    """As a map of noise would cost a vote on each of its thousands of specks."""
    settings = training.settings.model_copy(update={"types_regions": 3})
    few = replace(training, settings=settings)
    found = few.examples(few.inference(AT_SIX), {"severity": bright_is_severe})
    assert {label: len(examples) for label, examples in found.items()} == {0: 2, 1: 2, 2: 1}, "not the faint"


@pytest.mark.parametrize(("background", "expected"), [(0.2, 0.5), (0.8, 0.801)])
def test_the_lossless_drop_threshold_keeps_every_true_validation_defect(
    training: SeverityTraining, background: float, expected: float
) -> None:
    settings = training.settings.model_copy(update={"drop_rule": "lossless"})
    training = replace(training, settings=settings)

    def classify(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        row = [(1 - background) / 2, (1 - background) / 2, background]
        return np.log(np.tile(np.float32(row), (len(windows), 1)))

    modules = {"severity": bright_is_severe, "types": classify}
    inference = replace(training.inference(AT_SIX), types=True)
    drop_above = training.choose_drop(inference, modules)
    assert drop_above == pytest.approx(expected, abs=1e-4)
    pixels = training.trainer.read(training.validation[0], 1)
    raw = inference.forward(pixels, modules)
    findings = replace(inference, drop_above=drop_above).decide(raw, pixels, modules, with_maps=False)
    assert len(findings.defects) >= 2


def test_the_drop_threshold_for_f1_drops_what_is_sure_to_be_background(training: SeverityTraining) -> None:
    """The false positive is the only one whose window is dark."""

    def classify(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        background = np.where(windows.mean(axis=(1, 2, 3)) < 0.05, 0.9, 0.2)
        types = np.stack([1 - background - 0.01, np.full(len(windows), 0.01), background], axis=1)
        return np.log(types.astype(np.float32))

    modules = {"severity": bright_is_severe, "types": classify}
    inference = replace(training.inference(AT_SIX), types=True)
    drop_above = training.choose_drop(inference, modules)
    pixels = training.trainer.read(training.validation[0], 1)
    raw = inference.forward(pixels, modules)
    findings = replace(inference, drop_above=drop_above).decide(raw, pixels, modules, with_maps=False)
    assert {defect.box_xyxy[:2] for defect in findings.defects} == {(20, 20), (100, 100)}


def test_a_drop_threshold_that_is_given_is_kept(training: SeverityTraining) -> None:
    given = replace(training, settings=training.settings.model_copy(update={"drop_above": 0.9}))
    assert given.choose_drop(given.inference(AT_SIX), {}) == 0.9


def test_marked_regions_are_split_by_class_and_place() -> None:
    classes = np.zeros((20, 30), np.uint8)
    classes[2:4, 2:4], classes[2:4, 20:22], classes[10:12, 3:5] = 1, 1, 2
    assert [
        (label, region.offset_xy, region.mask.sum()) for label, region in marked_regions(classes, 4.0)
    ] == [
        (0, (2, 2), 4),
        (0, (20, 2), 4),
        (1, (3, 10), 4),
    ]


@pytest.mark.parametrize(("marked", "label"), [(0, 2), (9, 2), (10, 0), (100, 0)])
def test_a_region_under_a_tenth_of_which_is_marked_is_background(marked: int, label: int) -> None:
    classes = np.zeros((10, 10), np.uint8)
    classes.flat[:marked] = 1
    region = Region(np.ones((10, 10), bool), (0, 0), np.zeros(1, np.float32))
    assert true_label(region, classes, background=2, min_share=0.1) == label


def test_a_region_has_the_class_of_most_of_its_marked_pixels() -> None:
    classes = np.zeros((10, 10), np.uint8)
    classes[0, :4], classes[1] = 1, 2
    whole = Region(np.ones((10, 10), bool), (0, 0), np.zeros(1, np.float32))
    assert true_label(whole, classes, background=2, min_share=0.1) == 1


def test_the_loss_of_stage_1_is_the_mean_square_over_all_cells() -> None:
    images, severities = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    batch = {"images": images, "severities": severities}
    expected = float(((2 * images - severities) ** 2).sum() / 32)
    assert float(severity_loss(lambda inputs: 2 * inputs, batch)) == pytest.approx(expected)


# The classifier's examples


def examples(**changes: Any) -> WindowSource:
    """Class 0 is bright, class 1 dark, the surface mid-gray."""
    pixels, classes = np.full((128, 128), 120, np.uint8), np.zeros((128, 128), np.uint8)
    pixels[:40, :40], classes[:40, :40] = 250, 1
    pixels[88:, 88:], classes[88:, 88:] = 5, 2
    found = {
        0: [WindowExample(0, 0, ((4, 4, 32),))] * 9,
        1: [WindowExample(0, 1, ((92, 92, 32),))],
        2: [WindowExample(0, 2, ((48, 48, 32),))],
    }
    settings = SeveritySettings(
        types_window=32,
        types_step=8,
        types_batch=12,
        types_background_share=0.5,
        types_hard_candidates=3,
        illumination=0.0,
        contrast=0.0,
    )
    fields: dict[str, Any] = {"examples": found, "background": 2, **changes}
    return WindowSource(settings, lambda number: (pixels, classes), sizes=[(128, 128)], **fields)


def test_labels_are_drawn_equally_often_and_show_what_they_say() -> None:
    generator = np.random.default_rng(0)
    drawn = [examples().draw(generator) for _ in range(300)]
    counts = np.bincount([label for _, label in drawn])
    assert counts.min() > 70
    for block, label in drawn:
        assert block.shape == (32, 32, 3)
        assert {0: block.mean() > 200, 1: block.mean() < 60, 2: abs(block.mean() - 120) < 20}[label]


def test_background_is_cut_from_clean_places_where_there_are_no_false_positives() -> None:
    found = {label: places for label, places in examples().examples.items() if label != 2}
    generator = np.random.default_rng(0)
    drawn = [examples(examples=found).draw(generator) for _ in range(60)]
    assert {label for _, label in drawn} == {0, 1, 2}
    assert all(set(block.ravel().tolist()) == {120} for block, label in drawn if label == 2)


def test_half_a_batch_of_windows_is_background_each_chosen_from_three() -> None:
    source = examples()
    labels = source.batch(np.random.default_rng(0))["labels"].tolist()
    assert source.num_background == 6
    assert labels[6:] == [2] * 18 and set(labels[:6]) <= {0, 1}
    settings = source.settings.model_copy(update={"types_background_share": None})
    batch = replace(source, settings=settings).batch(np.random.default_rng(0))
    assert len(batch["labels"]) == 12


def test_a_batch_of_windows_goes_through_network_and_loss() -> None:
    source = examples()
    batch = source.batch(np.random.default_rng(0))
    assert batch["images"].shape == (24, 3, 32, 32)
    assert 0 <= float(batch["images"].min()) <= float(batch["images"].max()) <= 1
    network = TypeNetwork(resnet("resnet18", "none", setting="types_backbone_weights")[0], 2)
    assert network(batch["images"]).shape == (24, 3)
    assert float(type_loss(network, batch, hard=6, hard_candidates=3).detach()) < 5
    assert not [name for name in network.state_dict() if name in ("mean", "std")], "constants are not weights"


# Learning


def with_shuffled_truth(dataset: Dataset, seed: int) -> Dataset:
    """Every training image with the annotations of another."""
    training = [sample for sample in dataset if sample.split != "test"]
    order = np.random.default_rng(seed).permutation(len(training))
    pairs = zip(order, np.roll(order, 1), strict=True)
    marked = {training[one].id: training[other].annotations for one, other in pairs}
    samples = (replace(sample, annotations=marked.get(sample.id, sample.annotations)) for sample in dataset)
    return replace(dataset, samples=tuple(samples))


def test_shuffled_truth_scores_clearly_worse_than_the_true_one(
    tiny_dataset: Dataset, tiny_bundle: Path, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    """What is measured comes from the labels, not from the images or from a leak of the test split.

    With these settings the average precision of test pixels was above 0.6 with the truth and below 0.3 with
    shuffled truth for each of the seeds 0, 1 and 2.
    """
    method = find_method("severity")
    settings = method.settings_type.model_validate({**tiny_settings, "types": False})
    shuffled = with_shuffled_truth(tiny_dataset, 0)
    bundle = train(Request(method, shuffled, settings, tmp_path / "run"), Reporter(quiet=True))
    true, false = (
        evaluate_samples(inspector_of(one, device="cpu"), tiny_dataset.split("test"), Reporter(quiet=True))
        .result(method="severity", split="test", seed=0)
        .metrics["pixel"]["auprc"]
        for one in (load_bundle(tiny_bundle), bundle)
    )
    assert true > 0.5
    assert false < true - 0.3


def test_images_marked_by_boxes_are_not_learned_from_and_choose_no_threshold(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    defective = [[one for one in tiny_dataset.split(split) if one.is_defective] for split in ("train", "val")]
    boxed = {one.id for one in (*defective[0][:2], *defective[1][:1])}
    partly = replace(tiny_dataset, samples=tuple(by_box(one, one.id in boxed) for one in tiny_dataset))
    without = tiny_dataset.where(lambda one: one.id not in boxed)
    method = find_method("severity")
    settings = method.settings_type.model_validate({**tiny_settings, "steps": 3, "types": False})
    left, gone = (
        train(Request(method, dataset, settings, tmp_path / name), Reporter(quiet=True))
        for name, dataset in (("left", partly), ("gone", without))
    )
    for name, tensor in gone.networks["severity"].items():
        assert np.array_equal(left.networks["severity"][name], tensor)
    assert left.manifest.curves["threshold_sweep"] == gone.manifest.curves["threshold_sweep"]
    (note,) = left.manifest.notes
    assert note.startswith("2 training and 1 validation images have defects without an outline")
    assert (tmp_path / "left" / "log.jsonl").read_text().count(note) == 1
    assert gone.manifest.notes == ()


@pytest.mark.parametrize(("types", "networks"), [(None, {"severity"}), (True, {"severity", "types"})])
def test_a_single_class_has_no_type_classifier_unless_it_is_asked_for(
    types: bool | None,
    networks: set[str],
    tiny_dataset: Dataset,
    tiny_settings: dict[str, Any],
    tmp_path: Path,
) -> None:
    samples = tuple(
        replace(one, annotations=tuple(replace(mark, label="mark") for mark in one.annotations))
        for one in tiny_dataset
    )
    dataset = replace(tiny_dataset, samples=samples, class_names=("mark",))
    method = find_method("severity")
    given = {**tiny_settings, "steps": 3, "types_steps": 2, "types": types}
    settings = method.settings_type.model_validate(given)
    bundle = train(Request(method, dataset, settings, tmp_path / "run"), Reporter(quiet=True))
    assert set(bundle.networks) == set(method.modules(bundle.manifest)) == networks
    inference = inspector_of(load_bundle(bundle.path), device="cpu").inference
    assert inference.classifies == bool(types)


def test_several_classes_have_a_type_classifier_unless_it_is_off() -> None:
    assert tells_types(SeveritySettings(), ("a", "b"))
    assert not tells_types(SeveritySettings(types=False), ("a", "b"))


def test_the_image_score_is_fitted_on_the_validation_images_or_left_out(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    method = find_method("severity")
    for choice in ("fitted", "max"):
        given = {**tiny_settings, "steps": 3, "types": False, "threshold": 5.0, "image_score": choice}
        request = Request(method, tiny_dataset, method.settings_type.model_validate(given), tmp_path / choice)
        bundle = train(request, Reporter(quiet=True))
        inspector = inspector_of(load_bundle(bundle.path), device="cpu")
        fitter = MapScoreFitter(12.0)
        for sample in tiny_dataset.split("val"):
            pixels = read_image(sample.image, channels=1)
            raw = inspector.inference.forward(pixels, inspector.networks)
            fitter.update(inspector.inference.scored(raw), defective=sample.is_defective)
        expected = fitter.fit() if choice == "fitted" else None
        assert inspector.inference.fitted_score == expected
        assert inspector.inference.threshold_score == (0.5 if choice == "fitted" else pytest.approx(5 / 12))


def by_box(sample: Sample, changed: bool) -> Sample:
    """The sample, its defects marked by a box alone where it is to be changed."""
    marks = (Annotation(one.label, box_xyxy=(5, 5, 20, 20)) for one in sample.annotations)
    return replace(sample, annotations=tuple(marks)) if changed else sample
