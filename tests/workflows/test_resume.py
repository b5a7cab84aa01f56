"""Arguments of a training that a run remembers, and those that must be given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle.store import load_bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError, WrongUseError
from blemish.methods import find_method, method_names
from blemish.progress import Reporter
from blemish.training.record import RUN_FILE
from blemish.training.request import Request, claim_folder
from blemish.workflows import resume as workflow
from blemish.workflows.resume import Asked, Resolved, resolve

QUIET = Reporter(quiet=True)


def resumed(run: Path, **given: Any) -> Resolved:
    return resolve(Asked(**{"method": None, "data": None, **given}), run, QUIET, resume=True)


def started(
    run: Path, dataset: Dataset, settings: dict[str, Any], *, method: str = "severity", **changes: Any
) -> Request:
    """Claim a folder, as a training does before its first step."""
    found = find_method(method)
    request = Request(found, dataset, found.settings_type.model_validate(settings), run, **changes)
    claim_folder(request, "digest")
    return request


def edit(run: Path, *without: str, **changes: Any) -> None:
    stored = json.loads((run / RUN_FILE).read_text())
    kept = {key: value for key, value in stored.items() if key not in without}
    (run / RUN_FILE).write_text(json.dumps({**kept, **changes}))


def test_what_is_not_given_is_the_runs(
    tiny_dataset: Dataset, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_dataset.root.parent)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    started(
        tmp_path,
        tiny_dataset,
        {"floor": 3.0, "device": "cpu"},
        seed=7,
        origin="data",
        data=Path("data"),
        initial_bundle=load_bundle(tiny_bundle),
    )
    monkeypatch.chdir(tmp_path)
    found = resumed(tmp_path)
    assert (found.method.name, found.seed, found.origin, found.threads) == ("severity", 7, "data", 1)
    assert found.data.is_absolute() and found.data.samefile(tiny_dataset.root)
    assert found.initial_bundle is not None and found.initial_bundle.samefile(tiny_bundle)
    assert found.settings["floor"] == 3.0
    other = resumed(tmp_path, data=Path("x"), seed=0, initial_bundle=Path("b"), threads=3, method="severity")
    assert (other.data, other.origin, other.seed) == (Path("x"), "x", 0)
    assert (other.initial_bundle, other.threads) == (Path("b"), 3)


@pytest.mark.parametrize("method", method_names())
@pytest.mark.parametrize("preset", ["default", "paper", "tiny"])
def test_settings_come_back_as_they_were(
    tiny_dataset: Dataset, tmp_path: Path, method: str, preset: str
) -> None:
    filled = {"preset": preset} if "preset" in find_method(method).settings_type.model_fields else {}
    request = started(tmp_path, tiny_dataset, filled, method=method, data=tiny_dataset.root)
    back = type(request.settings).model_validate(resumed(tmp_path).settings)
    assert back == request.settings


def test_threads_are_the_runs_where_the_machine_has_them(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    started(tmp_path, tiny_dataset, {"device": "cpu"}, data=tiny_dataset.root)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(workflow, "usable_cores", lambda: 8)
    assert resumed(tmp_path).threads == 4
    monkeypatch.setattr(workflow, "usable_cores", lambda: 2)
    assert resumed(tmp_path).threads is None
    edit(tmp_path, threads=None)
    assert resumed(tmp_path).threads is None, "a run on a GPU has none"


def test_an_older_run_does_not_tell_its_data(tiny_dataset: Dataset, tmp_path: Path) -> None:
    started(tmp_path, tiny_dataset, {"floor": 3.0}, seed=5)
    edit(tmp_path, "data", "data_path", "start_path", "threads")
    with pytest.raises(BlemishError, match=r"run\.json .* does not tell the data\. Give --data, too\.$"):
        resumed(tmp_path)
    found = resumed(tmp_path, data=tiny_dataset.root)
    assert (found.seed, found.settings["floor"], found.threads) == (5, 3.0, None)
    edit(tmp_path, start="severity-1234")
    with pytest.raises(BlemishError, match=r"severity-1234\. Give --from, too\.$"):
        resumed(tmp_path, data=tiny_dataset.root)


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        ({}, "no METHOD and no --data"),
        ({"method": "severity"}, "no --data"),
        ({"data": Path("x")}, "no METHOD"),
    ],
)
def test_a_method_and_data_must_be_given_or_known(
    tmp_path: Path, given: dict[str, Any], lacking: str
) -> None:
    asked = replace(Asked(None, None), **given)
    for resume, remedy in ((True, "There is no .*run.json"), (False, "Only with --resume")):
        with pytest.raises(WrongUseError, match=rf"Received: {lacking}\. .*{remedy}"):
            resolve(asked, tmp_path, QUIET, resume=resume)


def test_the_run_of_another_method_tells_nothing(tiny_dataset: Dataset, tmp_path: Path) -> None:
    started(tmp_path, tiny_dataset, {}, seed=7, data=tiny_dataset.root)
    found = resumed(tmp_path, method="casae", data=tiny_dataset.root)
    assert (found.method.name, found.seed, dict(found.settings)) == ("casae", 0, {})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"seed": 0}',
        '{"method": "severity", "seed": 0, "seed": 1, "data_fingerprint": "", "settings": {}}',
        '{"method": "none", "seed": 0, "data_fingerprint": "", "settings": {}}',
        '{"method": "severity", "seed": "x", "data_fingerprint": "", "settings": {}}',
        '{"method": "severity", "seed": 0, "data_fingerprint": "", "settings": {"floor": "x"}}',
        '{"method": "severity", "seed": 0, "data_fingerprint": "", "settings": {"flor": 1}}',
    ],
)
def test_a_broken_run_file_is_one_line_that_names_it(
    tiny_dataset: Dataset, tmp_path: Path, text: str
) -> None:
    (tmp_path / RUN_FILE).write_text(text)
    with pytest.raises(BlemishError, match=r"run\.json") as caught:
        resumed(tmp_path, data=tiny_dataset.root)
    assert "\n" not in str(caught.value)


def test_data_that_the_run_of_another_method_tells_must_be_given(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    started(tmp_path, tiny_dataset, {}, data=tiny_dataset.root)
    with pytest.raises(WrongUseError, match=r"no --data\. .*run\.json is of severity\. Leave METHOD out"):
        resumed(tmp_path, method="tlsdd")
