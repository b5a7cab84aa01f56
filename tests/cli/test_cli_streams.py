from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from blemish.dataset.samples import Dataset
from blemish.inspection import Inspection, Verdict
from blemish.threads import usable_cores

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


def test_a_damaged_list_keeps_what_was_judged_and_leaves_no_draft(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    good = tiny_dataset.samples[0].image
    (tmp_path / "all.txt").write_text("\n")
    out = tmp_path / "out"
    wrong = blemish("inspect", tiny_bundle, tmp_path / "all.txt", "--out", out, "--quiet")
    assert (wrong.code, is_one_line(wrong.err)) == (1, True)
    assert not out.exists(), "a folder made for nothing"
    wrong = blemish("inspect", tiny_bundle, good, tmp_path / "all.txt", "--out", out, "--quiet")
    assert "names no image" in wrong.err
    assert [one.image for one in lines(out)] == [str(good)]
    blemish("inspect", tiny_bundle, tmp_path / "all.txt", "--out", out, "--quiet")
    assert [one.image for one in lines(out)] == [str(good)], "what was there before stays"
    assert not list(out.glob("*.part"))


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


@pytest.mark.parametrize(
    "command",
    [
        ("train", "severity", "--data", "none", "--out", "out"),
        ("evaluate", "none", "--data", "none", "--out", "out"),
        ("decide", "none", "--data", "none", "--escape", "0.01"),
        ("add-class", "none", "--name", "dent", "--examples", "none", "--out", "out"),
        ("export", "none", "--to", "onnx"),
        ("embed", "none", "none", "--out", "out"),
        ("reproduce", "none", "--out", "out"),
    ],
)
def test_whatever_computes_takes_a_number_of_threads(
    blemish: Command, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        assert blemish(*command, "--threads", 2).code == 1, "what it is given is not there"
        assert (cv2.getNumThreads(), torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (2, 2, "2")
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


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
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if draft.exists() and draft.read_text().count("\n") >= number:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
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
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not (draft.exists() and draft.read_text().count("\n") == 2):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    assert process.stderr is not None
    assert is_one_line(process.stderr.read())
    assert [one.image for one in lines(out)] == images
    process.stdin.close()


# Several processes


def network_seconds(process: subprocess.Popen[str], out: Path) -> tuple[float, float]:
    """Seconds that the network took by the clock, and seconds of computing of the whole process."""
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    spent = float(err.splitlines()[-1])
    return sum(one.timings_ms["network"] for one in lines(out)) / 1e3, spent


def inspecting(bundle: Path, images: list[str], out: Path) -> subprocess.Popen[str]:
    program = (
        "import atexit, resource, sys\n"
        "def say():\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(used.ru_utime + used.ru_stime, file=sys.stderr)\n"
        "atexit.register(say)\n"
        "from blemish.cli.main import run; run()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    options = ["--threads", "2", "--device", "cpu", "--quiet", "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-c", program, "inspect", str(bundle), *images, *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(usable_cores() < 2, reason="two processes of two threads need two cores to fight over")
def test_two_inspections_at_once_take_no_longer_than_two_and_a_half_times_one(
    tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """By the clock, or, where others keep the machine busy, in computing: threads that spin compute."""
    images = [str(sample.image) for sample in tiny_dataset][:8]
    seen = []
    for attempt in range(4):
        outs = [tmp_path / f"{attempt}-{name}" for name in ("alone", "one", "other")]
        alone = network_seconds(inspecting(tiny_bundle, images, outs[0]), outs[0])
        pair = [(inspecting(tiny_bundle, images, out), out) for out in outs[1:]]
        both = [network_seconds(process, out) for process, out in pair]
        by_clock = max(clock for clock, _ in both) / alone[0]
        in_computing = sum(spent for _, spent in both) / alone[1]
        seen.append((by_clock, in_computing))
        if min(by_clock, in_computing) <= 2.5:
            return
    pytest.fail(f"two at once against one, by the clock and in computing: {seen}")


# Line scan


def test_strips_are_judged_as_one_picture_and_drawn(
    blemish: Command, tiny_bundle: Path, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    web = generator.integers(100, 110, (1500, 96), dtype=np.uint8)
    cv2.line(web, (20, 300), (60, 1300), 255, 5)
    (tmp_path / "strips").mkdir()
    edges = [0, 1, 2, 700, 705, 1200, 1500]
    for number, (top, stop) in enumerate(pairwise(edges)):
        cv2.imwrite(str(tmp_path / "strips" / f"{number}.png"), web[top:stop])
    cv2.imwrite(str(tmp_path / "web.png"), web)
    options = ("--device", "cpu", "--quiet", "--out")
    assert blemish("inspect", tiny_bundle, tmp_path / "web.png", *options, tmp_path / "whole").code == 0
    given = ("--line-scan", "--overlay", *options, tmp_path / "out")
    answer = blemish("inspect", tiny_bundle, tmp_path / "strips", *given)
    assert answer.code == 0, answer.err
    (whole,) = lines(tmp_path / "whole")
    found = lines(tmp_path / "out")
    assert [one.rows for one in found] == [(0, 1152), (1152, 1500)]
    assert [defect.area for one in found for defect in one.defects] == [
        defect.area for defect in sorted(whole.defects, key=lambda one: one.box_xyxy[3] > 1152)
    ]
    drawn = sorted(path.name for path in (tmp_path / "out" / "overlays").iterdir())
    assert [name.split("strips__")[1] for name in drawn] == ["00000000.png", "00001152.png"]


def test_a_stream_that_changes_width_is_exit_code_1_and_what_was_finished_is_written(
    blemish: Command, tiny_bundle: Path, tmp_path: Path
) -> None:
    for number, width in enumerate((64, 64, 80)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((40, width), 90, np.uint8))
    given = ("--line-scan", "--frame-rows", 50, "--out", tmp_path / "out", "--quiet")
    answer = blemish("inspect", tiny_bundle, tmp_path, *given)
    assert answer.code == 1
    first, second, wrong = lines(tmp_path / "out")
    assert (first.rows, second.rows) == ((0, 50), (50, 80))
    assert wrong.verdict is Verdict.ERROR
    assert "2.png must be as wide as the strips before it, 64 px. Received: 80 px." in str(wrong.error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frame-rows", 5], "--frame-rows is for a line scan. Add --line-scan"),
        (["--max-rows", 5], "--max-rows is for a line scan. Add --line-scan"),
        (["--line-scan", "--max-rows", 5, "--most-rows", 5], "older name of --max-rows"),
        (["--line-scan", "--max-rows", 5, "--frame-rows", 5], "exclude each other"),
    ],
)
def test_options_of_a_line_scan_that_do_nothing_are_wrong_use(
    blemish: Command, tmp_path: Path, options: list[object], message: str
) -> None:
    answer = blemish("inspect", tmp_path / "bundle", tmp_path, *options, "--out", tmp_path / "out")
    assert answer.code == 2
    assert message in answer.err
    assert is_one_line(answer.err)


def test_the_rows_that_are_held_may_be_given_by_the_older_name(
    blemish: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blemish.workflows import inspect as workflow

    webs: list[Any] = []

    def recorded(*_: object, web: Any, **__: object) -> workflow.RecordedInspections:
        webs.append(web)
        return workflow.RecordedInspections(tmp_path / "inspections.jsonl", 0)

    monkeypatch.setattr(workflow, "inspect_images", recorded)
    for option in ("--max-rows", "--most-rows"):
        options = ("--line-scan", option, 77, "--out", tmp_path / "out")
        assert blemish("inspect", tmp_path / "bundle", tmp_path, *options).code == 0
    assert webs[0].max_rows == 77 and webs[1] == webs[0]
    page = blemish("inspect", "--help").out
    assert "--max-rows" in page and "--most-rows" not in page


@pytest.mark.parametrize("place", [0, 1, 2, -1])
def test_an_empty_argument_is_not_the_current_folder(
    blemish: Command, tiny_bundle: Path, tmp_path: Path, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a script gives one from a variable that is not set."""
    monkeypatch.chdir(tmp_path)
    arguments = ["inspect", tiny_bundle, tmp_path, "--out", tmp_path / "out"]
    arguments[place] = ""
    answer = blemish(*arguments)
    assert answer.code == 2 and "An argument is empty" in answer.err and is_one_line(answer.err)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path, closed: str) -> None:
    script = (
        "import os; from blemish.cli.main import open_closed_streams; open_closed_streams(); "
        f"file = open({str(tmp_path / 'file')!r}, 'w'); raise SystemExit(0 if file.fileno() > 2 else 1)"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", script], check=False
    )
    assert done.returncode == 0


def test_overlays_that_cannot_be_written_are_told_and_every_image_is_judged(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "overlays").write_text("a file")
    images = [sample.image for sample in tiny_dataset][:3]
    answer = blemish("inspect", tiny_bundle, *images, "--overlay", "--quiet", "--out", tmp_path)
    assert answer.code == 1 and "3 overlays could not be written. The first: " in answer.err
    assert [one.image for one in lines(tmp_path)] == [*map(str, images)]


def test_what_belongs_to_a_closed_standard_error_does_not_go_to_standard_output(tmp_path: Path) -> None:
    script = "from blemish.cli.main import run; run()"
    command = [
        "/bin/sh",
        "-c",
        'exec "$@" 2>&-',
        "sh",
        sys.executable,
        "-c",
        script,
        "data",
        "check",
        tmp_path,
    ]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
