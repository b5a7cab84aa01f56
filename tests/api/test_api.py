"""Functions of the Python API beyond their examples: what they write, and how they refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import blemish
from blemish.bundle import load_bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError, WrongUseError


def test_an_evaluation_writes_the_files_of_the_command(
    bundle: Path, tiny_dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = blemish.evaluate(
        bundle, str(tiny_dataset.root), str(tmp_path / "out"), split="val", device="cpu"
    )
    assert result.metrics == json.loads((tmp_path / "out" / "metrics.json").read_text())
    call = f"blemish.evaluate('{bundle}', '{tiny_dataset.root}', '{tmp_path / 'out'}', split='val')"
    page = result.report.read_text(encoding="utf-8")
    assert call.replace("'", "&#39;") in page, "the report tells the call"
    assert capfd.readouterr() == ("", ""), "quiet"


def test_a_decision_is_the_bundles(bundle: Path, tiny_dataset: Dataset) -> None:
    limits = ["scratch:length=3px:ng"]
    result = blemish.decide(bundle, tiny_dataset.root, rule="f1", limits=limits, device="cpu")
    assert result.decision.limits[0].ng == 3
    assert any("scratch, length: NG from 3 px" in sentence for sentence in result.sentences)
    assert blemish.decide(bundle, tiny_dataset.root, rule="f1", device="cpu").decision.revision == 2
    inspection = blemish.load(bundle, device="cpu").inspect(tiny_dataset.samples[0].image)
    assert inspection.decision == 2


def test_files_are_inspected_in_order(bundle: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    paths = [sample.image for sample in tiny_dataset][:3]
    (tmp_path / "broken.png").write_bytes(b"nothing")
    recorded = blemish.inspect(
        bundle, [*paths, tmp_path / "broken.png"], tmp_path / "out", overlay=True, device="cpu"
    )
    assert [each.image for each in recorded] == [str(path) for path in (*paths, tmp_path / "broken.png")]
    assert recorded.failures == 1
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 3
    (single,) = blemish.inspect(bundle, str(paths[0]), tmp_path / "one", device="cpu")
    assert single.image == str(paths[0])


def test_overlays_that_are_not_written_are_an_error_behind_whole_answers(
    bundle: Path, image: Path, tmp_path: Path
) -> None:
    (tmp_path / "overlays").write_text("a file")
    with pytest.raises(BlemishError, match=r"1 overlay could not be written.* The answers are in "):
        blemish.inspect(bundle, [image], tmp_path, overlay=True, device="cpu")
    assert len((tmp_path / "inspections.jsonl").read_text().splitlines()) == 1


def test_a_class_is_added(parent: Path, examples: Path, tmp_path: Path) -> None:
    larger = blemish.add_class(parent, "fray", examples, tmp_path / "larger", device="cpu")
    assert load_bundle(larger).manifest.class_names[-1] == "fray"
    report = json.loads((tmp_path / "larger-report" / "enrolment.json").read_text(encoding="utf-8"))
    assert f"blemish.add_class('{parent}', 'fray', " in json.dumps(report, ensure_ascii=False)


@pytest.mark.usefixtures("few_pictures", "graphs_once")
def test_an_exported_bundle_gives_the_same_answer(bundle: Path, image: Path, tmp_path: Path) -> None:
    exported = blemish.export(bundle, "onnx", out=tmp_path / "exported")
    own, other = (blemish.load(path, device="cpu").inspect(image) for path in (bundle, exported))
    assert own.verdict is other.verdict
    assert own.score == pytest.approx(other.score, abs=1e-3)
    program = (
        "import blemish, sys; inspection = blemish.load(sys.argv[1]).inspect(sys.argv[2]); "
        "print(inspection.verdict, len(inspection.to_detections()), 'torch' in sys.modules)"
    )
    arguments = [sys.executable, "-c", program, str(exported), str(image)]
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert printed == f"{other.verdict} {len(other.defects)} False\n", "on the line's PC there is no torch"


def test_training_goes_on_from_a_bundle(
    parent: Path, bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    places = (tiny_dataset.root, tmp_path / "run")
    with pytest.raises(blemish.BlemishError, match=r"^initial_bundle must name a bundle of tlsdd"):
        blemish.train("tlsdd", *places, initial_bundle=bundle)
    settings = {"steps": 2, "batch": 2, "fine_tune_steps": 2, "threshold": 0.0}
    trained = blemish.train("tlsdd", *places, settings=settings, initial_bundle=parent)
    manifest = load_bundle(trained).manifest
    assert (manifest.settings["steps"], manifest.settings["preset"]) == (2, "tiny"), (
        "the rest is the bundle's"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            "decide needs one of escape, overkill, cost and rule (or escape with overkill). Received: none.",
        ),
        ({"rule": "f1", "limits": ["length=3"]}, "limits must be [CLASS:]MEASURE=NUMBER[mm|px]:review|ng"),
        ({"rule": "best"}, "Received: 'best'"),
        ({"rule": "f1", "mm_per_px": -1.0}, "mm_per_px must be a finite number above 0. Received: -1."),
    ],
)
def test_a_wrong_argument_is_told_in_words_of_python(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(WrongUseError) as raised:
        blemish.decide(tmp_path, tmp_path, **options)  # type: ignore[arg-type]
    assert "--" not in str(raised.value) and "\n" not in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("train", {"method": "severity", "data": ".", "out": "run", "seed": -1}, "seed must be at least 0"),
        ("inspect", {"bundle": ".", "images": ".", "out": "out", "every": 0}, "every must be at least 1"),
        ("export", {"bundle": ".", "to": "onnx", "tile": 0}, "tile must be at least 1. Received: 0."),
        (
            "export",
            {"bundle": ".", "to": "tensorrt"},
            "to must be one of onnx, openvino. Received: 'tensorrt'",
        ),
        (
            "export",
            {"bundle": ".", "to": "onnx", "precision": "int4"},
            "precision must be one of fp32, fp16, int8. Received: 'int4'.",
        ),
        ("load", {"bundle": ".", "threads": 0}, "threads must be from 1 to"),
    ],
)
def test_what_the_command_line_refuses_by_itself_is_refused_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, arguments: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(blemish.BlemishError) as raised:
        getattr(blemish, function)(**arguments)
    assert message in str(raised.value) and "--" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_commands_in_a_message_stay_commands(bundle: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    broken = shutil.copytree(bundle, tmp_path / "other")
    (broken / "manifest.json").unlink()
    with pytest.raises(blemish.BlemishError, match="Give the folder that `train` named at its end"):
        blemish.load(broken)
    with pytest.raises(blemish.BlemishError, match=r"mm_per_px must .* Measure it with `blemish data scale`"):
        blemish.load(bundle, mm_per_px=0)


def test_settings_are_refused_before_anything_is_written(tiny_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match=r"unknown key 'stepps'\. Did you mean 'steps'"):
        blemish.train("severity", tiny_dataset.root, tmp_path / "run", settings={"stepps": 3})
    assert not (tmp_path / "run").exists()
    with pytest.raises(blemish.BlemishError, match="nowhere"):
        blemish.open_dataset(tmp_path / "nowhere")
