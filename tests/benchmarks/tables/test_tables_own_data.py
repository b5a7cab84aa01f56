"""A table of one dataset filled with a dataset of the user's own, given as --data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tables.fill import fill_table
from benchmarks.tables.table import Table, open_table
from blemish.bundle.store import load_bundle
from blemish.dataset.layouts import load_dataset
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.progress import Reporter

TABLE: dict[str, Any] = {
    "title": "Own",
    "paper": "none",
    "dataset": "theirs",
    "method": "casae",
    "settings": {
        "preset": "tiny", "width": 1, "size": 32, "cascade": False, "steps": 2, "types": False,
        "device": "cpu", "precision": "fp32",
    },
    "rows": [
        {"name": "kittler", "kind": "kittler"},
        {"name": "fcn", "kind": "train", "settings": {"network": "fcn"}},
    ],
    "columns": [{"path": "pixel.iou", "heading": "IoU"}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the table `own`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    write()
    return tmp_path


def write(**changes: Any) -> None:
    Path("experiments").mkdir(exist_ok=True)
    Path("experiments/own.yaml").write_text(yaml.safe_dump({**TABLE, **changes}))


def pictures(place: Path, *, images: int = 12, with_splits: bool = False) -> Path:
    """Images with masks in two folders, without splits of their own unless asked for."""
    synthesise(place, surfaces=["concrete"], images=images, seed=0, size=(48, 48), defective_share=0.8)
    if not with_splits:
        for file in (place / "splits").glob("*.txt"):
            file.unlink()
    return place


def opened(data: Path) -> Table:
    return open_table("own", Path("out"), data=data, reporter=Reporter(quiet=True))


def test_a_folder_that_is_a_dataset_stands_in_for_the_tables(folder: Path) -> None:
    data = pictures(folder / "mine")
    assert not load_dataset(data).splits.get("test")
    table = fill_table("own", Path("out"), data=data, seeds=1, quiet=True)
    for name in ("kittler", "fcn-seed0"):
        stored = json.loads(Path(f"out/own/{name}.json").read_text())
        assert stored["dataset"] == {"folder": "mine"}
        assert stored["figures"]["images"] == round(0.3 * 12)
        assert 0 <= stored["figures"]["pixel"]["iou"] <= 1
    assert "mine" in load_bundle(Path("out/own/runs/fcn-seed0/bundle")).manifest.model_dump_json()
    assert table.is_file()
    fill_table("own", Path("out"), data=data, seeds=1, quiet=True)  # the same data are no other data


def test_its_own_splits_are_kept(folder: Path) -> None:
    data = pictures(folder / "mine", with_splits=True)
    splits = {sample.id: sample.split for sample in load_dataset(data)}
    assert "test" in splits.values()
    assert {sample.id: sample.split for sample in opened(data).dataset} == splits


def test_the_tables_own_dataset_goes_before(folder: Path) -> None:
    pictures(folder / "data" / "theirs", with_splits=True)
    pictures(folder / "data" / "others")
    for data in (folder / "data", folder / "data" / "theirs"):
        table = opened(data)
        assert table.source == "theirs"
        assert table.dataset.root == folder / "data" / "theirs"


def test_the_tables_own_dataset_is_split_where_it_has_no_test_images(folder: Path) -> None:
    """Else the fault would show after the training."""
    pictures(folder / "data" / "theirs")
    assert set(opened(folder / "data").dataset.splits) == {"train", "val", "test"}


def test_a_folder_of_several_datasets_is_none(folder: Path) -> None:
    """Where the table's one is missing it is not filled with the others."""
    for name in ("some", "others"):
        pictures(folder / "data" / name, images=4)
    with pytest.raises(BlemishError, match=r"theirs must be the dataset of table own\. Received: no such"):
        _ = opened(folder / "data").dataset


def test_a_folder_with_one_public_set_is_none(folder: Path) -> None:
    pictures(folder / "data" / "magnetic-tile", images=4)
    with pytest.raises(BlemishError, match=r"theirs must be the dataset of table own\. Received: no such"):
        _ = opened(folder / "data").dataset


def test_a_dataset_in_the_environment_alone_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is given with the command stands in for a table's data."""
    monkeypatch.setenv("BLEMISH_DATA", str(pictures(folder / "mine", images=4)))
    table = open_table("own", Path("out"), data=None, reporter=Reporter(quiet=True))
    with pytest.raises(BlemishError, match="theirs must be the dataset"):
        _ = table.dataset
