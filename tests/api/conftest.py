"""A bundle of its own for each test, as evaluations and decisions are kept in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from blemish.dataset.samples import Dataset
from tests.cli.tlsdd_bundles import examples, make_bundle, parent

__all__ = ["examples", "make_bundle", "parent"]  # fixtures


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


@pytest.fixture
def image(tiny_dataset: Dataset) -> Path:
    """A test image with a defect."""
    return next(sample.image for sample in tiny_dataset.split("test") if sample.annotations)
