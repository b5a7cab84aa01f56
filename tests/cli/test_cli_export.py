from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import load_bundle
from blemish.bundle.store import CERTIFICATE
from blemish.dataset.samples import Dataset

Command = Callable[..., Any]


def is_one_line(err: str) -> bool:
    return err.startswith("blemish: ") and err.count("\n") == 1 and "Traceback" not in err


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "inspections.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("few_pictures", "graphs_once")
def test_what_is_exported_inspects_as_the_bundle_does(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    answer = blemish("export", tiny_bundle, "--to", "onnx", "--data", tiny_dataset.root, "--quiet")
    assert answer.code == 0, answer.err
    out = tiny_bundle.with_name("bundle-onnx")
    assert answer.out == f"{out}\n"
    assert answer.err == ""
    assert {row["from"] for row in json.loads((out / CERTIFICATE).read_text())["images"]} == {
        "val",
        "synthetic",
    }
    images = [sample.image for sample in tiny_dataset.split("test")]
    found = []
    for bundle in (tiny_bundle, out):
        answer = blemish("inspect", bundle, *images, "--out", tmp_path / bundle.name, "--quiet")
        assert answer.code == 0, answer.err
        found.append(lines(tmp_path / bundle.name))
    for torch, graphs in zip(*found, strict=True):
        assert graphs["bundle"] == load_bundle(out).id
        assert graphs["verdict"] == torch["verdict"]
        assert graphs["score"] == pytest.approx(torch["score"], abs=1e-3)
        assert [one["label"] for one in graphs["defects"]] == [one["label"] for one in torch["defects"]]
    refused = blemish("inspect", out, *images, "--out", tmp_path / "gpu", "--device", "cuda")
    assert refused.code == 1
    assert is_one_line(refused.err)
    again = blemish("export", out, "--to", "onnx")
    assert again.code == 1
    assert "is an exported bundle, which has graphs in place of weights" in again.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "onnx", "--precision", "int8"], "Add --data DATA."),
        (["--to", "onnx", "--max-drop", "0.1"], "--max-drop is for --precision int8. Leave it out."),
        (["--to", "openvino", "--calibration", "9"], "--calibration is for --precision int8. Leave it out."),
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(
    blemish: Command, tiny_bundle: Path, options: list[str], message: str
) -> None:
    answer = blemish("export", tiny_bundle, *options)
    assert answer.code == 2
    assert message in answer.err
    assert is_one_line(answer.err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tile", "70"], "--tile 70: "),
        (["--data", "/nowhere"], "/nowhere"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    blemish: Command, tiny_bundle: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    answer = blemish("export", tiny_bundle, "--to", "onnx", "--out", tmp_path / "out", *options)
    assert answer.code == 1
    assert message in answer.err
    assert is_one_line(answer.err)
    assert not (tmp_path / "out").exists()


def test_a_bundle_that_is_none_is_one_line(blemish: Command, tmp_path: Path) -> None:
    answer = blemish("export", tmp_path, "--to", "onnx")
    assert answer.code == 1
    assert "is not a bundle" in answer.err
