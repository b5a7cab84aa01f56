"""The ONNX Runtime backend: a graph's file as a function of arrays."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blemish.bundle.manifest import StoredGraph
from blemish.errors import BlemishError
from blemish.inspector.graph_marks import NAMESPACE, Marks, refuse_other_names
from blemish.methods.contract import Arrays
from blemish.optional_dependencies import import_optional
from blemish.threads import thread_count

ERRORS_ONLY = 3  # of ONNX Runtime's levels
OPSET_IMPORT, DOMAIN, VERSION = 8, 1, 2  # field numbers of onnx.proto's ModelProto and OperatorSetIdProto
VARINT, EIGHT_BYTES, COUNTED, FOUR_BYTES = 0, 1, 2, 5  # wire types of protocol buffers


@dataclass(frozen=True)
class OnnxGraph:
    """An open session. outputs: their names, in order"""

    session: Any
    outputs: tuple[str, ...]

    def __call__(self, arrays: Arrays) -> Arrays:
        try:
            found = self.session.run(list(self.outputs), dict(arrays))
        except Exception as error:  # its exceptions share no other base
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise
        return dict(zip(self.outputs, found, strict=True))


def open_onnx(file: Path, stored: StoredGraph) -> tuple[OnnxGraph, Marks]:
    """Open the graph in `file`, on as many threads as `thread_count` says; second come its marks.

    Raises BlemishError where ONNX Runtime is missing or cannot open the file.
    """
    runtime = import_optional("onnxruntime", str(file))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    options.inter_op_num_threads = 1
    # Idle threads that spin take the cores of other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = ERRORS_ONLY
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
    marks = Marks(metadata.get(f"{NAMESPACE}.source"), metadata.get(f"{NAMESPACE}.graph"), onnx_opset(file))
    return OnnxGraph(session, stored.outputs), marks


def names(values: Sequence[Any]) -> list[str]:
    return [value.name for value in values]


def onnx_opset(file: Path) -> int | None:
    """Version of ONNX's own operators that a model's file imports; None where it imports none.

    ONNX Runtime does not tell, and a line PC has no package that does; so the few bytes that say it are read.
    """
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for number, value in fields(data):
            if number == OPSET_IMPORT and isinstance(value, bytes):
                imported = dict(fields(value))
                if not imported.get(DOMAIN):
                    version = imported.get(VERSION)
                    return version if isinstance(version, int) else None
    return None


def fields(data: bytes | mmap.mmap) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message's fields, without those of a fixed width. A large one is not copied.

    Source: protobuf.dev, "Encoding".
    """
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = varint(data, place)
            yield number, value
        elif kind == COUNTED:
            length, place = varint(data, place)
            if length < 1024:  # an operator set is a few bytes; a graph is skipped
                yield number, bytes(data[place : place + length])
            place += length
        else:
            place += {EIGHT_BYTES: 8, FOUR_BYTES: 4}[kind]


def varint(data: bytes | mmap.mmap, place: int) -> tuple[int, int]:
    """A whole number in base 128, lowest digit first, and the place behind it."""
    value = shift = 0
    while True:
        digit = data[place]
        value |= (digit & 127) << shift
        place, shift = place + 1, shift + 7
        if digit < 128:
            return value, place
