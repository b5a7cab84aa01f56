"""Files of an inspection: whole lines whatever happens, a summary that adds up, overlays with fit names."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.dataset.layouts.identity import folded
from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.found_files import DRAFT, RECORD, SUMMARY, LeftOut, Why
from blemish.inspector.pipeline import Answer, Answers
from blemish.workflows import inspection_writer as module
from blemish.workflows.contact_sheet import ContactSheet
from blemish.workflows.inspection_counts import InspectionCounts
from blemish.workflows.inspection_tables import Tables
from blemish.workflows.inspection_writer import Output, write_answers
from blemish.workflows.overlays import Overlays


def answer(name: str, verdict: Verdict = Verdict.OK) -> Answer:
    return Answer(name, Inspection(name, (2, 2), verdict, 0.0, (), "bundle"), np.zeros((2, 2), np.uint8))


def answers(*names: str) -> Iterator[Answer]:
    yield from map(answer, names)


def written(coming: Iterator[Answer], out: Path, overlays: Overlays | None = None) -> list[str]:
    file, _ = write_answers(Answers(coming, drain=lambda: iter(())), out, [overlays] if overlays else [])
    return names_in(file)


def names_in(file: Path) -> list[str]:
    return [json.loads(line)["image"] for line in file.read_text().splitlines()]


def test_the_next_inspection_may_write_there(tmp_path: Path) -> None:
    written(answers("a.png"), tmp_path)
    assert written(answers("b.png"), tmp_path) == ["b.png"]
    assert {path.name for path in tmp_path.iterdir()} == {RECORD, SUMMARY}


def test_lines_of_a_killed_inspection_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    (tmp_path / DRAFT).write_text('{"image": "torn' * 100)
    assert written(answers("a.png"), tmp_path) == ["a.png"]


class StoppedInALine(FileIO):
    """A file whose writing Ctrl-C cuts off once, in the middle of the second line."""

    number = 0

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        self.number += 1
        if self.number == 2:
            super().write(data[: len(data) // 2])
            raise KeyboardInterrupt
        return super().write(data)


@pytest.mark.parametrize("cut", [True, False])
def test_a_stop_leaves_whole_lines_each_once_and_what_was_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    def coming() -> Iterator[Answer]:
        yield from answers("a.png", "b.png")
        raise KeyboardInterrupt

    if cut:
        monkeypatch.setattr(module, "opened", lambda draft, *_: StoppedInALine(str(draft), "wb"))
    ready = Answers(coming(), drain=lambda: iter([answer("c.png", Verdict.NG)]))
    with pytest.raises(KeyboardInterrupt) as stop:
        write_answers(ready, tmp_path)
    (note,) = stop.value.__notes__
    assert note.startswith(f"3 images were judged; {tmp_path / RECORD} and ")
    assert names_in(tmp_path / RECORD) == ["a.png", "b.png", "c.png"]
    summary = json.loads((tmp_path / SUMMARY).read_text())
    assert (summary["complete"], summary["images"]) == (False, 3)
    assert summary["verdicts"] == {"OK": 2, "NG": 1, "REVIEW": 0, "ERROR": 0}


def test_a_stop_before_the_first_answer_says_so_and_leaves_what_was_there(tmp_path: Path) -> None:
    written(answers("a.png"), tmp_path)

    def coming() -> Iterator[Answer]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt) as stop:
        write_answers(Answers(coming(), drain=lambda: iter(())), tmp_path)
    assert stop.value.__notes__ == ["No image was judged, and nothing was written."]
    assert names_in(tmp_path / RECORD) == ["a.png"]


def test_outputs_are_made_of_what_was_judged_before_a_stop(tmp_path: Path) -> None:
    def coming() -> Iterator[Answer]:
        yield from answers("a.png", "b.png")
        raise KeyboardInterrupt

    outputs = [Overlays(tmp_path / "overlays", None), ContactSheet(tmp_path), Tables(tmp_path)]
    ready = Answers(coming(), drain=lambda: iter([answer("c.png", Verdict.NG)]))
    with pytest.raises(KeyboardInterrupt):
        write_answers(ready, tmp_path, outputs)
    assert len(list((tmp_path / "overlays").iterdir())) == 3
    assert len(outputs[1].kept) == 3 and (tmp_path / "sheet.png").exists()  # type: ignore[attr-defined]
    table = (tmp_path / "inspections.csv").read_text(encoding="utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ['"a.png"', '"b.png"', '"c.png"']


def test_a_live_source_without_an_image_replaces_what_was_there(tmp_path: Path) -> None:
    def outputs() -> list[Output]:
        return [ContactSheet(tmp_path), Tables(tmp_path)]

    for names in (["a.png"], []):
        coming = Answers(answers(*names), drain=lambda: iter(()))
        write_answers(coming, tmp_path, outputs(), endless=True)
    assert names_in(tmp_path / RECORD) == [] and not (tmp_path / "sheet.png").exists()
    table = (tmp_path / "inspections.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(table) == 1


def test_a_line_that_is_taken_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Narrow(FileIO):
        def write(self, data: memoryview) -> int:  # type: ignore[override]
            return super().write(data[:7])

    monkeypatch.setattr(module, "opened", lambda draft, *_: Narrow(str(draft), "wb"))
    assert written(answers("a.png", "b.png"), tmp_path) == ["a.png", "b.png"]


def test_an_error_of_the_list_keeps_what_was_judged_and_an_earlier_file_stays_without_any(
    tmp_path: Path,
) -> None:
    def damaged(*names: str) -> Iterator[Answer]:
        yield from answers(*names)
        raise BlemishError("no list")

    for names, expected in ((["a.png"], ["a.png"]), ([], ["a.png"]), (["b.png"], ["b.png"])):
        with pytest.raises(BlemishError, match="no list"):
            written(damaged(*names), tmp_path)
        assert names_in(tmp_path / RECORD) == expected
    assert not (tmp_path / DRAFT).exists()


def test_the_counts_of_the_summary_add_up(tmp_path: Path) -> None:
    left = (LeftOut("x.heic", Why.UNREAD), LeftOut(".hidden", Why.HIDDEN), LeftOut("a_mask.png", Why.MASK))
    given = [answer("a.png"), answer("b.png", Verdict.NG), answer("c.png", Verdict.NG)]
    given.append(Answer("d.png", failed("d.png", "no image", bundle="bundle"), None))
    file, counts = write_answers(
        Answers(iter(given), drain=answers), tmp_path, (), lambda verdicts: InspectionCounts(verdicts, left)
    )
    assert (counts.found, counts.images, counts.judged, counts.errors) == (7, 4, 3, 1)
    assert counts.not_judged == 2
    reasons = "images or videos of a type that is not read: 1; hidden: 1; masks or references of a dataset: 1"
    assert (
        counts.line() == f"4 images found: 1 OK, 2 NG, 0 REVIEW, 1 ERROR; no defects; 3 left out ({reasons})"
    )
    lack = counts.lack(file)
    assert f"1 image could not be judged; {file} says why, as 'error'." in lack
    assert "1 left out, images or videos of a type that is not read: x.heic. Save them as PNG" in lack
    assert "hidden" not in lack
    summary = json.loads((tmp_path / SUMMARY).read_text())
    assert summary["not_judged"] == 2
    assert summary["left_out"][1] == {"path": ".hidden", "reason": "hidden"}


def test_names_that_are_not_utf8_are_written_as_escapes_that_read_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    left = (LeftOut(name, Why.HIDDEN),)
    file, _ = write_answers(
        Answers(answers(name), drain=answers),
        tmp_path,
        (),
        lambda verdicts: InspectionCounts(verdicts, left),
    )
    assert names_in(file) == [name]
    assert json.loads((tmp_path / SUMMARY).read_text())["left_out"][0]["path"] == name


# Names of overlays


@pytest.mark.parametrize("stem", ["n" * 251, "ä" * 125, os.fsdecode(b"\xff" * 251), "line__" + "🙂" * 60])
def test_an_overlay_of_a_long_name_is_drawn_under_a_shorter_one(tmp_path: Path, stem: str) -> None:
    overlays = Overlays(tmp_path, None)
    for _ in range(2):
        overlays.add(answer(stem))
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 2
    assert all(len(os.fsencode(name)) <= 255 for name in names)


@given(st.lists(st.text("aAäÄ\u0308_2" + "x" * 3, min_size=1, max_size=300), max_size=20))
def test_no_two_overlays_share_a_name_on_any_file_system(stems: list[str]) -> None:
    overlays = Overlays(Path(), None)
    names = [overlays.file_name(stem) for stem in stems]
    assert len({folded(name) for name in names}) == len(stems)
    assert all(len(os.fsencode(name)) <= 255 for name in names)


def test_a_link_in_place_of_the_draft_is_not_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("of another")
    out = tmp_path / "out"
    out.mkdir()
    (out / DRAFT).symlink_to(elsewhere)
    assert written(answers("a.png"), out) == ["a.png"]
    assert elsewhere.read_text() == "of another" and not (out / RECORD).is_symlink()


@pytest.mark.parametrize("name", [RECORD, SUMMARY])
def test_a_folder_in_place_of_a_file_is_told_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    def coming() -> Iterator[Answer]:
        raise AssertionError("judged for nothing")
        yield

    with pytest.raises(BlemishError, match=rf"{name} must be a file\. Received: a folder"):
        written(coming(), tmp_path)


def test_overlays_that_cannot_be_written_do_not_end_the_work(tmp_path: Path) -> None:
    (tmp_path / "overlays").write_text("a file")
    overlays = Overlays(tmp_path / "overlays", None)
    assert written(answers("a.png", "b.png"), tmp_path, overlays) == ["a.png", "b.png"]
    assert overlays.lack().startswith("2 overlays could not be written. The first: ")
    assert not Overlays(tmp_path, None).lack()


def test_a_signal_while_an_output_is_at_work_does_not_cut_it_off(tmp_path: Path) -> None:
    """As Ctrl-C does, in the main thread, while it waits for the second picture to be drawn."""
    done: list[str] = []

    class Slow(Tables):
        def add(self, answer: Answer) -> None:
            if len(done) == 1:
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.2)
            done.append(answer.stem)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            written(answers("a.png", "b.png", "c.png"), tmp_path, Slow(tmp_path))  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["a.png", "b.png"] == names_in(tmp_path / RECORD)
    assert (tmp_path / "inspections.csv").read_text(encoding="utf-8-sig").count("\n") == 3
