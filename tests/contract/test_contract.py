"""What every method must keep to, whatever it is inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from blemish.bundle import Bundle, load_bundle
from blemish.bundle.faults import first_fault
from blemish.dataset.boxes import boxed_instances
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset, Sample
from blemish.images.decode import read_image
from blemish.inspection import Inspection, Verdict
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of
from blemish.inspector.torch_backend import as_networks, load_tensors
from blemish.methods.contract import Inference, Method, Network, Networks
from blemish.methods.quick import Quick
from blemish.regions.boxes import box_iou

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@pytest.fixture(scope="session")
def inspector(bundle: Bundle) -> BundleInspector:
    """Every finding is listed, whatever the image's score."""
    return replace(inspector_of(load_bundle(bundle.path), device="cpu"), limited=False)


def without_times(inspection: Inspection) -> dict[str, Any]:
    return {**inspection.to_json(), "timings_ms": None, "image": None, "bundle": None}


def read_pixels(dataset: Dataset, inference: Inference, number: int = 0) -> Pixels:
    return read_image(dataset.samples[number].image, channels=inference.channels)


def tone(level: int, size: tuple[int, int], inference: Inference) -> Pixels:
    return np.full(size if inference.channels == 1 else (*size, 3), level, np.uint8)


def true_places(sample: Sample, dataset: Dataset, inference: Inference, size: tuple[int, int]) -> Mask:
    """The marked defects, or their boxes for a method that finds no more."""
    if inference.segments:
        return class_map(sample, dataset.class_names, size) > 0
    places = np.zeros(size, bool)
    for box in boxed_instances(sample, size):
        left, top, right, bottom = (round(edge) for edge in box.box_xyxy)
        places[top:bottom, left:right] = True
    return places


def test_names_itself_and_its_settings_are_whole(method: Method) -> None:
    assert method.title
    settings = method.settings_type()
    assert method.settings_type.model_validate(settings.model_dump(mode="json")) == settings


def test_overfits_four_images(four_images: Dataset, inspector: BundleInspector, of_two_kinds: bool) -> None:
    """Defects found where they are, or defective and normal told apart clearly, on images of training."""
    for sample in four_images.split("train"):
        verdict = inspector.inspect(sample.image).verdict
        assert (verdict is not Verdict.OK) == sample.is_defective, sample.id
    learned = successes(four_images, inspector, of_two_kinds)
    assert np.mean(learned) > (0.9 if of_two_kinds else 0.5)


def test_what_is_untrained_does_not_pass_for_overfitted(
    four_images: Dataset, short_bundle: Bundle, of_two_kinds: bool
) -> None:
    """Guards the test above."""
    inspector = inspector_of(short_bundle, device="cpu")
    # A box about anything meets a true one more often than an outline does; of two kinds a coin names half.
    most = 0.7 if of_two_kinds else 0.3 if inspector.inference.segments else 0.4
    assert np.mean(successes(four_images, inspector, of_two_kinds)) < most


def successes(dataset: Dataset, inspector: BundleInspector, of_two_kinds: bool) -> list[float]:
    """Of each defective training image the IoU of what is found and what is there, in [0, 1].

    of_two_kinds: instead, of every image, the probability given to what the image is, normal or defective
    """
    found = []
    for sample in dataset.split("train"):
        if not (sample.is_defective or of_two_kinds):
            continue
        inspection = inspector.inspect(sample.image, with_maps=True)
        if of_two_kinds:
            found.append(inspection.score if sample.is_defective else 1 - inspection.score)
        else:
            truth = true_places(sample, dataset, inspector.inference, inspection.size)
            defects = inspection.maps["defects"] > 0
            found.append((defects & truth).sum() / max(1, (defects | truth).sum()))
    return found


