"""Live sources from the command line: ended by a signal, a time or a number, with everything counted."""

from __future__ import annotations

import json
import os
import shutil
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
from tests.inspector.live.live_servers import Camera, mjpeg_server

Command = Callable[..., Any]
# Under nohup and in the background of a shell, SIGINT is ignored from the start.
RUN = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from blemish.cli.main import run
run()"""


def summary(out: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((out / "inspections-summary.json").read_text(encoding="utf-8"))
    return fields


def count_lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stream_is_inspected_until_a_signal_ends_it(
    tiny_bundle: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    with mjpeg_server(Camera(rate=50, cut_after=100, password="anna:hunter2")) as address:
        named = address.replace("http://", "http://anna:hunter2@") + "video?token=hunter2"
        command = [sys.executable, "-c", RUN, "inspect", str(tiny_bundle), named, "--out", str(out)]
        process = subprocess.Popen(
            [*command, "--device", "cpu"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 300
        while count_lines(out / "inspections.jsonl.part") < 3 and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    fields = summary(out)
    live = fields["live"]
    assert fields["complete"] and fields["images"] == count_lines(out / "inspections.jsonl") >= 3
    taken = fields["images"] + live["unfinished"]
    assert live["received"] == taken + live["dropped"] + live["skipped"]
    assert live["source"] == address + "video?token=…" and f"{live['source']}: " in stderr
    written = "".join(path.read_text(errors="replace") for path in out.rglob("*") if path.is_file())
    assert "hunter2" not in stdout + stderr + written


def test_a_watched_folder_is_inspected_with_what_comes(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    images = [sample.image for sample in tiny_dataset][:3]
    (tmp_path / "in").mkdir()
    for image in images[:2]:
        shutil.copy(image, tmp_path / "in")
    writer = f"import shutil, time; time.sleep(2); shutil.copy({str(images[2])!r}, {str(tmp_path / 'in')!r})"
    with subprocess.Popen([sys.executable, "-c", writer]):
        options = ("--watch", "--max-images", 3, "--duration", "60s", "--device", "cpu")
        answer = blemish("inspect", tiny_bundle, tmp_path / "in", *options, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert summary(tmp_path / "out")["images"] == 3
    assert f"{tmp_path / 'in'}: 3 images inspected" in answer.err


def test_nothing_that_comes_is_an_empty_record(blemish: Command, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    options = ("--watch", "--duration", "0.5s", "--device", "cpu", "--out", tmp_path / "out")
    answer = blemish("inspect", tiny_bundle, tmp_path / "in", *options)
    assert answer.code == 0 and "0 images found" in answer.err
    assert (tmp_path / "out" / "inspections.jsonl").read_text() == ""
    assert summary(tmp_path / "out")["complete"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("camera:0", "a.png"), "A live source must be alone. Received: 2 paths."),
        (("a.png", "--duration", "5s"), "--duration is for a live source"),
        (("a.png", "--max-images", "5"), "--max-images is for a live source"),
        (("http://h/", "--watch"), "--watch is for a folder. Received: an address."),
        (("camera:0", "--line-scan"), "--line-scan must have strips without a gap."),
        (("rtsp://u:hunter2@:1/",), "An address must be such as rtsp://host:554/path"),
        (("camera:0", "--duration", "soon"), "--duration must be a time such as 15m"),
    ],
)
def test_what_does_not_go_together_is_refused(
    blemish: Command, tiny_bundle: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    answer = blemish("inspect", tiny_bundle, *arguments, "--out", tmp_path / "out")
    assert (
        answer.code in (1, 2) and answer.err.startswith(f"blemish: {message}") and "hunter2" not in answer.err
    )


def test_images_unlike_those_of_the_training_unless_the_user_says_so(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    pixels = cv2.imread(str(tiny_dataset.samples[0].image), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "dark.png"), pixels // 8)
    records = {}
    for name, more in (("checked", ()), ("unchecked", ("--no-input-check",))):
        out = tmp_path / name
        answer = blemish(
            "inspect", tiny_bundle, tmp_path / "dark.png", "--device", "cpu", "--out", out, *more
        )
        assert answer.code == 0, answer.err
        records[name] = json.loads((out / "inspections.jsonl").read_text())
        replayed = blemish("replay", out, "--images", tmp_path)
        assert replayed.code == 0, replayed.out + replayed.err
    assert any("darker than any training image" in each for each in records["checked"]["reasons"])
    assert not any("training image" in each for each in records["unchecked"].get("reasons", ()))
    assert "input_check" not in records["checked"]["bundles"][0]
    assert records["unchecked"]["bundles"][0]["input_check"] is False
