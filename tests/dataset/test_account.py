"""The account of a dataset's reading: it adds up, and names what found no use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from blemish.dataset.account import Account, number
from blemish.dataset.layouts import load_dataset
from tests.dataset import builders, mask_builders, tool_builders

LAYOUTS = {**builders.LAYOUT_BUILDERS, **tool_builders.LAYOUT_BUILDERS, "visa": mask_builders.visa}


@pytest.mark.parametrize("build", LAYOUTS.values(), ids=LAYOUTS)
def test_every_file_of_a_whole_tree_is_used(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    root = build(tmp_path / "set")
    (root / "README.md").write_text("About this set.")
    dataset = load_dataset(root)
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert dataset.account.used == files - {"README.md"}
    assert dataset.account.notes == ("README.md",)
    assert dataset.account.annotations == sum(len(sample.annotations) for sample in dataset)
    account = dataset.account
    assert (account.left_out, account.skipped, account.dropped) == ({}, {}, {})
    assert all("taken as clean" in warning for warning in account.warnings)


def test_a_link_to_a_folder_that_is_read_already_is_named(tmp_path: Path) -> None:
    root = builders.labels_layout(tmp_path)
    whole = load_dataset(root)
    (root / "z-loop").symlink_to(root)
    (root / "z-more").symlink_to(root / "good")
    dataset = load_dataset(root)
    reason = "a link to a folder that is read already"
    assert [sample.id for sample in dataset] == [sample.id for sample in whole]
    assert dataset.account.left_out == {"z-loop": reason, "z-more": reason}


def test_what_no_reader_claims_is_named_with_number_and_examples(tmp_path: Path) -> None:
    root = builders.coco_layout(tmp_path)
    for name in ("u", "v", "w", "x"):
        builders.write_image(root / "more" / f"{name}.png")
    (root / "more" / "old.xml").write_text("<a/>")
    account = load_dataset(root).account
    assert account.files == sum(1 for path in root.rglob("*") if path.is_file())
    assert set(account.left_out) == {f"more/{name}.png" for name in "uvwx"} | {"more/old.xml"}
    assert set(account.warnings) == {
        "1 file is left out (more/old.xml): no label file that this layout knows.",
        "4 files are left out (more/u.png, more/v.png, more/w.png and 1 more): no annotation that was "
        "read names it, so it is neither clean nor defective.",
    }


def test_the_line_and_the_json_hold_the_same_numbers() -> None:
    account = Account(
        used=frozenset("abc"),
        left_out={"d": "no label"},
        skipped={"e": "broken"},
        notes=("f",),
        annotations=4,
        dropped={"a.xml object 2": "no area"},
        remarks=("a.xml is strange.",),
    )
    assert account.line() == "3 of 6 files used (2 left out, 1 note); 4 of 5 annotations used"
    assert account.warnings == (
        "1 file is left out (d): no label.",
        "1 annotation is left out (a.xml object 2): no area.",
        "a.xml is strange.",
    )
    stored = json.loads(json.dumps(account.to_json()))
    assert (stored["files"], stored["used"], stored["skipped"]) == (6, 3, {"e": "broken"})


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "entry", "1 entry"),
        (2, "entry", "2 entries"),
        (2, "key", "2 keys"),
        (0, "class", "0 classes"),
        (3, "box", "3 boxes"),
        (2, "XML file", "2 XML files"),
    ],
)
def test_nouns_stand_in_the_right_number(count: int, noun: str, text: str) -> None:
    assert number(count, noun) == text


@pytest.mark.parametrize(
    ("own", "given", "told"),
    [
        ("layout: coco\n", "layout: coco\nroot: ../set\n", False),
        ("layout: coco\nbits: 12\n", "bits: 12\nlayout: coco\nroot: ../set\n", False),
        ("layout: coco\nbits: 12\n", "layout: coco\nroot: ../set\n", True),
        ("- [", "layout: coco\nroot: ../set\n", True),
    ],
)
def test_settings_of_the_images_that_do_not_apply_are_told_where_they_say_something_else(
    tmp_path: Path, own: str, given: str, told: bool
) -> None:
    root = builders.coco_layout(tmp_path / "set")
    (root / "dataset.yaml").write_text(own)
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "dataset.yaml").write_text(given)
    warnings = load_dataset(tmp_path / "split").account.warnings
    assert [("settings that do not apply" in warning) for warning in warnings] == [True] * told
