"""Contact sheets: every image once, the worst first, on pages that replace older ones; memory stays flat."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.images.overlay import INK, PAPER
from blemish.images.palette import VERDICT_COLOURS
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.pipeline import Answer
from blemish.regions.filled_boxes import defect_of_box
from blemish.workflows import contact_sheet as module
from blemish.workflows.contact_sheet import (
    GAP,
    PER_PAGE,
    SIDE,
    TEXT,
    TILE_HEIGHT,
    ContactSheet,
    small_picture,
)
from blemish.workflows.inspection_counts import InspectionCounts


def answer(number: int, verdict: Verdict, score: float, level: int) -> Answer:
    """An answer on an image of one gray level, by which its tile is known."""
    inspection = Inspection(f"{number}.png", (30, 40), verdict, score, (), "b")
    return Answer(str(number), inspection, np.full((30, 40), level, np.uint8))


def levels(sheet: np.ndarray) -> list[int]:
    """Gray level of each tile, in reading order."""
    tops = range(2 * GAP + TEXT, sheet.shape[0] - TILE_HEIGHT + 1, TILE_HEIGHT + GAP)
    lefts = range(GAP, sheet.shape[1] - SIDE + 1, SIDE + GAP)
    middles = [sheet[top + SIDE // 2, left + SIDE // 2] for top in tops for left in lefts]
    return [int(middle[0]) for middle in middles if tuple(middle) != PAPER]


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[:, :, ::-1]  # type: ignore[index]


def finish(sheet: ContactSheet, folder: Path, verdicts: dict[Verdict, int]) -> list[np.ndarray]:
    sheet.finish(folder / "inspections.jsonl", InspectionCounts(verdicts))
    assert not sheet.lack()
    return [read(path) for path in sorted(folder.glob("sheet*.png"))]


def test_the_worst_come_first(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path)
    given = [
        (Verdict.OK, 0.2, 100),
        (Verdict.NG, 0.6, 20),
        (Verdict.REVIEW, 0.5, 50),
        (Verdict.NG, 0.9, 10),
        (Verdict.OK, 0.1, 110),
        (Verdict.REVIEW, 0.55, 40),
    ]
    for number, (verdict, score, level) in enumerate(given):
        sheet.add(answer(number, verdict, score, level))
    sheet.add(Answer("bad", failed("bad.png", "truncated.", bundle="b"), None))
    (page,) = finish(sheet, tmp_path, {Verdict.NG: 2, Verdict.REVIEW: 2, Verdict.ERROR: 1, Verdict.OK: 2})
    assert np.abs(np.array(levels(page)) - [10, 20, 40, 50, 100, 110]).max() <= 1
    top, left = 2 * GAP + TEXT, GAP
    assert tuple(page[top, left + 50]) == VERDICT_COLOURS[Verdict.NG]
    fifth = page[top : top + TILE_HEIGHT, left + 4 * (SIDE + GAP) :][:, :SIDE]
    assert tuple(fifth[0, 50]) == VERDICT_COLOURS[Verdict.ERROR]
    assert (fifth[SIDE:] == INK).all(axis=2).any(), "its name and why it was not judged are written"


@pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
def test_of_many_images_the_worst_are_kept_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    drawn: list[int] = []
    picture = module.small_picture
    monkeypatch.setattr(
        module, "small_picture", lambda pixels, *rest: (drawn.append(1), picture(pixels, *rest))[1]
    )
    verdicts = [Verdict.NG] * 20 + [Verdict.REVIEW] * 20 + [Verdict.OK] * 160
    given = [(verdict, 1 - number / 200, number) for number, verdict in enumerate(verdicts)]
    if order == "rising":
        given.reverse()
    elif order == "mixed":
        random.Random(0).shuffle(given)
    sheet = ContactSheet(tmp_path, max_tiles=50)
    for number, (verdict, score, level) in enumerate(given):
        sheet.add(answer(number, verdict, score, level))
        assert len(sheet.kept) <= 50
    pages = finish(sheet, tmp_path, {Verdict.NG: 20, Verdict.REVIEW: 20, Verdict.OK: 160})
    assert [len(levels(page)) for page in pages] == [PER_PAGE, 50 - PER_PAGE]
    shown = np.array([level for page in pages for level in levels(page)])
    assert np.abs(shown - np.arange(50)).max() <= 1
    if order == "falling":
        assert len(drawn) == 50, "what is not kept is not drawn either"


def test_equal_images_are_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path, max_tiles=4)
    for number in range(8):
        sheet.add(answer(number, Verdict.OK, 0.5, 10 * number))
    (page,) = finish(sheet, tmp_path, {Verdict.OK: 8})
    assert np.abs(np.array(levels(page)) - [0, 10, 20, 30]).max() <= 1


def test_pages_of_an_earlier_inspection_go_and_files_of_others_stay(tmp_path: Path) -> None:
    for name in ("sheet.png", "sheet-01.png", "sheet-07.png", "sheet-metal.png", "sheet-1.jpg"):
        (tmp_path / name).write_bytes(b"old")
    sheet = ContactSheet(tmp_path)
    sheet.add(answer(0, Verdict.OK, 0.5, 10))
    sheet.finish(tmp_path / "inspections.jsonl", InspectionCounts({Verdict.OK: 1}))
    assert {path.name for path in tmp_path.iterdir()} == {"sheet.png", "sheet-metal.png", "sheet-1.jpg"}
    assert read(tmp_path / "sheet.png").shape[1] == 6 * (SIDE + GAP) + GAP


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path)
    (tmp_path / "sheet.png").mkdir()
    sheet.add(answer(0, Verdict.OK, 0.5, 10))
    sheet.finish(tmp_path / "inspections.jsonl", InspectionCounts({Verdict.OK: 1}))
    assert "sheet.png" in sheet.lack()


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (500, 20), (20, 5000), (3000, 4000)])
def test_a_small_picture_shows_the_whole_image_and_its_defects(size: tuple[int, int]) -> None:
    height, width = size
    defect = defect_of_box((width / 4, height / 4, width / 2, height / 2), "pit", 0.9)
    picture = small_picture(np.full(size, 200, np.uint8), [defect], ["pit"])
    assert picture.shape == (SIDE, SIDE, 3)
    rows, columns = np.nonzero((picture != PAPER).any(axis=2))
    shown = (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1)
    assert max(shown) == SIDE
    assert abs(shown[0] / shown[1] - height / width) <= max(height / width, 1) * 0.05 or min(shown) == 1
    assert (picture == VERDICT_COLOURS[Verdict.NG]).all(axis=2).sum() == 0
    if min(shown) >= 20:
        assert (picture == (230, 159, 0)).all(axis=2).any()