def test_the_seed_decides_every_weight(
    train_quickly: Callable[..., Bundle],
    short: Mapping[str, Any],
    short_bundle: Bundle,
    quick: Quick,
    tmp_path: Path,
) -> None:
    first = short_bundle.networks
    second, other = (train_quickly(tmp_path / str(seed), seed=seed, **short).networks for seed in (0, 1))
    for name, tensors in first.items():
        for key, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, second[name][key], err_msg=f"{name}.{key}")
        differs = any(not np.array_equal(tensor, other[name][key]) for key, tensor in tensors.items())
        assert differs != (name in quick.drawn_by_no_seed), name


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_image_of_one_tone_is_judged(inspector: BundleInspector, level: int) -> None:
    inspection = inspector.judge(tone(level, (96, 96), inspector.inference), "flat", with_maps=True)
    assert inspection.verdict is not Verdict.ERROR
    assert 0 <= inspection.score <= 1
    assert inspection.maps["defects"].max() == len(inspection.defects)


def test_no_defect_is_an_empty_list_and_a_score_below_the_methods_threshold(
    four_images: Dataset, inspector: BundleInspector
) -> None:
    """The surface of a training image, its defects painted over with the image's median."""
    sample = four_images.samples[0]
    inference = inspector.inference
    pixels = read_pixels(four_images, inference).copy()
    marked = class_map(sample, four_images.class_names, pixels.shape[:2]) > 0
    around = torch.nn.functional.max_pool2d(torch.from_numpy(marked)[None].float(), 9, 1, 4)[0].numpy() > 0
    pixels[around] = np.median(pixels[~marked])
    painted = inspector.judge(pixels, "painted")
    original = inspector.judge(read_pixels(four_images, inference), "original")
    assert painted.score < original.score
    assert sum(defect.area for defect in painted.defects) < sum(defect.area for defect in original.defects)
    blank = inspector.judge(tone(int(np.median(pixels)), (64, 64), inference), "blank", with_maps=True)
    if inspector.inference.threshold_score is not None:
        for inspection in (painted, original, blank):
            assert bool(inspection.defects) == (inspection.score >= inspector.inference.threshold_score)


@pytest.mark.parametrize("size", [(1, 1), (1, 97), (5, 3), (33, 95), (97, 131), (260, 41)])
def test_odd_sizes_are_judged_to_the_last_pixel(
    four_images: Dataset, inspector: BundleInspector, size: tuple[int, int]
) -> None:
    pixels = read_pixels(four_images, inspector.inference)
    tiled = np.tile(pixels, (3, 2, 1)[: pixels.ndim])[: size[0], : size[1]]
    inspection = inspector.judge(np.ascontiguousarray(tiled), "odd", with_maps=True)
    assert inspection.size == size
    assert all(array.shape == size for array in inspection.maps.values())
    for defect in inspection.defects:
        left, top, right, bottom = defect.box_xyxy
        assert 0 <= left < right <= size[1]
        assert 0 <= top < bottom <= size[0]


def test_an_answer_does_not_depend_on_what_was_inspected_before(
    four_images: Dataset, inspector: BundleInspector
) -> None:
    paths = [sample.image for sample in four_images.split("train")]
    forwards = [without_times(inspector.inspect(path)) for path in paths]
    backwards = [without_times(inspector.inspect(path)) for path in reversed(paths)]
    assert forwards == backwards[::-1]
    assert len({json.dumps(answer) for answer in forwards}) == len(paths)


def test_networks_give_a_batch_what_they_give_each_alone(
    method: Method, four_images: Dataset, bundle: Bundle, of_two_kinds: bool
) -> None:
    inference = method.inference(bundle.manifest)
    if not (inference.segments or of_two_kinds):
        pytest.skip("a detector's rows are of one image: it is never given several")
    modules = method.modules(bundle.manifest)
    load_tensors(modules, bundle.networks, source="test")
    networks = as_networks(modules)
    shapes = input_shapes(inference, networks, read_pixels(four_images, inference))
    assert shapes.keys() == modules.keys()
    generator = np.random.default_rng(0)
    for name, network in networks.items():
        batch = generator.random((3, *shapes[name]), dtype=np.float32)
        if not list(modules[name].parameters()):  # nothing learned: it holds images and returns them
            np.testing.assert_array_equal(network(batch), network(batch[:1]))
            continue
        together = network(batch)
        alone = np.concatenate([network(batch[index : index + 1]) for index in range(3)])
        np.testing.assert_allclose(together, alone, atol=1e-4)
        assert abs(together[0] - together[1]).max() > 1e-4, "different inputs give different outputs"


