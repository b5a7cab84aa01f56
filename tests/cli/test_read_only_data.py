"""Data that must not be written: no command leaves a file, a folder or a new date in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blemish.dataset.hashing import file_hash
from blemish.dataset.samples import Dataset

OPTIONS = (
    "--set",
    "device=cpu",
    "--set",
    "steps=4",
    "--set",
    "batch=2",
    "--set",
    "patch=64",
    "--set",
    "types=false",
)


def state(root: Path) -> dict[str, tuple[int, str]]:
    """Date and content of everything below a folder; a folder's date changes with each file made in it."""
    found = {".": (root.stat().st_mtime_ns, "")}
    for path in sorted(root.rglob("*")):
        content = file_hash(path) if path.is_file() else ""
        found[path.relative_to(root).as_posix()] = (path.stat().st_mtime_ns, content)
    return found


@pytest.fixture
def data(tiny_dataset: Dataset, tmp_path: Path) -> Iterator[Path]:
    """A copy of the tiny set that nobody but root may write. Its state is compared, as root may."""
    root = shutil.copytree(tiny_dataset.root, tmp_path / "data")
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    before = state(root)
    for folder in folders:
        folder.chmod(0o555)
    yield root
    assert state(root) == before
    for folder in folders:
        folder.chmod(0o755)


def test_every_command_leaves_the_data_as_they_are(
    data: Path, blemish: Callable[..., Any], tmp_path: Path
) -> None:
    run, bundle = tmp_path / "run", tmp_path / "run" / "bundle"
    commands = (
        ("data", "check", data, "--json", tmp_path / "check.json"),
        ("data", "split", data, tmp_path / "splits", "--by", "similarity"),
        ("data", "convert", data, tmp_path / "voc", "--to", "masks"),
        ("train", "severity", "--data", data, "--out", run, *OPTIONS),
        ("evaluate", bundle, "--data", data, "--out", tmp_path / "evaluation"),
        ("decide", bundle, "--data", data, "--rule", "f1"),
        ("inspect", bundle, data, "--out", tmp_path / "inspected", "--overlay"),
        ("train", "severity", "--data", tmp_path / "splits", "--out", tmp_path / "again", *OPTIONS),
        (
            "evaluate",
            bundle,
            "--data",
            tmp_path / "splits",
            "--split",
            "all",
            "--out",
            tmp_path / "evaluation2",
        ),
    )
    for command in commands:
        before = state(data)
        answer = blemish(*command)
        assert answer.code == 0, (command, answer.err)
        assert state(data) == before, command


def test_a_state_tells_a_file_that_came_and_went(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    before = state(tmp_path)
    (tmp_path / "deep" / "x").touch()
    (tmp_path / "deep" / "x").unlink()
    assert state(tmp_path) != before
