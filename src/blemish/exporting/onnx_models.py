"""ONNX models of a method's graph plans: exported by torch, checked, marked with their origin."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from blemish.bundle.manifest import StoredInput
from blemish.errors import BlemishError
from blemish.inspector.graph_marks import NAMESPACE
from blemish.methods.capabilities import GraphPlan

# The opset that torch's exporter writes without a further conversion; every ONNX Runtime since 1.14 reads it.
OPSET = 18
LARGEST_HALF = 65504.0
WORTH_HALVING = 1024  # elements; smaller constants are scales and shapes, and weigh nothing


def onnx_model(plan: GraphPlan) -> Any:
    """ONNX model of the plan's module. Raises BlemishError where torch or ONNX refuses it."""
    import onnx

    try:
        with silenced(), torch.no_grad():
            program = torch.onnx.export(
                plan.module.cpu().eval(),
                tuple(plan.inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(plan.inputs),
                output_names=list(plan.outputs),
                dynamic_shapes=dynamic_shapes(plan),
                external_data=False,
                verbose=False,
            )
            assert program is not None
            model = without_traces(program.model_proto)
            onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # torch and ONNX raise arbitrary types; the first line says what it is about
        raise BlemishError(f"The network cannot be written as ONNX: {first_line(error)}") from error
    return model


def dynamic_shapes(plan: GraphPlan) -> tuple[Any, ...]:
    """Free axes in the form of the module's arguments; torch wants those of *inputs as one tuple."""
    axes = tuple(dict.fromkeys(plan.free.get(name, ()), torch.export.Dim.DYNAMIC) for name in plan.inputs)
    (first, *_) = inspect.signature(plan.module.forward).parameters.values()
    return (axes,) if first.kind is first.VAR_POSITIONAL else axes


def first_line(error: BaseException) -> str:
    """First line of an error's root cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def silenced() -> Iterator[None]:
    """Context that hides warnings and logs of the exporter; errors are raised as ever."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def without_traces(model: Any) -> Any:
    """Remove the exporter's notes on source files, which name folders of the machine; returns the model."""
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input):
        part.doc_string = ""
        del part.metadata_props[:]
    for function in model.functions:
        del function.metadata_props[:]
    return model


def marked(model: Any, *, source: str, name: str) -> Any:
    """Mark the model with the id of its source bundle and the name of its graph; returns the model."""
    del model.metadata_props[:]
    for key, value in (("source", source), ("graph", name)):
        model.metadata_props.add(key=f"{NAMESPACE}.{key}", value=value)
    return model


def halved(model: Any) -> Any:
    """Store the model's weights in fp16 and compute in fp32, for half the size at the same speed; returns it.

    ONNX Runtime has few fp16 operators for processors; a graph cast as a whole would be slower.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < WORTH_HALVING:
            continue
        values = np.clip(numpy_helper.to_array(tensor), -LARGEST_HALF, LARGEST_HALF).astype(np.float16)
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.fp16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def stored_inputs(plan: GraphPlan) -> tuple[StoredInput, ...]:
    """Inputs of a plan as the manifest describes them: name, dtype and shape, None along a free axis."""
    inputs = []
    for name, example in plan.inputs.items():
        free = plan.free.get(name, ())
        shape = tuple(None if axis in free else length for axis, length in enumerate(example.shape))
        inputs.append(StoredInput(name=name, dtype=str(example.dtype).removeprefix("torch."), shape=shape))
    return tuple(inputs)
