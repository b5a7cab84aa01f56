from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.bundle import load_bundle
from blemish.dataset.samples import Dataset
from blemish.inspection import Inspection, Verdict
from blemish.methods import find_method

Command = Callable[..., Any]
METHOD_AND_PLACES = ["train", "severity", "--quiet", "--data"]


def lines(out: Path) -> list[Inspection]:
    text = (out / "inspections.jsonl").read_text(encoding="utf-8")
    return [Inspection.from_json(json.loads(line)) for line in text.splitlines()]


def is_one_line(err: str) -> bool:
    """Tell whether standard error ends with one error of one line, behind the account of the dataset."""
    *account, error = err.splitlines()
    return error.startswith("blemish: ") and all(" files used" in line for line in account)


# Training


def test_train_writes_a_bundle_and_prints_where(
    blemish: Command, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("steps: 3\nbatch: 2\npatch: 64\ntypes: false\nfloor: 2\n")
    options = ["--config", config, "--set", "floor=5", "--set", "device=cpu", "--seed", 4]
    answer = blemish(*METHOD_AND_PLACES, tiny_dataset.root, "--out", tmp_path / "run", *options)
    assert answer.code == 0, answer.err
    assert answer.out == f"{tmp_path / 'run' / 'bundle'}\n"
    manifest = load_bundle(tmp_path / "run" / "bundle").manifest
    assert (manifest.settings["steps"], manifest.settings["floor"]) == (3, 5.0), "--set goes before the file"
    assert manifest.provenance["seed"] == 4
    again = blemish(*METHOD_AND_PLACES, tiny_dataset.root, "--out", tmp_path / "run")
    assert again.code == 1
    assert "already holds a run. Add --resume" in again.err


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("stepps=3", "settings of severity: unknown key 'stepps'. Did you mean 'steps'?"),
        ("steps", "--set must be KEY=VALUE. Received: 'steps'."),
        ("steps=many", "settings of severity: 'steps' must be a whole number. Received: 'many'."),
        ("steps=[1", "--set steps: '[1' is not YAML"),
        ("cell=3", "'cell' must be 1, 2 or 4. Received: 3."),
        ("patch=65", "settings of severity: patch must be a multiple of the cell 2. Received: 65. Use 66."),
        ("tile=64", "tile must be more than twice the halo 224. Received: 64. Use 704 or more."),
        ("ng_rule=best", "Received: 'best'"),
    ],
)
def test_a_wrong_setting_is_one_line_and_starts_nothing(
    blemish: Command, tiny_dataset: Dataset, tmp_path: Path, assignment: str, message: str
) -> None:
    answer = blemish(*METHOD_AND_PLACES, tiny_dataset.root, "--out", tmp_path / "run", "--set", assignment)
    assert answer.code == 2
    assert message in answer.err
    assert is_one_line(answer.err)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("steps: [1", "must be a YAML file"), ("- steps", "must hold a mapping"), ("stps: 1", "'steps'")],
)
def test_a_wrong_settings_file_is_named(
    blemish: Command, tiny_dataset: Dataset, tmp_path: Path, text: str, message: str
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(text)
    answer = blemish(*METHOD_AND_PLACES, tiny_dataset.root, "--out", tmp_path / "run", "--config", config)
    assert answer.code == 2
    assert message in answer.err
    assert is_one_line(answer.err)


def test_a_wrong_method_names_those_there_are(
    blemish: Command, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    answer = blemish("train", "severty", "--data", tiny_dataset.root, "--out", tmp_path / "run")
    assert answer.code == 2
    assert "METHOD must be one of " in answer.err
    assert "Received: 'severty'. Did you mean 'severity'?" in answer.err
    assert is_one_line(answer.err)


def test_data_that_is_not_there_is_one_line(blemish: Command, tmp_path: Path) -> None:
    answer = blemish(*METHOD_AND_PLACES, tmp_path / "nowhere", "--out", tmp_path / "run")
    assert answer.code == 1
    assert "nowhere" in answer.err
    assert is_one_line(answer.err)


# Wrong use


@pytest.mark.parametrize(
    ("option", "value"), [("--size", "512"), ("--weight", "scratch"), ("--weight", "scratch=often")]
)
def test_a_wrong_option_of_synth_is_one_line(
    blemish: Command, tmp_path: Path, option: str, value: str
) -> None:
    answer = blemish("data", "synth", tmp_path / "out", option, value)
    assert answer.code == 2
    assert f"{option} must be " in answer.err
    assert is_one_line(answer.err)


@pytest.mark.parametrize(
    "arguments", [["train"], ["nonsense"], ["--nonsense"], ["inspect"], ["train", "severity", "--seed", "-1"]]
)
def test_wrong_use_exits_with_2(blemish: Command, arguments: list[str]) -> None:
    answer = blemish(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_an_error_shows_its_trace_only_with_debug(blemish_process: Command, tmp_path: Path) -> None:
    arguments = ["inspect", tmp_path / "nowhere", tmp_path, "--out", tmp_path / "out"]
    (tmp_path / "a.png").write_bytes(b"")
    plain, debug = blemish_process(*arguments), blemish_process("--debug", *arguments)
    assert plain.code == debug.code == 1
    assert is_one_line(plain.err)
    assert "Traceback" in debug.err
    assert "is not a bundle" in plain.err
    assert "is not a bundle" in debug.err


# Evaluation


def test_evaluate_writes_metrics_and_a_report(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    answer = blemish(
        "evaluate", tiny_bundle, "--data", tiny_dataset.root, "--out", tmp_path, "--quiet", "--device", "cpu"
    )
    assert answer.code == 0, answer.err
    *told, report = answer.out.splitlines()
    assert report == str(tmp_path / "report.html")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["images"] == 5
    assert metrics["split"] == "test"
    figures = metrics["summary"]["figures"]
    assert 3 <= len(figures) <= 5
    assert told[: len(figures)] == [f"split 'test', 5 images: {figures[0]}", *figures[1:]]
    assert [line for line in told if line.startswith("warning: ")] == [
        f"warning: {sentence}" for sentence in metrics["summary"]["warnings"]
    ]
    assert metrics["baselines"]["nearest"]["references"]["defective"] > 0
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert load_bundle(tiny_bundle).id in report


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("operating_point", {"rule": "f1"}, "'operating_point.threshold' is missing"),
        ("curves", {"threshold_sweep": {"best": 4.0}}, "curves: 'threshold_sweep.criterion' is missing"),
        (
            "curves",
            {"training": {"regression": {"step": []}}},
            "curves: 'training.regression.loss' is missing",
        ),
    ],
)
def test_a_manifest_that_lacks_a_key_is_one_line_before_any_work(
    blemish: Command,
    tiny_bundle: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    key: str,
    value: Any,
    message: str,
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, key: value}))
    out = tmp_path / "out"
    answer = blemish("evaluate", bundle, "--data", tiny_dataset.root, "--out", out, "--quiet")
    assert answer.code == 1
    assert message in answer.err
    assert str(bundle) in answer.err
    assert is_one_line(answer.err)
    assert not out.exists()


