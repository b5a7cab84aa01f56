"""`add-class` on an exported bundle: the class is the one that torch makes, the graphs are the same files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle.store import Bundle, load_bundle
from blemish.dataset.samples import Dataset
from tests.cli.tlsdd_bundles import OLD, is_one_line

Command = Callable[..., Any]

WITHOUT_TORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "torchvision", "accelerate")))
from blemish.cli.main import run
run()
"""


def without_torch(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def exported(parent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from blemish.exporting.request import ExportRequest
    from blemish.exporting.run import export_bundle
    from blemish.progress import Reporter

    out = tmp_path_factory.mktemp("exported") / "bundle"
    return export_bundle(ExportRequest(load_bundle(parent), "onnx", "fp32", out), Reporter(quiet=True))


@pytest.fixture(scope="module")
def larger(exported: Path, examples: Path, tiny_dataset: Dataset, tmp_path_factory: Any) -> Path:
    """Made where torch cannot be imported."""
    out = tmp_path_factory.mktemp("larger") / "bundle"
    asked = ("--name", "fray", "--examples", examples, "--check", tiny_dataset.root, "--out", out)
    answer = without_torch("add-class", exported, *asked)
    assert answer.returncode == 0, answer.stderr
    return out


def test_a_class_more_is_data_and_the_same_graphs(exported: Path, larger: Path) -> None:
    old, new = load_bundle(exported), load_bundle(larger)
    assert new.manifest.class_names == (*OLD, "fray")
    assert new.manifest.runtime == old.manifest.runtime
    graphs = [name for name in old.manifest.files if name.endswith(".onnx")]
    assert sorted(graphs) == ["maps.onnx", "regions.onnx", "support.onnx"]
    for name in graphs:
        assert new.manifest.files[name] == old.manifest.files[name]
    assert new.manifest.files["bank.safetensors"] != old.manifest.files["bank.safetensors"]
    assert "certificate.json" in old.manifest.files and "certificate.json" not in new.manifest.files
    assert new.manifest.provenance["parent"] == old.id != new.id


def test_the_class_is_the_one_that_torch_makes(
    parent: Path,
    larger: Path,
    examples: Path,
    tmp_path: Path,
) -> None:
    from blemish.workflows.add_class import AddClassRequest, add_class

    by_torch = add_class(
        AddClassRequest(parent, "fray", examples, tmp_path / "new", device="cpu"), quiet=True
    )
    expected, found = (load_bundle(path).networks["bank"] for path in (by_torch, larger))
    for name in ("class_vectors", "prototypes", "known", "made_for"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)


def test_the_report_has_the_same_parts(larger: Path) -> None:
    report = json.loads((larger.with_name("bundle-report") / "enrolment.json").read_text(encoding="utf-8"))
    assert {one["label"] for one in report["similarities"]} == set(OLD)
    assert {one["label"] for one in report["changes"]} == {*OLD, "fray"}


def test_the_larger_bundle_inspects_without_torch(
    larger: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    image = tiny_dataset.samples[0].image
    answer = without_torch("inspect", larger, image, "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    (line,) = (tmp_path / "inspections.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["verdict"] != "ERROR"


def test_a_training_is_refused_in_one_line(
    blemish: Command,
    exported: Path,
    examples: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
) -> None:
    asked = ("--name", "fray", "--examples", examples, "--out", tmp_path / "new")
    answer = blemish("add-class", exported, *asked, "--fine-tune", "--check", tiny_dataset.root)
    assert answer.code == 1
    assert is_one_line(answer.err) and "is an exported bundle" in answer.err
    assert not list(tmp_path.iterdir())


def test_a_bank_of_another_bundle_is_an_error_record(larger: Path, tiny_dataset: Dataset) -> None:
    from blemish.inspector.loading import inspector_of

    bundle: Bundle = load_bundle(larger)
    bank = {**bundle.networks["bank"], "made_for": np.zeros(32, np.uint8)}
    other = Bundle(bundle.path, bundle.manifest, {"bank": bank})
    inspection = inspector_of(other).inspect(tiny_dataset.samples[0].image)
    assert "made for another detector" in (inspection.error or "")
