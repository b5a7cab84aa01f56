"""Detectors that say something, and their graphs: run by torch as they are, by ONNX Runtime or OpenVINO."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from blemish.bundle.manifest import StoredGraph
from blemish.exporting.graph_files import as_openvino, write_onnx, write_openvino
from blemish.exporting.onnx_models import onnx_model, stored_inputs
from blemish.inspector.limits import Limits
from blemish.inspector.openvino_backend import open_openvino
from blemish.methods.capabilities import GraphPlan
from blemish.methods.contract import Graph
from blemish.methods.tlsdd.network.class_tensors import ClassTensors, digest_of
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.network.extractor import DeformableConv
from tests.methods.tlsdd.conftest import tiny


def lively(classes=3, **changes) -> tuple[Detector, ClassTensors]:
    """A detector whose boxes move and overlap, and whose classes differ, though its weights are drawn."""
    torch.manual_seed(0)
    settings = tiny(**changes)
    detector = Detector(settings, classes).eval().requires_grad_(False)
    for layer, factor in ((detector.rpn.rpn.head.bbox_pred, 20), (detector.box_regressor, 100)):
        layer.weight.mul_(factor)
    if settings.metric_head and settings.normalize:
        # So that no class is out of the question.
        detector.scores.raw_scale.fill_(math.log(2.0) if settings.log_scale else 2.0)
    if settings.learns_offsets:
        detector.scores.background_bias.fill_(0.3)
    if settings.has_linear_head:
        detector.linear_head.linear.weight.mul_(30)
    if settings.metric_head and settings.centred:
        detector.embedding.mean.fill_(0.05)
    if settings.reweight:
        torch.nn.init.normal_(detector.support_encoder.linear.weight, std=0.3)
    for layer in (one.offset for one in detector.modules() if isinstance(one, DeformableConv)):
        torch.nn.init.normal_(layer.weight, std=0.1)
    bank = random_bank(detector, classes)
    detector.serve(bank)
    return detector, bank


def random_bank(detector: Detector, classes: int) -> ClassTensors:
    settings = detector.settings
    points = torch.nn.functional.normalize(torch.randn(classes, settings.embedding), dim=1)
    vectors = 2 * torch.rand(classes, settings.width)
    made_for = torch.from_numpy(digest_of(detector))
    biases = torch.randn(classes) if settings.learns_offsets else None
    return ClassTensors(vectors, points, torch.ones(classes, dtype=torch.bool), made_for, biases)


def eager(plan: GraphPlan) -> Graph:
    """The plan's module itself, called with arrays; a name or number that it does not plan is an error."""

    def graph(arrays):
        assert set(arrays) == set(plan.inputs)
        given = {name: torch.from_numpy(np.array(arrays[name])) for name in plan.inputs}
        for name, example in plan.inputs.items():
            fixed = [axis for axis in range(example.ndim) if axis not in plan.free.get(name, ())]
            assert given[name].dtype == example.dtype
            assert [given[name].shape[axis] for axis in fixed] == [example.shape[axis] for axis in fixed], (
                name
            )
        with torch.inference_mode():
            found = plan.module(*given.values())
        found = found if isinstance(found, tuple) else (found,)
        return {name: one.numpy() for name, one in zip(plan.outputs, found, strict=True)}

    return graph


def exported(plan: GraphPlan) -> Graph:
    """The plan as ONNX, run by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_model(plan).SerializeToString(), options)
    return lambda arrays: dict(zip(plan.outputs, session.run(list(plan.outputs), dict(arrays)), strict=True))


def by_openvino(plan: GraphPlan, folder: Path) -> Graph:
    """The plan as an exported bundle has it for OpenVINO. folder: for its files"""
    marks = {"source": "test-1", "precision": "fp32"}
    (model,) = write_onnx(onnx_model(plan), folder, "one", **marks)
    files = write_openvino(as_openvino(model), folder, "one", **marks)
    stored = StoredGraph(
        files=tuple(file.name for file in files), inputs=stored_inputs(plan), outputs=plan.outputs
    )
    return open_openvino(files[0], stored, Limits())[0]
