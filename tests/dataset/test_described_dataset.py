"""A described dataset.yaml reads as the dataset that it describes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from blemish.dataset.describe import describe, write_description
from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import DatasetSettings
from blemish.dataset.splits.split import split_dataset, write_splits
from blemish.errors import BlemishError
from tests.dataset.builders import LAYOUT_BUILDERS, coco_layout, labels_layout, text, yolo_layout


def same(first: Dataset, second: Dataset) -> bool:
    """Whether all that a reader gives is the same: ids, images, marks, splits, groups and class order."""
    return (
        fingerprint(first) == fingerprint(second)
        and first.class_names == second.class_names
        and first.layout == second.layout
        and [sample.product for sample in first] == [sample.product for sample in second]
        and {k: first.info.get(k) for k in ("mm_per_px", "bits")}
        == {k: second.info.get(k) for k in ("mm_per_px", "bits")}
    )


@pytest.mark.parametrize("layout", LAYOUT_BUILDERS)
def test_it_reads_as_the_dataset_from_anywhere(layout: str, tmp_path: Path) -> None:
    root = LAYOUT_BUILDERS[layout](tmp_path / "data")
    dataset = load_dataset(root)
    elsewhere = tmp_path / "sub folder" / "any name.yml"
    assert same(dataset, load_dataset(write_description(dataset, elsewhere)))
    inside = load_dataset(write_description(dataset, root, force=True).parent)
    assert same(dataset, inside)
    assert describe(inside) == (root / "dataset.yaml").read_text(), "described again it is the same"


@pytest.mark.parametrize("layout", LAYOUT_BUILDERS)
def test_splits_and_settings_go_along(layout: str, tmp_path: Path) -> None:
    root = LAYOUT_BUILDERS[layout](tmp_path / "data")
    write_splits(split_dataset(load_dataset(root), test=0.5, val=0.0, seed=1), tmp_path / "splits")
    settings = tmp_path / "splits" / "dataset.yaml"
    settings.write_text(settings.read_text() + "mm_per_px: 0.25\nbits: 12\n")
    dataset = load_dataset(tmp_path / "splits")
    assert len(dataset.splits) > 1
    for out in (tmp_path / "other" / "dataset.yaml", settings):
        assert same(dataset, load_dataset(write_description(dataset, out, force=True)))


def test_lists_and_names_that_yaml_would_change_go_along(tmp_path: Path) -> None:
    root = labels_layout(tmp_path / "data")
    plain = load_dataset(root)
    images = [sample.id for sample in plain]
    settings = {
        "splits": {"train": images[1:], "test": images[:1]},
        "classes": {name: f"0 on: '{number}' # ß" for number, name in enumerate(plain.class_names)},
        "group": r"(\d)[^/]*$",
    }
    text(root / "dataset.yaml", yaml.safe_dump(settings))
    dataset = load_dataset(root)
    assert all(name.endswith("# ß") for name in dataset.class_names)
    assert dataset.splits == {"train": len(images) - 1, "test": 1}
    assert same(dataset, load_dataset(write_description(dataset, tmp_path / "o" / "dataset.yaml")))


def test_every_key_is_told_and_only_what_holds_is_active(tmp_path: Path) -> None:
    content = describe(load_dataset(coco_layout(tmp_path / "data")))
    active = set(yaml.safe_load(content))
    assert active == {"layout", "classes"}
    for name in set(DatasetSettings.model_fields) - active:
        assert f"\n# {name}:" in content, name
    by_hand = content.replace("# mm_per_px: 0.05", "mm_per_px: 0.05").replace("# bits: 12", "bits: 12")
    assert load_dataset(text(tmp_path / "data" / "dataset.yaml", by_hand)).info["mm_per_px"] == 0.05


def test_a_file_is_replaced_on_request_alone(tmp_path: Path) -> None:
    root = coco_layout(tmp_path / "data")
    dataset = load_dataset(root)
    file = text(root / "dataset.yaml", "mm_per_px: 2\n")
    with pytest.raises(BlemishError, match=r"exists and is not overwritten\. Add --force"):
        write_description(dataset, root)
    assert file.read_text() == "mm_per_px: 2\n"
    write_description(load_dataset(root), root, force=True)
    assert yaml.safe_load(file.read_text())["mm_per_px"] == 2
    with pytest.raises(BlemishError, match=r"--out must be a \.yaml file, or a folder"):
        write_description(dataset, tmp_path / "notes.txt")


def test_a_file_of_another_tool_is_never_replaced(tmp_path: Path) -> None:
    root = yolo_layout(tmp_path / "data")
    file = (root / "data.yaml").rename(root / "dataset.yaml")
    own = file.read_text()
    with pytest.raises(BlemishError, match=r"must be a dataset\.yaml of blemish to be replaced"):
        write_description(load_dataset(root), root, force=True)
    assert file.read_text() == own
