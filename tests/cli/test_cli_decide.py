"""`decide`, the seal on test images, and sizes in mm, from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from blemish.bundle import load_bundle
from blemish.dataset.samples import Dataset
from blemish.decision.store import stored_decision
from blemish.errors import BlemishError
from blemish.folder_lock import one_at_a_time
from blemish.inspection import Verdict

Command = Callable[..., Any]


@pytest.fixture(scope="session")
def calib(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """20 images like the tiny set's, none of them the same, in no split."""
    from blemish.dataset.layouts import load_dataset
    from blemish.dataset.synthetic import synthesise

    root = tmp_path_factory.mktemp("calib") / "data"
    synthesise(
        root,
        surfaces=["cast_metal", "brushed_metal"],
        images=20,
        seed=77,
        size=(96, 96),
        class_weights={"scratch": 1, "spot": 1},
        contrast=(70, 120),
    )
    for file in (root / "splits").iterdir():
        file.unlink()
    (root / "splits").rmdir()
    return load_dataset(root)


@pytest.fixture
def decide(blemish: Command, tiny_bundle: Path, calib: Dataset) -> Command:
    def call(*options: object, data: Path | None = None) -> Any:
        return blemish(
            "decide", tiny_bundle, "--data", data or calib.root, *options, "--device", "cpu", "--quiet"
        )

    return call


def decision_of(bundle: Path) -> Any:
    return stored_decision(bundle, bundle=load_bundle(bundle).id)


def refused(answer: Any, message: str) -> None:
    assert answer.code in (1, 2) and message in answer.err, answer.err
    assert answer.err.startswith("blemish: ") and answer.err.count("\n") == 1


# Choosing


def test_decide_writes_a_decision_that_evaluate_and_inspect_follow(
    blemish: Command, decide: Command, tiny_bundle: Path, calib: Dataset, tmp_path: Path
) -> None:
    manifest = (tiny_bundle / "manifest.json").read_bytes()
    answer = decide("--escape", 0.3, "--limit", "length=2px:review", "--grade", "length=30px:scrap")
    assert answer.code == 0, answer.err
    printed = answer.out.splitlines()
    assert printed[-1] == str(tiny_bundle / "decision.yaml")
    assert (tiny_bundle / "manifest.json").read_bytes() == manifest
    decision = decision_of(tiny_bundle)
    assert (decision.revision, decision.chosen.images, decision.chosen.split) == (1, 20, "all")
    evaluated = blemish(
        "evaluate", tiny_bundle, "--data", calib.root, "--split", "all", "--out", tmp_path, "--quiet"
    )
    assert evaluated.code == 0, evaluated.err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    stored = decision.chosen.point.model_dump()
    assert metrics["operating_point"]["escapes"] == stored["escapes"], "the same images, the same path"
    assert metrics["operating_point"]["overkill"] == stored["overkill"]
    assert metrics["decision"]["revision"] == 1 and sum(metrics["decision"]["grades"].values()) == 20
    assert metrics["decision"]["grades"]["none"] > 0, "rejected by the score alone"
    report = (tmp_path / "report.html").read_text()
    assert "20 of these 20 images were used to train the bundle or to choose its thresholds" in report
    assert "any defect, length: scrap from 30 px." in report
    blemish("inspect", tiny_bundle, calib.root, "--out", tmp_path, "--quiet", "--device", "cpu")
    lines = [json.loads(line) for line in (tmp_path / "inspections.jsonl").read_text().splitlines()]
    passed = sum(line["verdict"] == Verdict.OK for line in lines)
    assert all(line["decision"] == 1 and (line["reasons"] or line["verdict"] == "OK") for line in lines)
    clean = stored["overkill"]["of"]
    reviewed = stored["review"]["n"]
    assert (
        passed <= stored["escapes"]["n"] + clean
        and sum(line["verdict"] == "REVIEW" for line in lines) == reviewed
    )


def test_limits_changed_by_hand_take_no_counts_along(
    blemish: Command, decide: Command, tiny_bundle: Path, calib: Dataset, tmp_path: Path
) -> None:
    decide("--escape", 0.3, "--limit", "length=2px:review")
    command = ["evaluate", tiny_bundle, "--data", calib.root, "--split", "all", "--out", tmp_path, "--quiet"]
    assert blemish(*command).code == 0
    assert "On the calibration images that it was chosen on" in (tmp_path / "report.html").read_text()
    file = tiny_bundle / "decision.yaml"
    file.write_text(file.read_text().replace("review: 2.0", "review: 80.0"))
    assert blemish(*command).code == 0
    report = (tmp_path / "report.html").read_text()
    assert "On the calibration images that it was chosen on" not in report
    assert "It has been edited by hand since, so its counts no longer hold." in report


