"""A graph that takes too long or too much memory makes an ERROR of its image, and the rest goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from blemish.bundle.manifest import StoredGraph, StoredInput
from blemish.errors import BlemishError
from blemish.exporting.graph_files import as_openvino, write_onnx, write_openvino
from blemish.inspection import Verdict
from blemish.inspector import onnx_backend
from blemish.inspector.inspector import BundleInspector, or_failed
from blemish.inspector.limits import (
    DEFAULT_LIMITS,
    MEMORY,
    Limits,
    TooSlowError,
    limits_of,
    seconds_left,
    time_limit,
    timed,
    uncounted,
)
from blemish.inspector.onnx_backend import open_onnx
from blemish.inspector.openvino_backend import bytes_at_once, open_openvino
from blemish.inspector.pipeline import answers_of
from blemish.inspector.sources import Item
from blemish.methods.contract import Graph, ImageFindings
from tests.inspector.test_onnx_file import YES, loop

KINDS = ("onnx", "openvino")
SIDE, PRODUCTS = 1000, 400
ONE = {"x": np.ones(1, np.float32)}


def model(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def slow() -> onnx.ModelProto:
    """Hundreds of matrix products, for a minute."""
    square = numpy_helper.from_array(np.full((SIDE, SIDE), 1 / SIDE, np.float32), "w")
    chain = [helper.make_node("MatMul", [f"m{n}", "m0"], [f"m{n + 1}"]) for n in range(PRODUCTS)]
    nodes = [helper.make_node("Mul", ["x", "w"], ["m0"]), *chain]
    ends = numpy_helper.from_array(np.array([SIDE * SIDE], np.int64), "flat")
    nodes += [helper.make_node("Reshape", [f"m{PRODUCTS}", "flat"], ["f"])]
    return model([*nodes, helper.make_node("ReduceMax", ["f"], ["y"], keepdims=1)], [square, ends])


def large(numbers: int) -> onnx.ModelProto:
    """So many float32 at once, from a few bytes."""
    size = numpy_helper.from_array(np.array([numbers], np.int64), "size")
    nodes = [
        helper.make_node("Expand", ["x", "size"], ["e"]),
        helper.make_node("ReduceMax", ["e"], ["y"], keepdims=1),
    ]
    return model(nodes, [size])


def opened(
    kind: str,
    whole: onnx.ModelProto,
    folder: Path,
    limits: Limits = DEFAULT_LIMITS,
    *,
    precision: str = "fp32",
) -> Graph:
    marks = {"source": "test-1", "precision": precision}
    stored = StoredGraph(
        files=("a",), inputs=(StoredInput(name="x", dtype="float32", shape=(1,)),), outputs=("y",)
    )
    (file,) = write_onnx(whole, folder, "one", **marks)
    if kind == "onnx":
        return open_onnx(file, stored, limits)[0]
    return open_openvino(write_openvino(as_openvino(file), folder, "one", **marks)[0], stored, limits)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_that_takes_too_long_is_stopped_and_answers_again(kind: str, tmp_path: Path) -> None:
    graph = opened(kind, slow(), tmp_path)
    for _ in range(2):  # it is not broken by being stopped
        start = monotonic()
        with time_limit(0.3), pytest.raises(TooSlowError, match=r"longer than 0\.3 s"):
            graph(ONE)
        assert monotonic() - start < 20
    assert seconds_left() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_that_takes_too_much_memory_is_a_memory_error(kind: str, tmp_path: Path) -> None:
    limits = Limits(memory=100 << 20)
    graph = opened(kind, large(2 * 10**9), tmp_path, limits)  # 8 GB
    for _ in range(2):
        with pytest.raises(MemoryError, match="--memory-limit"):
            graph(ONE)
    assert float(opened(kind, large(10**6), tmp_path, limits)(ONE)["y"][0]) == 1
    assert float(opened(kind, large(50 * 10**6), tmp_path, Limits())(ONE)["y"][0]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_is_refused_when_it_is_opened(kind: str, tmp_path: Path) -> None:
    endless = model([loop()], [YES])
    with pytest.raises(BlemishError, match=r"an operator '(Loop|TensorIterator)' with a graph of its own"):
        opened(kind, endless, tmp_path)


def test_onnx_runtime_would_be_stopped_in_a_loop_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO would not, which is why a loop is refused."""
    monkeypatch.setattr(onnx_backend, "check_onnx", lambda file: 18)
    graph = opened("onnx", model([loop()], [YES]), tmp_path)
    with time_limit(0.3), pytest.raises(TooSlowError):
        graph(ONE)


@pytest.mark.parametrize("values", [[1, np.nan], [1, np.inf], [np.inf], [-np.inf]])
def test_weights_of_openvino_must_be_finite(values: list[float], tmp_path: Path) -> None:
    odd = numpy_helper.from_array(np.array(values, np.float32), "w")
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["m"]),
        helper.make_node("ReduceMax", ["m"], ["y"], keepdims=1),
    ]
    marks = {"source": "test-1", "precision": "fp32"}
    (file,) = write_onnx(model(nodes, [odd]), tmp_path, "one", **marks)
    stored = StoredGraph(
        files=("a",), inputs=(StoredInput(name="x", dtype="float32", shape=(1,)),), outputs=("y",)
    )
    xml, _ = write_openvino(as_openvino(file), tmp_path, "one", **marks)
    with pytest.raises(BlemishError, match="that are not finite"):
        open_openvino(xml, stored, Limits())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_minus_infinity_is_let_pass_where_a_mask_chooses_it(precision: str, tmp_path: Path) -> None:
    constants = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in
                 (("zero", [0.0]), ("w", -np.inf))]  # fmt: skip
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["m"]),
        helper.make_node("Where", ["m", "x", "w"], ["n"]),
        helper.make_node("ReduceMax", ["n"], ["y"], keepdims=1),
    ]
    graph = opened("openvino", model(nodes, constants), tmp_path, precision=precision)
    assert float(graph({"x": np.array([3], np.float32)})["y"][0]) == 3


