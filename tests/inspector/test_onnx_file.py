"""Graphs that blemish never writes are refused before a runtime opens them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from blemish.errors import BlemishError
from blemish.inspector.onnx_file import StoredTensor, check_onnx, tensor_of

ANY = ["n"]


def model(
    *nodes: onnx.NodeProto, constants: tuple[onnx.TensorProto, ...] = (), opset: int = 18
) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ANY) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "graph", values[:1], values[1:], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def added(constant: onnx.TensorProto) -> onnx.ModelProto:
    return model(helper.make_node("Add", ["x", constant.name], ["y"]), constants=(constant,))


def weights(*values: float, dtype: str = "float32") -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), "w")


def written(whole: onnx.ModelProto, folder: Path) -> Path:
    file = folder / "a.onnx"
    file.write_bytes(whole.SerializeToString())
    return file


def refusal(whole: onnx.ModelProto, folder: Path) -> str:
    with pytest.raises(BlemishError) as caught:
        check_onnx(written(whole, folder))
    assert "\n" not in str(caught.value) and "a.onnx" in str(caught.value)
    return str(caught.value)


def test_the_opset_is_that_of_onnx_itself(tmp_path: Path) -> None:
    whole = added(weights(1, 2))
    whole.opset_import.insert(0, helper.make_opsetid("com.microsoft", 1))
    assert check_onnx(written(whole, tmp_path)) == 18
    del whole.opset_import[:]
    assert check_onnx(written(whole, tmp_path)) is None


def loop() -> onnx.NodeProto:
    """A loop without an end."""
    scalar = [helper.make_tensor_value_info("turn", TensorProto.INT64, []),
              helper.make_tensor_value_info("on", TensorProto.BOOL, [])]  # fmt: skip
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Relu", ["v"], ["w"])],
        "body",
        [*scalar, helper.make_tensor_value_info("v", TensorProto.FLOAT, ANY)],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("w", TensorProto.FLOAT, ANY)],
    )  # fmt: skip
    return helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)


def branch() -> onnx.NodeProto:
    out = [helper.make_tensor_value_info("y1", TensorProto.FLOAT, ANY)]
    bodies = [helper.make_graph([helper.make_node("Relu", ["x"], ["y1"])], name, [], out) for name in "ab"]
    return helper.make_node("If", ["yes"], ["y"], then_branch=bodies[0], else_branch=bodies[1])


YES = numpy_helper.from_array(np.array(True), "yes")


@pytest.mark.parametrize("node", [loop(), branch()], ids=lambda node: node.op_type)
def test_a_graph_inside_a_graph_is_refused(node: onnx.NodeProto, tmp_path: Path) -> None:
    message = refusal(model(node, constants=(YES,)), tmp_path)
    assert f"an operator '{node.op_type}' with a graph of its own" in message


def test_a_function_is_refused(tmp_path: Path) -> None:
    whole = model(helper.make_node("Own", ["x"], ["y"], domain="own"))
    whole.functions.append(
        helper.make_function("own", "Own", ["x"], ["y"], [loop()], [helper.make_opsetid("", 18)])
    )
    assert "a function" in refusal(whole, tmp_path)


@pytest.mark.parametrize("location", ["decision.yaml.w", "network.onnx", "../w", "usage.json"])
def test_weights_in_another_file_are_refused(location: str, tmp_path: Path) -> None:
    for marked in (True, False):
        outside = weights(1, 2)
        outside.ClearField("raw_data")
        if marked:
            outside.data_location = TensorProto.EXTERNAL
        entry = outside.external_data.add()
        entry.key, entry.value = "location", location
        assert "weights 'w' in another file" in refusal(added(outside), tmp_path)
        outside.name = "inner"
        constant = model(helper.make_node("Constant", [], ["y"], value=outside))
        assert "weights 'inner' in another file" in refusal(constant, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_weights_that_are_not_finite_are_refused(value: float, dtype: str, tmp_path: Path) -> None:
    assert check_onnx(written(added(weights(1, 2, dtype=dtype)), tmp_path)) == 18
    odd = weights(1, value, 2, dtype=dtype)
    assert "weights 'w' that are not finite" in refusal(added(odd), tmp_path)
    odd.name = "inner"
    assert "'inner'" in refusal(model(helper.make_node("Constant", [], ["y"], value=odd)), tmp_path)
    sparse = onnx.SparseTensorProto(values=odd, indices=weights(0, 1, 2), dims=[8])
    assert "'inner'" in refusal(model(helper.make_node("Constant", [], ["y"], sparse_value=sparse)), tmp_path)


def chosen(constant: onnx.TensorProto, *more: onnx.NodeProto) -> onnx.ModelProto:
    """A graph that takes the constant where a mask says so."""
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    mask = helper.make_node("Greater", ["x", "zero"], ["m"])
    where = helper.make_node("Where", ["m", "x", constant.name], ["y"])
    return model(mask, where, *more, constants=(constant, zero))


def test_minus_infinity_is_let_pass_where_a_mask_chooses_it_and_nowhere_else(tmp_path: Path) -> None:
    assert check_onnx(written(chosen(weights(-np.inf)), tmp_path)) == 18
    again = helper.make_node("Add", ["y", "w"], ["z"])
    for whole in (added(weights(-np.inf)), added(weights(np.inf)), added(weights(np.nan)),
                  chosen(weights(np.inf)), chosen(weights(np.nan)), chosen(weights(-np.inf, -np.inf)),
                  chosen(weights(-np.inf), again), model(constants=(weights(-np.inf),))):  # fmt: skip
        assert "weights 'w' that are not finite" in refusal(whole, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_of_an_operator_must_be_finite(value: float, tmp_path: Path) -> None:
    """Such as the slope of a LeakyRelu: −∞ of it makes every value below 0 infinite, or NaN."""
    for operator, numbers in (("LeakyRelu", {"alpha": value}), ("Constant", {"value_floats": [1.0, value]})):
        inputs = ["x"] if operator == "LeakyRelu" else []
        whole = model(helper.make_node(operator, inputs, ["y"], **numbers))
        message = refusal(whole, tmp_path)
        assert f"an operator '{operator}' with a number that is not finite" in message
    assert check_onnx(written(model(helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.1)), tmp_path)) == 18


@pytest.mark.parametrize("data_type", [TensorProto.FLOAT8E4M3FN, TensorProto.COMPLEX64, 99])
def test_weights_of_types_that_are_not_checked_are_refused(data_type: int, tmp_path: Path) -> None:
    odd = onnx.TensorProto(name="w", data_type=data_type, dims=[8], raw_data=b"\xff" * 8)
    assert "weights 'w' of a type that blemish does not write" in refusal(added(odd), tmp_path)


TYPES = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.FLOAT16: np.float16}


@given(
    data=st.lists(st.floats(width=16, allow_nan=False), min_size=1, max_size=9),
    data_type=st.sampled_from([*TYPES, TensorProto.BFLOAT16]),
    raw=st.booleans(),
)
def test_numbers_are_those_that_onnx_reads(data: list[float], data_type: int, raw: bool) -> None:
    if raw and data_type in TYPES:
        values = np.array(data, TYPES[data_type])
        tensor = helper.make_tensor("w", data_type, [len(data)], values.tobytes(), raw=True)
    else:
        tensor = helper.make_tensor("w", data_type, [len(data)], data)
    read: StoredTensor = tensor_of(memoryview(tensor.SerializeToString()))
    expected = np.asarray(numpy_helper.to_array(tensor), np.float64)
    np.testing.assert_array_equal(read.numbers().astype(np.float64), expected)
    assert read.name == "w" and not read.external


def test_whole_numbers_have_none_to_check(tmp_path: Path) -> None:
    whole = numpy_helper.from_array(np.array([1, -1], np.int64), "w")
    assert not tensor_of(memoryview(whole.SerializeToString())).numbers().size


@given(st.binary(max_size=60), st.integers(0, 200), st.sampled_from(["", "cut", "changed"]))
def test_any_bytes_are_a_graph_or_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int, how: str
) -> None:
    whole = added(weights(1, 2, 3)).SerializeToString()
    content = {
        "": noise,
        "cut": whole[:place],
        "changed": whole[:place] + noise + whole[place + len(noise) :],
    }
    file = tmp_path_factory.getbasetemp() / "noise.onnx"
    file.write_bytes(content[how])
    try:
        check_onnx(file)
    except BlemishError as error:
        assert "\n" not in str(error)
