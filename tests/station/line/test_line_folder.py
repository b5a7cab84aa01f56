"""A line with a watched folder: each part once, over restarts, renames and writers that pause."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from stand_in_line import inspections, new_line, png, records, running, wait_for

from blemish.station.journal_check import verify_journal
from blemish.station.layout import LineFolder
from blemish.station.sources import folder as folder_module

KEEP_ALL = {"ok_share": 1.0}


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "parts"
    folder.mkdir()
    return folder


@pytest.fixture
def line(tmp_path: Path, parts: Path) -> LineFolder:
    return new_line(tmp_path / "station", source={"kind": "folder", "path": parts}, keep=KEEP_ALL)


def put(folder: Path, name: str, content: bytes) -> Path:
    """Write a file beside, and rename it in."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    draft = folder / f".{file.name}.part"
    draft.write_bytes(content)
    return draft.rename(file)


def names(line: LineFolder) -> list[str]:
    return [Path(record["doc"]["image"]).name for record in inspections(line)]


def test_parts_are_recorded_with_their_image_and_what_judged_it(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {"lot7/ok.png": png(10), "lot7/review.png": png(100), "ng.png": png(200), "bad.png": b"none"}
    monkeypatch.setattr(folder_module, "PATIENCE_SECONDS", 0.5)
    for name, content in contents.items():
        put(parts, name, content)
    with running(line, monkeypatch):
        wait_for(lambda: len(inspections(line)) == 4)
    by_name = {Path(record["doc"]["image"]).name: record for record in inspections(line)}
    verdicts = {name: record["doc"]["verdict"] for name, record in by_name.items()}
    assert verdicts == {"ok.png": "OK", "review.png": "REVIEW", "ng.png": "NG", "bad.png": "ERROR"}
    kept = {name: record["image"]["kept_because"] for name, record in by_name.items()}
    assert kept == {"ok.png": "sample", "review.png": "review", "ng.png": "ng", "bad.png": "error"}
    for path, content in contents.items():
        record = by_name[Path(path).name]
        image = record["image"]
        file = line.root.parent.parent / "images" / image["file"]
        assert file.read_bytes() == content
        assert image["sha256"] == hashlib.sha256(content).hexdigest() == record["doc"]["image_sha256"]
        assert file.parent.name == image["sha256"][:2]
        assert image["bytes"] == len(content)
    assert (by_name["ok.png"]["serial"], by_name["ok.png"]["lot"]) == ("ok", "lot7")
    assert (by_name["ng.png"]["serial"], by_name["ng.png"]["lot"]) == ("ng", None)
    assert [by_name["ng.png"]["image"][key] for key in ("height", "width", "channels", "dtype")] == [
        24,
        32,
        1,
        "uint8",
    ]
    assert by_name["ng.png"]["bundle"] == "sound-1"
    answered = [entry.record["seq"] for entry in records(line, "answered")]
    assert sorted(answered) == [1, 2, 3, 4]
    assert verify_journal(line.journal).seq == 4


def test_a_restart_neither_loses_nor_repeats_a_part(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, later = put(parts, "a.png", png(1)), "b.png"
    with running(line, monkeypatch):
        wait_for(lambda: inspections(line))
    put(parts, later, png(2))
    line.taken.unlink()  # the journal alone says what was taken
    with running(line, monkeypatch):
        wait_for(lambda: len(inspections(line)) == 2)
    first.rename(parts / "renamed.png")
    put(parts, "c.png", png(3))
    assert line.taken.exists()
    with running(line, monkeypatch):
        wait_for(lambda: len(inspections(line)) == 3)
    assert names(line) == ["a.png", "b.png", "c.png"]


def test_the_bytes_again_are_the_part_again_only_where_the_file_was_gone(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(line, monkeypatch) as process:
        file = put(parts, "current.png", png(1))
        wait_for(lambda: len(inspections(line)) == 1)
        file.write_bytes(png(1))  # copied once more
        put(parts, "next.png", png(2))
        wait_for(lambda: len(inspections(line)) == 2)
        put(parts, "current.png", png(9))
        wait_for(lambda: len(inspections(line)) == 3)
        file.unlink()
        assert process.source is not None
        looks = process.source.looks  # type: ignore[union-attr]
        wait_for(lambda: process.source.looks > looks + 1)  # type: ignore[union-attr]
        put(parts, "current.png", png(9))
        wait_for(lambda: len(inspections(line)) == 4)
    assert names(line) == ["current.png", "next.png", "current.png", "current.png"]


def test_a_file_is_taken_when_it_is_whole(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = png(200, size=(200, 300))
    with running(line, monkeypatch):
        with (parts / "slow.png").open("wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            put(parts, "other.png", png(1))
            wait_for(lambda: names(line) == ["other.png"])
            file.write(content[len(content) // 2 :])
        wait_for(lambda: len(inspections(line)) == 2)
    assert inspections(line)[1]["image"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert inspections(line)[1]["doc"]["verdict"] == "NG"


def test_what_nobody_can_inspect_any_more_is_recorded_as_missed(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "SETTLED_SECONDS", 3600.0)
    with running(line, monkeypatch) as process:
        vanishing = parts / "vanishing.png"
        vanishing.write_bytes(png(1))
        overwritten = parts / "overwritten.png"
        overwritten.write_bytes(png(2))
        wait_for(lambda: process.source and len(process.source.waiting) == 2)  # type: ignore[union-attr]
        vanishing.unlink()
        put(parts, "overwritten.png", png(3, size=(40, 40)))
        wait_for(lambda: len(records(line, "missed")) == 2)
    missed = {Path(e.record["name"]).name: e.record["reason"] for e in records(line, "missed")}
    assert missed == {"vanishing.png": "vanished", "overwritten.png": "overwritten"}


def test_files_that_are_renamed_in_need_not_settle(
    tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "SETTLED_SECONDS", 3600.0)
    source = {"kind": "folder", "path": parts, "renamed": True, "after": "delete"}
    line = new_line(tmp_path / "station", source=source)
    with running(line, monkeypatch):
        file = put(parts, "a.png", png(1))
        wait_for(lambda: inspections(line))
        wait_for(lambda: not file.exists())
        put(parts, "a.png", png(1))  # the same bytes, and another part
        wait_for(lambda: len(inspections(line)) == 2)


def test_recorded_files_that_a_killed_line_left_are_removed_by_the_next(
    tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"kind": "folder", "path": parts, "renamed": True, "after": "delete"}
    line = new_line(tmp_path / "station", source=source)
    file = put(parts, "a.png", png(1))
    with monkeypatch.context() as killed:  # between the record and the removal
        killed.setattr(folder_module.FolderParts, "recorded", lambda *_: None)
        with running(line, killed):
            wait_for(lambda: inspections(line))
    assert file.exists()
    with running(line, monkeypatch):
        wait_for(lambda: not file.exists())
        put(parts, "a.png", png(1))
        wait_for(lambda: len(inspections(line)) == 2)


def test_pages_of_a_file_are_parts_and_kept_as_pictures(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [np.full((20, 30), value, np.uint16) for value in (100, 60_000)]
    assert cv2.imwritemulti(str(parts / "stack.tif"), pages)
    with running(line, monkeypatch):
        wait_for(lambda: len(inspections(line)) == 2)
    images = [record["image"] for record in inspections(line)]
    for image, pixels in zip(images, pages, strict=True):
        file = line.root.parent.parent / "images" / image["file"]
        stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        np.testing.assert_array_equal(stored, pixels)
        assert image["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.png",
        "a\nb\x1b[31m.png",
        "\u202egnp.kcab.png",
        "\xfc\u202e \xe9\u2028.png",
    ],
)
def test_names_are_recorded_as_they_are(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put(parts, name, png(200))
    with running(line, monkeypatch):
        wait_for(lambda: inspections(line))
    (record,) = inspections(line)
    assert Path(record["doc"]["image"]).name == name
    assert record["serial"] == name.removesuffix(".png")
    assert not any(char in record["image"]["file"] for char in "<\n\x1b\u202e")
    assert verify_journal(line.journal).records == len(records(line))


def test_a_name_that_is_no_utf_8_is_recorded_and_remembered(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.fsdecode(b"part\xff.png")
    (parts / name).write_bytes(png(200))
    for _ in range(2):
        with running(line, monkeypatch):
            wait_for(lambda: inspections(line))
            put(parts, "next.png", png(1))
            wait_for(lambda: len(inspections(line)) == 2)
    assert names(line) == [name, "next.png"]


def header_of(width: int, height: int) -> bytes:
    """PNG whose header promises a size, and that holds a few bytes."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")


def test_a_header_of_3_6_gigapixels_is_an_error_and_the_line_goes_on(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "PATIENCE_SECONDS", 0.5)
    put(parts, "huge.png", header_of(60_000, 60_000))
    with running(line, monkeypatch):
        wait_for(lambda: len(inspections(line)) == 1)
        put(parts, "next.png", png(1))
        wait_for(lambda: len(inspections(line)) == 2)
    first, second = inspections(line)
    assert first["doc"]["verdict"] == "ERROR"
    assert "60000×60000" in first["doc"]["error"]
    assert second["doc"]["verdict"] == "OK"


def test_a_folder_that_goes_away_and_comes_back_is_told(
    line: LineFolder, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(word: str) -> bool:
        return any(word in entry.record["why"] for entry in records(line, "state"))

    with running(line, monkeypatch):
        aside: Any = parts.rename(parts.with_name("aside"))
        wait_for(lambda: told("lost"))
        put(aside, "a.png", png(1))
        aside.rename(parts)
        wait_for(lambda: inspections(line))
        wait_for(lambda: told("back"))
