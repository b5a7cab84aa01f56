"""Requests for a training and the run folders that they claim."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import migrations
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.training.record import note_steps, read_record
from blemish.training.request import RUN_FILE, Request, claim_folder, refuse_good_images_alone, same_setting
from blemish.training.time_plan import StepCount


def request(dataset: Dataset, settings: Mapping[str, Any], run: Path, **changes: Any) -> Request:
    method = find_method("severity")
    return Request(method, dataset, method.settings_type.model_validate(settings), run, **changes)


def began(run: Path) -> None:
    """Leave what a training leaves once it has begun."""
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "regression.safetensors").touch()


def test_what_never_began_is_no_run(tiny_dataset: Dataset, tmp_path: Path) -> None:
    claim_folder(request(tiny_dataset, {}, tmp_path), "digest")
    picture = tmp_path / "pictures" / "training-images.png"
    picture.parent.mkdir()
    picture.touch()
    claim_folder(request(tiny_dataset, {"floor": 3.0}, tmp_path), "another digest")
    assert '"floor": 3.0' in (tmp_path / "run.json").read_text()
    assert not picture.exists(), "drawn with other settings"


def test_a_folder_that_holds_a_run_is_not_written_over(tiny_dataset: Dataset, tmp_path: Path) -> None:
    claim_folder(request(tiny_dataset, {}, tmp_path), "digest")
    began(tmp_path)
    with pytest.raises(BlemishError, match=r"already holds a run\. Add --resume"):
        claim_folder(request(tiny_dataset, {}, tmp_path), "digest")
    claim_folder(request(tiny_dataset, {}, tmp_path, resume=True), "digest")


@pytest.mark.parametrize(
    ("changes", "digest", "named"),
    [
        ({"seed": 3}, "digest", "seed"),
        ({}, "another", "images, annotations and splits"),
    ],
)
def test_resuming_another_run_is_refused_and_what_differs_named(
    tiny_dataset: Dataset, tmp_path: Path, changes: dict[str, Any], digest: str, named: str
) -> None:
    claim_folder(request(tiny_dataset, {}, tmp_path), "digest")
    began(tmp_path)
    with pytest.raises(BlemishError, match=f"--resume needs the same {named}"):
        claim_folder(request(tiny_dataset, {}, tmp_path, resume=True, **changes), digest)


def test_resuming_with_other_settings_names_the_first_that_differs(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    claim_folder(request(tiny_dataset, {}, tmp_path), "digest")
    began(tmp_path)
    with pytest.raises(BlemishError, match=r"same settings\. Received: floor=3\.0, the run has 6\.0"):
        claim_folder(request(tiny_dataset, {"floor": 3.0}, tmp_path, resume=True), "digest")


def test_one_file_by_two_names_is_the_same_setting(tmp_path: Path) -> None:
    (tmp_path / "draw.json").write_text("{}")
    (tmp_path / "other.json").write_text("{}")
    name = str(tmp_path / "draw.json")
    assert same_setting(name, str(tmp_path / "." / ".." / tmp_path.name / "draw.json"))
    assert not same_setting(name, str(tmp_path / "other.json"))
    assert same_setting("gone.json", "gone.json")
    assert not same_setting("gone.json", "lost.json")
    assert not same_setting(name, None)


def test_a_run_older_than_a_setting_had_its_default(tiny_dataset: Dataset, tmp_path: Path) -> None:
    claim_folder(request(tiny_dataset, {}, tmp_path), "digest")
    began(tmp_path)
    there = json.loads((tmp_path / RUN_FILE).read_text())
    del there["settings"]["floor"]
    (tmp_path / RUN_FILE).write_text(json.dumps(there))
    claim_folder(request(tiny_dataset, {}, tmp_path, resume=True), "digest")
    with pytest.raises(BlemishError, match=r"Received: floor=3\.0, the run has 6\.0"):
        claim_folder(request(tiny_dataset, {"floor": 3.0}, tmp_path, resume=True), "digest")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seed": 0}'])
def test_a_broken_run_file_is_a_clear_error(tiny_dataset: Dataset, tmp_path: Path, text: str) -> None:
    (tmp_path / RUN_FILE).write_text(text)
    began(tmp_path)
    with pytest.raises(BlemishError, match=r"run\.json"):
        claim_folder(request(tiny_dataset, {}, tmp_path, resume=True), "digest")


def test_a_run_from_before_rules_could_follow_the_data_goes_on(tiny_dataset: Dataset, tmp_path: Path) -> None:
    claim_folder(request(tiny_dataset, {"ng_rule": "f1", "review_rule": "escape<=0"}, tmp_path), "digest")
    began(tmp_path)
    claim_folder(request(tiny_dataset, {}, tmp_path, resume=True), "digest")
    with pytest.raises(BlemishError, match=r"Received: ng_rule=overkill<=0\.1, the run has f1"):
        claim_folder(request(tiny_dataset, {"ng_rule": "overkill<=0.1"}, tmp_path, resume=True), "digest")


def test_a_run_that_calls_a_setting_by_its_older_name_goes_on(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_folder(request(tiny_dataset, {"floor": 3.0}, tmp_path), "digest")
    began(tmp_path)
    there = json.loads((tmp_path / RUN_FILE).read_text())
    there["settings"]["ground"] = there["settings"].pop("floor")
    (tmp_path / RUN_FILE).write_text(json.dumps(there))
    monkeypatch.setattr(migrations, "RENAMED", {"severity": {"ground": "floor"}})
    claim_folder(request(tiny_dataset, {"floor": 3.0}, tmp_path, resume=True), "digest")
    with pytest.raises(BlemishError, match=r"Received: floor=6\.0, the run has 3\.0"):
        claim_folder(request(tiny_dataset, {}, tmp_path, resume=True), "digest")


@pytest.mark.parametrize(
    ("split", "use"), [("train", "learns from defects"), ("val", "chooses its threshold")]
)
def test_good_images_alone_are_refused_where_a_method_cannot_learn_from_them(
    tiny_dataset: Dataset, split: str, use: str
) -> None:
    good = tiny_dataset.where(lambda sample: sample.split != split or not sample.is_defective)
    images = len(good.split(split))
    with pytest.raises(
        BlemishError, match=rf"severity {use}.* '{split}' must show some\. Received: {images} images without"
    ):
        refuse_good_images_alone(find_method("severity"), good)
    refuse_good_images_alone(find_method("severity"), tiny_dataset)


def test_resuming_with_another_number_of_threads_is_refused(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums are rounded in another order then, and the weights would be others."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    claim_folder(request(tiny_dataset, {"device": "cpu"}, tmp_path), "digest")
    began(tmp_path)
    claim_folder(request(tiny_dataset, {"device": "cpu"}, tmp_path, resume=True), "digest")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(BlemishError, match=r"Received: 1, the run has 2\. Give --threads 2\."):
        claim_folder(request(tiny_dataset, {"device": "cpu"}, tmp_path, resume=True), "digest")
    there = json.loads((tmp_path / RUN_FILE).read_text())
    (tmp_path / RUN_FILE).write_text(json.dumps({k: v for k, v in there.items() if k != "threads"}))
    claim_folder(request(tiny_dataset, {"device": "cpu"}, tmp_path, resume=True), "digest")


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("odd", [None, Path.mkdir, os.mkfifo])
def test_checkpoints_without_the_run_that_they_are_of_are_refused(
    tiny_dataset: Dataset, tmp_path: Path, resume: bool, odd: Callable[[Path], None] | None
) -> None:
    claim_folder(request(tiny_dataset, {}, tmp_path), "digest")
    began(tmp_path)
    (tmp_path / "run.json").unlink()
    if odd is not None:
        odd(tmp_path / "run.json")
    with pytest.raises(BlemishError, match=r"run\.json must tell which settings and data"):
        claim_folder(request(tiny_dataset, {"floor": 3.0}, tmp_path, resume=resume), "another")


def test_steps_are_added_to_a_record_and_what_it_leaves_open_stays_so(tmp_path: Path) -> None:
    """A run of 0.1 does not say its threads; None would be those of a GPU."""
    old = {"method": "severity", "seed": 1, "data_fingerprint": "x", "settings": {"steps": 30}}
    (tmp_path / "run.json").write_text(json.dumps(old))
    note_steps(tmp_path, {"regression": StepCount(planned=30, taken=25)})
    stored = json.loads((tmp_path / "run.json").read_text())
    assert stored == {**old, "steps_planned": {"regression": 30}, "steps_taken": {"regression": 25}}
    record = read_record(tmp_path)
    assert record is not None and "threads" not in record.model_fields_set
