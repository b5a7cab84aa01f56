"""Jobs: their commands, progress, cancel, and that no kill of the job or of the server loses them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from blemish.station.database.work import JobRow
from blemish.station.jobs import arguments, process
from blemish.station.jobs.arguments import ARGUMENTS, commands_of
from blemish.station.jobs.process import JobProcess
from blemish.station.jobs.runner import Runner
from tests.station.server.station_builders import Bench, FakeLine
from tests.station.server.test_station_datasets import frozen, labelled

BUNDLE = "severity-0123456789ab"
# In place of `blemish`: counts to 20 in counted.txt, going on where it was cut off, and tells its progress.
STAND_IN = """
import json, os, pathlib, sys, time
file, fd = pathlib.Path("counted.txt"), int(sys.argv[2])
done = len(file.read_text()) if file.exists() else 0
print("begun at", done, flush=True)
for number in range(done, 20):
    os.write(fd, json.dumps({"title": "counting", "done": number, "total": 20}).encode() + b"\\n")
    with file.open("a") as opened:
        opened.write("x")
    time.sleep(float(os.environ.get("STEP", "0")))
if os.environ.get("FAULT"):
    sys.exit(print("blemish: " + os.environ["FAULT"]) or 1)
"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_up(**environment: str) -> None:
        monkeypatch.setattr(process, "BLEMISH", [sys.executable, "-c", STAND_IN])
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    monkeypatch.setattr(
        "blemish.station.jobs.runner.result_of", lambda *_: lambda session: {"bundle_id": BUNDLE}
    )
    monkeypatch.setattr(process, "GRACE_SECONDS", 2.0)
    return set_up


@pytest.fixture
def queued(bench: Bench, line: FakeLine) -> dict[str, Any]:
    labelled(bench, line, lots=3)
    dataset = frozen(bench, "set")
    answer = bench.engineer.post(
        "/jobs", json={"kind": "train", "dataset_id": dataset["id"], "method": "severity"}
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def until(
    bench: Bench, runner: Runner, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60
) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        runner.tend()
        job: dict[str, Any] = bench.viewer.get("/jobs/1").json()
        if wanted(job):
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def has_ended(job: dict[str, Any]) -> bool:
    return job["state"] in ("done", "failed", "cancelled")


def test_job_runs_tells_its_progress_and_leaves_log_and_result(
    bench: Bench, queued: dict[str, Any], stand_in: Callable[..., None]
) -> None:
    stand_in(STEP="0.05")
    runner = Runner(bench.station)
    seen = until(bench, runner, lambda job: (job["progress"] or 0) > 2)
    assert (seen["state"], seen["message"], seen["total"]) == ("running", "counting", 20)
    done = until(bench, runner, has_ended)
    assert (done["state"], done["attempt"], done["result"]) == ("done", 1, {"bundle_id": BUNDLE})
    assert bench.engineer.get("/jobs/1/log").text == "begun at 0\n"
    assert bench.engineer.get("/jobs/1/log", params={"offset": 6}).headers["X-Next-Offset"] == "11"
    data = bench.station.folder.jobs / "1" / "data" / "annotations"
    assert sorted(path.name for path in data.iterdir()) == ["instances_train.json", "instances_val.json"]


def test_job_outlives_the_server_and_is_found_again(
    bench: Bench, queued: dict[str, Any], stand_in: Callable[..., None]
) -> None:
    stand_in(STEP="0.05")
    first = Runner(bench.station, lease=timedelta(seconds=0.3))
    until(bench, first, lambda job: (job["progress"] or 0) > 1)
    second = Runner(bench.station)
    done = until(bench, second, has_ended)
    assert (done["state"], done["attempt"]) == ("done", 1), "it was adopted, not begun again"
    assert (bench.station.folder.jobs / "1" / "counted.txt").read_text() == 20 * "x"


def test_other_server_s_job_is_left_alone_while_its_lease_lasts(
    bench: Bench, queued: dict[str, Any], stand_in: Callable[..., None]
) -> None:
    stand_in(STEP="0.02")
    first, second = Runner(bench.station), Runner(bench.station)
    until(bench, first, lambda job: job["progress"] is not None)
    for _ in range(3):
        second.tend()
    with bench.station.database.reading() as session:
        assert session.get(JobRow, 1).owner == first.name  # type: ignore[union-attr]
    until(bench, first, has_ended)


def test_killed_job_goes_on_and_one_killed_too_often_fails(
    bench: Bench, queued: dict[str, Any], stand_in: Callable[..., None]
) -> None:
    stand_in(STEP="0.05")
    runner, counted = Runner(bench.station), bench.station.folder.jobs / "1" / "counted.txt"
    for attempt in (1, 2):
        until(bench, runner, lambda job, attempt=attempt: job["attempt"] == attempt)
        before = len(counted.read_text()) if counted.exists() else 0
        until(
            bench,
            runner,
            lambda job, before=before: counted.exists() and len(counted.read_text()) > before + 1,
        )
        with bench.station.database.reading() as session:
            os.killpg(session.get(JobRow, 1).pid, signal.SIGKILL)  # type: ignore[arg-type, union-attr]
    done = until(bench, runner, has_ended)
    assert (done["state"], done["attempt"]) == ("done", 3)
    assert counted.read_text() == 20 * "x"
    assert bench.engineer.get("/jobs/1/log").text.startswith("begun at 0\nbegun at ")


def test_job_that_fails_says_why_without_a_path(
    bench: Bench, queued: dict[str, Any], stand_in: Callable[..., None]
) -> None:
    stand_in(FAULT=f"{bench.station.folder.root}/jobs/1/data must have images. Received: none.")
    done = until(bench, Runner(bench.station), has_ended)
    assert (done["state"], done["message"]) == ("failed", "data must have images. Received: none.")


def test_cancel_ends_the_whole_group(
    bench: Bench, queued: dict[str, Any], stand_in: Callable[..., None]
) -> None:
    stand_in(STEP="5")
    runner = Runner(bench.station)
    until(bench, runner, lambda job: job["progress"] is not None)
    with bench.station.database.reading() as session:
        row = session.get(JobRow, 1)
        assert row is not None and row.pid is not None
        running = JobProcess(row.pid, row.pid_started or "")
    assert bench.operator.post("/jobs/1/cancel").status_code == 403
    assert bench.engineer.post("/jobs/1/cancel").status_code == 200
    assert until(bench, runner, has_ended)["state"] == "cancelled"
    assert not running.group_lives()
    assert bench.engineer.post("/jobs/1/cancel").status_code == 409


def test_queued_job_is_cancelled_at_once(bench: Bench, queued: dict[str, Any]) -> None:
    assert bench.engineer.post("/jobs/1/cancel").json()["state"] == "cancelled"
    Runner(bench.station).tend()
    assert bench.viewer.get("/jobs/1").json()["attempt"] == 0


def test_process_is_told_by_its_start_as_well(bench: Bench) -> None:
    mine = JobProcess(os.getpid(), str(process.start_time(os.getpid())))
    assert mine.lives()
    assert not JobProcess(os.getpid(), "1").lives(), "another process with the number of one that ended"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "train", "dataset_id": 1, "method": "--resume"}, "method"),
        ({"kind": "train", "dataset_id": 1, "settings": {"size": "a b"}}, "settings"),
        ({"kind": "train", "dataset_id": 1, "settings": {"--out": 3}}, "settings"),
        ({"kind": "train", "dataset_id": 1, "time_budget": "soon"}, "time_budget"),
        ({"kind": "export", "bundle_id": "../../x", "to": "onnx"}, "bundle_id"),
        ({"kind": "evaluate", "bundle_id": BUNDLE, "dataset_id": 1, "split": "train"}, "split"),
        ({"kind": "shell", "command": "ls"}, "kind"),
    ],
)
def test_no_request_can_name_a_path_or_an_option(bench: Bench, body: dict[str, Any], message: str) -> None:
    answer = bench.engineer.post("/jobs", json=body)
    assert answer.status_code == 422 and message in answer.json()["error"], answer.json()