def test_bytes_at_once_are_those_of_values_still_to_be_used() -> None:
    from openvino import Core

    values = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])
    chain = [helper.make_node("Relu", ["x" if n == 0 else f"r{n}"], [f"r{n + 1}"]) for n in range(5)]
    ends = [helper.make_node("Add", ["x", "r5"], ["y"])]
    graph = helper.make_graph([*chain, *ends], "graph", [values], [out])
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    found = bytes_at_once(Core().read_model(whole.SerializeToString()))
    # The input stays until the sum; beside it there are a value and the next, and at the end the result.
    assert 3 * 4000 <= found <= 4 * 4000


# Without a runtime


def test_time_is_looked_at_before_and_after_each_call() -> None:
    def slow_network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        sleep(0.05)
        return inputs

    network, array = timed(slow_network), np.zeros(1, np.float32)
    with time_limit(10):
        assert network(array) is array
    with time_limit(0.02), pytest.raises(TooSlowError):
        network(array)
    assert network(array) is array, "no limit is left behind"


def test_the_nearer_of_two_limits_counts_and_each_thread_has_its_own() -> None:
    with time_limit(10), time_limit(100):
        assert 5 < (seconds_left() or 0) <= 10
    with time_limit(100):
        with time_limit(10):
            assert (seconds_left() or 0) <= 10
        assert (seconds_left() or 0) > 50
        found: list[float | None] = []
        thread = threading.Thread(target=lambda: found.append(seconds_left()))
        thread.start()
        thread.join()
        assert found == [None]


def test_work_that_is_done_once_does_not_count() -> None:
    with time_limit(0.2):
        with uncounted():
            sleep(0.3)
        assert 0.1 < (seconds_left() or 0) <= 0.2
    with uncounted():
        assert seconds_left() is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_limits_must_be_numbers_above_0(seconds: float) -> None:
    with pytest.raises(BlemishError, match="time limit"):
        limits_of(seconds, None)
    with pytest.raises(BlemishError, match="memory limit"):
        limits_of(None, seconds)


def test_a_large_image_has_more_time_unless_the_user_says() -> None:
    assert limits_of(None, None) == Limits() and Limits().memory == MEMORY
    assert Limits().seconds_for(0) == 60
    assert Limits().seconds_for(100_000_000) == 1060
    assert limits_of(2.5, 0.5) == Limits(2.5, 1 << 29)
    assert limits_of(2.5, None).seconds_for(100_000_000) == 2.5


class Sleeper:
    """A stand-in for a method: the network sleeps where the image is bright."""

    channels = 1
    mm_per_px = None
    classifies = False
    segments = False
    threshold_score = None
    pixel_threshold = None

    def forward(self, pixels: NDArray[np.uint8], networks: Any) -> NDArray[np.float32]:
        return networks["one"](pixels.astype(np.float32))

    def decide(self, raw: NDArray[np.float32], *_: object, with_maps: bool) -> ImageFindings:
        return ImageFindings(float(raw.max()) / 255, ())


def test_one_image_is_an_error_and_the_rest_goes_on() -> None:
    def network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        if inputs.max() == 99:
            sleep(0.6)
        if inputs.max() == 98:
            raise MemoryError("its graph takes more memory than it may")
        return inputs

    judge = BundleInspector(Sleeper(), {"one": timed(network)}, 0.5, 0.9, "bundle", limits=Limits(0.3))
    levels = [10, 99, 20, 98, 30]
    items = [
        Item(str(level), str(level), lambda level=level: np.full((4, 4), level, np.uint8)) for level in levels
    ]
    with answers_of(judge, iter(items)) as answers:
        found = [answer.inspection for answer in answers.coming]
    assert [each.verdict for each in found] == [
        Verdict.OK,
        Verdict.ERROR,
        Verdict.OK,
        Verdict.ERROR,
        Verdict.OK,
    ]
    assert "longer than 0.3 s" in str(found[1].error) and "more memory" in str(found[3].error)


def test_time_that_the_network_took_is_not_there_for_the_decision() -> None:
    class Twice(Sleeper):
        def decide(
            self, raw: NDArray[np.float32], pixels: Any, networks: Any, *, with_maps: bool
        ) -> ImageFindings:
            networks["one"](raw)
            return ImageFindings(0.0, ())

    def network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        sleep(0.2)
        return inputs

    networks: dict[str, Callable[..., Any]] = {"one": timed(network)}
    judge = BundleInspector(Twice(), networks, 0.5, 0.9, "bundle", limits=Limits(0.3))
    pixels = np.zeros((4, 4), np.uint8)
    assert or_failed(lambda: judge.judge(pixels, "a"), "a", "b").verdict is Verdict.ERROR
    longer = replace(judge, limits=Limits(5.0))
    assert or_failed(lambda: longer.judge(pixels, "a"), "a", "b").verdict is Verdict.OK
