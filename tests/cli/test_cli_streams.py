from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from blemish.dataset.samples import Dataset
from blemish.inspection import Inspection, Verdict

Command = Callable[..., Any]


def lines(out: Path) -> list[Inspection]:
    text = (out / "inspections.jsonl").read_text(encoding="utf-8")
    return [Inspection.from_json(json.loads(line)) for line in text.splitlines()]


def is_one_line(err: str) -> bool:
    return err.startswith("blemish: ") and err.count("\n") == 1 and "Traceback" not in err


def test_a_list_a_glob_and_a_video_are_inspected_in_their_order(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    images = [sample.image for sample in tiny_dataset][:4]
    (tmp_path / "some.txt").write_text(f"{images[0]}\n{images[1]}\n")
    (tmp_path / "in").mkdir()
    for name, image in zip("ab", images[2:], strict=True):
        (tmp_path / "in" / f"{name}{image.suffix}").write_bytes(image.read_bytes())
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 5, (96, 96))
    for image in images:
        writer.write(cv2.imread(str(image)))
    writer.release()
    given = (tmp_path / "some.txt", tmp_path / "in" / "*", video)
    options = ("--every", 3, "--overlay", "--device", "cpu", "--out", tmp_path / "out")
    answer = blemish("inspect", tiny_bundle, *given, *options)
    assert answer.code == 0, answer.err
    found = lines(tmp_path / "out")
    expected = [*map(str, images[:2]), *(str(tmp_path / "in" / f"{name}{images[0].suffix}") for name in "ab")]
    assert [one.image for one in found] == [*expected, f"{video}#000000", f"{video}#000003"]
    drawn = {path.name for path in (tmp_path / "out" / "overlays").iterdir()}
    assert len(drawn) == 6
    assert {"in__a.png", f"{tmp_path.name}__clip__000003.png"} <= drawn


def test_pictures_of_one_name_have_overlays_of_their_own(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    image = tiny_dataset.samples[0].image
    blemish("inspect", tiny_bundle, image, image, image, "--overlay", "--out", tmp_path / "out", "--quiet")
    drawn = sorted(
        path.stem.removeprefix(f"{image.parent.name}__{image.stem}")
        for path in (tmp_path / "out" / "overlays").iterdir()
    )
    assert drawn == ["", "__2", "__3"]


def test_a_file_of_zero_bytes_among_others_is_an_error_and_the_exit_code_is_1(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    good = tiny_dataset.samples[0].image
    (tmp_path / "all.txt").write_text(f"{good}\nempty.png\nlost.png\n{good}\n")
    answer = blemish("inspect", tiny_bundle, tmp_path / "all.txt", "--out", tmp_path / "out", "--quiet")
    assert answer.code == 1
    assert "2 images could not be judged" in answer.err
    first, empty, lost, last = lines(tmp_path / "out")
    assert (empty.verdict, lost.verdict) == (Verdict.ERROR, Verdict.ERROR)
    assert "Received: an empty file" in str(empty.error)
    assert "no such file" in str(lost.error)
    assert first.score == last.score


def test_threads_are_set_for_the_command(
    blemish: Command,
    tiny_bundle: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = cv2.getNumThreads()
    try:
        image = tiny_dataset.samples[0].image
        options = ("--threads", 2, "--out", tmp_path, "--quiet")
        assert blemish("inspect", tiny_bundle, image, *options).code == 0
        assert (cv2.getNumThreads(), os.environ["OMP_NUM_THREADS"]) == (2, "2")
        wrong = blemish("inspect", tiny_bundle, image, "--threads", 0, "--out", tmp_path)
        assert wrong.code == 2 and "--threads" in wrong.err
    finally:
        cv2.setNumThreads(before)


# Ctrl-C


def started(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from blemish.cli.main import run; run()", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background is started with SIGINT ignored, and so would be its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def stopped_after(number: int, process: subprocess.Popen[str], out: Path) -> str:
    """Ctrl-C once so many lines are written; what is on standard error."""
    draft = out / "inspections.jsonl.part"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if draft.exists() and draft.read_text().count("\n") >= number:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return err


def test_ctrl_c_in_the_middle_keeps_every_answer_that_was_given(
    tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    images = [str(sample.image) for sample in tiny_dataset] * 400
    (tmp_path / "many.txt").write_text("\n".join(images))
    out = tmp_path / "out"
    process = started("inspect", tiny_bundle, tmp_path / "many.txt", "--out", out, "--quiet")
    err = stopped_after(5, process, out)
    assert process.returncode == 130
    assert is_one_line(err)
    found = lines(out)
    assert 5 <= len(found) < len(images)
    assert [one.image for one in found] == images[: len(found)]
    assert not list(out.glob("*.part"))


def test_paths_are_taken_from_standard_input_as_they_come_until_ctrl_c(
    tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    images = [str(sample.image) for sample in tiny_dataset][:2]
    out = tmp_path / "out"
    process = started("inspect", tiny_bundle, "-", "--out", out, "--quiet")
    assert process.stdin is not None
    process.stdin.write("\n".join(images) + "\n")
    process.stdin.flush()  # and stays open
    draft = out / "inspections.jsonl.part"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (draft.exists() and draft.read_text().count("\n") == 2):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert process.stderr is not None
    assert is_one_line(process.stderr.read())
    assert [one.image for one in lines(out)] == images
    process.stdin.close()
