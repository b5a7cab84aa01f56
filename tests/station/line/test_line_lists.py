"""Lists and videos as sources: from the first item to the last, once, over restarts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from stand_in_line import change, inspections, new_line, png, records, running, wait_for

from blemish.station.layout import LineFolder
from blemish.station.sources.items import ItemParts

COUNT = 8


def told_end(line: LineFolder) -> bool:
    return any("no more parts" in entry.record["why"] for entry in records(line, "state"))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """List of images, of which one is not there."""
    for number in range(COUNT):
        (tmp_path / f"{number}.png").write_bytes(png(30 * number, mark=number))
    (tmp_path / "3.png").unlink()
    file = tmp_path / "all.txt"
    file.write_text("# of Monday\n" + "".join(f"{number}.png\n" for number in range(COUNT)))
    return file


@pytest.fixture
def video(tmp_path: Path) -> Path:
    file = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48), isColor=True)
    for number in range(COUNT):
        writer.write(np.full((48, 64, 3), 30 * number, np.uint8))
    writer.release()
    return file


@pytest.mark.parametrize("kind", ["list", "video"])
def test_every_item_is_inspected_once_over_a_restart(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue("listed" if kind == "list" else "video")
    line = new_line(tmp_path / "station", bundle="slow-1", source={"kind": kind, "path": path})
    with running(line, monkeypatch, ready=False):
        wait_for(lambda: len(inspections(line)) >= 2)
    with running(line, monkeypatch, ready=False):
        wait_for(lambda: told_end(line))
        wait_for(lambda: len(inspections(line)) == COUNT)
    assert [record["source"]["item"] for record in inspections(line)] == list(range(COUNT))
    names = [Path(record["doc"]["image"]).name for record in inspections(line)]
    suffix = [f"{number}.png" if kind == "list" else f"video.avi#{number:06d}" for number in range(COUNT)]
    assert names == suffix
    errors = [record["seq"] for record in inspections(line) if record["doc"]["verdict"] == "ERROR"]
    assert errors == ([4] if kind == "list" else [])


def test_frames_are_kept_as_pictures_of_their_pixels(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = new_line(tmp_path / "station", source={"kind": "video", "path": video}, keep={"ok_share": 1.0})
    with running(line, monkeypatch, ready=False):
        wait_for(lambda: len(inspections(line)) == COUNT)
    for number, record in enumerate(inspections(line)):
        stored = cv2.imread(str(tmp_path / "station" / "images" / record["image"]["file"]))
        assert stored.shape == (48, 64, 3)
        assert abs(float(stored.mean()) - 30 * number) < 4


def test_a_source_that_is_not_there_is_told_and_tried_again(
    tmp_path: Path, listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = new_line(tmp_path / "station", source={"kind": "list", "path": tmp_path / "missing.txt"})
    with running(line, monkeypatch):
        wait_for(lambda: any("missing.txt" in entry.record["why"] for entry in records(line, "state")))
        change(line, source={"kind": "list", "path": listed})
        wait_for(lambda: len(inspections(line)) == COUNT)


def test_item_parts_stop_in_the_middle(listed: Path) -> None:
    from blemish.station.line.settings import ListSource
    from blemish.station.sources.taken import Taken

    source = ItemParts(ListSource(path=listed), Taken())
    parts = source.parts()
    next(parts)
    source.stop()
    assert list(parts) == []
