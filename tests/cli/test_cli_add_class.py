"""`add-class` and `embed` as a user calls them, on a bundle with random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle import load_bundle
from blemish.dataset.samples import Dataset
from blemish.inspector.loading import open_inspector
from tests.cli.tlsdd_bundles import is_one_line

Command = Callable[..., Any]


def test_the_decision_of_the_old_bundle_is_not_taken_over(
    blemish: Command, parent: Path, examples: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(parent, tmp_path / "own")
    decision = {"schema_version": 1, "revision": 1, "bundle": load_bundle(own).id, "score": {"ng": 0.1}}
    (own / "decision.yaml").write_text(json.dumps(decision))
    out = tmp_path / "new"
    answer = blemish(
        "add-class", own, "--name", "fray", "--examples", examples, "--out", out, "--device", "cpu"
    )
    assert answer.code == 0, answer.err
    assert f"warning: the decision of {own} holds for that bundle alone." in answer.err
    assert open_inspector(own, device="cpu").decision is not None
    assert open_inspector(out, device="cpu").decision is None


def test_the_command_prints_the_bundle(
    blemish: Command, parent: Path, examples: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    answer = blemish("add-class", parent, "--name", "fray", "--examples", examples, "--out", out)
    assert answer.code == 0, answer.err
    assert answer.out == f"{out}\n"
    assert "report: " in answer.err
    page = (tmp_path / "out-report" / "report.html").read_text(encoding="utf-8")
    assert "Not checked. Add --check DATA" in page
    again = blemish("add-class", parent, "--name", "fray", "--examples", examples, "--out", out)
    assert again.code == 1
    assert f"{out} already exists" in again.err and is_one_line(again.err)


def refused(blemish: Command, bundle: Path, examples: Path, out: Path, *options: object) -> Any:
    """The answer to a call that must leave nothing."""
    name = () if "--name" in options else ("--name", "fray")
    places = ("--examples", examples, "--out", out, "--quiet")
    answer = blemish("add-class", bundle, *name, *places, *options)
    assert answer.code in {1, 2}
    assert is_one_line(answer.err), answer.err
    assert not list(out.parent.glob(f"*{out.name}*"))
    return answer


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--name", "spot"], 1, "already has a class 'spot'. Choose another --name."),
        (["--name", " "], 2, "--name must be words"),
        (["--name", "a\nb"], 2, "--name must be words"),
        (["--set", "shots=3"], 2, "--set is for --fine-tune. Add --fine-tune"),
        (["--fine-tune"], 2, "Add --check DATA."),
        (["--fine-tune", "--no-training", "--check", "nowhere"], 2, "Leave one of them out."),
        (["--check", "nowhere"], 1, "nowhere"),
        (["--device", "tpu"], 1, "device must be auto, cpu or cuda"),
    ],
)
def test_wrong_orders_are_one_line(
    blemish: Command,
    parent: Path,
    examples: Path,
    tmp_path: Path,
    options: list[str],
    code: int,
    message: str,
) -> None:
    answer = refused(blemish, parent, examples, tmp_path / "new", *options)
    assert answer.code == code
    assert message in answer.err


def test_bundles_that_take_no_class_are_one_line(
    blemish: Command, tiny_bundle: Path, make_bundle: Command, examples: Path, tmp_path: Path
) -> None:
    severity = refused(blemish, tiny_bundle, examples, tmp_path / "new")
    assert "method severity learns its classes in training" in severity.err
    linear = refused(blemish, make_bundle(variant="tl-ff-fr"), examples, tmp_path / "new")
    assert "variant tl-ff-fr has a row of weights for each class" in linear.err
    assert "--fine-tune" in linear.err


def annotation_file(root: Path) -> Path:
    return next(file for file in root.rglob("*.json") if not file.name.startswith("."))


def test_examples_that_cannot_be_used_are_one_line(
    blemish: Command, parent: Path, examples: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    several = refused(blemish, parent, tiny_dataset.root, tmp_path / "new")
    assert "must hold examples of 'fray' alone, or call them so. Received: " in several.err
    broken = tmp_path / "broken"
    shutil.copytree(examples, broken)
    image = next((broken / "images").rglob("*.png"))
    image.write_bytes(image.read_bytes()[:200])
    assert image.name in refused(blemish, parent, broken, tmp_path / "new").err
    unmarked = tmp_path / "unmarked"
    shutil.copytree(examples, unmarked)
    file = annotation_file(unmarked)
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    assert (
        "must hold boxed examples of 'fray'. Received: 3 images without"
        in refused(blemish, parent, unmarked, tmp_path / "new").err
    )
    outside = tmp_path / "outside"
    shutil.copytree(examples, outside)
    file = annotation_file(outside)
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:
        annotation.update(bbox=[5000, 5000, 20, 20], segmentation=[])
    file.write_text(json.dumps(content))
    err = refused(blemish, parent, outside, tmp_path / "new").err
    assert "3 images and no usable box; box (5000, 5000, 5020, 5020) of 'fray' in " in err
    assert "none of its area lies in the image. Mark 1 to 10" in err


# embed


def test_embed_writes_table_vectors_picture_and_words(
    blemish: Command, parent: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "space"
    answer = blemish("embed", parent, tiny_dataset.root, "--out", out, "--split", "test", "--quiet")
    assert answer.code == 0, answer.err
    first, *sentences = answer.out.splitlines()
    assert first == f"{out / 'embeddings.png'}"
    assert (out / "overlap.txt").read_text(encoding="utf-8").splitlines() == sentences
    with np.load(out / "embeddings.npz") as stored:
        lines = (out / "embeddings.csv").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1 + len(stored["own"])
        np.testing.assert_allclose(np.linalg.norm(stored["own"], axis=1), 1, atol=1e-4)
    true = sum(",true," in line for line in lines)
    assert true == sum(len(sample.annotations) for sample in tiny_dataset.split("test"))


def test_embed_without_a_metric_space_is_one_line(
    blemish: Command, tiny_bundle: Path, make_bundle: Command, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    for bundle, message in (
        (tiny_bundle, "method severity tells classes without a metric space"),
        (make_bundle(variant="tl-ff"), "has no metric space. Give a bundle of variant tl-sdd."),
    ):
        answer = blemish("embed", bundle, tiny_dataset.root, "--out", tmp_path / "space")
        assert answer.code == 1
        assert message in answer.err and is_one_line(answer.err.splitlines(keepends=True)[-1])
        assert not (tmp_path / "space").exists()


def test_without_torch_a_bundle_of_tensors_takes_no_class(
    blemish: Command, monkeypatch: pytest.MonkeyPatch, parent: Path, examples: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("blemish.optional_dependencies.find_spec", lambda package: None)
    out = tmp_path / "larger"
    answer = blemish("add-class", parent, "--name", "fray", "--examples", examples, "--out", out)
    assert answer.code == 1
    assert answer.err.startswith(f"blemish: {parent}, a bundle that was not exported, needs PyTorch")
    assert not out.exists()
