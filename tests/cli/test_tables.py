"""The commands of the papers' tables: in a checkout they find them, elsewhere they say what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import blemish
from blemish.cli import tables
from blemish.errors import BlemishError

RUN = "from blemish.cli.main import run; run()"


def test_a_checkout_has_its_tables_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(blemish.__file__).parents[2]
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(root)])
    tables.place_on_path("blemish reproduce")
    tables.place_on_path("blemish results")
    assert sys.path.count(str(root)) == 1


def test_an_installed_package_says_in_one_line_that_it_needs_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blemish, "__file__", str(tmp_path / "site-packages" / "blemish" / "__init__.py"))
    before = list(sys.path)
    with pytest.raises(BlemishError, match=r"blemish results must be run in a checkout.*Received: .*blemish"):
        tables.write_overview(tmp_path, tmp_path / "page.md")
    assert sys.path == before


@pytest.mark.parametrize("arguments", [["reproduce", "severity-speed", "--out", "out"], ["results"]])
def test_the_command_ends_with_that_line(tmp_path: Path, arguments: list[str]) -> None:
    shutil.copytree(Path(blemish.__file__).parent, tmp_path / "lib" / "blemish")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "lib")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"blemish: blemish {arguments[0]} must be run in a checkout")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