def test_the_next_revision_keeps_what_is_not_asked_for_and_the_file_before(
    decide: Command, tiny_bundle: Path
) -> None:
    decide("--escape", 0.1, "--limit", "scratch:length=20px:ng", "--ignore", "area=4px")
    answer = decide("--overkill", 0.1, "--ignore", "none", "--mm-per-px", 0.05)
    assert answer.code == 0, answer.err
    decision = decision_of(tiny_bundle)
    assert (decision.revision, decision.ignore, decision.mm_per_px) == (2, (), 0.05)
    assert [(limit.of, limit.ng) for limit in decision.limits] == [("scratch", 20.0)]
    assert yaml.safe_load((tiny_bundle / "decision-1.yaml").read_text())["revision"] == 1
    assert "is kept in" in answer.out.splitlines()[0]


def test_rules_that_no_longer_fit_can_be_dropped(decide: Command, tiny_bundle: Path) -> None:
    file = tiny_bundle / "decision.yaml"
    limits = [{"measure": "length", "unit": "px", "of": "gouge", "ng": 3}]
    bundle = load_bundle(tiny_bundle).id
    fields = {"schema_version": 1, "revision": 4, "bundle": bundle, "score": {}, "limits": limits}
    file.write_text(json.dumps(fields))
    refused(decide("--rule", "f1"), "decision.yaml: 'limits.0.of' must be a class that the bundle names")
    answer = decide("--rule", "f1", "--limit", "none")
    assert answer.code == 0, answer.err
    assert (decision_of(tiny_bundle).revision, decision_of(tiny_bundle).limits) == (5, ())


def test_while_another_process_decides_a_second_one_is_refused_and_no_revision_is_lost(
    decide: Command, tiny_bundle: Path
) -> None:
    file = tiny_bundle / "decision.yaml"
    assert decide("--escape", 0.3).code == 0
    before = {path.name: path.read_bytes() for path in tiny_bundle.iterdir()}
    with one_at_a_time(file):
        answer = decide("--escape", 0.3)
    assert answer.code == 1 and answer.err.count("\n") == 1
    assert f"{file} is being written by another process" in answer.err
    assert {path.name: path.read_bytes() for path in tiny_bundle.iterdir()} == before
    assert decide("--escape", 0.3).code == 0
    assert (tiny_bundle / "decision-1.yaml").read_bytes() == before["decision.yaml"]


def test_out_leaves_the_bundle_as_it_is(decide: Command, tiny_bundle: Path, tmp_path: Path) -> None:
    answer = decide("--cost", "escape=100,overkill=1", "--out", tmp_path / "mine.yaml")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[-1] == str(tmp_path / "mine.yaml")
    assert "Cost on these images: " in answer.out
    assert not (tiny_bundle / "decision.yaml").exists()


@pytest.mark.parametrize("name", ["x.yaml", "deeper/decision.yaml"])
def test_out_is_no_other_file_of_a_bundle(decide: Command, tiny_bundle: Path, name: str) -> None:
    before = {path.name for path in tiny_bundle.iterdir()}
    answer = decide("--rule", "f1", "--out", tiny_bundle / name)
    assert answer.code == 1 and "must not lie in a bundle" in answer.err
    assert {path.name for path in tiny_bundle.iterdir()} == before


@pytest.mark.parametrize("option", ["--escape", "--overkill"])
@pytest.mark.parametrize("value", [2, -0.1])
def test_a_share_outside_0_to_1_is_refused_by_its_option(
    blemish: Command, tmp_path: Path, option: str, value: float
) -> None:
    answer = blemish("decide", tmp_path, "--data", tmp_path, option, value)
    assert answer.code == 2
    assert f"{option} must be a share from 0 to 1" in answer.err


def test_a_minimum_size_above_labelled_defects_is_warned_of(
    blemish: Command, decide: Command, tiny_bundle: Path, calib: Dataset, tmp_path: Path
) -> None:
    for rule in ("length=500px", "spot:length=500px"):
        answer = decide("--escape", 0.5, "--ignore", rule)
        assert answer.code == 0, answer.err
        assert "of length below 500 px would hide " in answer.out
        assert ".png" in answer.out.split("would hide ")[1]
        assert "would hide" in decision_of(tiny_bundle).chosen.point.notes[0], "the report shows it, too"
    command = ["evaluate", tiny_bundle, "--data", calib.root, "--split", "all", "--out", tmp_path, "--quiet"]
    assert blemish(*command).code == 0
    notes = (tmp_path / "report.html").read_text().split("Verdicts</a>")[0]
    assert "length below 500 px would hide " in notes, "an evaluation looks for itself"


