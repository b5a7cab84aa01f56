"""--skip-broken: broken files are left out by name wherever a dataset is read, and else refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import load_bundle
from blemish.dataset.opening import open_dataset
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from tests.dataset import builders

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


@pytest.fixture
def broken(tiny_dataset: Dataset, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The tiny set with an image of each split cut off; the ids of these by their split."""
    root = shutil.copytree(tiny_dataset.root, tmp_path / "data")
    ids = {}
    for split in ("train", "val", "test"):
        sample = next(s for s in tiny_dataset if s.split == split and not s.is_defective)
        path = root / sample.id
        path.write_bytes(path.read_bytes()[:500])
        ids[split] = sample.id
    return root, ids


def test_the_check_leaves_out_what_the_work_would(
    broken: tuple[Path, dict[str, str]], blemish: Callable[..., Any], tmp_path: Path
) -> None:
    root, ids = broken
    answer = blemish("data", "check", root)
    assert answer.code == 1 and "cannot be used as it is: 3 errors" in answer.err
    answer = blemish("data", "check", root, "--skip-broken", "--json", tmp_path / "check.json")
    assert answer.code == 0
    report = json.loads((tmp_path / "check.json").read_text())
    assert report["total"] == 24 - 3
    assert sorted(report["account"]["skipped"]) == sorted(ids.values())


def test_a_split_leaves_out_broken_files(
    broken: tuple[Path, dict[str, str]], blemish: Callable[..., Any], tmp_path: Path
) -> None:
    root, ids = broken
    answer = blemish("data", "split", root, tmp_path / "out", "--skip-broken")
    assert answer.code == 0 and "3 files left out by --skip-broken" in answer.err
    listed = "".join(file.read_text() for file in (tmp_path / "out" / "splits").glob("*.txt")).split()
    assert len(listed) == 24 - 3 and not set(listed) & set(ids.values())


def test_training_names_the_option_and_records_what_it_left_out(
    broken: tuple[Path, dict[str, str]], blemish: Callable[..., Any], tmp_path: Path
) -> None:
    root, ids = broken
    answer = blemish("train", "severity", "--data", root, "--out", tmp_path / "a", *OPTIONS)
    assert answer.code == 1
    assert answer.err.strip().endswith("Or add --skip-broken, which leaves out such files and names them.")
    answer = blemish("train", "severity", "--data", root, "--out", tmp_path / "b", *OPTIONS, "--skip-broken")
    assert answer.code == 0 and all(name in answer.err for name in ids.values())
    data = load_bundle(tmp_path / "b" / "bundle").manifest.data
    assert sorted(data["skipped"]) == sorted(ids.values())
    assert data["images"] == 24 - 3
    assert sorted(json.loads((tmp_path / "b" / "run.json").read_text())["skipped"]) == sorted(ids.values())
    # A run that goes on leaves out the same files, unasked.
    again = blemish("train", "--out", tmp_path / "b", "--resume")
    assert again.code == 0 and "3 files left out by --skip-broken" in again.err


def test_evaluation_and_decision_leave_out_broken_files(
    broken: tuple[Path, dict[str, str]], blemish: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    root, ids = broken
    for options, images, skipped in (((), 5, None), (("--skip-broken",), 4, sorted(ids.values()))):
        out = tmp_path / f"evaluation{len(options)}"
        assert blemish("evaluate", tiny_bundle, "--data", root, "--out", out, *options).code == 0
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["images"] == images
        assert (sorted(metrics["skipped"]) if "skipped" in metrics else None) == skipped
    assert ids["test"] in (tmp_path / "evaluation1" / "report.html").read_text()
    answer = blemish("decide", tiny_bundle, "--data", root, "--rule", "f1", "--skip-broken")
    assert answer.code == 0
    assert "3 broken files of" in (tiny_bundle / "decision.yaml").read_text()


def test_an_error_of_reading_names_the_option_and_the_number(
    blemish: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        builders.write_image(tmp_path / "data" / "images" / f"{name}.png")
    builders.mask(tmp_path / "data" / "masks" / "a.png", (2, 3, 9, 8))
    data = ("--data", tmp_path / "data")
    commands = (
        ("data", "split", tmp_path / "data", tmp_path / "s"),
        ("data", "convert", tmp_path / "data", tmp_path / "c", "--to", "coco"),
        ("train", "severity", *data, "--out", tmp_path / "r"),
        ("evaluate", tiny_bundle, *data, "--out", tmp_path / "e"),
        ("decide", tiny_bundle, *data, "--rule", "f1"),
        ("data", "agree", tmp_path / "data", tmp_path / "data"),
    )
    for command in commands:
        answer = blemish(*command)
        assert answer.code == 1, command
        assert answer.err.strip().endswith(
            "Or add --skip-broken, which leaves out 2 files and names them."
        ), command
        assert len(answer.err.strip().splitlines()) == 1, command


def test_an_error_that_skipping_does_not_mend_does_not_name_the_option(tmp_path: Path) -> None:
    builders.write_image(tmp_path / "a.png")
    with pytest.raises(BlemishError) as caught:
        open_dataset(tmp_path)
    assert "--skip-broken" not in str(caught.value)


def test_the_account_adds_up_and_the_masks_of_broken_images_are_no_loss_in_silence(tmp_path: Path) -> None:
    builders.pairs_layout(tmp_path)
    path = tmp_path / "image" / "a.jpg"
    path.write_bytes(path.read_bytes()[:100])
    dataset = open_dataset(tmp_path, skip_broken=True)
    assert [sample.id for sample in dataset] == ["image/b.jpg", "image/c.jpg"]
    account = dataset.account
    assert list(account.skipped) == list(dataset.skipped) == ["image/a.jpg"]
    assert list(account.left_out) == ["mask/a.png"]
    assert account.files == sum(file.is_file() for file in tmp_path.rglob("*"))
    assert account.annotations == 1 and len(account.dropped) == 1


def test_where_nothing_is_whole_the_first_fault_is_told(tmp_path: Path) -> None:
    builders.labels_layout(tmp_path, clean=1, bad=1)
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BlemishError, match=r"must be a whole image.*No image of .* is left without fault\."):
        open_dataset(tmp_path, skip_broken=True)
