"""Replaying a record: the same answers, and the name of whatever is not as it was recorded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from blemish.bundle import load_bundle, save_bundle
from blemish.dataset.hashing import pixel_hash
from blemish.errors import BlemishError, WrongUseError
from blemish.images.decode import read_image
from blemish.inspection import Inspection
from blemish.threads import thread_count
from blemish.workflows.inspect import inspect_images
from blemish.workflows.replay import Replay, replay
from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture: bundles of all methods

Lines = list[dict[str, Any]]


@pytest.fixture
def images(unpacked: Path, tmp_path: Path) -> Path:
    """Three images with defects and one without."""
    names = ("brushed_metal_0006", "cast_metal_0015", "cast_metal_0023", "brushed_metal_0020")
    (tmp_path / "images").mkdir()
    for name in names:
        shutil.copy(unpacked / "surfaces" / "images" / f"{name}.png", tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture
def bundle(unpacked: Path, tmp_path: Path) -> Path:
    """An exported bundle, so that no torch is needed."""
    return shutil.copytree(unpacked / "bundles" / "casae-onnx", tmp_path / "bundle")


@pytest.fixture
def decided(unpacked: Path, tmp_path: Path) -> Path:
    """A bundle with two revisions of a decision."""
    return shutil.copytree(unpacked / "bundles" / "severity", tmp_path / "decided")


def test_pages_of_a_file_are_replayed_each_and_links_to_folders_are_followed(
    images: Path, bundle: Path, tmp_path: Path
) -> None:
    pages = [Image.open(path).convert("L") for path in sorted(images.iterdir())]
    scan = tmp_path / "scan.tif"
    pages[0].save(scan, save_all=True, append_images=pages[1:])
    record = inspect_images([bundle], [scan], tmp_path / "out", quiet=True).file
    lines = lines_of(record)
    assert [line["image"] for line in lines] == [f"{scan}#{page:06d}" for page in range(4)]
    assert {line["image_sha256"] for line in lines} == {sha256sum(scan)}
    (tmp_path / "archive").mkdir()
    (tmp_path / "elsewhere").mkdir()
    shutil.move(scan, tmp_path / "elsewhere" / "renamed.tif")
    (tmp_path / "archive" / "lot").symlink_to(tmp_path / "elsewhere")
    outcome = replay(record, tmp_path / "archive", quiet=True)
    assert (outcome.same, outcome.findings) == (4, [])


@pytest.fixture
def recorded(images: Path, tmp_path: Path) -> Callable[..., Path]:
    """Inspect the images with bundles; returns the record."""

    def call(*bundles: Path) -> Path:
        return inspect_images(bundles, [images], tmp_path / "out", device="cpu", quiet=True).file

    return call


def lines_of(record: Path) -> Lines:
    return [json.loads(line) for line in record.read_text().splitlines()]


def rewrite(record: Path, change: Callable[[Lines], None]) -> None:
    """Change the lines of a record."""
    lines = lines_of(record)
    change(lines)
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))


def found(outcome: Replay) -> list[tuple[int, str]]:
    return [(one.line, one.key) for one in outcome.findings]


def test_a_record_that_lists_findings_under_the_limit_as_defects_is_replayed_as_such(
    recorded: Callable[..., Path], decided: Path, images: Path
) -> None:
    """Schema 2 had no limit, and a part that was rejected by its score had the grade "accept"."""
    scores = sorted(line["score"] for line in lines_of(recorded(decided)))
    file = decided / "decision.yaml"
    rules = yaml.safe_load(file.read_text())
    rules |= {"score": {"ng": (scores[-2] + scores[-1]) / 2}, "limits": [], "classes": {}}
    rules |= {"grades": [{"measure": "severity", "scrap": 12}]}
    rules.pop("chosen", None)
    file.write_text(yaml.safe_dump(rules))
    record = recorded(decided)
    lines = lines_of(record)
    under = [line for line in lines if line.get("under_limit")]
    assert under and all(line["verdict"] == "OK" and not line["defects"] for line in under)
    assert [line.get("grade") for line in lines if line["verdict"] == "NG"] == [None]

    def older(lines: Lines) -> None:
        for line in lines:
            line["schema_version"] = 2
            line["defects"] += line.pop("under_limit", [])
            line["reasons"] = [reason for reason in line["reasons"] if "no defect" not in reason]
            line.setdefault("grade", "accept")

    rewrite(record, older)
    outcome = replay(record, images, quiet=True)
    assert outcome.findings == [] and outcome.same == 4
    rewrite(record, lambda lines: [line.update(schema_version=3) for line in lines])
    assert {key for _, key in found(replay(record, images, quiet=True))} >= {"defects", "under_limit"}


# The record


def test_a_line_says_what_it_was_made_of(recorded: Callable[..., Path], bundle: Path, images: Path) -> None:
    lines = lines_of(recorded(bundle))
    assert len({line["id"] for line in lines}) == 4
    for line in lines:
        image = Path(line["image"])
        assert line["schema_version"] == 3
        assert line["at"].endswith("+00:00")
        assert line["image_sha256"] == sha256sum(image)
        assert line["pixels_sha256"] == pixel_hash(read_image(image))
        (used,) = line["bundles"]
        assert (used["id"], used["digest"]) == (load_bundle(bundle).id, load_bundle(bundle).digest)
        assert used["digest"].startswith(used["id"].removeprefix("casae-"))
        assert (used["decision"], used["decision_sha256"]) == (None, None)
        assert used["runtime"]["name"] == "onnxruntime"
        assert {"version", "device", "precision", "threads", "processor"} <= set(used["runtime"])


def sha256sum(file: Path) -> str:
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_line_names_the_decision_by_revision_and_content(
    recorded: Callable[..., Path], decided: Path
) -> None:
    (used,) = lines_of(recorded(decided))[0]["bundles"]
    assert used["decision"] == 2
    assert used["decision_sha256"] == sha256sum(decided / "decision.yaml")


def test_a_record_is_read_as_it_was_written(recorded: Callable[..., Path], bundle: Path) -> None:
    for line in lines_of(recorded(bundle)):
        assert Inspection.from_json(line).to_json() == line


def test_a_newer_record_is_refused(recorded: Callable[..., Path], bundle: Path) -> None:
    line = {**lines_of(recorded(bundle))[0], "schema_version": 4}
    with pytest.raises(ValueError, match="schema_version 4"):
        Inspection.from_json(line)


def test_frames_of_a_video_share_the_hash_of_its_file(
    images: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blemish.inspector import sources

    read: list[Path] = []
    original = sources.file_hash
    monkeypatch.setattr(sources, "file_hash", lambda path: read.append(path) or original(path))
    video = film(images, tmp_path / "film.avi")
    record = inspect_images([bundle], [video], tmp_path / "out", quiet=True).file
    lines = lines_of(record)
    assert {line["image_sha256"] for line in lines} == {sha256sum(video)}
    assert len({line["pixels_sha256"] for line in lines}) == len(lines) == 4
    assert read == [video]
    (tmp_path / "films").mkdir()
    shutil.move(video, tmp_path / "films" / "renamed.avi")
    outcome = replay(record, tmp_path / "films", quiet=True)
    assert (outcome.same, outcome.findings) == (4, [])


def film(images: Path, out: Path) -> Path:
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter_fourcc(*"MJPG"), 5, (96, 96))
    for image in sorted(images.iterdir()):
        writer.write(cv2.imread(str(image)))
    writer.release()
    return out


def test_an_image_that_cannot_be_read_is_recorded_and_replayed(
    recorded: Callable[..., Path], bundle: Path, images: Path
) -> None:
    (images / "broken.png").write_bytes(b"no image")
    record = recorded(bundle)
    (line,) = (one for one in lines_of(record) if one["verdict"] == "ERROR")
    assert line["image_sha256"] == sha256sum(images / "broken.png")
    assert line["pixels_sha256"] is None
    assert replay(record, images, quiet=True).same == 5


def test_evaluation_hashes_nothing(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from blemish.inspector import pipeline
    from blemish.workflows.evaluate import evaluate_bundles

    def refused(_pixels: Any) -> str:
        raise AssertionError("hashed")

    monkeypatch.setattr(pipeline, "pixel_hash", refused)
    bundle = shutil.copytree(unpacked / "bundles" / "casae-onnx", tmp_path / "bundle")
    evaluate_bundles(
        [bundle], unpacked / "surfaces", tmp_path / "out", split="test", command="test", quiet=True
    )


# The same answers


@pytest.mark.parametrize(
    "names", [("severity",), ("casae",), ("casae-onnx",), ("tlsdd-stain",), ("casae", "tlsdd")]
)
def test_the_same_bundle_gives_the_same_answers(
    recorded: Callable[..., Path], unpacked: Path, images: Path, names: tuple[str, ...]
) -> None:
    record = recorded(*(unpacked / "bundles" / name for name in names))
    outcome = replay(record, images, quiet=True)
    assert (outcome.same, outcome.lines) == (4, 4), outcome.findings
    assert outcome.notes == []


def test_images_are_found_by_their_bytes(
    recorded: Callable[..., Path], bundle: Path, images: Path, tmp_path: Path
) -> None:
    record = recorded(bundle)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    for number, image in enumerate(sorted(images.iterdir(), reverse=True)):
        image.rename(tmp_path / "elsewhere" / "deep" / f"{number}.png")
    assert replay(record, tmp_path / "elsewhere", quiet=True).same == 4


def test_a_moved_bundle_is_named_by_the_user(
    recorded: Callable[..., Path], bundle: Path, images: Path, tmp_path: Path
) -> None:
    record = recorded(bundle)
    moved = bundle.rename(tmp_path / "moved")
    lost = replay(record, images, quiet=True)
    assert lost.same == 0
    assert lost.findings[0].text.startswith(f"bundle: recorded {load_bundle(moved).id} in {bundle}; ")
    assert all("If it has moved, name it with --bundle." in finding.text for finding in lost.findings)
    assert replay(record, images, bundles=[moved], quiet=True).same == 4


def test_a_decision_is_followed_as_recorded_though_there_is_a_newer_one(
    recorded: Callable[..., Path], decided: Path, images: Path
) -> None:
    record = recorded(decided)
    (decided / "decision-2.yaml").write_bytes((decided / "decision.yaml").read_bytes())
    newer = (decided / "decision.yaml").read_text().replace("revision: 2", "revision: 3")
    (decided / "decision.yaml").write_text(newer.replace("ng: 0.1684", "ng: 0.99"))
    assert replay(record, images, quiet=True).same == 4


def test_an_inspection_without_a_decision_is_replayed_without(
    recorded: Callable[..., Path], decided: Path, images: Path
) -> None:
    later = (decided / "decision.yaml").read_bytes()
    for file in decided.glob("decision*.yaml"):
        file.unlink()
    record = recorded(decided)
    (decided / "decision.yaml").write_bytes(later)
    assert replay(record, images, quiet=True).same == 4


# What differs


def test_a_tampered_line_is_named_with_both_values(
    recorded: Callable[..., Path], bundle: Path, images: Path
) -> None:
    record = recorded(bundle)
    answers = lines_of(record)
    first = next(index for index, line in enumerate(answers) if line["defects"])

    def tamper(lines: Lines) -> None:
        lines[first]["verdict"] = "OK"
        lines[first]["defects"][0]["rectangle"]["length"] += 1
        lines[3]["defects"].append(lines[first]["defects"][0])

    rewrite(record, tamper)
    outcome = replay(record, images, quiet=True)
    assert (first + 1, "verdict") in found(outcome)
    assert (first + 1, "defects[0].rectangle.length") in found(outcome)
    assert (4, "defects") in found(outcome)
    assert outcome.same == 2
    verdict = next(one for one in outcome.findings if one.key == "verdict")
    assert verdict.text == f"recorded OK, now {answers[first]['verdict']}"


def test_a_line_that_is_none_is_named(recorded: Callable[..., Path], bundle: Path, images: Path) -> None:
    record = recorded(bundle)
    text = record.read_text().splitlines()
    record.write_text("\ufeff" + "\n".join((text[0], text[1][:100], text[2], "{}")))
    outcome = replay(record, images, quiet=True)
    assert found(outcome) == [(2, ""), (4, "")]
    assert outcome.same == 2


@pytest.mark.parametrize(
    ("place", "value", "key"),
    [
        (("image",), 5, "image"),
        (("image_sha256",), ["a"], "image_sha256"),
        (("bundles",), {}, "bundles"),
        (("bundles", 0, "path"), None, "path"),
        (("bundles", 0, "digest"), True, "digest"),
        (("bundles", 0, "mm_per_px"), "x", "mm_per_px"),
        (("bundles", 0, "runtime"), [], "runtime"),
        (("defects",), 7, "int"),
    ],
)
def test_a_value_of_a_wrong_type_is_named(
    recorded: Callable[..., Path],
    bundle: Path,
    images: Path,
    place: tuple[Any, ...],
    value: object,
    key: str,
) -> None:
    record = recorded(bundle)

    def damage(lines: Lines) -> None:
        holder: Any = lines[1]
        for step in place[:-1]:
            holder = holder[step]
        holder[place[-1]] = value

    rewrite(record, damage)
    (finding,) = replay(record, images, quiet=True).findings
    assert (finding.line, finding.key) == (2, "")
    assert finding.text.startswith("must be an inspection") and key in finding.text


def test_names_that_are_no_text_or_break_lines_are_recorded_and_replayed(
    recorded: Callable[..., Path], bundle: Path, images: Path
) -> None:
    first, second, *_ = sorted(images.iterdir())
    first.rename(images / "a\u2028b.png")
    second.rename(images / os.fsdecode(b"a\xff.png"))
    record = recorded(bundle)
    names = {Path(json.loads(line)["image"]) for line in record.read_text().split("\n")[:-1]}
    assert names == set(images.iterdir())
    assert replay(record, images, quiet=True).same == 4
    for image in images.iterdir():
        image.unlink()
    assert replay(record, images, quiet=True).same == 0


def test_a_file_that_cannot_be_read_hides_no_other(
    recorded: Callable[..., Path], bundle: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blemish.workflows import recorded_images as workflow

    record = recorded(bundle)
    (images / "locked.png").write_bytes(b"")
    original = workflow.file_hash

    def file_hash(path: Path) -> str:
        if path.name == "locked.png":
            raise BlemishError("locked")
        return original(path)

    monkeypatch.setattr(workflow, "file_hash", file_hash)
    assert replay(record, images, quiet=True).same == 4


def test_a_changed_pixel_is_named(recorded: Callable[..., Path], bundle: Path, images: Path) -> None:
    record = recorded(bundle)
    image = sorted(images.iterdir())[2]
    pixels = cv2.imread(str(image), cv2.IMREAD_UNCHANGED)
    pixels[40, 40] ^= 1
    cv2.imwrite(str(image), pixels)
    outcome = replay(record, images, quiet=True)
    assert {(3, "image_sha256"), (3, "pixels_sha256")} <= set(found(outcome))
    assert outcome.same == 3


def test_of_changed_images_of_one_name_that_of_the_recorded_folder_is_taken(
    recorded: Callable[..., Path], bundle: Path, images: Path
) -> None:
    first, second, *others = sorted(images.iterdir())
    for other in others:
        other.unlink()
    for image, folder in ((first, "lot1"), (second, "lot2")):
        (images / folder).mkdir()
        image.rename(images / folder / "part.png")
    record = recorded(bundle)
    for folder in ("lot1", "lot2"):
        with (images / folder / "part.png").open("ab") as file:
            file.write(b"behind the image")
    outcome = replay(record, images, quiet=True)
    assert found(outcome) == [(1, "image_sha256"), (2, "image_sha256")]
    for line, folder in enumerate(("lot1", "lot2")):
        changed = images / folder / "part.png"
        assert outcome.findings[line].text.startswith(f"{changed}: recorded ")
        assert outcome.findings[line].text.endswith(f"now {sha256sum(changed)[:12]}")


def test_the_same_pixels_in_another_file_are_told_apart_from_other_pixels(
    recorded: Callable[..., Path], bundle: Path, images: Path
) -> None:
    record = recorded(bundle)
    image = sorted(images.iterdir())[2]
    cv2.imwrite(str(image), cv2.imread(str(image), cv2.IMREAD_UNCHANGED), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert found(replay(record, images, quiet=True)) == [(3, "image_sha256")]


def test_a_missing_image_is_named(recorded: Callable[..., Path], bundle: Path, images: Path) -> None:
    record = recorded(bundle)
    gone = sorted(images.iterdir())[0]
    gone.unlink()
    (finding,) = replay(record, images, quiet=True).findings
    assert (finding.line, finding.key) == (1, "")
    assert gone.name in finding.text


def test_a_bundle_that_is_refused_is_opened_once(
    recorded: Callable[..., Path], bundle: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blemish.workflows import recorded_bundles as workflow

    record = recorded(bundle)
    opened: list[Path] = []

    def refused(path: Path) -> Any:
        opened.append(path)
        raise BlemishError(f"{path} is damaged.")

    monkeypatch.setattr(workflow, "load_bundle", refused)
    outcome = replay(record, images, quiet=True)
    assert [finding.line for finding in outcome.findings] == [1, 2, 3, 4]
    assert all("is damaged" in finding.text for finding in outcome.findings)
    assert opened == [bundle]


def test_another_bundle_is_named_and_not_asked(
    recorded: Callable[..., Path], bundle: Path, unpacked: Path, images: Path, tmp_path: Path
) -> None:
    record = recorded(bundle)
    other = load_bundle(unpacked / "bundles" / "casae")
    thresholds = {**other.manifest.thresholds, "ng": 0.123}
    changed = other.manifest.model_copy(update={"thresholds": thresholds})
    save_bundle(tmp_path / "other", changed, other.networks)
    outcome = replay(record, images, bundles=[tmp_path / "other"], quiet=True)
    assert found(outcome) == [(number, "") for number in (1, 2, 3, 4)]
    recorded_id, here = load_bundle(bundle).id, load_bundle(tmp_path / "other").id
    assert recorded_id in outcome.findings[0].text and here in outcome.findings[0].text


def test_a_damaged_bundle_is_refused(recorded: Callable[..., Path], bundle: Path, images: Path) -> None:
    record = recorded(bundle)
    graph = next(bundle.glob("*.onnx"))
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    outcome = replay(record, images, quiet=True)
    assert outcome.same == 0
    assert all("SHA-256" in finding.text for finding in outcome.findings)
    with pytest.raises(BlemishError, match="SHA-256"):
        replay(record, images, bundles=[bundle], quiet=True)


def test_a_decision_changed_by_hand_under_its_number_is_named(
    recorded: Callable[..., Path], decided: Path, images: Path
) -> None:
    record = recorded(decided)
    text = (decided / "decision.yaml").read_text()
    ng = next(line for line in text.splitlines() if line.strip().startswith("ng:"))
    (decided / "decision.yaml").write_text(text.replace(ng, "  ng: 0.3", 1))
    outcome = replay(record, images, quiet=True)
    assert (1, "decision_sha256") in found(outcome)
    assert any(key == "verdict" for _, key in found(outcome))


def test_a_revision_that_is_gone_is_named(recorded: Callable[..., Path], decided: Path, images: Path) -> None:
    record = recorded(decided)
    (decided / "decision.yaml").unlink()
    outcome = replay(record, images, quiet=True)
    assert outcome.same == 0
    assert "no revision 2; it has 1" in outcome.findings[0].text


def test_another_runtime_is_named_and_the_answers_are_compared_all_the_same(
    recorded: Callable[..., Path], bundle: Path, images: Path
) -> None:
    record = recorded(bundle)
    version = lines_of(record)[0]["bundles"][0]["runtime"]["version"]

    def older(lines: Lines) -> None:
        for line in lines:
            line["software"] = "0.0.9"
            line["bundles"][0]["runtime"] |= {"version": "1.0", "processor": "another"}

    rewrite(record, older)
    outcome = replay(record, images, quiet=True)
    assert outcome.same == 4
    assert f"runtime: version: recorded 1.0, now {version}" in outcome.notes
    assert [note.split(":")[0] for note in outcome.notes] == ["blemish", "runtime", "runtime"]


def test_the_recorded_number_of_threads_is_taken(
    recorded: Callable[..., Path], bundle: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    record = recorded(bundle)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    outcome = replay(record, images, quiet=True)
    assert (outcome.same, outcome.notes) == (4, [])


def test_each_line_is_replayed_in_its_own_number_of_threads(
    recorded: Callable[..., Path], bundle: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blemish.workflows import replay as workflow

    record = recorded(bundle)

    def alternate(lines: Lines) -> None:
        for number, line in enumerate(lines):
            line["bundles"][0]["runtime"]["threads"] = 1 + number % 2

    rewrite(record, alternate)
    counts = []
    original = workflow.answer_of

    def answer_of(*arguments: Any) -> Any:
        counts.append(thread_count())
        return original(*arguments)

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # is set back afterwards
    monkeypatch.setattr(workflow, "answer_of", answer_of)
    assert replay(record, images, quiet=True).same == 4
    assert counts == [1, 2, 1, 2]


def test_a_record_of_0_1_is_named_as_one(unpacked: Path) -> None:
    outcome = replay(unpacked / "answers" / "casae-onnx.jsonl", unpacked / "surfaces", quiet=True)
    assert outcome.same == 0
    assert all("blemish 0.1" in one.text for one in outcome.findings)


def test_pieces_of_a_web_have_hashes_and_are_not_replayed(
    images: Path, unpacked: Path, tmp_path: Path
) -> None:
    from blemish.workflows.inspect import Web

    bundle = unpacked / "bundles" / "severity"
    strips = sorted(images.glob("*.png"))
    web = np.concatenate([read_image(strip) for strip in strips])
    for frame_rows in (None, 100):
        out = tmp_path / f"web-{frame_rows}"
        record = inspect_images(
            [bundle], strips, out, web=Web("web", frame_rows), device="cpu", quiet=True
        ).file
        lines = lines_of(record)
        assert lines[-1]["rows"][1] == len(web)
        for line in lines:
            start, stop = line["rows"]
            assert line["pixels_sha256"] == pixel_hash(web[start:stop])
            assert line["image_sha256"] is None
        assert all("line scan" in one.text for one in replay(record, images, quiet=True).findings)


@pytest.mark.parametrize("missing", ["record", "images"])
def test_what_is_not_there_is_wrong_use(tmp_path: Path, missing: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "record.jsonl").write_text("{}\n")
    places = {"record": tmp_path / "record.jsonl", "images": tmp_path / "images"}
    places[missing] = tmp_path / "gone"
    with pytest.raises(WrongUseError, match="gone"):
        replay(places["record"], places["images"], quiet=True)