def test_a_split_that_is_not_there_names_those_there_are(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(tiny_dataset.root, root)
    (root / "splits" / "test.txt").write_text("")
    answer = blemish("evaluate", tiny_bundle, "--data", root, "--out", tmp_path / "out")
    assert answer.code == 1
    assert "--split test:" in answer.err
    assert "train (14)" in answer.err
    assert is_one_line(answer.err)


def test_a_class_the_bundle_does_not_know_is_refused(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(tiny_dataset.root, root)
    truth = json.loads((root / "annotations.json").read_text())
    for category in truth["categories"]:
        category["name"] = {"spot": "pit", "scratch": "groove"}.get(category["name"], category["name"])
    (root / "annotations.json").write_text(json.dumps(truth))
    answer = blemish("evaluate", tiny_bundle, "--data", root, "--out", tmp_path / "out")
    assert answer.code == 1
    assert re.search("class '(pit|groove)' is not one of bundle severity-", answer.err)
    assert is_one_line(answer.err)


def test_images_of_a_class_the_bundle_does_not_know_are_left_out_and_counted(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(tiny_dataset.root, root)
    truth = json.loads((root / "annotations.json").read_text())
    for category in truth["categories"]:
        category["name"] = category["name"].replace("spot", "pit")
    (root / "annotations.json").write_text(json.dumps(truth))
    places = ("--data", root, "--out", tmp_path / "out", "--split", "all")
    answer = blemish("evaluate", tiny_bundle, *places)
    assert answer.code == 0, answer.err
    others = sum(any(one.label == "spot" for one in sample.annotations) for sample in tiny_dataset)
    note = f"{others} of {len(tiny_dataset)} images are left out: they show classes that bundle severity-"
    assert note in answer.err and "was not trained on (pit)." in answer.err
    assert note in (tmp_path / "out" / "report.html").read_text()
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["images"] == len(tiny_dataset) - others
    assert "pit" not in json.dumps(metrics)


def test_a_device_that_is_none_is_one_line(
    blemish: Command, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    image = tiny_dataset.samples[0].image
    answer = blemish("inspect", tiny_bundle, image, "--out", tmp_path, "--device", "gpu")
    assert answer.code == 1
    assert "Received: 'gpu'" in answer.err
    assert is_one_line(answer.err)


# Inspection


@pytest.fixture
def folder(tiny_dataset: Dataset, tmp_path: Path) -> Path:
    """Three images: one whole, one truncated, one whole."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, sample in zip("abc", tiny_dataset, strict=False):
        shutil.copy(sample.image, folder / f"{name}.png")
    data = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(data[: len(data) // 2])
    return folder


def test_a_truncated_image_is_an_error_line_and_the_rest_is_done(
    blemish: Command, tiny_bundle: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    answer = blemish("inspect", tiny_bundle, folder, "--out", out, "--overlay", "--device", "cpu", "--quiet")
    assert answer.code == 1
    assert answer.out == f"{out / 'inspections.jsonl'}\n"
    assert "could not be judged" in answer.err
    counts, error = answer.err.splitlines()
    assert counts.startswith("3 images found: ") and ", 1 ERROR; " in counts
    assert is_one_line(f"{error}\n")
    first, broken, last = lines(out)
    assert broken.verdict is Verdict.ERROR
    assert "b.png" in broken.error
    assert broken.score is None
    assert Verdict.ERROR not in (first.verdict, last.verdict)
    drawn = sorted(path.name.split(".")[0] for path in (out / "overlays").iterdir())
    assert drawn == ["images__a", "images__c"]
    assert not list(out.glob("*.part"))


def test_inspecting_whole_images_exits_with_0(
    blemish: Command, tiny_bundle: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "b.png").unlink()
    answer = blemish("inspect", tiny_bundle, folder, "--out", tmp_path / "out", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert [Path(line.image).name for line in lines(tmp_path / "out")] == ["a.png", "c.png"]
    assert {line.bundle for line in lines(tmp_path / "out")} == {load_bundle(tiny_bundle).id}


def test_masks_beside_images_are_not_inspected_and_that_is_said(
    blemish: Command, tiny_bundle: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "b.png").unlink()
    for name in "ac":
        cv2.imwrite(str(folder / f"{name}.jpg"), cv2.imread(str(folder / f"{name}.png")))
        cv2.imwrite(str(folder / f"{name}.png"), np.eye(96, dtype=np.uint8) * 255)
    answer = blemish("inspect", tiny_bundle, folder, "--out", tmp_path / "out", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert [Path(line.image).name for line in lines(tmp_path / "out")] == ["a.jpg", "c.jpg"]
    (note,) = [line for line in answer.err.splitlines() if str(folder) in line]
    assert "its 2 images are inspected and 2 others, its masks and references, are not." in note


def test_an_empty_folder_and_a_path_that_is_not_there_are_one_line(
    blemish: Command, tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "holds no image"), ("nowhere", "does not exist")):
        answer = blemish("inspect", tiny_bundle, tmp_path / name, "--out", tmp_path / "out")
        assert answer.code == 1
        assert message in answer.err
        assert is_one_line(answer.err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["16 bit", "colour", "alpha"])
def test_a_gray_bundle_inspects_every_kind_of_picture(
    blemish: Command, tiny_bundle: Path, tmp_path: Path, kind: str
) -> None:
    gray = np.random.default_rng(0).integers(60, 200, (50, 70), dtype=np.uint8)
    pictures = {
        "16 bit": gray.astype(np.uint16) * 257,
        "colour": np.dstack([gray, gray // 2, gray]),
        "alpha": np.dstack([gray, gray, gray, gray]),
    }
    cv2.imwrite(str(tmp_path / "a.png"), pictures[kind])
    answer = blemish("inspect", tiny_bundle, tmp_path / "a.png", "--out", tmp_path / "out", "--overlay")
    assert answer.code == 0, answer.err
    (inspection,) = lines(tmp_path / "out")
    assert inspection.size == (50, 70)
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 1


def test_an_out_that_cannot_be_written_is_one_line(
    blemish: Command, tiny_bundle: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = blemish("inspect", tiny_bundle, folder, "--out", tmp_path / "file" / "out")
    assert answer.code == 1
    assert "file" in answer.err
    assert is_one_line(answer.err)


def test_a_second_inspection_replaces_the_first_lines(
    blemish: Command, tiny_bundle: Path, folder: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        blemish("inspect", tiny_bundle, folder / "a.png", "--out", tmp_path / "out")
    assert len(lines(tmp_path / "out")) == 1


# Ctrl-C


def test_ctrl_c_says_how_to_go_on_and_leaves_a_checkpoint(tiny_dataset: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = [
        "steps=100000",
        "batch=1",
        "patch=64",
        "types=false",
        "encoder=paper",
        "checkpoint_every=2",
        "device=cpu",
    ]
    command = [sys.executable, "-c", "from blemish.cli.main import run; run()", *METHOD_AND_PLACES]
    command += [str(tiny_dataset.root), "--out", str(run)]
    for setting in settings:
        command += ["--set", setting]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background is started with SIGINT ignored, and so would be its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    checkpoint = run / "checkpoints" / "regression.safetensors"
    deadline = time.monotonic() + 300
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"`blemish train --out {run} --resume`" in err
    assert is_one_line(err)
    assert checkpoint.is_file()


INTERRUPTED_IMPORT = """
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from blemish.cli.main import run
run()
"""


@pytest.mark.parametrize("module", ["typer", "blemish.cli.data", "blemish.workflows.train"])
def test_ctrl_c_during_the_imports_is_one_line(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED_IMPORT.format(module=module)]
    command += ["train", "severity", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "stopped" in done.stderr
    assert is_one_line(done.stderr)


def test_a_settings_file_that_is_not_there_is_named_once(
    blemish: Command, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    config = tmp_path / "none.yaml"
    answer = blemish(*METHOD_AND_PLACES, tiny_dataset.root, "--out", tmp_path / "run", "--config", config)
    assert answer.code == 2
    assert answer.err == f"blemish: {config} must exist. Received: no such file. Check the path.\n"


@pytest.mark.parametrize(
    ("given", "remedy"),
    [("fray", "'rare=[fray]'"), ("fray, crack", "'rare=[fray, crack]'"), ("", "'rare=[]'")],
)
def test_a_word_in_place_of_a_list_is_answered_with_the_list(
    blemish: Command, tiny_dataset: Dataset, tmp_path: Path, given: str, remedy: str
) -> None:
    places = ("--data", tiny_dataset.root, "--out", tmp_path / "run")
    answer = blemish("train", "tlsdd", *places, "--set", f"rare={given}")
    assert answer.code == 2
    assert f"Write a list: {remedy}." in answer.err
    assert is_one_line(answer.err)


def test_a_start_of_another_method_is_named_before_its_settings(
    blemish: Command, tiny_dataset: Dataset, tiny_bundle: Path, tmp_path: Path
) -> None:
    places = ("--data", tiny_dataset.root, "--out", tmp_path / "run")
    answer = blemish("train", "tlsdd", *places, "--quiet", "--from", tiny_bundle)
    assert answer.code == 1
    assert f"--from must name a bundle of tlsdd. Received: {tiny_bundle}, of severity." in answer.err
    assert is_one_line(answer.err)
    assert not (tmp_path / "run").exists()


def test_the_help_of_train_names_every_method(blemish: Command) -> None:
    from blemish.methods import method_names

    text = blemish("train", "--help").out
    assert all(name in text for name in method_names())
    assert find_method(method_names()[0]).title
