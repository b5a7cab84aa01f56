"""Bundles with one mutation: refused in a line, or they open and judge; no other error, in bounded time.

A hash over all of it would be no protection: whoever changes a file changes its hash, too. So each file is
also mutated with its hash put right.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from blemish.bundle.store import CHANGEABLE, MANIFEST, load_bundle
from blemish.errors import BlemishError
from blemish.inspector.found_files import DRAFT
from blemish.inspector.loading import open_inspector
from blemish.workflows.earlier_answers import earlier_answers
from blemish.workflows.inspect import inspect_images
from tests.fuzz.harness import (
    EXAMPLES,
    Draw,
    cut_file,
    flipped_byte,
    limited_time,
    odd_number,
    removed_file,
    renamed_file,
    replaced_by_odd_file,
    settings,
    strange_file,
)
from tests.fuzz.outcomes import note_outcome
from tests.legacy.conftest import unpacked
from tests.legacy.test_mutated_bundles import RULES, changes, judged

__all__ = ["unpacked"]  # a fixture

# A decision for a bundle that tells no classes apart, and whose map goes up to 1.
GRADES = [{"measure": "severity", "rework": 0.3, "scrap": 0.8}]
FITTING = {**json.loads(json.dumps(RULES).replace("crack", "defect")), "grades": GRADES}
FILES = (cut_file, flipped_byte, removed_file, renamed_file, replaced_by_odd_file, strange_file)
few = hypothesis.settings(settings, max_examples=max(20, EXAMPLES // 4))  # bundles that take long to open


def outcome_of(bundle: Path, reader: str) -> str:
    """Verdict of a bundle on noise, or "refused", which is counted. Any other error is a fault."""
    with limited_time(bundle):
        found = str(judged(bundle))
    outcome = found if found.isupper() else "refused"
    note_outcome(reader, outcome)
    return outcome


def copied(bundle: Path, folder: str) -> Path:
    return shutil.copytree(bundle, Path(folder) / "bundle")


def contents(bundle: Path) -> dict[str, bytes | None]:
    """What lies in a bundle's folder, but for what may change; None for what is no file."""
    names = (path for path in bundle.iterdir() if not CHANGEABLE.fullmatch(path.name))
    return {path.name: path.read_bytes() if path.is_file() else None for path in names}


@pytest.mark.parametrize("name", ["severity", "casae-onnx", "medetection"])
def test_a_mutated_file_is_refused_unless_it_may_change(name: str, unpacked: Path) -> None:
    whole = unpacked / "bundles" / name
    before = judged(whole)

    @few
    @given(st.data())
    def run(data: st.DataObject) -> None:
        with TemporaryDirectory() as folder:
            bundle = copied(whole, folder)
            hypothesis.note(data.draw(st.sampled_from(FILES))(bundle, data.draw))
            outcome = outcome_of(bundle, "bundles")
            changed = {
                key for key, content in contents(bundle).items() if content != contents(whole).get(key)
            }
            missing = contents(whole).keys() - contents(bundle).keys()
            if missing or changed - {MANIFEST}:
                assert outcome in ("ERROR", "refused")
            elif not changed and outcome != "refused":
                assert outcome == before or any(CHANGEABLE.fullmatch(path.name) for path in bundle.iterdir())

    run()


def test_mutated_weights_under_a_right_hash_are_refused_or_judge(unpacked: Path) -> None:
    """Those that are not finite give an ERROR or are refused, wherever they stand in the network."""
    whole = unpacked / "bundles" / "casae"

    @few
    @given(st.data())
    def run(data: st.DataObject) -> None:
        with TemporaryDirectory() as folder:
            bundle = copied(whole, folder)
            file = data.draw(st.sampled_from(sorted(bundle.glob("*.safetensors"))))
            change = data.draw(st.sampled_from((odd_weight, flipped_header, flipped_weights)))
            hypothesis.note(change(file, data.draw))
            manifest = json.loads((bundle / MANIFEST).read_text())
            manifest["files"][file.name] = sha256(file.read_bytes()).hexdigest()
            (bundle / MANIFEST).write_text(json.dumps(manifest))
            outcome = outcome_of(bundle, "weights")
            if change is odd_weight:
                assert outcome in ("ERROR", "refused")

    run()


