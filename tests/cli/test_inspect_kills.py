"""`inspect` killed at any moment: every answer that could be read is in the end there, and no image has two.

BLEMISH_KILLS sets the number of kills; `make kills` has 100.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from blemish.inspector.found_files import DRAFT, RECORD, SUMMARY
from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture

KILLS = int(os.environ.get("BLEMISH_KILLS", "6"))
IMAGES_A_KILL = 12
RUN = "from blemish.cli.main import run; run()"


def test_acknowledged_answers_are_stored_and_none_is_given_twice(unpacked: Path, tmp_path: Path) -> None:
    out, number = tmp_path / "out", KILLS * IMAGES_A_KILL
    bundle, images = unpacked / "bundles" / "casae-onnx", many_images(tmp_path / "in", number)
    chance = random.Random(KILLS)
    moments: Counter[str] = Counter()
    read: list[bytes] = []
    for kill in range(KILLS):
        process = started(bundle, images, out)
        # A third of the kills come while the program starts, the others when a few more answers are there.
        more = chance.randint(1, IMAGES_A_KILL) if kill % 3 else 0
        wait_for(process, out, len(read) + more, seconds=chance.uniform(0, 1.5) if not more else 60)
        time.sleep(chance.uniform(0, 0.01))
        before = whole_lines(out)
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) in (-signal.SIGKILL, 0), process.stderr
        moments["with new answers" if len(before) > len(read) else "without"] += 1
        assert before[: len(read)] == read, "an answer that was read is gone"
        read = before
    assert started(bundle, images, out).wait(timeout=600) == 0
    lines = (out / RECORD).read_bytes().splitlines(keepends=True)
    assert lines[: len(read)] == read
    names = Counter(json.loads(line)["image"] for line in lines)
    assert len(names) == number == len(lines) and set(names.values()) == {1}
    assert len({json.loads(line)["id"] for line in lines}) == number
    summary = json.loads((out / SUMMARY).read_text())
    assert (summary["complete"], summary["images"]) == (True, number)
    assert len(list((out / "overlays").glob("*.png"))) == number  # beside drafts of those that a kill cut off
    print(
        f"\n{KILLS} kills ({dict(moments)}), {len(read)} of {number} answers read before the last: all stored"
    )


def many_images(folder: Path, number: int) -> Path:
    """Images of one content under different names."""
    folder.mkdir()
    cv2.imwrite(str(folder / "0000.png"), np.full((96, 96), 90, np.uint8))
    for place in range(1, number):
        (folder / f"{place:04}.png").hardlink_to(folder / "0000.png")
    return folder


def started(bundle: Path, images: Path, out: Path) -> subprocess.Popen[bytes]:
    options = ["--out", str(out), "--resume", "--overlay", "--quiet"]
    command = [sys.executable, "-c", RUN, "inspect", str(bundle), str(images), *options]
    return subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(process: subprocess.Popen[bytes], out: Path, number: int, *, seconds: float) -> None:
    """Wait until so many answers can be read, the process has ended or the time is over."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline and len(whole_lines(out)) <= number:
        time.sleep(0.005)


def whole_lines(out: Path) -> list[bytes]:
    """Lines that anybody can read, of the file that is there."""
    for name in (DRAFT, RECORD):
        try:
            content = (out / name).read_bytes()
        except FileNotFoundError:  # not there yet, or renamed in between
            continue
        return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    return []
