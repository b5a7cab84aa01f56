"""decision.yaml on disk: round trip, revisions, and one clear line for everything that is off."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blemish.bundle import Manifest, Preprocessing, load_bundle, save_bundle
from blemish.decision.decision import Decision
from blemish.decision.store import (
    decision_text,
    next_revision,
    read_decision,
    refuse_unfit,
    stored_decision,
    write_decision,
)
from blemish.errors import BlemishError

FULL: dict[str, Any] = {
    "schema_version": 1,
    "revision": 3,
    "bundle": "b",
    "mm_per_px": 0.05,
    "score": {"review": 0.25, "ng": 0.5},
    "classes": {"crack": {"ng": 0.9}, "1": {"review": 0.1}},
    "limits": [{"measure": "length", "unit": "mm", "of": "crack", "review": 1.0, "ng": 3.0}],
    "ignore": [{"measure": "area", "unit": "px", "below": 4.0}],
    "grades": [{"measure": "severity", "rework": 3.0, "scrap": 8.0}],
    "costs": {"escape": 100.0, "overkill": 1.0},
}


def write(folder: Path, **changes: Any) -> Path:
    file = folder / "decision.yaml"
    file.write_text(yaml.safe_dump({**FULL, **changes}, sort_keys=False))
    return file


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(BlemishError) as raised:
        read_decision(write(folder, **changes), bundle="b")
    message = str(raised.value)
    assert message.startswith(str(folder / "decision.yaml")) and "\n" not in message
    return message


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    decision = read_decision(write(tmp_path), bundle="b")
    assert decision.model_dump(mode="json", exclude_none=True) == FULL
    write_decision(tmp_path / "again.yaml", decision)
    assert read_decision(tmp_path / "again.yaml", bundle="b") == decision


@given(st.floats(0, 1), st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_numbers_and_names_survive_the_text(threshold: float, name: str) -> None:
    decision = Decision(revision=1, bundle="b", score={"ng": threshold}, classes={name: {"ng": threshold}})
    fields = yaml.safe_load(decision_text(decision))
    assert fields["score"]["ng"] == threshold and fields["classes"] == {name: {"ng": threshold}}


def test_class_names_may_be_numbers_in_yaml(tmp_path: Path) -> None:
    assert "1" in read_decision(write(tmp_path, classes={1: {"ng": 0.5}}), bundle="b").classes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limts": []}, "unknown key 'limts'. Did you mean 'limits'?"),
        ({"score": {"ngg": 0.5}}, "unknown key 'score.ngg'. Did you mean 'score.ng'?"),
        ({"classes": {"pit": {"reviev": 1}}}, "Did you mean 'classes.pit.review'?"),
        ({"limits": [{"measure": "length", "unit": "mm", "ngg": 1}]}, "Did you mean 'limits.0.ng'?"),
        ({"limits": [{"measure": "lenght", "unit": "mm", "ng": 1}]}, "'limits.0.measure' must be"),
        ({"limits": [{"measure": "length", "unit": "cm", "ng": 1}]}, "'limits.0.unit' must be 'px'"),
        ({"limits": {"measure": "length"}}, "'limits' must be a list."),
        ({"score": {"review": 0.7, "ng": 0.5}}, "'score': review must not be above ng. Received: review 0.7"),
        ({"classes": {"pit": {"review": 1, "ng": 0}}}, "'classes.pit': review must not be above ng"),
        (
            {"grades": [FULL["grades"][0], {"measure": "severity", "rework": 9, "scrap": 1}]},
            "'grades.1': rew",
        ),
        ({"score": {"ng": True}}, "'score.ng' must be a number. Received: True."),
        ({"score": {"ng": "0.5"}}, "'score.ng' must be a number. Received: '0.5'."),
        ({"score": {"ng": float("nan")}}, "'score.ng' must be a finite number."),
        ({"mm_per_px": float("inf")}, "'mm_per_px' must be a finite number."),
        ({"mm_per_px": -1}, "'mm_per_px' must be above 0. Received: -1."),
        ({"revision": 0}, "'revision' must be at least 1."),
        ({"schema_version": 2}, "schema_version must be 1 for this blemish. Received: 2. Update blemish."),
        ({"schema_version": None}, "Received: None. Write it again with `blemish decide`."),
        ({"bundle": "other"}, "'bundle' must be b, the bundle it lies in. Received: other."),
    ],
)
def test_what_is_off_is_one_line_that_names_file_and_key(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    assert message in refusal(tmp_path, **changes)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "decision.yaml"
    file.write_text("{schema_version: 1, bundle: b, revision: 1}")
    with pytest.raises(BlemishError, match="'score' is missing"):
        read_decision(file, bundle="b")


@pytest.mark.parametrize("content", [b"score: [1", b"- 1", b"", b"\xff\xfe\x00"])
def test_what_is_no_mapping_in_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "decision.yaml"
    file.write_bytes(content)
    with pytest.raises(BlemishError) as raised:
        read_decision(file, bundle="b")
    assert str(raised.value).startswith(str(file)) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rules", "scale", "message"),
    [
        (
            {"classes": {"crak": {"ng": 1}}},
            1.0,
            "'classes.crak' must be a class that the bundle names: crack",
        ),
        ({"classes": {"crak": {"ng": 1}}}, 1.0, "Did you mean 'crack'?"),
        (
            {"grades": [{"measure": "severity", "of": "pitt", "scrap": 1}]},
            1.0,
            "'grades.0.of' must be a class",
        ),
        (
            {"ignore": [{"measure": "area", "unit": "mm", "below": 1}]},
            None,
            "'ignore.0' is in mm, but the scale",
        ),
    ],
)
def test_rules_that_do_not_fit_the_bundle_are_refused(
    rules: dict[str, Any], scale: float | None, message: str
) -> None:
    decision = Decision.model_validate({"revision": 1, "bundle": "b", "score": {}, **rules})
    with pytest.raises(BlemishError) as raised:
        refuse_unfit(decision, "decision.yaml", labels=("crack", "pit"), scale=scale)
    assert message in str(raised.value)


def test_every_revision_is_kept_beside(tmp_path: Path) -> None:
    file = tmp_path / "decision.yaml"
    for revision in (1, 2, 3):
        write_decision(file, Decision(revision=revision, bundle="b", score={}))
    remaining = {path.name: read_decision(path, bundle="b").revision for path in tmp_path.iterdir()}
    assert remaining == {"decision-1.yaml": 1, "decision-2.yaml": 2, "decision.yaml": 3}


def test_a_revision_that_was_saved_is_never_replaced_by_another_of_its_number(tmp_path: Path) -> None:
    file = tmp_path / "decision.yaml"
    for revision in (1, 2, 3):
        write_decision(file, Decision(revision=revision, bundle="b", score={}))
    assert next_revision(file) == 3 and next_revision(file, 3) == 4
    file.write_bytes((tmp_path / "decision-1.yaml").read_bytes())  # brought back
    assert next_revision(file, 1) == 3
    write_decision(file, Decision(revision=3, bundle="b", score={}))
    saved = {path: path.read_bytes() for path in tmp_path.iterdir()}
    file.write_text(decision_text(Decision(revision=2, bundle="b", score={"ng": 0.5})))
    with pytest.raises(
        BlemishError, match=r"Received: 2, which is decision-2\.yaml, too\. Count it up to 3\."
    ):
        write_decision(file, Decision(revision=4, bundle="b", score={}))
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path != file} == {
        path: content for path, content in saved.items() if path != file
    }


@pytest.mark.parametrize("content", ["a: 1", "revision: ../a", "revision: 0", "revision: 9999999999", "[1"])
def test_a_file_that_is_no_decision_is_not_written_over(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(BlemishError, match=r"mine\.yaml"):
        write_decision(file, Decision(revision=1, bundle="b", score={}))
    assert file.read_text() == content and list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_the_last_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path)
    before = file.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(BlemishError, match="No space left"):
        write_decision(file, Decision(revision=4, bundle="b", score={}))
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["decision.yaml"]


def test_a_bundle_takes_decisions_and_usage_and_nothing_else(tmp_path: Path) -> None:
    manifest = Manifest(method="any", class_names=("crack",), preprocessing=Preprocessing(channels=1))
    bundle = save_bundle(tmp_path / "bundle", manifest, {})
    assert stored_decision(bundle.path, bundle=bundle.id) is None
    for name in ("decision.yaml", "decision-12.yaml", "usage.json", ".usage.json.x1y2_abc"):
        (bundle.path / name).write_text("")
    assert load_bundle(bundle.path).id == bundle.id
    for name in (
        "decision-a.yaml",
        "my-decision.yaml",
        "usage.jsonx",
        "decision.yml",
        "decision.yaml.w",
        ".decision.yaml",
        ".usage.json.x1",
        "decision.yaml.x1y2_abc",
        "usage.json.bin",
    ):
        (bundle.path / name).write_text("")
        with pytest.raises(BlemishError, match="is not listed in"):
            load_bundle(bundle.path)
        (bundle.path / name).unlink()


def test_writing_the_same_bundle_again_keeps_its_decision_and_another_does_not(tmp_path: Path) -> None:
    manifest = Manifest(method="any", class_names=("crack",), preprocessing=Preprocessing(channels=1))
    path = save_bundle(tmp_path / "bundle", manifest, {}).path
    (path / "decision.yaml").write_text("a")
    (path / "usage.json").write_text("b")
    save_bundle(path, manifest.model_copy(update={"provenance": {"created": "later"}}), {})
    assert {file.name: file.read_text() for file in path.iterdir() if file.name != "manifest.json"} == {
        "decision.yaml": "a",
        "usage.json": "b",
    }
    save_bundle(path, manifest.model_copy(update={"class_names": ("pit",)}), {})
    assert [file.name for file in path.iterdir()] == ["manifest.json"]


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "decision.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "decision.yaml").write_text(example, encoding="utf-8")
    decision = read_decision(tmp_path / "decision.yaml", bundle="severity-b1d01b2eff98")
    assert decision.model_fields_set == set(Decision.model_fields) - {"chosen"}, "every key is shown"
    assert [limit.ng for limit in decision.limits] == [3.0, 400.0, None]


@pytest.mark.parametrize("extra", ["limits: []", "score: {ng: 0.9}", "costs: {escape: 1, escape: 2}"])
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, extra: str) -> None:
    file = write(tmp_path)
    text = file.read_text() if extra[:5] != "costs" else "schema_version: 1\n"
    file.write_text(text + extra + "\n")
    with pytest.raises(
        BlemishError, match=r"decision.yaml must be a YAML file. Received: the key '\w+' twice"
    ):
        read_decision(file, bundle="b")
