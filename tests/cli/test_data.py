"""`blemish data check`: what it lists, what it says the data is good for, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Command = Callable[..., Any]


def draw(path: Path) -> Path:
    """A picture of its own for every path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(str(path).encode())).integers(0, 200, (20, 30), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


def masks_dataset(root: Path, *, images: int) -> Path:
    for number in range(images):
        draw(root / "MT_Crack" / f"{number}.jpg")
        cv2.imwrite(str(root / "MT_Crack" / f"{number}.png"), np.eye(20, 30, dtype=np.uint8) * 255)
    draw(root / "MT_Free" / "good.jpg")
    return root


def test_every_missing_mask_is_listed(blemish: Command, tmp_path: Path) -> None:
    root = masks_dataset(tmp_path, images=4)
    for number in (0, 2):
        (root / "MT_Crack" / f"{number}.png").unlink()
    answer = blemish("data", "check", root)
    assert answer.code == 1
    assert "0.jpg must have a mask beside it" in answer.out
    assert "2.jpg must have a mask beside it" in answer.out
    assert answer.out.count("error: ") == 2
    assert "cannot be used as it is: 2 errors, listed above." in answer.err
    skipping = blemish("data", "check", root, "--skip-broken")
    assert skipping.code == 0
    assert skipping.out.count("warning: left out: ") == 2


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (
            ("bad/a.png", "bad/b.png", "good/c.png"),
            "usable for: image verdicts (labels, boxes or outlines on 2 of 2",
        ),
        (
            ("good/a.png", "ok/b.png"),
            "usable for: good images alone: `evaluate` and `decide --overkill` with a bundle",
        ),
    ],
)
def test_labels_alone_cannot_train_severity(
    blemish: Command, tmp_path: Path, names: tuple[str, ...], line: str
) -> None:
    for name in names:
        draw(tmp_path / name)
    out = blemish("data", "check", tmp_path).out
    assert line in out
    if "verdicts" in line:
        assert (
            "not for severity and segmentation (no outlines); not for detection (no boxes or outlines)" in out
        )


