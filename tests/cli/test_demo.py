"""The demo as a newcomer runs it: it must find what it has drawn, not only end without an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("demo") / "demo"
    command = [str(Path(sys.executable).parent / "blemish"), "demo", "--out", str(out), "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1500)
    return out, run.stdout


@pytest.mark.timeout(1500)
def test_it_finds_the_defects_it_drew(demo: tuple[Path, str]) -> None:
    metrics = json.loads((demo[0] / "evaluation" / "metrics.json").read_text())
    assert metrics["split"] == "test"
    assert metrics["defect"]["truth"] >= 30
    assert metrics["defect"]["recall_at_30"] >= 0.9
    assert metrics["defect"]["precision_at_30"] >= 0.9


def test_it_ends_with_the_path_of_a_report_that_needs_nothing_else(demo: tuple[Path, str]) -> None:
    report = Path(demo[1].strip().splitlines()[-1])
    assert report == demo[0] / "evaluation" / "report.html"
    text = report.read_text()
    assert 'src="http' not in text
    assert 'href="http' not in text


def test_every_test_image_is_inspected_and_drawn(demo: tuple[Path, str]) -> None:
    lines = (demo[0] / "inspections" / "inspections.jsonl").read_text().splitlines()
    listed = (demo[0] / "data" / "splits" / "test.txt").read_text().split()
    assert len(lines) == len(listed)
    assert len(list((demo[0] / "inspections" / "overlays").iterdir())) == len(listed)
    assert {json.loads(line)["verdict"] for line in lines} <= {"OK", "REVIEW", "NG"}
