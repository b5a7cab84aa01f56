"""The OpenVINO backend: a graph's file as a function of arrays, compiled anew for every size of the image.

A graph that takes any size is slower than one of that size alone, so each size is compiled once, and the few
used last are kept. Only where a batch holds more than one is its length left open: that costs little, and
regions of an image come in every number.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil, prod
from pathlib import Path
from threading import Lock
from typing import Any

from blemish.bundle.manifest import StoredGraph
from blemish.errors import BlemishError
from blemish.inspector.graph_marks import NAMESPACE, Marks, refuse_other_names
from blemish.inspector.limits import TOO_LARGE, Limits, seconds_left, too_slow, uncounted
from blemish.inspector.onnx_file import refuse_not_finite, refused
from blemish.methods.contract import Arrays
from blemish.optional_dependencies import import_optional
from blemish.threads import thread_count

MAX_COMPILED = 6
ANY = -1
OPEN_AXIS = 256
WITH_A_GRAPH = ("Loop", "TensorIterator", "If")

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
    memory: int
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
            with uncounted():
                request = self.request(shapes, {name: arrays[name].shape for name in self.names})
            seconds = seconds_left()
            request.start_async({name: arrays[name] for name in self.names})
            wait(request, seconds)
            return {name: request.get_tensor(name).data.copy() for name in self.outputs}

    def request(self, shapes: Shapes, given: Mapping[str, tuple[int, ...]]) -> Any:
        """Inference request of the graph compiled for these shapes, a shape for each input.

        given: shapes of the arrays at hand. Raises MemoryError where the graph takes too much for them.
        """
        if shapes not in self.compiled:
            model = self.model.clone()
            model.reshape({name: list(shape) for name, shape in given.items()})
            if bytes_at_once(model) > self.memory:
                raise MemoryError(TOO_LARGE)
            model = self.model.clone()
            model.reshape(dict(zip(self.names, map(list, shapes), strict=True)))
            self.compiled[shapes] = compiled(self.core, model).create_infer_request()
            if len(self.compiled) > MAX_COMPILED:
                self.compiled.popitem(last=False)
        self.compiled.move_to_end(shapes)
        return self.compiled[shapes]


def wait(request: Any, seconds: float | None) -> None:
    """Wait for the end of a started request, or stop it after so many seconds, between two operators."""
    if seconds is None or request.wait_for(ceil(1e3 * seconds)):
        request.wait()  # raises what went wrong
        return
    request.cancel()
    with suppress(RuntimeError):  # that it was stopped
        request.wait()
    raise too_slow()


def bytes_at_once(model: Any) -> int:
    """Most bytes of values that a graph holds at a time, by its shapes, each until its last use.

    An axis whose length only the values tell counts as `OPEN_AXIS`.
    """
    operators = model.get_ordered_ops()
    last_use = {
        source.get_node().get_name(): number
        for number, operator in enumerate(operators)
        for source in operator.input_values()
    }
    held: dict[int, list[int]] = {}
    most = now = 0
    for number, operator in enumerate(operators):
        size = 0 if operator.get_type_name() == "Constant" else sum(map(bytes_of, operator.outputs()))
        now += size
        most = max(most, now)
        held.setdefault(last_use.get(operator.get_name(), number), []).append(size)
        now -= sum(held.pop(number, ()))
    return most


def bytes_of(port: Any) -> int:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return 0
    lengths = [axis.get_length() if axis.is_static else OPEN_AXIS for axis in shape]
    return prod(lengths) * int(port.get_element_type().size)


def refuse_odd_operators(model: Any, file: Path) -> None:
    """Raise BlemishError for a graph inside a graph, which may never end, and for weights not finite."""
    for operator in model.get_ordered_ops():
        if operator.get_type_name() in WITH_A_GRAPH:
            raise refused(file, f"an operator '{operator.get_type_name()}' with a graph of its own")
        if operator.get_type_name() == "Constant" and operator.get_element_type().is_real():
            refuse_not_finite(operator.data, operator.get_friendly_name(), takers_of(operator), file)


def takers_of(constant: Any) -> set[str]:
    """Types of the operators that take a constant, those that take it in another precision among them."""
    takers: set[str] = set()
    for port in constant.output(0).get_target_inputs():
        node = port.get_node()
        kind = node.get_type_name()
        takers |= takers_of(node) if kind == "Convert" else {kind}
    return takers


def open_openvino(file: Path, stored: StoredGraph, limits: Limits) -> tuple[OpenvinoGraph, Marks]:
    """Open the graph in `file`, whose weights lie beside it; second come its marks.

    Raises BlemishError where OpenVINO is missing or cannot open the file, and for a graph that blemish does
    not write, see `refuse_odd_operators`.
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
    refuse_odd_operators(model, file)
    names = tuple(each.name for each in stored.inputs)
    batched = frozenset(each.name for each in stored.inputs if each.shape[0] is None)
    refuse_other_names(file, "inputs", names, known_names(model.inputs))
    refuse_other_names(file, "outputs", stored.outputs, known_names(model.outputs))
    graph = OpenvinoGraph(core, model, names, batched, stored.outputs, limits.memory)
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
