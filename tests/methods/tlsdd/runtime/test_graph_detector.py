"""The detector around graphs gives what the torch detector gives: proposals, rows, whatever the settings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.errors import BlemishError
from blemish.methods.capabilities import ExportsGraphs
from blemish.methods.common.graphs import FIXED_SIDE
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.export import RegionsGraph, places, plans
from blemish.methods.tlsdd.network.detector import padded
from blemish.methods.tlsdd.network.extractor import DeformableConv
from blemish.methods.tlsdd.network.sampled_conv import SampledConv
from blemish.methods.tlsdd.runtime.graph_detector import GraphDetector, best_of_map, padded_count, sigmoid
from blemish.regions.boxes import box_iou
from tests.methods.tlsdd.graphs import by_openvino, eager, lively, random_bank

SIZES = (96, 96), (70, 131), (20, 33), (5, 200)
SETTINGS = [
    {},
    {"proposals": "per_class"},
    {"variant": "fr-joint"},
    {"variant": "fr-ff-joint"},
    {"variant": "tl-ff", "proposals": "per_class"},
    {"variant": "tl-ff-fr"},
    {"variant": "tl-ff-fr", "box_regression": "specific", "proposals": "per_class", "padding": "black"},
    {"variant": "tl-ff-fr", "logits": "branch"},
    {"reweight": False},
    {"logits": "branch"},
    {"logits": "branch", "background": "one_minus_max"},
    {"background": "several"},
    {"background": "one_minus_max"},
    {"background": "rpn_negatives"},
    {"normalize": False},
    {"log_scale": True, "centred": True, "prototype_offsets": True, "linear_head": True},
    {"logits": "branch", "background": "one_minus_max", "prototype_offsets": True, "linear_head": True},
    {"reweight": False, "prototype_offsets": True, "linear_head": True, "normalize": False},
    {"box_regression": "specific"},
    {"activation": "identity", "deepest": "layer4"},
    {"deformable": True},
    {"feature_fusion": False, "single_map": "layer3"},
    {"anchor_sizes": (8, 24, 16, 48, 32, 96, 64, 192), "aspect_ratios": (0.5, 1.0)},
    {"proposals_test": 300},
    {"roi_canonical_size": 40, "deepest": "layer4"},
    {"backbone": "efficientnet-lite0"},
    {"backbone": "efficientnet-lite0", "deepest": "layer4", "proposals": "per_class"},
]


def image(size, seed=0):
    """Noise on blobs, so that regions of all sizes differ."""
    generator = np.random.default_rng(seed)
    coarse = generator.random((1, 3, -(-size[0] // 16), -(-size[1] // 16)), np.float32)
    blobs = coarse.repeat(16, 2).repeat(16, 3)[:, :, : size[0], : size[1]]
    return (blobs + generator.random((1, 3, *size), np.float32)) / 2


def graph_detector(detector, bank):
    return GraphDetector(
        {name: eager(plan) for name, plan in plans(detector, bank).items()}, detector.settings
    )


def torch_rows(detector, images):
    with torch.inference_mode():
        return detector(torch.from_numpy(images)).numpy()


def torch_proposals(detector, bank, images):
    with torch.inference_mode():
        maps = detector.extractor(padded(torch.from_numpy(images), detector.settings.padding))
        sizes = torch.tensor([images.shape[2:]])
        if detector.settings.on_class_features:
            folded, count = detector.folded(maps, bank)
            return detector.rpn.per_class(folded, sizes, count)[0].numpy()
        return detector.rpn(maps, sizes)[0].numpy()


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_rows_are_the_torch_detectors(changes):
    detector, bank = lively(**changes)
    served = graph_detector(detector, bank)
    for size in SIZES:
        expected, found = torch_rows(detector, image(size)), served.rows(image(size), bank.to_bank())
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-5)
    assert expected[:, 4:].std() > 1e-5, "else the probabilities tell nothing"


@pytest.mark.parametrize("changes", [{}, {"proposals": "per_class"}, {"variant": "fr-joint"}], ids=str)
def test_proposals_are_torchvisions(changes):
    detector, bank = lively(**changes)
    served = graph_detector(detector, bank)
    for size in SIZES:
        expected = torch_proposals(detector, bank, image(size))
        maps = served.maps(image(size))
        found = served.proposals(maps, bank.to_bank(), size)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        overlaps = box_iou(found, found) - np.eye(len(found))
        assert len(found) > 3 and overlaps.max() > 0.1, "suppression has something to do"


def test_a_class_that_is_not_known_gets_nothing():
    for proposals in ("shared", "per_class"):
        detector, bank = lively(proposals=proposals)
        bank.known[1] = False
        found = graph_detector(detector, bank).rows(image((64, 64)), bank.to_bank())
        np.testing.assert_allclose(found, torch_rows(detector, image((64, 64))), atol=1e-4)
        assert not found[:, 5].any() and found[:, 4].any()


def test_one_class_more_is_data_and_no_other_graph():
    """The graphs of a detector of three classes, with a bank of five."""
    for changes in ({}, {"prototype_offsets": True, "linear_head": True, "centred": True}):
        detector, bank = lively(**changes)
        served, larger = graph_detector(detector, bank), random_bank(detector, 5)
        found = served.rows(image((64, 96)), larger.to_bank())
        detector.serve(larger)
        assert found.shape[1] == 9
        np.testing.assert_allclose(found, torch_rows(detector, image((64, 96))), atol=1e-4)


def regions_graph(detector, bank):
    return RegionsGraph(detector, bank).eval()


@pytest.mark.parametrize("side", [20.0, 111.9, 112.0, 224.0, 400.0])
def test_boxes_of_one_size_leave_the_other_maps_without_any(side):
    """Exact powers of two, where the rounding of the level decides, among them; 112 is stride 8's first."""
    detector, bank = lively(deepest="layer4")
    maps = detector.extractor(torch.from_numpy(image((512, 512))))
    boxes = torch.tensor([[4.0, 8.0, 4.0 + side, 8.0 + side], [30.0, 2.0, 30.0 + side / 2, 2.0 + 2 * side]])
    expected = detector.pool(maps, [boxes], torch.tensor([[512, 512]]))
    found = regions_graph(detector, bank).pooled([maps[str(number)] for number in range(4)], boxes)
    torch.testing.assert_close(found, expected)