def input_shapes(inference: Inference, networks: Networks, pixels: Pixels) -> dict[str, tuple[int, ...]]:
    """What each network is given when an image is judged: the shape of one row, [C, H, W]."""
    shapes: dict[str, tuple[int, ...]] = {}

    def noted(name: str) -> Network:
        def network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
            shapes[name] = inputs.shape[1:]
            return networks[name](inputs)

        return network

    recorded = {name: noted(name) for name in networks}
    inference.decide(inference.forward(pixels, recorded), pixels, recorded, with_maps=False)
    return shapes


def test_a_loaded_bundle_answers_as_the_trained_one(
    method: Method, four_images: Dataset, bundle: Bundle, tmp_path: Path
) -> None:
    in_memory = inspector_of(bundle, device="cpu")
    from_disk = inspector_of(load_bundle(bundle.path, method=method.name), device="cpu")
    assert in_memory.bundle == from_disk.bundle
    found = 0
    for sample in four_images.split("train"):
        one = in_memory.inspect(sample.image, with_maps=True)
        other = from_disk.inspect(sample.image, with_maps=True)
        assert without_times(one) == without_times(other)
        for name, array in one.maps.items():
            np.testing.assert_array_equal(array, other.maps[name])
        found += len(one.defects)
    assert found


def test_an_inspection_is_the_same_after_json(four_images: Dataset, inspector: BundleInspector) -> None:
    inspection = inspector.inspect(four_images.samples[0].image)
    fields = json.loads(json.dumps(inspection.to_json(), allow_nan=False))
    assert Inspection.from_json(fields).to_json() == fields


def test_inspecting_leaves_every_weight_and_statistic_as_it_was(
    method: Method, four_images: Dataset, bundle: Bundle
) -> None:
    modules = method.modules(bundle.manifest)
    load_tensors(modules, bundle.networks, source="test")
    inference = method.inference(bundle.manifest)
    networks = as_networks(modules)
    pixels = read_pixels(four_images, inference)
    before = pixels.copy()
    raw = inference.forward(pixels, networks)
    raw_before = raw.copy()
    inference.decide(raw, pixels, networks, with_maps=True)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(raw, raw_before)
    for name, module in modules.items():
        assert not module.training
        for key, tensor in module.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), bundle.networks[name][key], err_msg=f"{name}.{key}")


def test_results_are_in_coordinates_of_the_image(
    four_images: Dataset, inspector: BundleInspector, squeezing: bool
) -> None:
    """Set into a larger image, defects move by just as much; boxes, outlines and map agree."""
    if squeezing:
        pytest.skip("a larger image is squeezed: the test below stretches it")
    pixels = read_pixels(four_images, inspector.inference)
    down, right = 64, 128
    framed = np.pad(pixels, (((down, 96), (right, 32), (0, 0))[: pixels.ndim]), mode="reflect")
    plain = inspector.judge(pixels, "plain", with_maps=True)
    moved = inspector.judge(framed, "moved", with_maps=True)
    inner = slice(24, 72)  # away from the border, whose surroundings differ
    one = plain.maps["defects"][inner, inner] > 0
    other = moved.maps["defects"][down : down + 96, right : right + 96][inner, inner] > 0
    assert one.any()
    if inspector.inference.segments:
        assert (one & other).sum() / (one | other).sum() > 0.7
    else:  # what a box holds depends on more of its surroundings: some are found again
        shifted = np.add([defect.box_xyxy for defect in plain.defects], [right, down, right, down])
        again = np.array([defect.box_xyxy for defect in moved.defects])
        assert box_iou(shifted, again).max() > 0.7
    assert_places_agree(moved, inspector.inference)