# Images that prove nothing


def test_test_images_are_refused(decide: Command, tiny_dataset: Dataset, tiny_bundle: Path) -> None:
    for split in ("test", "all"):
        answer = decide("--escape", 0.1, "--split", split, data=tiny_dataset.root)
        refused(answer, "are of the split 'test', which must stay unseen")
    assert not (tiny_bundle / "decision.yaml").exists()


def test_a_test_image_under_another_name_is_refused(
    decide: Command, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    root = shutil.copytree(tiny_dataset.root, tmp_path / "data")
    test, val = (tiny_dataset.split(name).samples[0].id for name in ("test", "val"))
    pixels = cv2.imread(str(root / test), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(root / val), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    answer = decide("--rule", "f1", "--split", "val", data=root)
    refused(answer, "of split 'test' must not be learned from.")


def test_images_that_were_trained_on_are_refused_and_validation_images_warned_of(
    blemish: Command, decide: Command, tiny_dataset: Dataset, tiny_bundle: Path, tmp_path: Path
) -> None:
    answer = decide("--escape", 0.1, "--split", "train", data=tiny_dataset.root)
    refused(answer, "14 of 14 images were used to train bundle severity-")
    split_anew = tmp_path / "split-anew"
    assert blemish("data", "split", tiny_dataset.root, split_anew, "--test", 0.2, "--seed", 9).code == 0
    refused(decide("--escape", 0.1, data=split_anew), "images were used to train bundle severity-")
    answer = blemish("decide", tiny_bundle, "--data", tiny_dataset.root, "--rule", "f1")
    assert answer.code == 0, answer.err
    assert "warning: 5 of 5 images were validation images of the training" in answer.err
    assert any("validation images" in note for note in decision_of(tiny_bundle).chosen.point.notes)


def test_without_defective_images_escapes_cannot_be_followed_and_overkill_can(
    decide: Command, calib: Dataset, tiny_bundle: Path, tmp_path: Path
) -> None:
    good = tmp_path / "data" / "good"
    good.mkdir(parents=True)
    (good.parent / "dataset.yaml").write_text("layout: labels")
    for sample in calib:
        if not sample.annotations:
            (good / sample.image.name).write_bytes(sample.image.read_bytes())
    answer = decide("--escape", 0.01, data=good.parent)
    refused(answer, "The rule 'escape<=0.01' needs defective images to calibrate on.")
    refused(decide("--escape", 0.01, "--overkill", 0.1, data=good.parent), "needs defective images")
    answer = decide("--overkill", 0.1, data=good.parent)
    assert answer.code == 0, answer.err
    assert "Defective images: 0 of 0 passed (nothing is known)." in answer.out
    assert "To prove 10 % takes at least 29 such images" in answer.out


# Wrong use


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "decide needs one of --escape, --overkill, --cost and --rule"),
        (["--escape", 0.1, "--rule", "f1"], "Received: --escape, --rule."),
        (
            ["--escape", 0.1, "--overkill", 0.1, "--review", "f1"],
            "--review cannot be combined with --escape and --overkill",
        ),
        (["--escape", 1.5], "--escape must be a share from 0 to 1. Received: 1.5."),
        (["--escape", "nan"], "--escape must be a share from 0 to 1. Received: nan."),
        (
            ["--cost", "escape=1"],
            "--cost must be the costs of an image of each kind, such as escape=100,overkill=1.",
        ),
        (["--rule", "best"], "--rule: A rule for a threshold must be one of"),
        (["--rule", "f1", "--review", "x"], "--review: A rule for a threshold must be one of"),
        (["--rule", "f1", "--limit", "length>3"], "--limit must be [CLASS:]MEASURE=NUMBER[mm|px]:review|ng"),
        (["--rule", "f1", "--limit", "length=3px:scrap"], "--limit must be"),
        (
            ["--rule", "f1", "--limit", "lenght=3px:ng"],
            "--limit: MEASURE must be 'severity', 'area'",
        ),
        (
            ["--rule", "f1", "--limit", "length=3:ng"],
            "--limit: length must have the unit px or mm. Received: none.",
        ),
        (
            ["--rule", "f1", "--limit", "length=3px:ng", "--limit", "length=2px:ng"],
            "Received twice: 'length=2",
        ),
        (
            ["--rule", "f1", "--limit", "length=3px:ng", "--limit", "length=4px:review"],
            "must not be above ng",
        ),
        (["--rule", "f1", "--limit", "length=-3px:ng"], "--limit: NUMBER must be above 0. Received: -3."),
        (
            ["--rule", "f1", "--limit", "length=1.2.3px:ng"],
            "--limit: NUMBER must be a finite number. Received: nan.",
        ),
        (["--rule", "f1", "--grade", "severity=9:rework", "--grade", "severity=3:scrap"], "rework must not"),
        (["--rule", "f1", "--ignore", "severity=9"], "--ignore: MEASURE must be 'area', 'length'"),
        (["--rule", "f1", "--mm-per-px", 0], "--mm-per-px must be a finite number above 0. Received: 0."),
    ],
)
def test_wrong_options_are_one_line_and_write_nothing(
    decide: Command, tiny_bundle: Path, options: list[object], message: str
) -> None:
    answer = decide(*options)
    refused(answer, message)
    assert answer.code == 2 and not (tiny_bundle / "decision.yaml").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--limit", "scrach:length=3px:ng"],
            "blemish: --limit: CLASS must be a class that",
        ),
        (
            ["--limit", "length=3mm:ng"],
            "blemish: --limit: length is in mm, but the scale is unknown. Give --mm-per-px",
        ),
        (["--split", "val"], "has no such images"),
    ],
)
def test_what_does_not_fit_the_bundle_is_one_line_before_any_work(
    decide: Command, tiny_bundle: Path, options: list[object], message: str
) -> None:
    answer = decide("--rule", "f1", *options)
    refused(answer, message)
    assert answer.code == 1 and not (tiny_bundle / "decision.yaml").exists()