def test_boxes_of_all_sizes_are_pooled_in_their_order():
    detector, bank = lively(deepest="layer4")
    maps = detector.extractor(torch.from_numpy(image((256, 512))))
    sides = torch.tensor([300.0, 10, 150, 250, 1, 120, 60, 500])
    boxes = torch.stack([sides / 9, sides / 9, sides, sides.clamp(max=256)], 1)
    expected = detector.pool(maps, [boxes], torch.tensor([[256, 512]]))
    graph = regions_graph(detector, bank)
    assert graph.levels(boxes).unique().tolist() == [0, 1, 2]
    torch.testing.assert_close(graph.pooled([maps[str(number)] for number in range(4)], boxes), expected)


def test_places_sort_and_keep_the_order_of_equals():
    keys = torch.tensor([2, 0, 2, 1, 0])
    found = torch.empty(5, dtype=torch.long)
    found[places(keys)] = torch.arange(5)
    assert found.tolist() == [1, 4, 3, 0, 2]


def test_the_best_of_a_map_are_the_best_of_all_its_anchors():
    generator = np.random.default_rng(0)
    objectness = generator.normal(size=(2, 3, 5)).astype(np.float32)
    deltas = np.zeros((8, 3, 5), np.float32)
    deltas[4] = 0.5  # of the second anchor: half its width to the right
    anchors = np.array([[-4, -4, 4, 4], [-8, -2, 8, 2]], np.float32)
    boxes, scores = best_of_map(objectness, deltas, anchors, 16, count=4)
    every = sorted(np.ndindex(2, 3, 5), key=lambda cell: -objectness[cell])[:4]
    for (number, row, column), box, score in zip(every, boxes, scores, strict=True):
        moved = anchors[number] + [8 * number, 0, 8 * number, 0]
        np.testing.assert_allclose(box, moved + np.array([16 * column, 16 * row] * 2))
        assert score == objectness[number, row, column]
    assert len(best_of_map(objectness, deltas, anchors, 16, count=99)[1]) == 30


def test_far_logits_stay_probabilities():
    with np.errstate(all="raise", under="ignore"):
        found = sigmoid(np.array([-200, -1, 0, 1, 200], np.float32))
    np.testing.assert_allclose(found, torch.tensor([-200.0, -1, 0, 1, 200]).sigmoid(), atol=1e-7)


def test_regions_are_asked_in_few_lengths_and_bounded_parts():
    assert [padded_count(boxes, 100) for boxes in (0, 1, 8, 9, 40, 65, 100)] == [8, 8, 8, 16, 64, 100, 100]
    detector, bank = lively(proposals_test=300)
    served, counts = graph_detector(detector, bank), []
    whole = served.graphs["regions"]

    def counting(arrays):
        counts.append(len(arrays["boxes"]))
        levels = graph.levels(torch.from_numpy(arrays["boxes"]))
        assert set(levels.tolist()) == {0, 1, 2}, "a map that is never pooled from cannot be calibrated"
        return whole(arrays)

    graph = regions_graph(detector, bank)
    maps = served.maps(image((64, 64)))
    shifts = np.arange(210, dtype=np.float32)[:, None] / 10
    boxes = np.array([[4, 4, 40, 30]], np.float32) + shifts
    arrays_of_bank = bank.to_bank().tensors()
    counted = GraphDetector({**served.graphs, "regions": counting}, served.settings)
    found = counted.regions(maps, boxes, arrays_of_bank)
    assert counts == [103, 103, 16], "parts of 100, and one for each of three maps"
    assert found["probabilities"].shape == (210, 3)
    alone = served.regions(maps, boxes[[205]], arrays_of_bank)
    np.testing.assert_allclose(found["probabilities"][205], alone["probabilities"][0], atol=1e-6)
    assert served.regions(maps, boxes[:0], arrays_of_bank)["probabilities"].shape == (0, 3)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(9, 14), (1, 5), (7, 1)])
