"""`blemish inspect` accounts for all that it finds, and its exit code says whether all of it was judged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from blemish.inspector.found_files import RECORD, SUMMARY
from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture

Command = Callable[..., Any]


@pytest.fixture
def inspected(
    blemish: Command, unpacked: Path, tmp_path: Path
) -> Callable[..., tuple[Any, list[tuple[str, str]], dict[str, Any]]]:
    """Inspect by a bundle that needs no torch; returns the answer, (name, verdict) by line, the summary."""

    def call(*paths: object) -> tuple[Any, list[tuple[str, str]], dict[str, Any]]:
        out = tmp_path / "out"
        bundle = unpacked / "bundles" / "casae-onnx"
        answer = blemish("inspect", bundle, *paths, "--out", out, "--quiet")
        lines = [json.loads(line) for line in (out / RECORD).read_text().splitlines()]
        return (
            answer,
            [(line["image"], line["verdict"]) for line in lines],
            json.loads((out / SUMMARY).read_text()),
        )

    return call


def draw(path: Path, gray: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((96, 96), gray, np.uint8)).save(path)


def test_all_that_was_found_is_in_the_last_line_also_with_quiet(inspected: Any, tmp_path: Path) -> None:
    for name in ("a.png", "lot/b.PNG", ".hidden.png"):
        draw(tmp_path / "in" / name)
    (tmp_path / "in" / "readme.md").touch()
    answer, lines, summary = inspected(tmp_path / "in")
    assert answer.code == 0
    assert answer.out == f"{tmp_path / 'out' / RECORD}\n", "standard output is the result alone"
    assert len(lines) == 2
    verdicts = summary["verdicts"]
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ("OK", "NG", "REVIEW", "ERROR"))
    number = sum(summary["defects"].values())
    found = f"{number} defect{'s' if number > 1 else ''} (" if number else "no defects"
    assert answer.err.startswith(f"2 images found: {counts}; {found}")
    assert answer.err.endswith("; 2 left out (hidden: 1; no images: 1)\n")
    assert sum(verdicts.values()) == summary["images"] == 2
    assert summary["complete"] and summary["not_judged"] == 0
    assert len(summary["left_out"]) == 2


@pytest.mark.parametrize("name", ["b.heic", "b.GIF", "b.cr2", "b.mts", "0001"])
def test_an_image_that_is_not_read_makes_the_exit_code_1_and_is_named(
    inspected: Any, tmp_path: Path, name: str
) -> None:
    draw(tmp_path / "in" / "a.png")
    shutil.copy(tmp_path / "in" / "a.png", tmp_path / "in" / name)
    answer, lines, summary = inspected(tmp_path / "in")
    assert answer.code == 1
    assert len(lines) == 1
    assert (
        f"blemish: 1 left out, images or videos of a type that is not read: {tmp_path / 'in' / name}."
        in answer.err
    )
    assert summary["not_judged"] == 1


def test_masks_of_a_dataset_are_no_lack(inspected: Any, tmp_path: Path) -> None:
    for name in ("images/a.png", "images/b.png"):
        draw(tmp_path / "in" / name)
    draw(tmp_path / "in" / "masks" / "a.png", 255)
    draw(tmp_path / "in" / "masks" / "b.png", 0)
    answer, lines, _ = inspected(tmp_path / "in")
    assert (answer.code, len(lines)) == (0, 2)
    assert "2 left out (masks or references of a dataset: 2)" in answer.err


def test_pages_of_a_file_are_judged_each(inspected: Any, tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((96, 96), gray, np.uint8)) for gray in (60, 90, 120)]
    (tmp_path / "in").mkdir()
    for name in ("a.tif", "b.webp", "c.png"):
        pages[0].save(tmp_path / "in" / name, save_all=True, append_images=pages[1:])
    draw(tmp_path / "in" / "d.tif")
    answer, lines, summary = inspected(tmp_path / "in")
    assert answer.code == 0, answer.err
    names = [Path(name).name for name, _ in lines]
    expected = [f"{name}#{page:06d}" for name in ("a.tif", "b.webp", "c.png") for page in range(3)]
    assert names == [*expected, "d.tif"]
    assert summary["images"] == 10


def test_a_damaged_frame_is_an_error_and_the_frames_behind_it_are_judged(
    inspected: Any, tmp_path: Path
) -> None:
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 5, (96, 96))
    for number in range(8):
        writer.write(np.full((96, 96, 3), 20 * number, np.uint8))
    writer.release()
    data = bytearray(video.read_bytes())
    starts = [place for place in range(len(data)) if data[place : place + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 8
    data[starts[3] : starts[4] - 8] = bytes(starts[4] - 8 - starts[3])
    video.write_bytes(data)
    answer, lines, _ = inspected(video)
    assert answer.code == 1
    assert [name.rpartition("#")[2] for name, _ in lines] == [f"{number:06d}" for number in range(8)]
    assert [number for number, (_, verdict) in enumerate(lines) if verdict == "ERROR"] == [3]


def test_a_list_of_everything_goes_on_behind_each_fault(inspected: Any, tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    names = ["a.png", "pipe.png", "/dev/zero", "folder.png", "http://127.0.0.1:9/a.mp4", "lost.png", "a.png"]
    (tmp_path / "list.txt").write_text("\ufeff" + "\r\n".join(names), encoding="utf-8")
    answer, lines, summary = inspected(tmp_path / "list.txt")
    assert answer.code == 1
    assert [verdict == "ERROR" for _, verdict in lines] == [False, *[True] * 5, False]
    assert "5 images could not be judged" in answer.err
    assert summary["not_judged"] == 5


def test_overlays_inside_the_input_are_not_inspected_by_the_next_run(
    blemish: Command, unpacked: Path, tmp_path: Path
) -> None:
    draw(tmp_path / "in" / "a.png")
    out = tmp_path / "in" / "inspected"
    for _ in range(3):
        bundle = unpacked / "bundles" / "casae-onnx"
        assert blemish("inspect", bundle, tmp_path / "in", "--out", out, "--overlay", "--quiet").code == 0
        assert len((out / RECORD).read_text().splitlines()) == 1
    assert [path.name for path in (out / "overlays").iterdir()] == ["in__a.png"]


def test_overlays_are_not_written_behind_a_link(blemish: Command, unpacked: Path, tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    for folder in ("elsewhere", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / "out" / "overlays").symlink_to(tmp_path / "elsewhere")
    given = ("inspect", unpacked / "bundles" / "casae-onnx", tmp_path / "a.png", "--out", tmp_path / "out")
    answer = blemish(*given, "--overlay", "--quiet")
    assert answer.code == 1 and "overlays must be a folder. Received: a link." in answer.err
    assert not list((tmp_path / "elsewhere").iterdir())
    assert blemish(*given, "--quiet").code == 0


def test_a_folder_of_types_that_are_not_read_is_refused_by_naming_one(
    blemish: Command, unpacked: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.heic").touch()
    answer = blemish(
        "inspect", unpacked / "bundles" / "casae-onnx", tmp_path / "in", "--out", tmp_path / "out"
    )
    assert answer.code == 1
    assert "holds no image" in answer.err
    assert f"It holds 1 of a type that is not read, such as {tmp_path / 'in' / 'a.heic'}." in answer.err
    assert not (tmp_path / "out").exists()


def test_a_line_scan_counts_its_strips_and_pieces(blemish: Command, unpacked: Path, tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / "in" / f"{number}.png")
    options = ("--line-scan", "--frame-rows", 128, "--out", tmp_path / "out", "--quiet")
    answer = blemish("inspect", unpacked / "bundles" / "casae-onnx", tmp_path / "in", *options)
    assert answer.code == 0, answer.err
    assert answer.err.startswith("4 strips found, 3 pieces: ")
    assert json.loads((tmp_path / "out" / SUMMARY).read_text())["strips"] == 4
