"""A class enrolled through graphs is the one that torch enrols: its row of the bank, its findings."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.errors import BlemishError
from blemish.methods.capabilities import Example, Exported
from blemish.methods.common.image_head import NAME
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.export import plans
from blemish.nn.image_head import ImageHead
from tests.methods.tlsdd.graphs import eager, lively

SETTINGS = [
    {},
    {"proposals": "per_class"},
    {"reweight": False},
    {"normalize": False},
    {"logits": "branch", "background": "one_minus_max"},
    {"tile": 128, "overlap": 32, "support_view": "image"},
    {"backbone": "efficientnet-lite0"},
]


def manifest(detector):
    return Manifest(
        method="tlsdd",
        class_names=("class 0", "class 1", "class 2"),
        preprocessing=Preprocessing(channels=3),
        thresholds={"score": 0.0},
        settings=detector.settings.model_dump(mode="json"),
    )


def examples():
    generator = np.random.default_rng(5)
    return tuple(
        Example(f"{number}.png#0", f"{number}.png", generator.integers(0, 255, (96, 150, 3), np.uint8), box)
        for number, box in enumerate(
            [(10.0, 20.0, 40.0, 44.0), (30.0, 5.0, 60.0, 90.0), (2.0, 2.0, 20.0, 9.0)]
        )
    )


def both(detector, bank):
    graphs = {name: eager(plan) for name, plan in plans(detector, bank).items()}
    return {"detector": detector, "bank": bank}, Exported(graphs, {"bank": bank.to_bank().tensors()})


def assert_same(found, expected):
    assert set(found.networks) == set(expected.networks) == {"bank"}
    for name, tensor in expected.networks["bank"].items():
        assert found.networks["bank"][name].dtype == tensor.dtype
        np.testing.assert_allclose(found.networks["bank"][name], tensor, atol=1e-4, err_msg=name)
    for one, other in zip(found.similarities, expected.similarities, strict=True):
        assert (one.label, one.nearer) == (other.label, other.nearer)
        assert one.squared_distance == pytest.approx(other.squared_distance, abs=1e-4)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
    for one, other in zip(found.outcomes, expected.outcomes, strict=True):
        assert (one.id, one.end) == (other.id, other.end)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
    assert found.memory == expected.memory
    assert found.sentences == expected.sentences


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_a_class_through_graphs_is_that_through_torch(changes):
    detector, bank = lively(**changes)
    modules, graphs = both(detector, bank)
    expected = METHOD.enrol(modules, manifest(detector), "fray", examples())
    assert_same(METHOD.enrol(graphs, manifest(detector), "fray", examples()), expected)
    assert np.abs(expected.networks["bank"]["prototypes"][3]).max() > 0.1, "the class has a place"


def test_the_image_head_is_asked_of_the_examples_images_through_graphs_too():
    detector, bank = lively()
    modules, graphs = both(detector, bank)
    head = ImageHead().eval()
    torch.nn.init.normal_(head.cells.output.weight)
    shift = {"weight": 0.4, "mean": 0.0, "limit": 3.0}
    described = manifest(detector).model_copy(update={"memory": {"image_shift": shift}})
    planned = METHOD.graphs({**modules, NAME: head}, described)
    with_head = Exported({name: eager(plan) for name, plan in planned.items()}, graphs.tensors)
    asked = []
    head.register_forward_hook(lambda _, inputs, odds: asked.append(odds.item()))
    expected = METHOD.enrol({**modules, NAME: head}, described, "fray", examples())
    by_torch = asked.copy()
    assert_same(METHOD.enrol(with_head, described, "fray", examples()), expected)
    assert len({*by_torch}) == 3, "one of each image"
    np.testing.assert_allclose(asked[3:], by_torch, atol=1e-4)
    with pytest.raises(BlemishError, match="must hold the graphs image, maps, regions, support"):
        METHOD.enrol(graphs, described, "fray", examples())


def test_so_it_is_through_onnx_runtime_where_torch_is_not_there(exported_detector, monkeypatch):
    detector, bank, running = exported_detector
    modules = {"detector": detector, "bank": bank}
    graphs = Exported(running, {"bank": bank.to_bank().tensors()})
    described = manifest(detector)
    expected = METHOD.enrol(modules, described, "fray", examples())
    real = builtins.__import__

    def no_torch(name, *rest, **others):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest, **others)

    monkeypatch.setattr(builtins, "__import__", no_torch)
    found = METHOD.enrol(graphs, described, "fray", examples())
    monkeypatch.undo()
    assert_same(found, expected)


def test_maps_of_an_image_are_computed_once():
    detector, bank = lively()
    _, graphs = both(detector, bank)
    shapes = []

    def counting(arrays):
        shapes.append(arrays["images"].shape)
        return graphs.graphs["maps"](arrays)

    counted = Exported({**graphs.graphs, "maps": counting}, graphs.tensors)
    METHOD.enrol(counted, manifest(detector), "fray", examples())
    assert len(shapes) == 3


def test_embeddings_through_graphs_are_those_through_torch():
    detector, bank = lively()
    modules, graphs = both(detector, bank)
    boxes = np.array([[3, 5, 40, 60], [50, 10, 140, 90]], np.float32)
    expected, found = (
        METHOD.embedder(networks, manifest(detector)).embed(examples()[0].pixels, boxes)
        for networks in (modules, graphs)
    )
    np.testing.assert_allclose(found.per_class, expected.per_class, atol=1e-5)
    np.testing.assert_allclose(found.shared, expected.shared, atol=1e-5)


def test_a_detector_bound_to_its_classes_is_refused_through_graphs_too():
    detector, bank = lively(box_regression="specific")
    _, graphs = both(detector, bank)
    with pytest.raises(BlemishError, match="box_regression is specific"):
        METHOD.enrol(graphs, manifest(detector), "fray", examples())