def test_sampling_is_torchvisions_deformable_convolution(stride, size):
    """With offsets of several pixels, so that many samples lie outside."""
    torch.manual_seed(0)
    deformable = DeformableConv(torch.nn.Conv2d(3, 5, 3, stride=stride, padding=1, bias=False))
    torch.nn.init.normal_(deformable.offset.weight, std=2.0)
    features = torch.rand(2, 3, *size)
    with torch.inference_mode():
        expected, found = deformable(features), SampledConv(deformable)(features)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


# The method's side


def manifest(detector, classes=3):
    return Manifest(
        method="tlsdd",
        class_names=tuple(f"class {number}" for number in range(classes)),
        preprocessing=Preprocessing(channels=3),
        settings=detector.settings.model_dump(mode="json"),
    )


def test_the_method_offers_graphs_and_serves_them():
    detector, bank = lively()
    assert isinstance(METHOD, ExportsGraphs)
    assert METHOD.kept_tensors(manifest(detector)) == ("bank",)
    graphs = METHOD.graphs({"detector": detector, "bank": bank}, manifest(detector))
    assert set(graphs) == {"maps", "regions", "support"}
    running = {name: eager(plan) for name, plan in graphs.items()}
    networks = METHOD.served(running, {"bank": bank.to_bank().tensors()}, manifest(detector))
    found = networks["detector"](image((70, 50)))
    np.testing.assert_allclose(found, torch_rows(detector, image((70, 50))), atol=1e-4)


def test_graphs_of_one_size_take_no_other():
    detector, bank = lively(proposals="per_class")
    fixed = manifest(detector).model_copy(update={"tiling": {FIXED_SIDE: 160}})
    found = METHOD.graphs({"detector": detector, "bank": bank}, fixed)
    assert found["maps"].inputs["images"].shape == (1, 3, 160, 160)
    for plan in found.values():
        assert not {2, 3} & {axis for axes in plan.free.values() for axis in axes}
    assert found["regions"].free["boxes"] == found["proposals"].free["class_vectors"] == (0,)
    served = GraphDetector({name: eager(plan) for name, plan in found.items()}, detector.settings)
    rows = served.rows(image((160, 160)), bank.to_bank())
    np.testing.assert_allclose(rows, torch_rows(detector, image((160, 160))), atol=1e-4)
    with pytest.raises(BlemishError, match=r"--tile must be a multiple of 32.*Received: 100. Use 128."):
        plans(detector, bank, fixed_side=100)


def test_a_bank_of_another_detector_or_number_of_classes_is_refused():
    detector, bank = lively()
    running = {name: eager(plan) for name, plan in plans(detector, bank).items()}
    bank.made_for[0] += 1
    networks = METHOD.served(running, {"bank": bank.to_bank().tensors()}, manifest(detector))
    with pytest.raises(BlemishError, match="made for another detector"):
        networks["detector"](image((64, 64)))
    with pytest.raises(BlemishError, match="class bank must hold"):
        METHOD.served(running, {"bank": bank.to_bank().tensors()}, manifest(detector, 4))
    with pytest.raises(BlemishError, match="class bank must hold"):
        METHOD.served(running, {}, manifest(detector))
    without = {name: graph for name, graph in running.items() if name != "support"}
    with pytest.raises(BlemishError, match=r"graphs maps, regions, support. Received: maps, regions."):
        METHOD.served(without, {"bank": bank.to_bank().tensors()}, manifest(detector))


# Exported


def test_exported_graphs_give_the_torch_detectors_rows(exported_detector):
    """At sizes, numbers of regions and numbers of classes that were no example's."""
    detector, _, graphs = exported_detector
    served = GraphDetector(graphs, detector.settings)
    for classes in (3, 1):
        torch.manual_seed(classes)  # whatever ran before: of proposals nearly as sure, either may come first
        bank = random_bank(detector, classes)
        detector.serve(bank)
        for size in SIZES:
            found = served.rows(image(size), bank.to_bank())
            np.testing.assert_allclose(found, torch_rows(detector, image(size)), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"variant": "fr-joint"}, {"variant": "tl-ff-fr"}, {"feature_fusion": False, "single_map": "layer3"}],
    ids=str,
)
def test_openvino_tells_regions_as_torch_does(changes, tmp_path):
    """Of a classifier with biases, and where there is one map: both came out wrong."""
    detector, bank = lively(**changes)
    if not detector.settings.metric_head:
        torch.nn.init.normal_(detector.scores.linear.bias)
    planned = plans(detector, bank)
    torch_graphs = GraphDetector({name: eager(plan) for name, plan in planned.items()}, detector.settings)
    regions = {"regions": by_openvino(planned["regions"], tmp_path)}
    served = GraphDetector({**torch_graphs.graphs, **regions}, detector.settings)
    for size in SIZES[:2]:
        found, expected = (one.rows(image(size), bank.to_bank()) for one in (served, torch_graphs))
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-5)
