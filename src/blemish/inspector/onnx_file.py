"""Reading of an ONNX file as far as a bundle's graph must be checked before it is opened.

A line PC has no package that reads ONNX files, so the few fields that matter are read here. Blemish writes no
graph that holds another (the body of a loop, which may never end), no function, and no weights in another
file, which no hash would cover.
Source: protobuf.dev, "Encoding"; onnx.proto, whose field numbers these are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BlemishError

VARINT, EIGHT_BYTES, COUNTED, FOUR_BYTES = 0, 1, 2, 5  # wire types of protocol buffers
GRAPH, OPSET_IMPORT, FUNCTIONS = 7, 8, 25  # of ModelProto
DOMAIN, VERSION = 1, 2  # of OperatorSetIdProto
NODE, INITIALIZER, SPARSE_INITIALIZER = 1, 5, 15  # of GraphProto
INPUT, OUTPUT, OPERATOR, ATTRIBUTE = 1, 2, 4, 5  # of NodeProto
OF_FLOATS, OF_TENSORS, OF_SPARSE_TENSORS, OF_GRAPHS = (2, 7), (5, 10), (22, 23), (6, 11)  # of AttributeProto
OF_SPARSE = (1, 2)  # of SparseTensorProto: its values and their places
# Of TensorProto
DATA_TYPE, FLOATS, HALVES, NAME, RAW, DOUBLES, EXTERNAL, LOCATION = 2, 4, 5, 8, 9, 10, 13, 14
FLOAT, HALF, DOUBLE, BFLOAT = 1, 10, 11, 16  # types of data
STORED: dict[int, tuple[int, str, str]] = {  # field, type there, type as raw data
    FLOAT: (FLOATS, "<f4", "<f4"),
    DOUBLE: (DOUBLES, "<f8", "<f8"),
    HALF: (HALVES, "", "<f2"),
    BFLOAT: (HALVES, "", "<u2"),
}

WHOLE = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 12, 13})  # types that hold no float; text and truth values too
# Operators, of ONNX and of OpenVINO, in which −∞ stands for what a mask leaves out.
BY_A_MASK = frozenset({"Where", "Select"})

Value = int | memoryview


@dataclass
class StoredTensor:
    """Constant of a graph, as it lies in the file. output: of the node that holds it, "" for any other"""

    name: str = ""
    output: str = ""
    data_type: int = 0
    external: bool = False
    parts: dict[int, list[Value]] = field(default_factory=dict)  # of the fields that hold numbers

    def numbers(self) -> NDArray[np.floating]:
        """Its numbers; none where they are whole."""
        if self.data_type not in STORED:
            return np.zeros(0, np.float32)
        own, type_there, type_raw = STORED[self.data_type]
        raw = b"".join(bytes(part) for part in self.parts.get(RAW, ()) if not isinstance(part, int))
        if raw:
            return widened(np.frombuffer(raw, type_raw))
        parts = self.parts.get(own, [])
        if own != HALVES:
            return np.frombuffer(
                b"".join(bytes(part) for part in parts if not isinstance(part, int)), type_there
            )
        bits = [bit for part in parts for bit in ([part] if isinstance(part, int) else packed(part))]
        return widened(np.array(bits, np.uint16).view(type_raw))


def widened(numbers: NDArray[np.generic]) -> NDArray[np.floating]:
    """Numbers as floats; of bfloat16, which NumPy lacks, by their 16 bits."""
    if numbers.dtype == np.uint16:
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return cast("NDArray[np.floating]", numbers)


def check_onnx(file: Path) -> int | None:
    """Refuse a file that no bundle holds; returns the version of ONNX's operators that it imports, or None.

    Raises BlemishError for a graph inside a graph, a function, weights in another file, numbers that are not
    finite, and what is no ONNX file.
    """
    try:
        return checked(memoryview(file.read_bytes()), file)
    except (IndexError, ValueError, OverflowError) as error:
        raise BlemishError(f"{file} is no ONNX file ({error}). Export the bundle again.") from error


def checked(model: memoryview, file: Path) -> int | None:
    opset = None
    for number, value in fields(model):
        if isinstance(value, int):
            continue
        if number == FUNCTIONS:
            raise refused(file, "a function")
        if number == GRAPH:
            takers = takers_of(value)
            for tensor in tensors_of(value, file):
                refuse_tensor(tensor, takers[tensor.output or tensor.name], file)
        if number == OPSET_IMPORT:
            imported = dict(fields(value))
            version = imported.get(VERSION)
            if not imported.get(DOMAIN) and isinstance(version, int):
                opset = version
    return opset


def refused(file: Path, what: str) -> BlemishError:
    return BlemishError(
        f"{file} must be a graph as blemish exports it. Received: {what}. Export the bundle again."
    )


def takers_of(graph: memoryview) -> defaultdict[str, set[str]]:
    """Operators that take each value of a graph, by its name."""
    takers: defaultdict[str, set[str]] = defaultdict(set)
    for number, node in fields(graph):
        if number == NODE and not isinstance(node, int):
            texts = [(kind, text_of(value)) for kind, value in fields(node) if not isinstance(value, int)]
            operators = {text for kind, text in texts if kind == OPERATOR}
            for name in (text for kind, text in texts if kind == INPUT):
                takers[name] |= operators
    return takers


def text_of(value: memoryview) -> str:
    return bytes(value).decode(errors="replace")


def tensors_of(graph: memoryview, file: Path) -> Iterator[StoredTensor]:
    """Every constant of a graph and its nodes. Raises BlemishError for a graph inside it."""
    for number, value in fields(graph):
        if isinstance(value, int):
            continue
        if number == INITIALIZER:
            yield tensor_of(value)
        elif number == SPARSE_INITIALIZER:
            yield from inner_tensors(value, OF_SPARSE)
        elif number == NODE:
            yield from tensors_of_node(value, file)


def tensors_of_node(node: memoryview, file: Path) -> Iterator[StoredTensor]:
    parts = [(number, value) for number, value in fields(node) if not isinstance(value, int)]
    operator, output = (
        next((text_of(value) for number, value in parts if number == wanted), "")
        for wanted in (OPERATOR, OUTPUT)
    )
    for attribute in (value for number, value in parts if number == ATTRIBUTE):
        for number, value in fields(attribute):
            if isinstance(value, int):
                continue
            if number in OF_GRAPHS:
                raise refused(file, f"an operator '{operator}' with a graph of its own")
            if number in OF_FLOATS and not np.isfinite(np.frombuffer(value, "<f4")).all():
                raise refused(file, f"an operator '{operator}' with a number that is not finite")
            if number in OF_TENSORS:
                yield tensor_of(value, output)
            elif number in OF_SPARSE_TENSORS:
                yield from inner_tensors(value, OF_SPARSE)


def inner_tensors(message: memoryview, numbers: tuple[int, ...]) -> Iterator[StoredTensor]:
    for number, value in fields(message):
        if number in numbers and not isinstance(value, int):
            yield tensor_of(value)


def tensor_of(message: memoryview, output: str = "") -> StoredTensor:
    tensor = StoredTensor(output=output)
    for number, value in fields(message):
        if number == NAME and not isinstance(value, int):
            tensor.name = text_of(value)
        elif number == DATA_TYPE and isinstance(value, int):
            tensor.data_type = value
        elif number == EXTERNAL or (number == LOCATION and value):
            tensor.external = True
        elif number in (FLOATS, HALVES, DOUBLES, RAW):
            tensor.parts.setdefault(number, []).append(value)
    return tensor


def refuse_tensor(tensor: StoredTensor, takers: Set[str], file: Path) -> None:
    if tensor.external:
        raise refused(file, f"weights '{tensor.name}' in another file, which no hash covers")
    if tensor.data_type not in {*STORED, *WHOLE}:
        raise refused(file, f"weights '{tensor.name}' of a type that blemish does not write")
    refuse_not_finite(tensor.numbers(), tensor.name, takers, file)


def refuse_not_finite(numbers: NDArray[np.floating], name: str, takers: Set[str], file: Path) -> None:
    """Raise BlemishError for weights that are infinite or no numbers.

    A single −∞ is let pass where all that take it choose by a mask, see `BY_A_MASK`: it stands for a class
    that is not known. takers: operators that take the weights
    """
    masked = numbers.size == 1 and bool(np.isneginf(numbers).all()) and bool(takers) and takers <= BY_A_MASK
    if not masked and not np.isfinite(numbers).all():
        raise refused(file, f"weights '{name}' that are not finite")


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Numbers and values of a message's fields: a whole number, or the bytes of any other.

    Raises ValueError or IndexError for what is no message.
    """
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = varint(data, place)
            yield number, value
            continue
        if kind == COUNTED:
            length, place = varint(data, place)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field of the kind {kind}")
        if place + length > len(data):
            raise ValueError("a field that is cut")
        yield number, data[place : place + length]
        place += length


def packed(data: memoryview) -> Iterator[int]:
    """Whole numbers one behind the other."""
    place = 0
    while place < len(data):
        value, place = varint(data, place)
        yield value


def varint(data: memoryview, place: int) -> tuple[int, int]:
    """A whole number in base 128, lowest digit first, and the place behind it."""
    value = shift = 0
    while True:
        digit = data[place]
        value |= (digit & 127) << shift
        place, shift = place + 1, shift + 7
        if digit < 128:
            return value, place
        if shift > 63:
            raise ValueError("a number without an end")