def test_commands_of_every_kind() -> None:
    bundles = {BUNDLE: "/s/bundles/a", "severity-ba9876543210": "/s/bundles/b"}

    def commands(resume: bool = False, **fields: Any) -> list[str]:
        asked = ARGUMENTS.validate_python(fields)
        return [" ".join(each) for each in commands_of(asked, bundles, class_name="dent", resume=resume)]

    train = {"kind": "train", "dataset_id": 1, "method": "casae", "preset": "quick", "threads": 2}
    assert commands(**train, settings={"size": 64, "tiled": False}, from_bundle_id=BUNDLE) == [
        "train casae --data data --out run --seed 0 --preset quick --from /s/bundles/a --set size=64 "
        "--set tiled=false --threads 2"
    ]
    assert commands(**train, resume=True) == ["train --out run --resume --threads 2"]
    assert commands(
        kind="add_class", bundle_id=BUNDLE, class_id=1, annotation_ids=[1], check_dataset_id=2
    ) == ["add-class /s/bundles/a --name dent --examples examples --out bundle --check data"]
    assert commands(kind="export", bundle_id=BUNDLE, to="openvino", precision="int8", dataset_id=1) == [
        "export /s/bundles/a --to openvino --precision int8 --out bundle --data data"
    ]
    assert commands(kind="evaluate", bundle_id=BUNDLE, dataset_id=1) == [
        "evaluate /s/bundles/a --data data --split test --out evaluation"
    ]
    assert commands(kind="compare", a=BUNDLE, b="severity-ba9876543210", dataset_id=1) == [
        "inspect /s/bundles/a judged --out a",
        "inspect /s/bundles/b judged --out b",
    ]


def test_options_are_those_of_the_command_line() -> None:
    """Every option that a job uses exists, by typer's own table."""
    from typer.main import get_command

    from blemish.cli.commands import app

    known = {name: {option for parameter in command.params for option in parameter.opts}
             for name, command in get_command(app).commands.items()}  # type: ignore[attr-defined]  # fmt: skip
    used = {
        "train": [
            "--data",
            "--out",
            "--seed",
            "--preset",
            "--from",
            "--set",
            "--threads",
            "--resume",
            "--time-budget",
        ],
        "add-class": ["--name", "--examples", "--out", "--check", "--threads"],
        "export": ["--to", "--precision", "--out", "--data", "--threads"],
        "evaluate": ["--data", "--split", "--out", "--threads"],
        "inspect": ["--out", "--threads"],
    }
    for command, options in used.items():
        assert set(options) <= known[command], command


def test_training_never_sees_the_sealed_test() -> None:
    for fields in (
        {"kind": "train", "dataset_id": 1},
        {"kind": "export", "bundle_id": BUNDLE, "to": "onnx", "dataset_id": 1},
        {
            "kind": "add_class",
            "bundle_id": BUNDLE,
            "class_id": 1,
            "annotation_ids": [1],
            "check_dataset_id": 1,
        },
    ):
        assert "test" not in arguments.splits_of(ARGUMENTS.validate_python(fields))
