"""The OpenVINO backend: a graph's file as a function of arrays, compiled anew for every size of the image.

A graph that takes any size is slower than one of that size alone, so each size is compiled once, and the few
used last are kept. Only where a batch holds more than one is its length left open: that costs little, and
regions of an image come in every number.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from blemish.bundle.manifest import StoredGraph
from blemish.errors import BlemishError
from blemish.inspector.graph_marks import NAMESPACE, Marks, refuse_other_names
from blemish.methods.contract import Arrays
from blemish.optional_dependencies import import_optional
from blemish.threads import thread_count

MAX_COMPILED = 6
ANY = -1

Shapes = tuple[tuple[int, ...], ...]


@dataclass
class OpenvinoGraph:
    """A graph, with its compilations for the sizes that were asked last.

    names: of its inputs; batched: those whose first axis may have any length; outputs: names, in order
    """

    core: Any
    model: Any
    names: tuple[str, ...]
    batched: frozenset[str]
    outputs: tuple[str, ...]
    compiled: OrderedDict[Shapes, Any] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, arrays: Arrays) -> Arrays:
        shapes = tuple(
            (ANY, *arrays[name].shape[1:])
            if name in self.batched and arrays[name].shape[0] != 1
            else arrays[name].shape
            for name in self.names
        )
        with self.lock:  # a request serves one thread at a time
            request = self.request(shapes)
            request.infer({name: arrays[name] for name in self.names})
            return {name: request.get_tensor(name).data.copy() for name in self.outputs}

    def request(self, shapes: Shapes) -> Any:
        """Inference request of the graph compiled for these shapes, a shape for each input."""
        if shapes not in self.compiled:
            model = self.model.clone()
            model.reshape(dict(zip(self.names, map(list, shapes), strict=True)))
            self.compiled[shapes] = compiled(self.core, model).create_infer_request()
            if len(self.compiled) > MAX_COMPILED:
                self.compiled.popitem(last=False)
        self.compiled.move_to_end(shapes)
        return self.compiled[shapes]


def open_openvino(file: Path, stored: StoredGraph) -> tuple[OpenvinoGraph, Marks]:
    """Open the graph in `file`, whose weights lie beside it; second come its marks.

    Raises BlemishError where OpenVINO is missing or cannot open the file.
    """
    openvino = import_optional("openvino", str(file))
    core = openvino.Core()
    try:
        model = core.read_model(file)
    except Exception as error:  # its exceptions share no other base
        reason = " ".join(str(error).split())
        raise BlemishError(
            f"{file} cannot be opened by OpenVINO {openvino.__version__}: {reason} Export the bundle again."
        ) from error
    names = tuple(each.name for each in stored.inputs)
    batched = frozenset(each.name for each in stored.inputs if each.shape[0] is None)
    refuse_other_names(file, "inputs", names, known_names(model.inputs))
    refuse_other_names(file, "outputs", stored.outputs, known_names(model.outputs))
    graph = OpenvinoGraph(core, model, names, batched, stored.outputs)
    opset = mark(model, "opset")
    return graph, Marks(mark(model, "source"), mark(model, "graph"), int(opset) if opset else None)


def known_names(ports: Sequence[Any]) -> list[str]:
    return [name for port in ports for name in port.get_names()]


def mark(model: Any, name: str) -> str | None:
    """Mark of that name in a model; None without it."""
    place = [NAMESPACE, name]
    return str(model.get_rt_info(place).astype(str)) if model.has_rt_info(place) else None


def compiled(core: Any, model: Any) -> Any:
    """Compile a model for this machine's processor, for low latency, in fp32 where it is not int8.

    OpenVINO would otherwise take bf16 where a processor has it, and answer otherwise there.
    """
    from openvino import Type, properties

    hint = properties.hint
    return core.compile_model(
        model,
        "CPU",
        {
            hint.performance_mode: hint.PerformanceMode.LATENCY,
            hint.inference_precision: Type.f32,
            properties.inference_num_threads: thread_count(),
        },
    )
