"""Folders without defects, and images that nobody annotated: what is a dataset, and what says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from blemish.cli.texts import uses
from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import check_dataset
from blemish.errors import BlemishError
from blemish.methods import method_names
from tests.dataset.builders import mask, masks_layout, text, write_image


def images(root: Path, *names: str) -> Path:
    for name in names:
        write_image(root / name)
    return root


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("", ("good/a.png", "good/b.png")),
        ("", ("train/ok/a.png", "val/ok/b.png")),
        ("", ("lot1/good/a.png", "lot2/i.O./b.png")),
        ("parts/good", ("a.png", "b.png")),
        ("parts/OK_images", ("images/a.png", "images/b.png")),
        ("parts/good", ("lot1/a.png", "lot2/b.png")),
    ],
)
def test_good_images_alone_are_a_dataset(tmp_path: Path, folder: str, names: tuple[str, ...]) -> None:
    dataset = load_dataset(images(tmp_path / folder, *names))
    assert dataset.layout == "labels" and len(dataset) == 2
    assert not any(sample.is_defective for sample in dataset)
    assert "means clean" in dataset.reason


@pytest.mark.parametrize(
    ("folder", "names"),
    [("parts", ("a.png",)), ("0", ("a.png",)), ("parts/good", ("dent/a.png", "scratch/b.png"))],
)
def test_a_folder_that_does_not_say_good_is_none(tmp_path: Path, folder: str, names: tuple[str, ...]) -> None:
    with pytest.raises(BlemishError, match="must have a known layout"):
        load_dataset(images(tmp_path / folder, *names))


def test_the_check_says_what_good_images_suffice_for(tmp_path: Path) -> None:
    report = check_dataset(load_dataset(images(tmp_path, "good/a.png", "good/b.png")))
    assert report.usable
    assert not any("no annotation at all" in problem.message for problem in report.problems)
    line = uses(report)
    assert "`decide --overkill`" in line and "training of memory (" in line
    assert all(name in line for name in method_names())


def test_loose_images_are_clean_where_the_settings_say_so(tmp_path: Path) -> None:
    images(tmp_path, "train/a.png", "test/b.png")
    with pytest.raises(BlemishError, match=r"Where all are, put 'unlabelled: clean' into dataset\.yaml"):
        load_dataset(tmp_path)
    text(tmp_path / "dataset.yaml", "unlabelled: clean\n")
    dataset = load_dataset(tmp_path)
    assert (dataset.layout, dataset.splits) == ("labels", {"test": 1, "train": 1})
    assert any("taken as clean without an annotation" in line for line in dataset.account.warnings)


@pytest.mark.parametrize("name", ["unknown.json", "via3.json", "labels.xlsx", "train.tfrecord"])
def test_label_files_that_nobody_reads_are_no_word_for_clean(tmp_path: Path, name: str) -> None:
    images(tmp_path, "a.png")
    text(tmp_path / name, '{"project": {}, "file": {}, "metadata": {}}')
    text(tmp_path / "dataset.yaml", "unlabelled: clean\n")
    with pytest.raises(BlemishError, match="must have a known layout"):
        load_dataset(tmp_path)


def test_an_archive_beside_them_does_not_matter(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    text(tmp_path / "old.zip", "x")
    text(tmp_path / "dataset.yaml", "unlabelled: clean\n")
    assert len(load_dataset(tmp_path)) == 1


@pytest.mark.parametrize(("rule", "ids"), [("clean", "abc"), ("leave-out", "a")])
def test_masks_for_some_images_by_the_rule(tmp_path: Path, rule: str, ids: str) -> None:
    images(tmp_path, "images/a.png", "images/b.png", "more/c.png")
    mask(tmp_path / "masks" / "a.png", (2, 3, 9, 8))
    with pytest.raises(
        BlemishError, match=r"b\.png must have a mask.*put 'unlabelled: clean' \(or 'leave-out'\)"
    ):
        load_dataset(tmp_path)
    text(tmp_path / "dataset.yaml", f"unlabelled: {rule}\n")
    dataset = load_dataset(tmp_path)
    assert "".join(sorted(Path(sample.id).stem for sample in dataset)) == ids
    assert [Path(s.id).stem for s in dataset if s.is_defective] == ["a"]


def test_a_mask_of_another_name_is_no_clean_image(tmp_path: Path) -> None:
    images(tmp_path, "images/a.png", "images/b.png")
    for name in ("a", "bb"):
        mask(tmp_path / "masks" / f"{name}.png", (2, 3, 9, 8))
    text(tmp_path / "dataset.yaml", "unlabelled: clean\n")
    with pytest.raises(BlemishError, match=r"every mask must have an image of its name.*masks/bb\.png"):
        load_dataset(tmp_path)


def test_a_folder_of_good_images_beside_pairs_needs_no_masks(tmp_path: Path) -> None:
    images(tmp_path, "images/a.png", "good/g.png")
    mask(tmp_path / "masks" / "a.png", (2, 3, 9, 8))
    dataset = load_dataset(tmp_path)
    assert {s.id: s.is_defective for s in dataset} == {"images/a.png": True, "good/g.png": False}


def test_class_folders_follow_the_rule_too(tmp_path: Path) -> None:
    root = masks_layout(tmp_path)
    (root / "MT_Hole" / "Imgs" / "c.png").unlink()
    with pytest.raises(BlemishError, match=r"c\.jpg must have a mask beside it.*'unlabelled: clean'"):
        load_dataset(root)
    text(root / "dataset.yaml", "unlabelled: clean\n")
    assert not {s.id: s for s in load_dataset(root)}["MT_Hole/Imgs/c.jpg"].is_defective


@pytest.mark.parametrize(
    ("entries", "clean"),
    [
        ("['ok_*']", {"ok_front", "ok_back"}),
        ("[OK FRONT]", {"ok_front"}),
        ("[ok_front/]", {"ok_front"}),
        ("[ok_front, intact]", {"ok_front"}),
        ("['*/fine', ok_back]", {"fine", "ok_back"}),
        ("[lot1/fine, lot2/fine]", {"fine"}),
        ("[]", set()),
    ],
)
def test_clean_folders_by_name_pattern_and_path(tmp_path: Path, entries: str, clean: set[str]) -> None:
    images(tmp_path, "ok_front/a.png", "ok_back/b.png", "nok/c.png", "lot1/fine/d.png", "lot2/fine/e.png")
    text(tmp_path / "dataset.yaml", f"clean: {entries}\n")
    found = {Path(s.id).parent.name for s in load_dataset(tmp_path) if not s.is_defective}
    assert found == clean


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("ok_frnt", r"Received: 'ok_frnt'\. Did you mean 'ok_front'\?"),
        ("xyz", r"Received: 'xyz'\. Use one of lot1, fine, lot2, nok, ok_back, ok_front"),
        ("lot1/fin", r"Received: 'lot1/fin'\. Did you mean 'lot1/fine'\?"),
        ("lot1/fine", r"Received: 'lot1/fine', but 'lot2/fine' has that name too"),
    ],
)
def test_wrong_entries_of_clean_are_named(tmp_path: Path, entry: str, message: str) -> None:
    images(tmp_path, "ok_front/a.png", "ok_back/b.png", "nok/c.png", "lot1/fine/d.png", "lot2/fine/e.png")
    text(tmp_path / "dataset.yaml", f"clean: [{entry}]\n")
    with pytest.raises(BlemishError, match=f"dataset.yaml: 'clean' must .*{message}"):
        load_dataset(tmp_path)


def test_a_class_folder_is_clean_under_its_whole_name(tmp_path: Path) -> None:
    root = masks_layout(tmp_path)
    (root / "MT_Free").rename(root / "MT_Plain")
    text(root / "dataset.yaml", "clean: [MT_Plain]\n")
    dataset = load_dataset(root)
    assert dataset.class_names == ("Crack", "Hole")
    assert not {s.id: s for s in dataset}["MT_Plain/Imgs/d.jpg"].is_defective


def test_folders_that_may_be_clean_are_proposed(tmp_path: Path) -> None:
    images(tmp_path, "ok_front/a.png", "nok_front/b.png")
    with pytest.raises(BlemishError, match=r"put 'clean: \[ok_front\]' into dataset\.yaml, or 'clean: \[\]'"):
        load_dataset(tmp_path)
