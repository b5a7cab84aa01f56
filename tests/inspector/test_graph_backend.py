"""Graphs made by hand, so that what they answer is known: three times the input, by both runtimes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from blemish.bundle import Bundle, Manifest, Preprocessing, load_bundle, save_bundle
from blemish.bundle.manifest import StoredGraph, StoredInput, StoredRuntime
from blemish.bundle.store import MANIFEST, sha256
from blemish.errors import BlemishError
from blemish.exporting.graph_files import as_openvino, write_onnx, write_openvino
from blemish.exporting.onnx_models import OPSET
from blemish.inspector.graph_backend import open_graphs
from blemish.inspector.loading import inspector_of
from blemish.inspector.openvino_backend import MAX_COMPILED

KINDS = ("onnx", "openvino")
SHAPE = (None, 1, None, 8)  # one side is fixed


def tripling(opset: int = OPSET) -> onnx.ModelProto:
    dims = ["b", 1, "h", 8]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["images", "three"], ["answers"])],
        "tripling",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, dims)],
        [helper.make_tensor("three", TensorProto.FLOAT, [1], [3.0])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def exported(
    folder: Path, kind: str, *, source: str = "test-1", opset: int = OPSET, name: str = "one"
) -> Bundle:
    """A bundle of the graph "one"; source, opset and name are what its file says."""
    drafts = folder / "drafts"
    drafts.mkdir(parents=True)
    files = write_onnx(tripling(opset), drafts, name, source=source, precision="fp32")
    if kind == "openvino":
        files = write_openvino(as_openvino(files[0]), drafts, name, source=source, precision="fp32")
    graph = StoredGraph(
        files=tuple(file.name for file in files),
        inputs=(StoredInput(name="images", dtype="float32", shape=SHAPE),),
        outputs=("answers",),
    )
    runtime = StoredRuntime(kind=kind, precision="fp32", opset=OPSET, source="test-1", graphs={"one": graph})
    manifest = Manifest(
        method="severity",
        class_names=("spot",),
        preprocessing=Preprocessing(channels=1),
        runtime=runtime,
    )
    save_bundle(folder / "bundle", manifest, {}, other_files={file.name: file for file in files})
    return load_bundle(folder / "bundle")


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(BlemishError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(params=KINDS)
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    return exported(tmp_path, request.param)


def rewrite(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    fields = json.loads((bundle / MANIFEST).read_text())
    change(fields)
    (bundle / MANIFEST).write_text(json.dumps(fields))


def test_a_graph_answers_at_every_size_it_has(bundle: Bundle) -> None:
    graph = open_graphs(bundle)["one"]
    for shape in [(1, 1, 2, 8), (4, 1, 2, 8), (1, 1, 9, 8), (1, 1, 2, 8), (7, 1, 9, 8), (0, 1, 2, 8)]:
        images = np.random.default_rng(0).random(shape, np.float32)
        answers = graph({"images": images})["answers"]
        np.testing.assert_allclose(answers, 3 * images, rtol=1e-6)


def test_an_answer_stays_what_it_was_when_the_next_is_asked(bundle: Bundle) -> None:
    graph = open_graphs(bundle)["one"]
    first = graph({"images": np.ones((1, 1, 2, 8), np.float32)})["answers"]
    graph({"images": np.zeros((1, 1, 2, 8), np.float32)})
    assert (first == 3).all()


def test_few_sizes_are_kept_compiled(tmp_path: Path) -> None:
    graph = open_graphs(exported(tmp_path, "openvino"))["one"].run
    for height in range(1, MAX_COMPILED + 4):
        graph({"images": np.zeros((1, 1, height, 8), np.float32)})
    assert len(graph.compiled) == MAX_COMPILED
    assert ((1, 1, MAX_COMPILED + 3, 8),) in graph.compiled
    for batch in (2, 3, 5):
        graph({"images": np.zeros((batch, 1, 4, 8), np.float32)})
    assert sum(shapes[0][0] == -1 for shapes in graph.compiled) == 1, "one for every length of a batch"


def test_a_size_it_does_not_have_names_both(bundle: Bundle) -> None:
    graph = open_graphs(bundle)["one"]
    message = refusal(lambda: graph({"images": np.zeros((1, 1, 8, 16), np.float32)}))
    assert "graph 'one' has the size any×1×any×8 for 'images', and received 1×1×8×16." in message
    assert "--tile" in message
    assert "any×1×any×8" in refusal(lambda: graph({"images": np.zeros((8, 8), np.float32)}))


def test_another_type_or_name_is_refused(bundle: Bundle) -> None:
    graph = open_graphs(bundle)["one"]
    assert "must be float32. Received: float64." in refusal(lambda: graph({"images": np.zeros((1, 1, 8, 8))}))
    assert "takes images. Received: pictures." in refusal(
        lambda: graph({"pictures": np.zeros((1, 1, 8, 8), np.float32)})
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_of_another_bundle_is_refused(kind: str, tmp_path: Path) -> None:
    bundle = exported(tmp_path, kind, source="test-2")
    assert "must be exported from test-1, as its bundle was. Received: a graph of test-2." in refusal(
        lambda: open_graphs(bundle)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_another_graph_of_the_bundle_is_refused(kind: str, tmp_path: Path) -> None:
    bundle = exported(tmp_path, kind, name="two")
    assert "must be the graph 'one'. Received: 'two'." in refusal(lambda: open_graphs(bundle))


def test_another_opset_in_the_file_is_refused(tmp_path: Path) -> None:
    bundle = exported(tmp_path, "onnx", opset=17)
    assert "must have opset 18, as the manifest says. Received: 17." in refusal(lambda: open_graphs(bundle))


def test_another_opset_in_the_manifest_is_refused(bundle: Bundle) -> None:
    rewrite(bundle.path, lambda fields: fields["runtime"].update(opset=17))
    assert "must have opset 17, as the manifest says. Received: 18." in refusal(
        lambda: open_graphs(load_bundle(bundle.path))
    )


@pytest.mark.parametrize("what", ["a byte", "an end"])
def test_a_changed_graph_is_refused_before_it_is_opened(bundle: Bundle, what: str) -> None:
    for file in bundle.other_files.values():
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if what == "a byte" else data[:-3])
        message = refusal(lambda: load_bundle(bundle.path))
        assert f"{file} was changed or damaged: its SHA-256 is not the manifest's." in message
        file.write_bytes(data)


def test_a_missing_graph_is_refused(bundle: Bundle) -> None:
    next(iter(bundle.other_files.values())).unlink()
    assert "is missing. Copy the whole bundle again." in refusal(lambda: load_bundle(bundle.path))


def test_a_graph_that_no_hash_covers_is_refused(bundle: Bundle) -> None:
    name = next(iter(bundle.other_files))
    rewrite(bundle.path, lambda fields: fields["files"].pop(name))
    assert "graph 'one' must name files that 'files' lists." in refusal(lambda: load_bundle(bundle.path))


@pytest.mark.parametrize("name", ["../one.onnx", "one.py", "/etc/one.onnx", ""])
def test_a_graph_elsewhere_or_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    bundle = exported(tmp_path, "onnx")
    (bundle.path.parent / "one.onnx").write_bytes((bundle.path / "one.onnx").read_bytes())

    def change(fields: dict[str, Any]) -> None:
        fields["files"][name] = fields["files"]["one.onnx"]
        fields["runtime"]["graphs"]["one"]["files"] = [name]

    rewrite(bundle.path, change)
    assert "files must be names ending in" in refusal(lambda: load_bundle(bundle.path))


def test_a_graph_in_a_bundle_that_was_not_exported_is_refused(bundle: Bundle) -> None:
    rewrite(bundle.path, lambda fields: fields.pop("runtime"))
    assert "files must be names ending in .safetensors. Received: " in refusal(
        lambda: load_bundle(bundle.path)
    )


def test_a_file_that_is_no_graph_is_one_line(bundle: Bundle) -> None:
    name = bundle.manifest.runtime.graphs["one"].files[0]
    (bundle.path / name).write_bytes(b"no graph")
    rewrite(bundle.path, lambda fields: fields["files"].update({name: sha256(b"no graph")}))
    message = refusal(lambda: open_graphs(load_bundle(bundle.path)))
    assert f"{name} cannot be opened by OpenVINO" in message or f"{name} is no ONNX file" in message


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [("onnx", "onnxruntime", "blemish[runtime]"), ("openvino", "openvino", "blemish[openvino]")],
)
def test_a_missing_runtime_says_which_extra_to_install(
    kind: str, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = exported(tmp_path, kind)
    monkeypatch.setitem(sys.modules, package, None)
    assert f"Run: pip install '{extra}'" in refusal(lambda: open_graphs(bundle))


def test_a_bundle_that_lacks_a_graph_of_its_method_is_refused(bundle: Bundle) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["thresholds"] = {"severity": 4.0, "drop_above": 0.5}
        fields["tiling"] = {"tile": 256, "halo": 92, "stride": 4}

    rewrite(bundle.path, change)
    assert "must hold 'severity' for severity. Export it again." in refusal(
        lambda: inspector_of(load_bundle(bundle.path))
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "device=cuda: "),
        ({"bfloat16": True}, "bfloat16: "),
        ({"device": "gpu"}, "device=gpu: "),
    ],
)
def test_what_only_torch_can_do_is_refused(bundle: Bundle, options: dict[str, Any], message: str) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["thresholds"] = {"severity": 4.0, "drop_above": 0.5}
        fields["tiling"] = {"tile": 256, "halo": 92, "stride": 4}

    rewrite(bundle.path, change)
    assert refusal(lambda: inspector_of(load_bundle(bundle.path), **options)).startswith(message)
