"""A copy of what version 0.1 wrote, to work in, and the command line."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from tests.cli.conftest import blemish

__all__ = ["blemish"]  # a fixture

WRITTEN = Path(__file__).parent / "v0_1"


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/legacy/v0_1 with its archives opened, in a folder of its own."""
    folder = shutil.copytree(WRITTEN, tmp_path_factory.mktemp("legacy") / "v0_1")
    for name in ("bundles", "run"):
        with tarfile.open(folder / f"{name}.tar.xz") as archive:
            archive.extractall(folder / name, filter="data")
    return folder


@pytest.fixture
def legacy(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder as the working directory, from which 0.1 named its images. Copy a bundle to change it."""
    monkeypatch.chdir(unpacked)
    return unpacked
