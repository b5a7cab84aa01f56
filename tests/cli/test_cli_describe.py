"""`blemish data describe`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.layouts import load_dataset
from tests.dataset.builders import voc_layout

Command = Callable[..., Any]


def listing(root: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in root.rglob("*")}


def test_what_is_printed_reads_as_the_dataset_and_nothing_is_written(
    blemish: Command, tmp_path: Path
) -> None:
    root = voc_layout(tmp_path / "data")
    before, digest = listing(root), fingerprint(load_dataset(root))
    answer = blemish("data", "describe", root)
    assert answer.code == 0, answer.err
    assert listing(root) == before
    (root / "dataset.yaml").write_text(answer.out)
    assert fingerprint(load_dataset(root)) == digest


def test_out_is_written_once_and_replaced_by_force(blemish: Command, tmp_path: Path) -> None:
    root, out = voc_layout(tmp_path / "data"), tmp_path / "my.yaml"
    assert blemish("data", "describe", root, "--out", out).out == f"{out}\n"
    again = blemish("data", "describe", root, "--out", out)
    assert again.code == 1 and "Add --force" in again.err and again.err.count("\n") == 1
    assert blemish("data", "describe", root, "--out", out, "--force").code == 0
    assert fingerprint(load_dataset(out)) == fingerprint(load_dataset(root))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_data_are_described_elsewhere(blemish: Command, tmp_path: Path) -> None:
    root = voc_layout(tmp_path / "data")
    root.chmod(0o555)
    try:
        refused = blemish("data", "describe", root, "--out", root)
        assert refused.code == 1 and refused.err.count("\n") == 1
        assert blemish("data", "describe", root, "--out", tmp_path / "d.yaml").code == 0
    finally:
        root.chmod(0o755)
