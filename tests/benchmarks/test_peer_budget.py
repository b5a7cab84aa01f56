"""The clock that a peer is held to, tried on processes that sleep."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.peers.budget import run_within
from benchmarks.peers.job import PeerRun

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
BUSY = "while True: pass"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def run(text: str, seconds: float, folder: Path) -> tuple[float, bool, int, str]:
    log = folder / "logs" / "fit.log"
    ended = run_within([sys.executable, "-c", text], seconds, env=os.environ, log=log)
    return ended.seconds, ended.stopped, ended.code, log.read_text()


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.is_file() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_ends_in_time_keeps_its_exit_status_and_its_words(tmp_path: Path) -> None:
    seconds, stopped, code, printed = run("print('done'); raise SystemExit(3)", 30, tmp_path)
    assert (stopped, code, printed) == (False, 3, "done\n")
    assert seconds < 30


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks processes up in /proc")
def test_at_the_end_of_the_budget_the_process_and_its_children_are_stopped(tmp_path: Path) -> None:
    seconds, stopped, code, printed = run(PARENT, 3, tmp_path)
    assert stopped
    assert code != 0
    assert 3 <= seconds < 15
    time.sleep(0.2)
    assert not is_running(int(printed))


def test_one_that_does_not_listen_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.peers.budget.GRACE", 0.3)
    seconds, stopped, code, _ = run(DEAF, 2, tmp_path)
    assert (stopped, code) == (True, -9)
    assert seconds < 15


def test_the_own_clock_of_a_run_ends_before_the_drivers(tmp_path: Path) -> None:
    job = PeerRun(
        tmp_path, tmp_path, minutes=10, started=time.time() - 285, cores=1, seed=0, weights=None, options={}
    )
    assert job.seconds == pytest.approx(570)
    assert job.used() == pytest.approx(0.5, abs=0.01)
    short = PeerRun(tmp_path, tmp_path, minutes=0.5, started=0, cores=1, seed=0, weights=None, options={})
    assert short.seconds == pytest.approx(27)
    assert short.used() > 1


def test_steps_end_while_another_one_still_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reserve of 3 s leaves 3 s; of steps of 0.4 s one begins as long as 0.6 s are left."""
    now = 0.0
    monkeypatch.setattr("benchmarks.peers.job.time", SimpleNamespace(time=lambda: now))
    job = PeerRun(tmp_path, tmp_path, minutes=0.1, started=0, cores=1, seed=0, weights=None, options={})
    numbers = []
    for number in job.paced():
        numbers.append(number)
        now += 0.4
    assert numbers == list(range(len(numbers)))
    assert 2.0 < now < 3.0


def test_a_run_whose_time_is_over_takes_one_step(tmp_path: Path) -> None:
    job = PeerRun(tmp_path, tmp_path, minutes=0.1, started=0, cores=1, seed=0, weights=None, options={})
    numbers = []
    for number in job.paced():
        numbers.append(number)
        time.sleep(0.01)
    assert numbers == [0]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="not every system limits processor time")
def test_one_may_be_held_to_processor_time(tmp_path: Path) -> None:
    log = tmp_path / "fit.log"
    ended = run_within([sys.executable, "-c", BUSY], 300, env=os.environ, log=log, cpu_seconds=1)
    assert ended.stopped
    assert 0.5 < ended.cpu_seconds < 3
    idle = [sys.executable, "-c", "import time; time.sleep(2)"]
    ended = run_within(idle, 300, env=os.environ, log=log, cpu_seconds=1)
    assert (ended.stopped, ended.code) == (False, 0)
    assert ended.cpu_seconds < ended.seconds


def test_the_own_clock_may_be_the_processors(tmp_path: Path) -> None:
    options = {"minutes": 1.0, "started": time.time() - 3600, "cores": 1, "seed": 0, "weights": None}
    job = PeerRun(data=tmp_path, out=tmp_path, options={}, clock="processor", **options)
    before = job.used()
    assert before == pytest.approx(time.process_time() / 57, abs=0.05)
    time.sleep(0.3)
    assert job.used() - before < 0.3 / 57
