"""Each network as ONNX Runtime runs it, beside torch, at sizes that it was not exported with."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from random_bundles import BESIDE_HEAD, CASAE, MEDETECTION, SEVERITY, manifest_of, random_modules
from torch import nn

from blemish.errors import BlemishError
from blemish.exporting.onnx_models import OPSET, halved, marked, onnx_model, stored_inputs
from blemish.inspector.onnx_file import check_onnx
from blemish.methods import find_method
from blemish.methods.capabilities import GraphPlan

TOLERANCE = 2e-5  # of the answers' spread
STANDARDISED = 5e-5  # where images are: what rounds their mean off is stretched with their deviation
# Of a ResNet in fp32, compared with float64: its rounding grows over 18 layers. torch itself is off by 0.4e-5
# to 1.6e-5 and ONNX Runtime by 0.3e-5 to 2.2e-5, depending on the number of threads and on the processor's
# instructions (AVX-512, AVX2, SSE4.1). One gray level of one pixel makes a difference of 2e-4.
DEEP = 4e-5

CASES: Mapping[str, tuple[str, Mapping[str, Any], str, list[tuple[int, ...]]]] = {
    "severity, cell 4": (
        "severity",
        {**SEVERITY, "cell": 4, "tile": 256},
        "severity",
        [(1, 1, 4, 8), (3, 1, 92, 36)],
    ),
    "severity, cell 2": ("severity", SEVERITY, "severity", [(1, 1, 2, 2), (1, 1, 98, 130)]),
    "context of a hurdle": (
        "severity",
        {**SEVERITY, "loss": "hurdle", "context": 4},
        "context",
        [(1, 1, 2, 2), (1, 1, 98, 130)],
    ),
    "U-Net": (
        "severity",
        {**SEVERITY, "network": "unet", "tile": 320},
        "severity",
        [(1, 1, 2, 6), (2, 1, 50, 66)],
    ),
    "cascade in tiles": ("casae", CASAE, "cascade", [(1, 1, 16, 32), (3, 1, 80, 48)]),
    "FCN in tiles": (
        "casae",
        {**CASAE, "network": "fcn", "tile": 960},
        "cascade",
        [(1, 1, 32, 32), (2, 1, 96, 64)],
    ),
    "cascade of squares": (
        "casae",
        {**CASAE, "tiled": False, "tile": None, "patch": 64, "size": 64, "norm": "group"},
        "cascade",
        [(1, 1, 64, 64), (3, 1, 64, 64)],
    ),
    "compact CNN": (
        "casae",
        {**CASAE, "types": True, "types_size": 99},
        "types",
        [(1, 1, 99, 99), (5, 1, 99, 99)],
    ),
    "stored references": ("medetection", MEDETECTION, "network", [(1, 3, 48, 48)]),
    "references by a ResNet": (
        "medetection",
        {**MEDETECTION, "backbone": "resnet18", "backbone_weights": "none", "norm": "batch"},
        "network",
        [(1, 3, 48, 48)],
    ),
    "a linear path beside the head": (
        "medetection",
        {**MEDETECTION, **BESIDE_HEAD},
        "network",
        [(1, 3, 48, 48)],
    ),
    "a linear path on EfficientNet-Lite0": (
        "medetection",
        {**MEDETECTION, **BESIDE_HEAD, "backbone": "efficientnet-lite0"},
        "network",
        [(1, 3, 48, 48)],
    ),
    "a linear path on aligned pairs": (
        "medetection",
        {**MEDETECTION, **BESIDE_HEAD, "linear_path": "image", "align": "rigid"},
        "network",
        [(1, 9, 48, 48)],
    ),
    "aligned references": ("medetection", {**MEDETECTION, "align": "rigid"}, "network", [(1, 9, 48, 48)]),
    "no references": (
        "medetection",
        {**MEDETECTION, "siamese": False, "size": 80},
        "network",
        [(1, 3, 80, 80)],
    ),
}


def plan_of(method: str, settings: Mapping[str, Any], graph: str) -> tuple[GraphPlan, dict[str, nn.Module]]:
    manifest = manifest_of(method, settings)
    modules = random_modules(method, manifest)
    return find_method(method).graphs(modules, manifest)[graph], modules


def run(model: onnx.ModelProto, name: str, inputs: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {name: inputs})[0]


@pytest.mark.parametrize("case", CASES)
def test_the_graph_answers_as_the_network(case: str) -> None:
    method, settings, graph, shapes = CASES[case]
    plan, modules = plan_of(method, settings, graph)
    model = onnx_model(plan)
    (name,) = plan.inputs
    generator = np.random.default_rng(0)
    for shape in shapes:
        inputs = generator.random(shape, np.float32)
        with torch.no_grad():
            network = modules[graph].eval()
            images = torch.from_numpy(as_pairs(inputs, method, modules))
            deep = "ResNet" in case
            expected = (network.double()(images.double()) if deep else network(images)).numpy()
        found = run(model, name, inputs)
        assert found.shape == expected.shape
        tolerance = DEEP if deep else STANDARDISED if "squares" in case else TOLERANCE
        assert np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max())
    assert all(stored.shape[0] is None or method == "medetection" for stored in stored_inputs(plan))


def as_pairs(inputs: np.ndarray, method: str, modules: Mapping[str, Any]) -> np.ndarray:
    """Inputs of torch for those of the graph, which may take the image alone: the references before it."""
    if method != "medetection" or inputs.shape[1] != 3:
        return inputs
    if not modules["network"].siamese:
        return np.concatenate([inputs, inputs], 1)
    references = modules["references"].pictures[:2].float().numpy().reshape(1, 6, *inputs.shape[2:]) / 255
    return np.concatenate([references.astype(np.float32), inputs], 1)


@pytest.fixture(scope="module")
def severity_model() -> onnx.ModelProto:
    return onnx_model(plan_of("severity", SEVERITY, "severity")[0])


def test_the_file_says_where_it_is_from_and_no_folder_of_this_machine(
    severity_model: onnx.ModelProto,
) -> None:
    model = marked(severity_model, source="severity-1", name="severity")
    assert {each.key: each.value for each in model.metadata_props} == {
        "blemish.source": "severity-1",
        "blemish.graph": "severity",
    }
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.initializer[:]  # random bytes spell anything
    data = bare.SerializeToString()
    assert b"Conv" in data
    assert not any(part in data for part in (b"site-packages", b".py", b"/src/"))


def test_the_opset_is_read_as_onnx_reads_it(severity_model: onnx.ModelProto, tmp_path: Any) -> None:
    for version in (OPSET, 300):
        model = onnx.ModelProto()
        model.CopyFrom(severity_model)
        del model.opset_import[:]
        model.opset_import.add(domain="ai.onnx.ml", version=3)
        model.opset_import.add(domain="", version=version)
        file = tmp_path / f"{version}.onnx"
        onnx.save(model, file)
        assert check_onnx(file) == version


def test_halved_weights_are_half_the_size_and_answer_nearly_the_same(severity_model: onnx.ModelProto) -> None:
    inputs = np.random.default_rng(1).random((1, 1, 40, 40), np.float32)
    before = run(severity_model, "images", inputs)
    small = halved(onnx.load(io.BytesIO(severity_model.SerializeToString())))
    onnx.checker.check_model(small, full_check=True)
    assert small.ByteSize() < 0.6 * severity_model.ByteSize()
    after = run(small, "images", inputs)
    assert 0 < np.abs(after - before).max() < 5e-3 * np.abs(before).max()


def test_a_weight_beyond_fp16_stays_finite(severity_model: onnx.ModelProto) -> None:
    model = onnx.load(io.BytesIO(severity_model.SerializeToString()))
    largest = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    values = numpy_helper.to_array(largest).copy()
    values.flat[0] = 1e9
    largest.CopyFrom(numpy_helper.from_array(values, largest.name))
    arrays = [numpy_helper.to_array(tensor) for tensor in halved(model).graph.initializer]
    assert all(np.isfinite(values).all() for values in arrays if values.dtype == np.float16)
    assert any(values.dtype == np.float16 for values in arrays)


def test_a_network_that_cannot_be_written_is_one_line() -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if float(images.sum()) > 0 else images.tolist()  # type: ignore[return-value]

    plan = GraphPlan(Odd(), {"images": torch.zeros(2, 3)}, ("answers",), {"images": (0,)})
    with pytest.raises(BlemishError, match="The network cannot be written as ONNX: ") as caught:
        onnx_model(plan)
    assert "\n" not in str(caught.value)
