"""`data tasks`, `data check` on products, and the short forms of `train` for one product."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Command = Callable[..., Any]


def caps(root: Path, *, normal: int = 10, defective: int = 6) -> Path:
    generator = np.random.default_rng(0)
    for folder, number in (("0", normal), ("1", defective)):
        (root / "bc-defects" / folder).mkdir(parents=True)
        for index in range(number):
            pixels = generator.integers(0, 255, (20, 30), dtype=np.uint8)
            assert cv2.imwrite(str(root / "bc-defects" / folder / f"{index}.png"), pixels)
    return root


def test_tasks_prints_a_table_and_refuses_a_folder_in_use(blemish: Command, tmp_path: Path) -> None:
    data, out = caps(tmp_path / "data"), tmp_path / "out"
    answer = blemish(
        "data", "tasks", out, "--from", data, "--only", "bc-defects, synthetic-leather", "--size", 64
    )
    assert answer.code == 0
    assert f"{out}: 2 products" in answer.out
    lines = [line.split() for line in answer.out.splitlines()]
    assert ["bc-defects", "10", "6", "by", "reference", "to", "bc-defects"] in lines
    assert ["synthetic-leather", "100", "50", "drawn"] in lines
    again = blemish("data", "tasks", out, "--from", data)
    assert again.code == 1
    assert f"{out} must be a new or empty folder." in again.err
    checked = blemish("data", "check", out)
    assert checked.code == 0
    assert "product bc-defects: 10 normal, 6 defective images" in checked.out


@pytest.mark.parametrize(
    ("only", "text"),
    [
        ("bc-defect", "Received: 'bc-defect'. Did you mean 'bc-defects'?"),
        ("deeppcb", "must hold the folder 'deeppcb'"),
    ],
)
def test_tasks_names_what_is_not_there(blemish: Command, tmp_path: Path, only: str, text: str) -> None:
    answer = blemish("data", "tasks", tmp_path / "out", "--from", caps(tmp_path / "data"), "--only", only)
    assert answer.code == 1
    assert text in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_check_names_a_product_of_one_kind(blemish: Command, tmp_path: Path) -> None:
    caps(tmp_path / "cap", defective=0)
    caps(tmp_path / "lid")
    for name in ("cap", "lid"):
        (tmp_path / name / "bc-defects").rename(tmp_path / name / "part")
        (tmp_path / name / "dataset.yaml").write_text("layout: labels\n")
    answer = blemish("data", "check", tmp_path)
    assert "product cap: 10 normal, 0 defective images" in answer.out
    assert "product 'cap' must have normal and defective images. Received: no defective image." in answer.out


@pytest.mark.parametrize("option", [("--target", "cap"), ("--shots", "20")])
def test_method_without_the_setting_refuses_in_one_line(
    blemish: Command, tmp_path: Path, option: tuple[str, str]
) -> None:
    answer = blemish("train", "severity", "--data", tmp_path, "--out", tmp_path / "run", *option)
    assert answer.code == 2
    assert (
        f"Method severity has no setting '{option[0].removeprefix('--')}'. Leave {option[0]} out."
        in answer.err
    )
    assert answer.err.count("\n") == 1


def test_short_forms_are_settings(blemish: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that YAML would read as a number or a list stays a name."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        "blemish.workflows.train.train_bundle", lambda *_, **named: given.update(named) or tmp_path
    )
    places = ("--data", tmp_path, "--out", tmp_path / "run")
    assert blemish("train", "medetection", *places, "--target", "007, [a]", "--shots", 20).code == 0
    assert given["options"] == {"target": "007, [a]", "shots": 20}
    assert blemish("train", "no such method", *places).code == 0
    assert given["options"] == {}
