"""Without torch, scipy and ONNX Runtime every command works, or says in one line which extra it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from blemish.dataset.samples import Dataset
from blemish.optional_dependencies import PACKAGES

Plain = Callable[..., subprocess.CompletedProcess[str]]

PLAIN_INSTALLATION = """
import sys
left_out = sys.argv.pop(1).split(",")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in left_out:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from blemish.cli.main import run
run()
"""
LEFT_OUT = [*PACKAGES, "skimage", "sklearn", "matplotlib", "captum", "hypothesis"]
PAGES = [
    *(
        [name]
        for name in (
            "train",
            "evaluate",
            "decide",
            "inspect",
            "add-class",
            "remove-class",
            "rename-class",
            "embed",
            "export",
            "reproduce",
            "demo",
        )
    ),
    ["results"],
    *(["data", name] for name in ("synth", "tasks", "check", "agree", "convert", "split", "scale")),
]


@pytest.fixture
def plain() -> Plain:
    """`blemish ARGUMENTS` where no extra is installed."""

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PLAIN_INSTALLATION, ",".join(LEFT_OUT), *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_every_command_has_help(plain: Plain, page: list[str]) -> None:
    done = plain(*page, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "who"),
    [
        (["demo", "--out", "OUT"], "blemish demo"),
        (["train", "severity", "--data", "DATA", "--out", "OUT"], "blemish train"),
        (["reproduce", "severity-speed", "--out", "OUT"], "blemish reproduce"),
        (["export", "BUNDLE", "--to", "onnx", "--out", "OUT"], "blemish export"),
        (["inspect", "BUNDLE", "DATA", "--out", "OUT"], "BUNDLE, a bundle that was not exported,"),
        (["evaluate", "BUNDLE", "--data", "DATA", "--out", "OUT"], "BUNDLE, a bundle that was not exported,"),
        (
            ["decide", "BUNDLE", "--data", "DATA", "--escape", "0.1"],
            "BUNDLE, a bundle that was not exported,",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_needs_torch_says_so_and_writes_nothing(
    plain: Plain, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path, arguments: list[str], who: str
) -> None:
    places = {"BUNDLE": str(tiny_bundle), "DATA": str(tiny_dataset.root), "OUT": str(tmp_path / "out")}
    before = sorted(tiny_bundle.iterdir())
    done = plain(*(places.get(argument, argument) for argument in arguments))
    line = f"blemish: {who.replace('BUNDLE', str(tiny_bundle))} needs PyTorch, which is not installed. "
    *before_it, last = done.stderr.splitlines()
    assert last.startswith(f"{line}Run: pip install 'blemish[train]'")
    assert len(before_it) <= 1
    assert all(other.startswith(f"{tiny_dataset.root}: 24 images") for other in before_it), "its account"
    assert ("or export it (`blemish export`)" in done.stderr) == ("BUNDLE" in who)
    assert done.returncode == 1
    assert not list(tmp_path.rglob("*.*"))
    assert sorted(tiny_bundle.iterdir()) == before


def test_data_and_predictions_need_no_extra(plain: Plain, tiny_dataset: Dataset, tmp_path: Path) -> None:
    data = tiny_dataset.root
    scores = tmp_path / "scores.csv"
    scores.write_text("image,score\n" + "".join(f"{one.id},0.6\n" for one in tiny_dataset.split("test")))
    for arguments in (
        ("data", "synth", tmp_path / "synth", "--images", "4"),
        ("data", "check", data),
        ("data", "convert", data, tmp_path / "coco", "--to", "coco"),
        ("data", "split", data, tmp_path / "splits", "--test", "0.3"),
        ("data", "agree", data, data, "--out", tmp_path / "agreement"),
        ("evaluate", "--predictions", scores, "--data", data, "--out", tmp_path / "evaluation"),
    ):
        done = plain(*arguments)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "evaluation" / "report.html").is_file()
