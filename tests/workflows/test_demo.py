"""The steps of the demo; tests/cli/test_demo.py runs it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blemish.errors import BlemishError
from blemish.workflows import demo


def test_every_step_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_settings: dict[str, Any]
) -> None:
    small = {"images": 12, "size": (96, 96), "surfaces": ("paper",), "contrast": (70.0, 120.0)}
    monkeypatch.setattr(demo, "SYNTHETIC", small)
    monkeypatch.setattr(demo, "SETTINGS", {**tiny_settings, "steps": 2, "types": False})
    report = demo.run_demo(tmp_path / "demo", command="as tested", quiet=True)
    assert report == tmp_path / "demo" / "evaluation" / "report.html"
    assert "as tested" in report.read_text(encoding="utf-8")
    tests = (tmp_path / "demo" / "data" / "splits" / "test.txt").read_text().split()
    assert len((tmp_path / "demo" / "inspections" / "inspections.jsonl").read_text().splitlines()) == len(
        tests
    )


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("mine")
    with pytest.raises(BlemishError, match=r"is not empty\. Remove it, or choose another folder with --out"):
        demo.run_demo(tmp_path, command="", quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]