def test_a_stretched_image_has_its_result_stretched(
    four_images: Dataset, inspector: BundleInspector, squeezing: bool
) -> None:
    """Every pixel twice as high and four times as wide: squeezed to a square, the image is what it was."""
    if not squeezing:
        pytest.skip("a stretched image shows defects of another size: the test above frames it")
    for number, sample in enumerate(four_images.split("train")):
        pixels = read_pixels(four_images, inspector.inference, number)
        # Both are shrunk, as means of 16 and more pixels are rounded alike and those of 2×2 are not.
        plain = inspector.judge(enlarged(pixels, 2, 2), "plain", with_maps=True)
        stretched = inspector.judge(enlarged(pixels, 4, 8), "stretched", with_maps=True)
        assert bool(stretched.defects) == bool(plain.defects) == sample.is_defective
        if inspector.inference.segments:
            assert_outlines_stretched(plain, stretched, by=(2, 4))
        else:
            assert stretched.score == pytest.approx(plain.score, abs=1e-6)
            assert len(plain.defects) <= 1
            for one, other in zip(plain.defects, stretched.defects, strict=True):
                assert other.box_xyxy == pytest.approx(np.multiply(one.box_xyxy, (4, 2, 4, 2)))
                assert other.area < np.prod(stretched.size), "points at a place"
        assert_places_agree(stretched, inspector.inference)


def assert_outlines_stretched(plain: Inspection, stretched: Inspection, *, by: tuple[int, int]) -> None:
    """The same pixels but for the outline's, where a finer grid reads the map at other places."""
    assert stretched.score == pytest.approx(plain.score, abs=0.01)
    one = enlarged(plain.maps["defects"] > 0, *by)
    other = stretched.maps["defects"] > 0
    if one.any() or other.any():
        assert (one & other).sum() / (one | other).sum() > 0.85


def enlarged(pixels: NDArray[Any], down: int, across: int) -> NDArray[Any]:
    """Every pixel repeated."""
    return pixels.repeat(down, axis=0).repeat(across, axis=1)


def assert_places_agree(inspection: Inspection, inference: Inference) -> None:
    """Box, outline, area and map of every defect."""
    for number, defect in enumerate(inspection.defects, start=1):
        rows, columns = np.nonzero(inspection.maps["defects"] == number)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        slack = 0 if inference.segments else 0.5  # a box need not end between two pixels
        assert defect.box_xyxy == pytest.approx(box, abs=slack)
        corners = np.array([corner for part in defect.contour for corner in part])
        assert tuple(corners.min(axis=0)) == defect.box_xyxy[:2]
        assert tuple(corners.max(axis=0)) == defect.box_xyxy[2:]
        reach = float(np.ptp(rows) + np.ptp(columns) + 2)
        assert defect.area == pytest.approx(rows.size, abs=2 * slack * reach)


def test_an_unknown_setting_is_refused_and_the_nearest_named(method: Method) -> None:
    known = next(iter(method.settings_type.model_fields))
    with pytest.raises(ValidationError) as caught:
        method.settings_type.model_validate({f"{known}s": 1})
    fault = first_fault(caught.value, method.settings_type.model_fields)
    assert fault == f"unknown key '{known}s'. Did you mean '{known}'?"


def test_labels_are_class_names_and_numbers_are_in_range(
    four_images: Dataset, inspector: BundleInspector
) -> None:
    """Or one label for all, where a method does not name types."""
    labels = set()
    for sample in four_images.split("train"):
        inspection = inspector.inspect(sample.image, with_maps=True)
        assert 0 <= inspection.score <= 1
        top, severity = inspector.inference.score_map_max, inspection.maps.get("score_map")
        assert (severity is None) == (top is None)
        assert severity is None or 0 <= severity.min() <= severity.max() <= top
        for defect in inspection.defects:
            labels.add(defect.label)
            assert 0 <= defect.confidence <= 1
            assert defect.rectangle.length >= defect.rectangle.width > 0
    if inspector.inference.classifies:
        assert labels <= set(four_images.class_names)
    else:
        assert len(labels) == 1
