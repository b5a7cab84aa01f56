"""Names of folders that mean clean: closed lists, and a setting where a name may mean it."""

from __future__ import annotations

from pathlib import Path

import pytest

from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from tests.dataset import builders


def kinds(root: Path, *folders: str) -> Path:
    for folder in folders:
        builders.write_image(root / folder / "a.png")
    return root


@pytest.mark.parametrize(
    ("clean", "defective"),
    [
        ("good", "bad"),
        ("OK", "NG"),
        ("i.O", "n.i.O"),
        ("iO", "niO"),
        ("i.O.", "n.i.O."),
        ("gut", "schlecht"),
        ("pass", "fail"),
        ("Normal", "Abnormal"),
        ("good", "not_good"),
        ("ok", "not ok"),
        ("defect_free", "defective"),
        ("non_defective", "defective"),
        ("Non-Defective", "Defective"),
        ("no_defect", "defect"),
        ("undamaged", "defects"),
        ("0", "1"),
        ("good/images", "bad/images"),
        ("good/lot1", "bad"),
    ],
)
def test_known_pairs_of_names(tmp_path: Path, clean: str, defective: str) -> None:
    dataset = load_dataset(kinds(tmp_path, clean, defective))
    assert [s.id.rpartition("/")[0] for s in dataset if not s.is_defective] == [clean]
    assert dataset.class_names == ("defect",)


def test_folders_of_kinds_are_classes(tmp_path: Path) -> None:
    dataset = load_dataset(kinds(tmp_path, "good", "scratch", "bad/dent", "uneven", "normalised"))
    assert dataset.class_names == ("dent", "normalised", "scratch", "uneven")


@pytest.mark.parametrize(("folder", "said"), [("goood", True), ("good", False), ("0", False)])
def test_a_dataset_without_a_clean_folder_is_told_of(tmp_path: Path, folder: str, *, said: bool) -> None:
    warnings = load_dataset(kinds(tmp_path, "bad", "dent", folder)).account.warnings
    assert any("(bad, dent, goood): none means clean; 'clean:'" in line for line in warnings) == said


def test_folders_of_which_none_is_known_are_named(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"folders def_front, ok_front is known as clean: put 'clean:"):
        load_dataset(kinds(tmp_path, "train/ok_front", "train/def_front"))
    builders.text(tmp_path / "dataset.yaml", "clean: [ok_front]\n")
    assert sum(not sample.is_defective for sample in load_dataset(tmp_path)) == 1


def test_unknown_names_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match="must have a known layout"):
        load_dataset(kinds(tmp_path, "lot1", "lot2"))


@pytest.mark.parametrize(
    ("folders", "doubtful"),
    [
        (("good", "crack", "no_crack"), "no_crack"),
        (("bad", "not_bad"), "not_bad"),
        (("scratch", "unscratched", "ok", "scratched"), "unscratched"),
        (("defect", "crackfree"), "crackfree"),
        (("NG", "ohne_NG"), "ohne_NG"),
        (("good", "bad", "good_lot1"), "good_lot1"),
        (("normal", "abnormal", "normal_test"), "normal_test"),
        (("bad", "ok front"), "ok front"),
        (("NG", "weld-OK-2"), "weld-OK-2"),
    ],
)
def test_a_negation_that_is_not_known_is_asked_about(
    tmp_path: Path, folders: tuple[str, ...], doubtful: str
) -> None:
    kinds(tmp_path, *folders)
    with pytest.raises(BlemishError, match=f"the folder '{doubtful}' must be known as clean or as a class"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "dataset.yaml", f"clean: [{doubtful}, good]\n")
    clean = {s.id.partition("/")[0] for s in load_dataset(tmp_path) if not s.is_defective}
    assert clean == {doubtful, "good"} & {*folders}


def test_clean_alone_tells_the_layout(tmp_path: Path) -> None:
    kinds(tmp_path, "Negative", "Positive")
    builders.text(tmp_path / "dataset.yaml", "clean: [negative]\n")
    dataset = load_dataset(tmp_path)
    assert (dataset.layout, dataset.class_counts) == ("labels", {"Positive": 1})


def test_numbers_beyond_one_are_asked_about(tmp_path: Path) -> None:
    kinds(tmp_path, "0", "1", "2")
    with pytest.raises(BlemishError, match="the folder '0' must be known as clean or as a class"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "dataset.yaml", "clean: []\n")
    assert all(sample.is_defective for sample in load_dataset(tmp_path))
    builders.text(tmp_path / "dataset.yaml", "clean: [0]\n")
    assert [s.id for s in load_dataset(tmp_path) if not s.is_defective] == ["0/a.png"]
