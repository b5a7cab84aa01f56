"""Corrections as data: what they change, that they can be taken back, and what they warn of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from blemish.bundle import load_bundle
from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from blemish.exporting.request import ExportRequest
from blemish.exporting.run import export_bundle
from blemish.inspection import Inspection, Verdict
from blemish.inspector.loading import inspector_of
from blemish.progress import Reporter
from blemish.workflows.correct import CorrectRequest, correct
from tests.methods.memory.conftest import SPOT_XY, part, with_spot, write


def request(kind: str, bundle: Path, out: Path, *images: Path, **more: object) -> CorrectRequest:
    return CorrectRequest(kind, bundle, images, out, device="cpu", **more)  # type: ignore[arg-type]


@pytest.fixture
def false_alarm(tmp_path: Path) -> Path:
    """Good part with a sticker, which the bundle has never seen."""
    return write(tmp_path / "sticker.png", with_spot(part(31), shade=20))


def inspected(bundle: Path, image: Path) -> Inspection:
    """Answer by the bundle's patches alone, whether or not the image is lit as those of the training."""
    return inspector_of(load_bundle(bundle), device="cpu", input_check=False).inspect(image)


def score(bundle: Path, image: Path) -> float:
    found = inspected(bundle, image).score
    assert found is not None
    return found


def test_an_accepted_image_raises_no_alarm_again(
    corrected_from: Path, false_alarm: Path, tmp_path: Path
) -> None:
    before = inspected(corrected_from, false_alarm)
    assert before.verdict is Verdict.NG
    done = correct(
        request("accept", corrected_from, tmp_path / "b2", false_alarm, by="Ada", on="1 May"), quiet=True
    )
    assert inspected(done.path, false_alarm).verdict is Verdict.OK
    assert done.sentences[0].startswith(f"sticker.png: {before.verdict.name} (")
    alike = write(tmp_path / "alike.png", with_spot(part(32), shade=22))
    assert score(done.path, alike) < score(corrected_from, alike), "what is like it, too"
    (record,) = load_bundle(done.path).manifest.memory["corrections"]
    assert (record["by"], record["on"], list(record["images"].values())) == ("Ada", "1 May", ["sticker.png"])


def test_a_rejected_image_alarms_from_then_on(corrected_from: Path, tmp_path: Path) -> None:
    faint = write(tmp_path / "faint.png", with_spot(part(33), shade=128))
    done = correct(request("reject", corrected_from, tmp_path / "b2", faint), quiet=True)
    found = inspector_of(load_bundle(done.path), device="cpu").inspect(faint)
    assert (found.verdict, found.score) == (Verdict.NG, pytest.approx(1.0, abs=1e-6))


def test_boxes_say_where_a_rejected_image_is_defective(corrected_from: Path, tmp_path: Path) -> None:
    x, y = SPOT_XY
    image = write(tmp_path / "set" / "faint.png", with_spot(part(33), shade=128))
    coco = {
        "images": [{"id": 1, "file_name": "faint.png", "width": 96, "height": 96}],
        "categories": [{"id": 1, "name": "spot"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "bbox": [x - 6, y - 6, 12, 12],
                "area": 144,
                "iscrowd": 0,
            }
        ],
    }
    (tmp_path / "set" / "annotations.json").write_text(json.dumps(coco))
    done = correct(
        request("reject", corrected_from, tmp_path / "b2", image, boxes=tmp_path / "set"), quiet=True
    )
    found = inspector_of(load_bundle(done.path), device="cpu").inspect(image)
    assert any(
        left < x < right and top < y < bottom
        for left, top, right, bottom in (defect.box_xyxy for defect in found.defects)
    )
    other = write(tmp_path / "other.png", part(34))
    with pytest.raises(BlemishError, match=r"other\.png has no box in"):
        correct(request("reject", corrected_from, tmp_path / "b3", other, boxes=tmp_path / "set"), quiet=True)


