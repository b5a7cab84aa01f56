"""Jobs by the real commands: train, evaluate, export, cancel; a killed training gives the same weights.

`make test-station` gives ten kills, and exports: BLEMISH_STATION_LONG=1.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.arrays import Box
from blemish.dataset.samples import Dataset
from blemish.station.database.work import JobRow
from blemish.station.jobs.process import JobProcess
from blemish.station.jobs.runner import MAX_ATTEMPTS, Runner
from tests.station.server.station_builders import Bench, FakeLine

LONG = bool(os.environ.get("BLEMISH_STATION_LONG"))
LOTS = 4
SECONDS = 500.0
# A training of seconds, with a checkpoint every few steps.
TRAIN = {
    "kind": "train",
    "method": "severity",
    "threads": 1,
    "settings": {"preset": "tiny", "steps": 40, "checkpoint_every": 5, "types": False, "device": "cpu"},
}


@pytest.fixture
def dataset(bench: Bench, line: FakeLine, tiny_dataset: Dataset) -> int:
    """Number of a frozen data set of the tiny set's images, labelled by outlines around them."""
    client, classes = bench.engineer, {}
    for name in ("scratch", "spot"):
        body = {"name": name, "colour": "#d62728"}
        classes[name] = client.post("/classes", json=body).json()["id"]
    for number, sample in enumerate(tiny_dataset):
        pixels = cv2.imread(str(sample.image), cv2.IMREAD_GRAYSCALE)
        sha = line.part("NG", pixels=np.asarray(pixels), lot=f"L{number % LOTS}")["image"]["sha256"]
        items = [
            {"class_id": classes[each.label], "shape": outline(each.box_xyxy)}
            for each in sample.annotations
            if each.box_xyxy is not None
        ]
        bench.ingest()
        path = f"/images/{sha}/annotations"
        answer = client.put(path, json={"items": items}, headers={"If-Match": '"0"'})
        assert answer.status_code == 200, answer.text
    made: int = client.post("/datasets", json={"name": "set"}).json()["id"]
    assert client.post(f"/datasets/{made}/freeze", json={}).status_code == 200
    return made


def outline(box: Box) -> dict[str, Any]:
    """Polygon of a box's corners: a training of severity asks for outlines."""
    x0, y0, x1, y1 = box
    return {"kind": "polygon", "rings": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]}


def added(bench: Bench, body: dict[str, Any]) -> int:
    answer = bench.engineer.post("/jobs", json=body)
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["id"]
    return number


def tended(
    bench: Bench, runner: Runner, number: int, wanted: Callable[[dict[str, Any]], bool] | None = None
) -> dict[str, Any]:
    """Look after a job until it is as wanted, or has ended; fails with its log where it failed."""
    end = time.monotonic() + SECONDS
    while True:
        runner.tend()
        job: dict[str, Any] = bench.viewer.get(f"/jobs/{number}").json()
        ended = job["state"] not in ("queued", "running")
        if ended or (wanted is not None and wanted(job)):
            log = bench.engineer.get(f"/jobs/{number}/log").text
            assert job["state"] != "failed", (job["message"], log)
            return job
        assert time.monotonic() < end, job
        time.sleep(0.05)


def running(bench: Bench, number: int) -> JobProcess:
    """Process of a job."""
    with bench.station.database.reading() as session:
        row = session.get(JobRow, number)
        assert row is not None and row.pid is not None
        return JobProcess(row.pid, row.pid_started or "")


def weights_of(bench: Bench, job: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of every file of weights of the bundle that a job made."""
    folder = bench.station.folder.bundles / job["result"]["bundle_id"]
    files = sorted(folder.glob("*.safetensors"))
    assert files
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_killed_training_gives_the_weights_of_an_unbroken_one(bench: Bench, dataset: int) -> None:
    runner, generator = Runner(bench.station), random.Random(5)
    unbroken = tended(bench, runner, added(bench, {**TRAIN, "dataset_id": dataset}))
    expected, kills = weights_of(bench, unbroken), 0
    assert unbroken["attempt"] == 1 and bench.viewer.get(f"/bundles/{unbroken['result']['bundle_id']}").json()
    while kills < (10 if LONG else 2):
        number = added(bench, {**TRAIN, "dataset_id": dataset})
        for attempt in range(1, MAX_ATTEMPTS):
            step = generator.randint(1, 15) * attempt

            def far_enough(job: dict[str, Any], attempt: int = attempt, step: int = step) -> bool:
                return job["attempt"] == attempt and (job["progress"] or 0) >= step

            if tended(bench, runner, number, far_enough)["state"] == "done":
                break
            os.killpg(running(bench, number).pid, signal.SIGKILL)
            kills += 1
        job = tended(bench, runner, number)
        assert weights_of(bench, job) == expected
    print(f"{kills} kills, the same weights")
    trained = unbroken["result"]["bundle_id"]
    number = added(bench, evaluation(trained, dataset))
    tended(bench, runner, number, lambda job: job["message"] is not None)
    os.killpg(running(bench, number).pid, signal.SIGKILL)
    measured = tended(bench, runner, number)
    assert measured["attempt"] == 2
    assert measured["result"]["metrics"] and measured["has_report"]
    if LONG:
        body = {"kind": "export", "bundle_id": trained, "to": "onnx", "threads": 1}
        exported = tended(bench, runner, added(bench, body))
        bundle = bench.viewer.get(f"/bundles/{exported['result']['bundle_id']}").json()
        assert bundle["parent_id"] == trained


def evaluation(bundle: str, dataset: int) -> dict[str, Any]:
    return {"kind": "evaluate", "bundle_id": bundle, "dataset_id": dataset, "threads": 1}


def test_running_training_is_cancelled(bench: Bench, dataset: int) -> None:
    runner = Runner(bench.station)
    number = added(bench, {**TRAIN, "dataset_id": dataset})
    tended(bench, runner, number, lambda job: job["attempt"] == 1)
    process = running(bench, number)
    assert process.group_lives()
    assert bench.engineer.post(f"/jobs/{number}/cancel").status_code == 200
    assert tended(bench, runner, number)["state"] == "cancelled"
    assert not process.group_lives()
