"""The ONNX Runtime backend: a graph's file as a function of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

from blemish.bundle.manifest import StoredGraph
from blemish.errors import BlemishError
from blemish.inspector.graph_marks import NAMESPACE, Marks, refuse_other_names
from blemish.inspector.limits import TOO_LARGE, Limits, seconds_left, too_slow
from blemish.inspector.onnx_file import check_onnx
from blemish.methods.contract import Arrays
from blemish.optional_dependencies import import_optional
from blemish.threads import thread_count

OUT_OF_MEMORY = ("allocate memory", "smaller than requested bytes", "bad_alloc", "bad allocation")
FATAL_ONLY = 4  # of ONNX Runtime's levels: errors are told by whoever meets them


@dataclass(frozen=True)
class OnnxGraph:
    """An open session. outputs: their names, in order; options: of each run, made anew"""

    session: Any
    outputs: tuple[str, ...]
    options: Callable[[], Any]

    def __call__(self, arrays: Arrays) -> Arrays:
        options = self.options()
        options.log_severity_level = FATAL_ONLY
        seconds = seconds_left()
        try:
            with stopped_after(seconds, options):
                found = self.session.run(list(self.outputs), dict(arrays), options)
        except Exception as error:  # its exceptions share no other base
            if options.terminate:
                raise too_slow() from error
            if any(words in str(error) for words in OUT_OF_MEMORY):
                raise MemoryError(TOO_LARGE) from error
            raise
        return dict(zip(self.outputs, found, strict=True))


@contextmanager
def stopped_after(seconds: float | None, options: Any) -> Iterator[None]:
    """Stop the run of these options after so many seconds, between two operators; None: never."""
    if seconds is None:
        yield
        return
    timer = Timer(seconds, lambda: setattr(options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def limit_memory(runtime: Any, memory: int) -> None:
    """Set the bytes that all sessions opened from now on share for weights and values."""
    place = runtime.OrtMemoryInfo(
        "Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT
    )
    with suppress(Exception):  # none is there the first time
        runtime.unregister_allocator(place)
    runtime.create_and_register_allocator(place, runtime.OrtArenaCfg({"max_mem": memory}))


def open_onnx(file: Path, stored: StoredGraph, limits: Limits) -> tuple[OnnxGraph, Marks]:
    """Open the graph in `file`, on as many threads as `thread_count` says; second come its marks.

    Raises BlemishError where ONNX Runtime is missing or cannot open the file, and for a graph that blemish
    does not write, see `check_onnx`.
    """
    runtime = import_optional("onnxruntime", str(file))
    opset = check_onnx(file)
    limit_memory(runtime, limits.memory)
    options = runtime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = thread_count()
    options.inter_op_num_threads = 1
    # Idle threads that spin take the cores of other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = FATAL_ONLY
    try:
        session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no other base
        reason = " ".join(str(error).split())
        raise BlemishError(
            f"{file} cannot be opened by ONNX Runtime {runtime.__version__}: {reason} "
            "Export the bundle again."
        ) from error
    refuse_other_names(file, "inputs", [each.name for each in stored.inputs], names(session.get_inputs()))
    refuse_other_names(file, "outputs", stored.outputs, names(session.get_outputs()))
    metadata = session.get_modelmeta().custom_metadata_map
    marks = Marks(metadata.get(f"{NAMESPACE}.source"), metadata.get(f"{NAMESPACE}.graph"), opset)
    return OnnxGraph(session, stored.outputs, runtime.RunOptions), marks


def names(values: Sequence[Any]) -> list[str]:
    return [value.name for value in values]