@pytest.mark.parametrize("kind", ["accept", "reject"])
def test_undone_the_bundle_is_exactly_as_it_was(
    corrected_from: Path, false_alarm: Path, tmp_path: Path, kind: str
) -> None:
    first, second = false_alarm, write(tmp_path / "second.png", with_spot(part(35)))
    once = correct(request(kind, corrected_from, tmp_path / "b2", first), quiet=True).path
    twice = correct(request(kind, once, tmp_path / "b3", second), quiet=True).path
    back_to_once = correct(request(kind, twice, tmp_path / "b4", undo=True), quiet=True).path
    back = correct(request(kind, back_to_once, tmp_path / "b5", undo=True), quiet=True).path
    assert load_bundle(back_to_once).digest == load_bundle(once).digest
    assert load_bundle(back).digest == load_bundle(corrected_from).digest != load_bundle(once).digest
    assert (back / "manifest.json").read_bytes() == (corrected_from / "manifest.json").read_bytes()
    with pytest.raises(BlemishError, match=r"has no image that was (accepted|rejected)\. Leave --undo out"):
        correct(request(kind, back, tmp_path / "b6", undo=True), quiet=True)


def test_accepting_a_defective_image_by_mistake_names_the_known_defects_that_would_pass(
    corrected_from: Path, parts: Path, tmp_path: Path
) -> None:
    """Both known defects are such spots: once one is good, so is the other."""
    bad = sorted((parts / "val" / "bad").glob("*.png"))
    before = [inspector_of(load_bundle(corrected_from), device="cpu").inspect(each) for each in bad]
    assert all(each.verdict is Verdict.NG for each in before)
    done = correct(request("accept", corrected_from, tmp_path / "b2", *bad), quiet=True)
    (warning,) = [
        line for line in done.sentences if line.startswith("warning: known defects that would now pass")
    ]
    assert "b0.png" in warning and "b1.png" in warning
    assert all(each.after < each.before for each in done.known if each.defective)


def test_the_report_on_known_images_is_what_inspecting_them_gives(
    corrected_from: Path, parts: Path, false_alarm: Path, tmp_path: Path
) -> None:
    """The bundle holds their highest patches alone, so that no data folder is needed."""
    done = correct(request("accept", corrected_from, tmp_path / "b2", false_alarm), quiet=True)
    assert len(done.known) == 4
    for known in done.known:
        assert known.before == pytest.approx(score(corrected_from, parts / known.id), abs=0.02)
        assert known.after == pytest.approx(score(done.path, parts / known.id), abs=0.02)


def test_an_exported_bundle_is_corrected_without_torch(
    corrected_from: Path, parts: Path, false_alarm: Path, tmp_path: Path
) -> None:
    exported = export_bundle(
        ExportRequest(
            load_bundle(corrected_from), "onnx", "fp32", tmp_path / "onnx", dataset=load_dataset(parts)
        ),
        Reporter(quiet=True),
    )
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'accelerate', 'scipy']))\n"
        "from pathlib import Path\n"
        "from blemish.bundle import load_bundle\n"
        "from blemish.inspector.loading import inspector_of\n"
        "from blemish.workflows.correct import CorrectRequest, correct\n"
        f"first, image, out = Path({str(exported)!r}), Path({str(false_alarm)!r}), Path({str(tmp_path)!r})\n"
        "two = correct(CorrectRequest('accept', first, (image,), out / 'two'), quiet=True).path\n"
        "back = correct(CorrectRequest('accept', two, (), out / 'back', undo=True), quiet=True).path\n"
        "for bundle in (first, two):\n"
        "    inspector = inspector_of(load_bundle(bundle), input_check=False)\n"
        "    print(inspector.inspect(image).verdict.name)\n"
        "print(load_bundle(first).digest == load_bundle(back).digest)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after, restored = done.stdout.splitlines()
    assert (before != "OK", after, restored) == (True, "OK", "True")


def test_wrong_corrections_are_refused_in_a_line(
    corrected_from: Path, false_alarm: Path, tmp_path: Path
) -> None:
    once = correct(request("accept", corrected_from, tmp_path / "b2", false_alarm), quiet=True).path
    for wrong, message in (
        (request("accept", once, tmp_path / "b3", false_alarm), r"sticker\.png was accepted before"),
        (request("reject", once, tmp_path / "b3", false_alarm), r"was accepted before\. Undo that first"),
        (request("accept", once, once, false_alarm), "already exists"),
        (request("accept", once, tmp_path / "b3"), "accept needs images"),
        (request("accept", once, tmp_path / "b3", false_alarm, undo=True), "Leave them out"),
        (request("accept", once, tmp_path / "b3", tmp_path / "none.png"), r"none\.png"),
    ):
        with pytest.raises(BlemishError, match=message) as caught:
            correct(wrong, quiet=True)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "b3").exists()
