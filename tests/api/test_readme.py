"""The Python example of the README runs as it stands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from blemish.dataset.samples import Dataset

README = Path(__file__).parents[2] / "README.md"


def test_the_example_runs(
    bundle: Path,
    image: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "run").mkdir()
    bundle.rename(tmp_path / "run" / "bundle")
    for name in ("part.png", "next.png"):
        shutil.copy(image, tmp_path / name)
    (tmp_path / "splits").symlink_to(tiny_dataset.root)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(
        r"```python\n(import blemish\n.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    exec(example, {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:3]] == ["part.png", "next.png"]
    assert printed[-1].endswith("evaluation/report.html")
    assert (tmp_path / "evaluation" / "metrics.json").is_file()
