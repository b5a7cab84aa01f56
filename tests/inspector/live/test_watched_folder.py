"""A watched folder while another process writes into it: each image once, whole, and none lost in silence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.errors import BlemishError
from blemish.inspector.found_files import Why
from blemish.inspector.live import watched
from blemish.inspector.live.source import Ending
from blemish.inspector.live.watched import WatchedFolder

SLOW_WRITER = """
import sys, time
data = open(sys.argv[1], "rb").read()
pause = float(sys.argv[3])
with open(sys.argv[2], "wb") as file:
    for start in range(0, len(data), len(data) // 4 + 1):
        file.write(data[start : start + len(data) // 4 + 1])
        file.flush()
        time.sleep(pause)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "POLL_SECONDS", 0.03)
    monkeypatch.setattr(watched, "SETTLED_SECONDS", 0.2)
    monkeypatch.setattr(watched, "PATIENCE_SECONDS", 1.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def picture(path: Path, number: int) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 256, (60, 80), np.uint8))
    return path


class Watch:
    """A folder that is watched in a thread. taken: names of items, and the sum of pixels or the error"""

    def __init__(self, folder: Path, **ending: float) -> None:
        self.lines: list[str] = []
        limits = Ending(**ending)  # type: ignore[arg-type]
        self.source = WatchedFolder(folder, ending=limits, note=self.lines.append)
        self.taken: list[tuple[str, int | str]] = []
        self.source.open()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        for item in self.source.items():
            try:
                outcome: int | str = int(item.read().sum())
            except BlemishError as error:
                outcome = str(error)
            self.taken.append((Path(item.name).name, outcome))

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.taken
            time.sleep(0.02)

    def stop(self) -> None:
        self.source.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.taken]


def total(path: Path) -> int:
    return int(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).sum())


def test_what_is_there_and_what_comes_is_taken_once(folder: Path) -> None:
    picture(folder / "b.png", 0)
    watch = Watch(folder)
    watch.until(lambda: watch.names == ["b.png"])
    (folder / "sub").mkdir()
    picture(folder / "sub" / "c.png", 1)
    watch.until(lambda: len(watch.taken) == 2)
    os.utime(folder / "b.png")  # touched, with the same content
    time.sleep(0.6)
    watch.stop()
    assert watch.taken == [("b.png", total(folder / "b.png")), ("c.png", total(folder / "sub" / "c.png"))]


@pytest.mark.parametrize("pause", [0.1, 0.5])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_a_file_that_is_written_slowly_is_read_whole(
    folder: Path, tmp_path: Path, pause: float, suffix: str
) -> None:
    whole = picture(tmp_path / f"whole{suffix}", 5)
    watch = Watch(folder)
    writer = [sys.executable, "-c", SLOW_WRITER, str(whole), str(folder / f"slow{suffix}"), str(pause)]
    subprocess.run(writer, check=True)
    watch.until(lambda: bool(watch.taken))
    time.sleep(0.4)
    watch.stop()
    assert watch.taken == [(f"slow{suffix}", total(whole))]


def test_a_file_that_stays_cut_is_an_error_once(folder: Path, tmp_path: Path) -> None:
    data = picture(tmp_path / "whole.png", 5).read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    watch = Watch(folder)
    time.sleep(0.8)
    assert not watch.taken, "its writer may have paused"
    watch.until(lambda: bool(watch.taken))
    time.sleep(0.6)
    (folder / "cut.png").write_bytes(data)  # sent again, now whole
    watch.until(lambda: len(watch.taken) == 2)
    watch.stop()
    (_, error), (_, pixels) = watch.taken
    assert "cut.png" in str(error) and pixels == total(tmp_path / "whole.png")


def test_a_file_under_a_temporary_name_is_taken_when_it_is_renamed(folder: Path, tmp_path: Path) -> None:
    watch = Watch(folder)
    shutil.copy(picture(tmp_path / "a.png", 1), folder / "a.png.part")
    shutil.copy(tmp_path / "a.png", folder / ".b.png")
    time.sleep(0.5)
    assert not watch.taken
    (folder / "a.png.part").rename(folder / "a.png")
    watch.until(lambda: watch.names == ["a.png"])
    (folder / "a.png").rename(folder / "done.png")  # judged already
    time.sleep(0.6)
    watch.stop()
    assert watch.names == ["a.png"] and not watch.source.vanished


def test_an_image_that_is_overwritten_is_another_image(folder: Path) -> None:
    picture(folder / "latest.png", 1)
    watch = Watch(folder)
    watch.until(lambda: len(watch.taken) == 1)
    picture(folder / "latest.png", 2)
    watch.until(lambda: len(watch.taken) == 2)
    watch.stop()
    assert watch.taken[0][1] != watch.taken[1][1] == total(folder / "latest.png")


