"""The built page as files: in wheel and sdist, nothing of it runs inline, and its licences are named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src/blemish/station/static"


@pytest.fixture
def index() -> str:
    file = STATIC / "index.html"
    if not file.is_file():
        pytest.skip("the page is not built: make web")
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_distribution_holds_the_page(index: str, kind: str) -> None:
    plugin = pytest.importorskip(f"hatchling.builders.{kind}")
    builder = {"wheel": "WheelBuilder", "sdist": "SdistBuilder"}[kind]
    files = getattr(plugin, builder)(str(ROOT)).recurse_included_files()
    paths = {file.distribution_path.removeprefix("src/") for file in files}
    named = {"index.html", "licences.txt", *re.findall(r'(?:src|href)="\./([^"]+)"', index)}
    assert {f"blemish/station/static/{name}" for name in named} <= paths
    assert not [path for path in paths if "node_modules" in path]


def test_nothing_runs_inline(index: str) -> None:
    assert all(not body.strip() for body in re.findall(r"<script[^>]*>(.*?)</script>", index, re.DOTALL))
    assert not re.search(r"<style|\son\w+=|\sstyle=|https?://", index)
    for script in STATIC.glob("assets/*.js"):
        assert not re.search(r"\beval\(|new Function\(", script.read_text(encoding="utf-8"))


def test_every_package_in_the_page_has_its_licence(index: str) -> None:
    text = (STATIC / "licences.txt").read_text(encoding="utf-8")
    dependencies = json.loads((ROOT / "web/package.json").read_text(encoding="utf-8"))["dependencies"]
    permissive = r"\((MIT|BSD-3-Clause|Apache-2.0|ISC)\)"
    for name in dependencies:
        assert re.search(rf"^{re.escape(name)} \d.*{permissive}$", text, re.MULTILINE), name


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))
    packages = [each for name, each in lock["packages"].items() if name]
    assert all("resolved" not in each for each in packages)
    assert all("integrity" in each for each in packages)
