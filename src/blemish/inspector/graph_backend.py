"""Graphs of an exported bundle as functions of arrays, run by ONNX Runtime or OpenVINO. No torch.

Each runtime is imported when a bundle asks for it. Arrays are checked before a graph gets them: name, type,
shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blemish.bundle.manifest import StoredGraph, StoredInput
from blemish.bundle.store import Bundle
from blemish.errors import BlemishError
from blemish.inspector.graph_marks import Marks, refuse_foreign
from blemish.inspector.limits import DEFAULT_LIMITS, Limits
from blemish.inspector.onnx_backend import open_onnx
from blemish.inspector.openvino_backend import open_openvino
from blemish.methods.capabilities import ExportsGraphs
from blemish.methods.common.outputs import by_sides, fits
from blemish.methods.contract import Arrays, Graph, Method, Networks

Opener = Callable[[Path, StoredGraph, Limits], tuple[Graph, Marks]]
OPENERS: dict[str, Opener] = {"onnx": open_onnx, "openvino": open_openvino}


@dataclass(frozen=True)
class CheckedGraph:
    """Graph that checks its input arrays before it runs. name: in the bundle; file: for messages"""

    name: str
    file: Path
    stored: StoredGraph
    run: Graph

    def __call__(self, arrays: Arrays) -> Arrays:
        """Raises BlemishError for arrays of other names, types or shapes than the manifest says, and where
        the graph fails on them; MemoryError where there is too little memory.
        """
        expected = [stored.name for stored in self.stored.inputs]
        if set(arrays) != set(expected):
            raise BlemishError(
                f"{self.file}: graph '{self.name}' takes {', '.join(expected)}. "
                f"Received: {', '.join(arrays) or 'nothing'}. Export the bundle again."
            )
        for stored in self.stored.inputs:
            self.refuse_misfit(stored, str(arrays[stored.name].dtype), arrays[stored.name].shape)
        try:
            return self.run(arrays)
        except (BlemishError, MemoryError):
            raise
        except Exception as error:  # those of the runtimes share no other base
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BlemishError(
                f"{self.file}: graph '{self.name}' failed: {reason[:300]} Export the bundle again."
            ) from error

    def refuse_misfit(self, stored: StoredInput, dtype: str, shape: Sequence[int]) -> None:
        if dtype != stored.dtype:
            raise BlemishError(
                f"{self.file}: input '{stored.name}' of graph '{self.name}' must be {stored.dtype}. "
                f"Received: {dtype}. Export the bundle again."
            )
        if not fits(shape, stored.shape):
            raise BlemishError(
                f"{self.file}: graph '{self.name}' has the size {by_sides(stored.shape)} for "
                f"'{stored.name}', and received {by_sides(shape)}. Export the bundle again with another "
                "--tile, or without one for images of any size."
            )


def open_graphs(bundle: Bundle, limits: Limits = DEFAULT_LIMITS) -> dict[str, Graph]:
    """Graphs of an exported bundle, by name, ready to run.

    Raises BlemishError for a missing runtime, a graph of another bundle, name or opset, and a file that the
    runtime cannot open.
    """
    runtime = bundle.manifest.runtime
    assert runtime is not None, bundle.path
    graphs: dict[str, Graph] = {}
    for name, stored in runtime.graphs.items():
        file = bundle.path / stored.files[0]
        run, marks = OPENERS[runtime.kind](file, stored, limits)
        refuse_foreign(marks, name, runtime, file)
        graphs[name] = CheckedGraph(name, file, stored, run)
    return graphs


def served_networks(bundle: Bundle, method: Method, limits: Limits = DEFAULT_LIMITS) -> Networks:
    """Networks of an exported bundle, as the method makes them of its graphs and stored tensors.

    Raises BlemishError as `open_graphs` does, and where the bundle lacks a graph or tensors.
    """
    if not isinstance(method, ExportsGraphs):
        raise BlemishError(f"{bundle.path}: method {method.name} runs by torch alone. Export it again.")
    try:
        return method.served(open_graphs(bundle, limits), bundle.networks, bundle.manifest)
    except KeyError as error:
        raise BlemishError(f"{bundle.path} must hold {error} for {method.name}. Export it again.") from error


def refuse_torch_options(bundle: Bundle, *, device: str, bfloat16: bool) -> None:
    """Raise BlemishError for options that only a bundle run by torch has."""
    if device not in ("auto", "cpu"):
        raise BlemishError(
            f"device={device}: {bundle.path} is an exported bundle, which runs on the processor. "
            "Set device to cpu or auto."
        )
    if bfloat16:
        raise BlemishError(
            f"bfloat16: {bundle.path} is an exported bundle, whose precision is fixed. Export it with "
            "another --precision."
        )