def test_a_decision_of_another_bundle_stops_every_command(
    blemish: Command, tiny_bundle: Path, calib: Dataset, tmp_path: Path
) -> None:
    (tiny_bundle / "decision.yaml").write_text("{schema_version: 1, revision: 1, bundle: other, score: {}}")
    for command in (
        ["inspect", tiny_bundle, calib.root, "--out", tmp_path / "out"],
        ["evaluate", tiny_bundle, "--data", calib.root, "--split", "all", "--out", tmp_path / "out"],
        ["decide", tiny_bundle, "--data", calib.root, "--rule", "f1"],
    ):
        refused(blemish(*command, "--quiet"), "'bundle' must be severity-")
    assert not (tmp_path / "out").exists()


# The seal on test images


def test_looks_at_test_images_are_counted_and_a_changed_decision_is_warned_of(
    blemish: Command, decide: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    def report(*options: str) -> str:
        answer = blemish(
            "evaluate", tiny_bundle, "--data", tiny_dataset.root, "--out", tmp_path, "--quiet", *options
        )
        assert answer.code == 0, answer.err
        return (tmp_path / "report.html").read_text()

    assert "the bundle&#39;s first evaluation on these test images, made without a decision." in report()
    assert "evaluation on these" not in report("--split", "val")
    decide("--escape", 0.1)
    third = report("--split", "all")
    assert "evaluation no. 2 on these test images; the one before was made without a decision." in third
    assert "The decision was changed after an evaluation on these same test images" in third
    assert json.loads((tmp_path / "metrics.json").read_text())["decision"]["test_looks"] == 2
    assert len(json.loads((tiny_bundle / "usage.json").read_text())["looks"]) == 2


def test_a_label_put_right_makes_no_new_test_images(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    root = shutil.copytree(tiny_dataset.root, tmp_path / "data")
    command = ["evaluate", tiny_bundle, "--data", root, "--out", tmp_path / "out", "--quiet"]
    assert blemish(*command).code == 0
    file = root / "annotations.json"
    content = json.loads(file.read_text())
    tests = {image["id"] for image in content["images"] if image["file_name"] in
             {sample.id for sample in tiny_dataset.split("test")}}  # fmt: skip
    last = max(n for n, mark in enumerate(content["annotations"]) if mark["image_id"] in tests)
    del content["annotations"][last]
    file.write_text(json.dumps(content))
    assert blemish(*command).code == 0
    assert "evaluation no. 2 on these test images" in (tmp_path / "out" / "report.html").read_text()


def test_a_bundle_that_cannot_be_written_to_gives_a_note(
    blemish: Command,
    tiny_bundle: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_only(path: Path, content: object) -> None:
        raise BlemishError(f"{path} cannot be written: Read-only file system. Choose another folder.")

    monkeypatch.setattr("blemish.decision.usage.write_atomically", read_only)
    answer = blemish("evaluate", tiny_bundle, "--data", tiny_dataset.root, "--out", tmp_path, "--quiet")
    assert answer.code == 0, answer.err
    assert "could not be counted in the bundle" in (tmp_path / "report.html").read_text()


# Millimetres


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan"])
def test_a_scale_that_is_none_is_one_line(
    blemish: Command, tiny_bundle: Path, calib: Dataset, tmp_path: Path, value: str
) -> None:
    for command in (
        ["train", "severity", "--data", calib.root],
        ["evaluate", tiny_bundle, "--data", calib.root],
        ["inspect", tiny_bundle, calib.root],
    ):
        answer = blemish(*command, "--out", tmp_path / "out", "--mm-per-px", value)
        refused(answer, f"--mm-per-px must be a finite number above 0. Received: {value}.")
        assert answer.code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [".inf", ".nan", "0"])
def test_a_setting_that_is_no_scale_is_one_line(
    blemish: Command, calib: Dataset, tmp_path: Path, value: str
) -> None:
    places = ("--data", calib.root, "--out", tmp_path / "out", "--set", f"mm_per_px={value}")
    answer = blemish("train", "severity", *places)
    refused(answer, "settings of severity: 'mm_per_px' must be ")
    assert answer.code == 2 and not (tmp_path / "out").exists()


def test_sizes_in_mm_are_in_every_output(
    blemish: Command, tiny_bundle: Path, calib: Dataset, tmp_path: Path
) -> None:
    scale = ("--mm-per-px", 0.25, "--quiet", "--device", "cpu")
    assert blemish("inspect", tiny_bundle, calib.root, "--out", tmp_path, "--overlay", *scale).code == 0
    lines = [json.loads(line) for line in (tmp_path / "inspections.jsonl").read_text().splitlines()]
    defects = [defect for line in lines for defect in line["defects"]]
    assert defects and all(line["mm_per_px"] == 0.25 for line in lines)
    for defect in defects:
        assert defect["mm"]["length"] == pytest.approx(0.25 * defect["rectangle"]["length"], abs=2e-3)
        assert defect["mm"]["area"] == pytest.approx(0.0625 * defect["area"], abs=1e-2)
    measured = blemish(
        "evaluate", tiny_bundle, "--data", calib.root, "--split", "all", "--out", tmp_path / "e", *scale
    )
    assert measured.code == 0, measured.err
    report = (tmp_path / "e" / "report.html").read_text()
    assert " mm²" in report and " px²" not in report


def test_the_scale_of_a_camera_is_measured_and_written(blemish: Command, tmp_path: Path) -> None:
    cells = np.indices((6, 8)).sum(axis=0) % 2
    board = np.pad(np.kron(cells, np.ones((40, 40))), 60, constant_values=1) * 255
    cv2.imwrite(str(tmp_path / "board.png"), board.astype(np.uint8))
    size = ("--columns", 7, "--rows", 5)
    answer = blemish(
        "data", "scale", tmp_path / "board.png", *size, "--pitch-mm", 2, "--out", tmp_path / "scale.json"
    )
    assert answer.code == 0, answer.err
    assert json.loads((tmp_path / "scale.json").read_text())["mm_per_px"] == pytest.approx(0.05, rel=1e-3)
    assert answer.out.splitlines()[-1].startswith("use it as --mm-per-px 0.05")
    refused(
        blemish("data", "scale", tmp_path / "board.png", *size, "--pitch-mm", "inf"), "--pitch-mm must be"
    )
    other = blemish("data", "scale", tmp_path / "board.png", "--columns", 9, "--rows", 5, "--pitch-mm", 2)
    refused(other, "found no checkerboard of 9 × 5 inner corners.")
    refused(blemish("data", "scale", tmp_path / "none.png", *size, "--pitch-mm", 2), "none.png")


def test_a_scale_that_the_data_contradict_is_told_of(
    blemish: Command, decide: Command, tiny_bundle: Path, calib: Dataset, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(calib.root, tmp_path / "data"))
    with (root / "dataset.yaml").open("a") as file:
        file.write("\nmm_per_px: 0.1\n")
    note = f"Sizes are measured with 0.05 mm per px, but {root} says 0.1"
    assert decide("--rule", "f1", "--mm-per-px", 0.05, data=root).code == 0
    assert any(each.startswith(note) for each in decision_of(tiny_bundle).chosen.point.notes)
    command = ["evaluate", tiny_bundle, "--data", root, "--split", "all", "--out", tmp_path / "out"]
    assert note in blemish(*command).err, "the decision's scale"
    assert note not in blemish(*command, "--mm-per-px", 0.1).err