@pytest.mark.parametrize("way", ["replaced", "shorter", "in place"])
def test_an_image_that_is_overwritten_before_it_is_read_is_counted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(watched, "SETTLED_SECONDS", 1.0)
    first, latest = picture(tmp_path / "first.bmp", 1), folder / "latest.bmp"
    second = picture(tmp_path / "second.bmp", 2)
    if way == "shorter":
        cv2.imwrite(str(second), np.full((20, 80), 90, np.uint8))
    shutil.copy(first, latest)
    watch = Watch(folder)
    watch.until(lambda: latest in watch.source.waiting and watch.source.waiting[latest].unchanged)
    if way == "replaced":
        shutil.copy(second, folder / ".part").replace(latest)
    else:
        latest.write_bytes(second.read_bytes())
    watch.until(lambda: len(watch.taken) == 1)
    watch.stop()
    losses = watch.source.losses(judged=1)
    assert watch.taken == [("latest.bmp", total(second))]
    assert losses.fields["overwritten"] == 1 and "1 overwritten before" in losses.sentence
    assert [left.why for left in losses.left_out] == [Why.OVERWRITTEN]
    assert Why.OVERWRITTEN.is_lack and Why.OVERWRITTEN.remedy


def test_a_waiting_file_that_is_renamed_over_another_is_not_lost_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "SETTLED_SECONDS", 1.0)
    picture(folder / "a.png", 1)
    picture(folder / "b.png", 2)
    watch = Watch(folder)
    watch.until(lambda: len(watch.source.waiting) == 2)
    (folder / "a.png").replace(folder / "b.png")
    watch.until(lambda: len(watch.taken) == 1)
    watch.stop()
    fields = watch.source.losses(judged=1).fields
    assert (fields["overwritten"], fields["vanished"]) == (1, 0)


def test_files_that_vanish_or_are_not_finished_are_named(folder: Path, tmp_path: Path) -> None:
    picture(tmp_path / "whole.png", 3)
    watch = Watch(folder)
    (folder / "empty.png").touch()
    shutil.copy(tmp_path / "whole.png", folder / "gone.png")
    watch.until(lambda: folder / "gone.png" in watch.source.waiting)
    (folder / "gone.png").unlink()
    watch.until(lambda: bool(watch.source.vanished))
    (folder / "notes.heic").write_bytes(b"x")
    watch.stop()
    losses = watch.source.losses(judged=0)
    reasons = {Path(left.path).name: left.why for left in losses.left_out}
    assert reasons == {"empty.png": Why.UNREADY, "gone.png": Why.VANISHED, "notes.heic": Why.UNREAD}
    assert losses.fields["vanished"] == 1 and losses.fields["not_ready"] == 1
    assert "1 vanished" in losses.sentence
    assert Why.VANISHED.is_lack and Why.VANISHED.remedy and not Why.UNREADY.is_lack


def test_what_blemish_has_written_there_is_not_inspected(folder: Path) -> None:
    for name in ("sheet.png", "sheet-02.png"):
        picture(folder / name, 2)
    (folder / "inspections.jsonl").touch()
    picture(folder / "a.png", 1)
    watch = Watch(folder)
    watch.until(lambda: watch.names == ["a.png"])
    assert set(watch.source.waiting) == set()
    watch.stop()


def test_a_file_that_vanishes_and_comes_back_is_not_lost(folder: Path) -> None:
    watch = Watch(folder)
    (folder / "a.png").write_bytes(b"half")
    watch.until(lambda: bool(watch.source.waiting))
    (folder / "a.png").unlink()
    watch.until(lambda: bool(watch.source.vanished))
    picture(folder / "a.png", 1)
    watch.until(lambda: watch.names == ["a.png"])
    watch.stop()
    losses = watch.source.losses(judged=1)
    assert losses.fields["vanished"] == 0 and not losses.left_out


def test_a_folder_that_is_away_for_a_while_is_told_and_nothing_is_taken_twice(folder: Path) -> None:
    picture(folder / "a.png", 1)
    watch = Watch(folder)
    watch.until(lambda: watch.names == ["a.png"])
    folder.rename(folder.with_name("away"))
    watch.until(lambda: bool(watch.lines))
    folder.with_name("away").rename(folder)
    watch.until(lambda: len(watch.lines) == 2)
    picture(folder / "b.png", 2)
    watch.until(lambda: len(watch.taken) == 2)
    watch.stop()
    assert watch.names == ["a.png", "b.png"]
    assert "lost" in watch.lines[0] and "back" in watch.lines[1]
    assert watch.source.losses(2).fields["interruptions"] == 1


def test_pages_and_the_end_after_a_number_of_images(folder: Path) -> None:
    pages = [np.full((20, 30), value, np.uint8) for value in (10, 20, 30)]
    cv2.imwritemulti(str(folder / "pages.tif"), pages)
    watch = Watch(folder, max_images=2)
    watch.thread.join(10)
    assert watch.taken == [("pages.tif#000000", 6000), ("pages.tif#000001", 12000)]


def test_the_end_after_a_time(folder: Path) -> None:
    start = time.monotonic()
    watch = Watch(folder, duration=0.5)
    watch.thread.join(10)
    assert not watch.thread.is_alive() and not watch.taken
    assert time.monotonic() - start > 0.4


def test_a_folder_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(BlemishError, match="--watch must have a folder that is there"):
        WatchedFolder(folder / "none", ending=Ending(), note=pytest.fail).open()
