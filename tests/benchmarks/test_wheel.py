"""The wheel holds the package and nothing of a checkout's measurements."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_no_tables_and_no_peers(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"blemish"}
    assert "blemish/cli/tables.py" in names
    assert {"DejaVuSans-subset.ttf", "DroidSansFallback-subset.ttf"} <= {
        name.rpartition("/")[2] for name in names if name.startswith("blemish/images/fonts/")
    }
    licences = [name.rpartition("/")[2] for name in names if ".dist-info/licenses/" in name]
    assert {"LICENSE", "LICENSE-DejaVu.txt", "LICENSE-DroidSansFallback.txt"} <= set(licences)
    assert not [
        name for name in names if "reproduce" in name or "benchmarks" in name or name.endswith(".yaml")
    ]


def test_nothing_of_the_package_imports_measurements() -> None:
    """By name alone, in one module, when a command asks for them."""
    users = [
        file.relative_to(ROOT / "src").as_posix()
        for file in (ROOT / "src").rglob("*.py")
        if "benchmarks" in file.read_text(encoding="utf-8")
    ]
    assert users == ["blemish/cli/tables.py"]
