"""The examples in the docstrings of the Python API do what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import blemish
from blemish.dataset.samples import Dataset

MODULES = ["blemish", "blemish.api", "blemish.inspection"]
EXAMPLES = [
    test
    for module in MODULES
    for test in doctest.DocTestFinder(exclude_empty=True).find(import_module(module))
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_it_runs(
    example: doctest.DocTest, bundle: Path, image: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    example.globs = {
        "blemish": blemish,
        "bundle": bundle,
        "data": tiny_dataset.root,
        "image": image,
        "out": tmp_path / "out",
    }
    if example.name.startswith("blemish.inspection."):
        example.globs["inspector"] = blemish.load(bundle, device="cpu")
    failures: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=failures.append)
    assert result.attempted and not result.failed, "".join(failures)


def test_every_function_that_needs_no_more_than_these_has_an_example() -> None:
    names = {example.name for example in EXAMPLES}
    functions = {"load", "open_dataset", "train", "evaluate", "inspect", "decide"}
    assert {"blemish", *(f"blemish.api.{name}" for name in functions)} <= names
    assert {
        f"blemish.inspection.Inspection.{name}" for name in ("draw", "to_coco", "to_labelme", "to_detections")
    } <= names
