"""Commands that are asked to end: what was finished is kept, and the exit code names the signal."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.cli.signals import SAME_STOP_SECONDS
from blemish.dataset.samples import Dataset
from blemish.decision.usage import read_usage
from blemish.folder_lock import LOCK_NAME, folder_lock
from blemish.inspector.found_files import DRAFT, RECORD, SUMMARY
from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture

RUN = "from blemish.cli.main import run; run()"
# Steps of a tenth of a second, so that a signal comes between two of them and not behind the last.
SLOW_STEPS = """
import time
from blemish.training.trainer import RunTrainer
advance = RunTrainer.advance
RunTrainer.advance = lambda *arguments: (time.sleep(0.1), advance(*arguments))[1]
from blemish.cli.main import run; run()
"""
STUCK = """
import sys, time
from blemish.cli.signals import ending_on_signals
with ending_on_signals():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaning up", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def inspecting(unpacked: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `blemish inspect` on more images than it can judge, by a bundle that needs no torch."""
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), np.full((96, 96), 90, np.uint8))
    (tmp_path / "all.txt").write_text("in/a.png\n" * 100_000)
    started: list[subprocess.Popen[str]] = []

    def start(
        *before: str, ignored: signal.Signals | None = None, more: tuple[str, ...] = ()
    ) -> subprocess.Popen[str]:
        def handlers() -> None:
            # Jobs in the background ignore SIGINT, those of nohup SIGHUP, and their children would, too.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            if ignored is not None:
                signal.signal(ignored, signal.SIG_IGN)

        bundle = str(unpacked / "bundles" / "casae-onnx")
        options = [str(tmp_path / "all.txt"), "--out", str(tmp_path / "out"), "--quiet", *more]
        process = subprocess.Popen(
            [*before, sys.executable, "-c", RUN, "inspect", bundle, *options],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=handlers,  # noqa: PLW1509 - see `handlers`
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for_lines(process: subprocess.Popen[str], out: Path, number: int = 3) -> None:
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if (out / DRAFT).exists() and (out / DRAFT).read_bytes().count(b"\n") >= number:
            return
        time.sleep(0.02)
    pytest.fail("no line came")


def kept(out: Path) -> int:
    """Number of whole lines of a stopped inspection, whose summary says the same."""
    lines = [json.loads(line) for line in (out / RECORD).read_text().splitlines()]
    summary = json.loads((out / SUMMARY).read_text())
    assert (summary["complete"], summary["images"]) == (False, len(lines))
    assert {path.name for path in out.iterdir()} == {RECORD, SUMMARY}, "no lock, no draft"
    return len(lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_was_judged(
    inspecting: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
) -> None:
    process = inspecting()
    wait_for_lines(process, tmp_path / "out")
    process.send_signal(number)
    if number is signal.SIGHUP:  # a closed terminal: the shell sends it as well
        process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    by = "" if number is signal.SIGINT else f" by {number.name}"
    number_kept, out = kept(tmp_path / "out"), tmp_path / "out"
    assert 3 <= number_kept < 100_000
    assert err.startswith(f"blemish: stopped{by}. {number_kept} images were judged; {out / RECORD} and ")
    assert "Go on with the same command and --resume." in err and err.count("\n") == 1


def test_pictures_and_tables_of_a_stopped_inspection_are_complete(
    inspecting: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process, out = inspecting(more=("--overlay", "--sheet", "--csv")), tmp_path / "out"
    wait_for_lines(process, out)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    lines = [json.loads(line) for line in (out / RECORD).read_text().splitlines()]
    assert len(list((out / "overlays").iterdir())) == len(lines) >= 3
    with (out / "inspections.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == [line["verdict"] for line in lines]
    with (out / "defects.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == sum(len(line["defects"]) for line in lines)
    assert any(path.name.startswith("sheet") for path in out.iterdir())
    again = subprocess.run(
        [
            *(sys.executable, "-c", RUN, "inspect"),
            str(process.args[4]),
            str(out),
            "--out",
            str(tmp_path / "new"),
        ],  # type: ignore[index]
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no image" in again.stderr, "none of these files is an image to be inspected"


def test_a_signal_that_was_ignored_from_the_start_stays_ignored(
    inspecting: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = inspecting(ignored=signal.SIGHUP)  # as nohup starts it
    wait_for_lines(process, tmp_path / "out")
    process.send_signal(signal.SIGHUP)
    wait_for_lines(process, tmp_path / "out", (tmp_path / "out" / DRAFT).read_bytes().count(b"\n") + 20)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 128 + signal.SIGTERM


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, to be process 1")
def test_process_1_of_a_container_ends_as_well(
    inspecting: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """No signal ends it by itself, and only what has a handler reaches it."""
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no process may have a name space of its own here")
    process = inspecting(*alone)
    wait_for_lines(process, tmp_path / "out")
    (inside,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(inside), signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.startswith("blemish: stopped by SIGTERM.")
    assert kept(tmp_path / "out") >= 3


def test_a_second_signal_ends_at_once_but_not_one_of_the_same_stop() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "cleaning up\n"
    process.send_signal(signal.SIGHUP)
    time.sleep(SAME_STOP_SECONDS + 0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 128 + signal.SIGTERM
    process.stdout.close()


def test_a_second_inspection_into_the_folder_is_refused_while_the_first_runs_and_nothing_is_lost(
    inspecting: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    first = inspecting()
    wait_for_lines(first, tmp_path / "out")
    second = inspecting()
    _, err = second.communicate(timeout=120)
    assert second.returncode == 1
    assert err.startswith(
        f"blemish: {tmp_path / 'out'} is being written by another process (PID {first.pid} on "
    )
    assert err.count("\n") == 1
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=120) == 128 + signal.SIGTERM
    assert kept(tmp_path / "out") >= 3


def test_a_stopped_training_keeps_its_checkpoint_and_goes_on_with_resume(
    blemish: Callable[..., Any], tiny_dataset: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    settings = [
        "steps=14",
        "batch=2",
        "patch=64",
        "types=false",
        "encoder=paper",
        "checkpoint_every=2",
        "device=cpu",
    ]
    options = [word for setting in settings for word in ("--set", setting)]
    arguments = ["train", "severity", "--data", str(tiny_dataset.root), "--out", str(run), *options]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_STEPS, *arguments], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while not any(run.glob("checkpoints/*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert err.splitlines()[-1] == (
        f"blemish: stopped by SIGTERM. {run} keeps the last checkpoint. "
        f"Go on with `blemish train --out {run} --resume`."
    )
    assert any(run.glob("checkpoints/*.safetensors")) and not (run / "bundle").exists()
    assert not (run / LOCK_NAME).exists()
    answer = blemish(*arguments, "--resume", "--quiet")
    assert answer.code == 0, answer.err
    steps = [
        json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines() if "loss" in line
    ]
    assert steps == sorted(set(steps)) and steps[-1] == 14


@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("train severity --data {data} --out {out}", "out/.blemish.lock"),
        ("evaluate {bundle} --data {data} --out {out}", "out/.blemish.lock"),
        ("inspect {bundle} {data} --out {out}", "out/.blemish.lock"),
        ("embed {bundle} {data} --out {out}", "out/.blemish.lock"),
        ("demo --out {out}", "out/.blemish.lock"),
        ("data convert {data} {out} --to coco", "out/.blemish.lock"),
        ("data split {data} {out}", "out/.blemish.lock"),
        ("data synth {out}", "out/.blemish.lock"),
        ("data agree {data} {data} --out {out}", "out/.blemish.lock"),
        ("export {bundle} --to onnx --out {out}", ".out.blemish.lock"),
        ("add-class {bundle} --name dent --examples {data} --out {out}", ".out.blemish.lock"),
    ],
)
def test_every_command_that_writes_a_folder_is_refused_while_another_writes_there(
    blemish: Callable[..., Any], unpacked: Path, tmp_path: Path, command: str, place: str
) -> None:
    out = tmp_path / "out"
    names = {"data": unpacked / "surfaces", "bundle": unpacked / "bundles" / "severity", "out": out}
    with folder_lock(out, beside=place.startswith(".")):
        assert (tmp_path / place).is_file()
        answer = blemish(*(word.format(**names) for word in command.split()))
        assert answer.code == 1
        assert f"blemish: {out} is being written by another process (PID {os.getpid()} on " in answer.err
        assert not out.exists() or [path.name for path in out.iterdir()] == [LOCK_NAME]


def test_evaluations_at_once_are_all_counted(tmp_path: Path) -> None:
    counting = """
import sys
from pathlib import Path
from blemish.decision.usage import TestSetAccess, count_access
for number in range(20):
    access = TestSetAccess(data=sys.argv[2], date="2026-01-01T00:00:00+00:00", revision=0, digest="none")
    count_access(Path(sys.argv[1]), access, bundle="b-0")
"""
    command = [sys.executable, "-c", counting, str(tmp_path)]
    processes = [subprocess.Popen([*command, name]) for name in "abc"]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert len(read_usage(tmp_path, bundle="b-0").looks) == 60
    assert [path.name for path in tmp_path.iterdir()] == ["usage.json"]