def odd_weight(file: Path, draw: Draw) -> str:
    """Make a weight, or all of a tensor, infinite or no number."""
    names = [name for name, tensor in load_file(file).items() if tensor.dtype == np.float32 and tensor.size]
    name, value = draw(st.sampled_from(names)), draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    content = bytearray(file.read_bytes())
    length = int.from_bytes(content[:8], "little")
    begin, end = json.loads(content[8 : 8 + length])[name]["data_offsets"]
    first = 8 + length + begin
    number = (end - begin) // 4
    place = draw(st.integers(0, number - 1))
    part = slice(0, number) if draw(st.booleans()) else slice(place, place + 1)
    numbers = np.frombuffer(content, "<f4", number, first)
    numbers[part] = value
    file.write_bytes(content)
    return f"{file.name}: {name} {part} is {value}"


def flipped_header(file: Path, draw: Draw) -> str:
    content = bytearray(file.read_bytes())
    place = draw(st.integers(0, 7 + int.from_bytes(content[:8], "little")))
    content[place] = draw(st.integers(0, 255))
    file.write_bytes(content)
    return f"{file.name}: byte {place} is {content[place]}"


def flipped_weights(file: Path, draw: Draw) -> str:
    content = bytearray(file.read_bytes())
    place = draw(st.integers(8 + int.from_bytes(content[:8], "little"), len(content) - 1))
    content[place] = draw(st.integers(0, 255))
    file.write_bytes(content)
    return f"{file.name}: byte {place} is {content[place]}"


@pytest.mark.parametrize("name", ["severity", "casae-onnx", "tlsdd"])
def test_a_mutated_manifest_is_refused_or_judges(name: str, unpacked: Path) -> None:
    whole = json.loads((unpacked / "bundles" / name / MANIFEST).read_text())

    @few
    @given(changes(whole))
    def run(change: Callable[[object], None]) -> None:
        changed = copy.deepcopy(whole)
        change(changed)
        with TemporaryDirectory() as folder:
            bundle = copied(unpacked / "bundles" / name, folder)
            for decision in bundle.glob("decision*.yaml"):
                decision.unlink()
            try:
                (bundle / MANIFEST).write_text(json.dumps(changed))
            except ValueError:
                return  # JSON writes no whole number of so many digits
            outcome_of(bundle, "manifests")

    run()


@settings
@given(data=st.data())
def test_a_mutated_decision_is_refused_or_judges(unpacked: Path, data: st.DataObject) -> None:
    """One that is no readable file is never taken for none."""
    with TemporaryDirectory() as folder:
        bundle = copied(unpacked / "bundles" / "casae-onnx", folder)
        fields = {**copy.deepcopy(FITTING), "bundle": load_bundle(bundle).id}
        aside = Path(folder) / "aside"
        aside.mkdir()
        file = aside / "decision.yaml"
        kind = data.draw(st.sampled_from(("whole", "value", "text")))
        if kind == "value":
            data.draw(changes(fields))(fields)
        try:
            file.write_text(yaml.safe_dump(fields, allow_unicode=True), encoding="utf-8")
        except (ValueError, RecursionError):
            return  # YAML writes no halves of characters and none so deep
        if kind == "text":
            change = data.draw(st.sampled_from((odd_number, flipped_byte, cut_file, replaced_by_odd_file)))
            hypothesis.note(change(aside, data.draw))
        odd = not file.is_file()
        file.rename(bundle / "decision.yaml")
        outcome = outcome_of(bundle, "decisions")
        assert (outcome == "refused" or not odd) and (outcome == "NG" or kind != "whole")


@pytest.fixture(scope="module")
def answers(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of an inspection, as a kill leaves them."""
    folder = tmp_path_factory.mktemp("answers")
    images = sorted((unpacked / "surfaces" / "images").iterdir())[:4]
    recorded = inspect_images([unpacked / "bundles" / "casae-onnx"], images, folder / "whole", quiet=True)
    (folder / "out").mkdir()
    recorded.file.rename(folder / "out" / DRAFT)
    return folder / "out"


@settings
@given(data=st.data())
def test_mutated_answers_are_gone_on_with_or_refused(
    unpacked: Path, answers: Path, data: st.DataObject
) -> None:
    used = open_inspector(unpacked / "bundles" / "casae-onnx", device="cpu").used
    assert used is not None
    with TemporaryDirectory() as folder:
        out = shutil.copytree(answers, Path(folder) / "out")
        change = data.draw(st.sampled_from((odd_number, flipped_byte, cut_file, replaced_by_odd_file)))
        hypothesis.note(change(out, data.draw))
        try:
            with limited_time(out):
                found = earlier_answers(out, [used])
        except BlemishError as error:
            assert "\n" not in str(error)
            note_outcome("answers", "refused")
        else:
            note_outcome("answers", "read" if found else "none")
            assert found is None or len(found.verdicts) <= 4