def test_boxes_train_detection_and_outlines_train_all(blemish: Command, tmp_path: Path) -> None:
    draw(tmp_path / "yolo" / "images" / "a.png")
    (tmp_path / "yolo" / "labels").mkdir()
    (tmp_path / "yolo" / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    (tmp_path / "yolo" / "data.yaml").write_text("names: [dent]\n")
    boxes = blemish("data", "check", tmp_path / "yolo").out
    assert "usable for: detection (boxes or outlines on 1 of 1 defective images), image verdicts (" in boxes
    assert "not for severity and segmentation (no outlines)\n" in boxes
    outlines = blemish("data", "check", masks_dataset(tmp_path / "masks", images=3)).out
    assert (
        "usable for: severity and segmentation (outlines on 3 of 3 defective images), detection (" in outlines
    )
    assert "not for" not in outlines


@pytest.mark.parametrize("missing", ["good", "bad"])
def test_a_product_of_one_kind_cannot_be_used(blemish: Command, tmp_path: Path, missing: str) -> None:
    for folder in ("cap/good", "cap/bad", "lid/good", "lid/bad"):
        draw(tmp_path / folder / "x.png")
    assert blemish("data", "check", tmp_path).code == 0
    (tmp_path / "lid" / missing / "x.png").unlink()
    draw(tmp_path / "lid" / {"bad": "ok", "good": "ng"}[missing] / "y.png")
    answer = blemish("data", "check", tmp_path, "--json", tmp_path / "check.json")
    assert answer.code == 1
    assert "error: " in answer.out and "product 'lid' must have normal and defective images" in answer.out
    assert json.loads((tmp_path / "check.json").read_text())["usable"] is False


def test_agree_prints_kappa_and_where_to_look(blemish: Command, tmp_path: Path) -> None:
    for name in ("a/good/1.png", "a/good/2.png", "a/bad/3.png", "a/bad/4.png"):
        draw(tmp_path / name)
    for name in ("good/1.png", "bad/2.png", "bad/3.png", "bad/4.png"):
        source = next((tmp_path / "a").rglob(Path(name).name))
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / name).write_bytes(source.read_bytes())
    answer = blemish("data", "agree", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "good or defective: same answer on 3 of 4 (at least 24.9%); kappa 0.50" in answer.out
    assert answer.out.startswith("a and b: 4 images\n") and "\nclasses: same answer on 3 of 4" in answer.out
    assert "differ on good/2.png. a: clean; b: defect." in answer.out
    assert answer.out.endswith(f"{tmp_path / 'out' / 'report.html'}\n")
    alone = blemish("data", "agree", tmp_path / "a")
    assert alone.code == 2 and "agree takes two or three label sets. Received: 1." in alone.err


def test_a_thousand_broken_files_do_not_flood(blemish: Command, tmp_path: Path) -> None:
    root = masks_dataset(tmp_path / "data", images=30)
    for number in range(7):
        (root / "MT_Crack" / f"{number}.png").unlink()
    answer = blemish("data", "check", root, "--json", tmp_path / "check.json")
    assert answer.out.count("must have a mask beside it") == 5
    assert "error: and 2 more of this kind (left-out); --json FILE lists all" in answer.out
    assert "7 errors, listed above" in answer.err
    listed = json.loads((tmp_path / "check.json").read_text())["problems"]
    assert sum("must have a mask beside it" in problem["message"] for problem in listed) == 7


def test_convert_prints_its_account_and_what_is_lost(blemish: Command, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "images" / "a.png")
    draw(tmp_path / "in" / "images" / "b.png")
    lines = {"a": "0 0.5 0.5 0.2 0.4\n0 0.5 0.5 0.2 0\n", "b": "0 0.9 0.5 0.4 0.4\n"}
    for name, text in lines.items():
        (tmp_path / "in" / "labels").mkdir(exist_ok=True)
        (tmp_path / "in" / "labels" / f"{name}.txt").write_text(text)
    (tmp_path / "in" / "data.yaml").write_text("names: [dent]\n")
    refused = blemish("data", "convert", tmp_path / "in", tmp_path / "out", "--to", "coco")
    assert refused.code == 1 and not (tmp_path / "out").exists()
    strict = blemish(
        "data", "convert", tmp_path / "in", tmp_path / "out", "--to", "coco", "--skip-broken", "--strict"
    )
    assert strict.code == 1 and "with --strict" in strict.err and not (tmp_path / "out").exists()
    answer = blemish("data", "convert", tmp_path / "in", tmp_path / "out", "--to", "coco", "--skip-broken")
    assert answer.code == 0, answer.err
    assert "account: 1 of 2 images and 1 of 1 annotation written\n" in answer.out
    assert "warning: 1 image is left out (images/a.png): " in answer.out and ".." not in answer.out
    assert "warning: boxes cut to the image: 1 annotation\n" in answer.out
    assert blemish("data", "check", tmp_path / "out").code == 0


def test_check_counts_groups(blemish: Command, tmp_path: Path) -> None:
    for name in ("good/lot1_a.png", "good/lot1_b.png", "bad/lot1_c.png", "bad/lot2_d.png"):
        draw(tmp_path / name)
    (tmp_path / "dataset.yaml").write_text('group: "(lot[0-9])_"\n')
    assert "groups: 2, of 1 to 3 images: lot2 (1), lot1 (3)\n" in blemish("data", "check", tmp_path).out


def test_a_split_by_similarity_still_goes_by_its_former_name(blemish: Command, tmp_path: Path) -> None:
    root = masks_dataset(tmp_path / "data", images=6)
    for by in ("similarity", "looks"):
        assert blemish("data", "split", root, tmp_path / by, "--by", by).code == 0
    lists = [
        {file.name: file.read_text() for file in (tmp_path / by / "splits").iterdir()}
        for by in ("similarity", "looks")
    ]
    assert lists[0] == lists[1]
    page = blemish("data", "split", "--help").out
    assert "similarity" in page and "looks" not in page


def test_folds_are_splits_of_their_own_and_refuse_what_they_set_aside(
    blemish: Command, tmp_path: Path
) -> None:
    from blemish.dataset.layouts import load_dataset

    root, out = masks_dataset(tmp_path / "data", images=8), tmp_path / "folds"
    answer = blemish("data", "split", root, out, "--folds", 3, "--by", "similarity", "--seed", 2)
    assert answer.code == 0 and f"{out / 'fold-3'}:" in answer.out
    tested = [(out / f"fold-{k}" / "splits" / "test.txt").read_text().splitlines() for k in (1, 2, 3)]
    assert sorted(name for names in tested for name in names) == sorted(
        sample.id for sample in load_dataset(root)
    )
    for option, value in (("--test", 0.3), ("--shots", 2)):
        refused = blemish("data", "split", root, tmp_path / "no", "--folds", 3, option, value)
        assert refused.code == 2 and f"--folds is given without {option}" in refused.err
        assert not (tmp_path / "no").exists()


def test_layouts_are_listed_in_a_line_each(blemish: Command) -> None:
    from blemish.dataset.layouts import LAYOUTS

    answer = blemish("data", "layouts")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[: len(LAYOUTS)]] == list(LAYOUTS)
    assert all(20 < len(line) <= 110 for line in lines[:-1])
    assert "Named, with what to export instead: " in answer.out and "HALCON" in answer.out


def test_strict_makes_a_warning_an_error(blemish: Command, tmp_path: Path) -> None:
    root = masks_dataset(tmp_path / "set", images=4)
    (root / "unknown.xml").write_text("<a/>")
    answer = blemish("data", "check", root)
    assert answer.code == 0
    assert "account: 9 of 10 files used (1 left out); 4 of 4 annotations used" in answer.out
    assert "warning: 1 file is left out (unknown.xml): no label file that this layout knows." in answer.out
    strict = blemish("data", "check", root, "--strict")
    assert (strict.code, strict.out) == (1, answer.out)
    assert "must give no warning with --strict" in strict.err
