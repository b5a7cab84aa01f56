"""A class more from a few examples: the bundle, its report, and what is checked on the older classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from blemish.bundle import Bundle, load_bundle
from blemish.bundle.manifest import known_images
from blemish.dataset.samples import Dataset
from blemish.inspector.loading import open_inspector
from tests.cli.tlsdd_bundles import OLD


@pytest.fixture(scope="session")
def added(
    parent: Path, examples: Path, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from blemish.workflows.add_class import AddClassRequest, add_class

    out = tmp_path_factory.mktemp("added") / "larger"
    return add_class(
        AddClassRequest(parent, "fray", examples, out, check=tiny_dataset.root, device="cpu"), quiet=True
    )


def test_the_new_bundle_is_the_old_one_and_a_class(parent: Path, added: Path) -> None:
    old, new = load_bundle(parent), load_bundle(added)
    assert new.manifest.class_names == (*OLD, "fray")
    assert new.manifest.files["detector.safetensors"] == old.manifest.files["detector.safetensors"]
    assert new.manifest.files["bank.safetensors"] != old.manifest.files["bank.safetensors"]
    assert new.manifest.provenance["parent"] == old.id
    assert new.manifest.memory["rare"] == ["fray"]
    assert len(new.manifest.memory["examples"]["fray"]) == 3
    assert new.manifest.notes[0] == "noted in training"
    assert "'fray' was added without training, from 3 examples" in new.manifest.notes[1]
    assert len(known_images(new.manifest.data)) == 3, "images that say nothing about new parts"
    assert new.id != old.id


def test_the_new_bundle_inspects(added: Path, tiny_dataset: Dataset) -> None:
    inspection = open_inspector(added, device="cpu").inspect(tiny_dataset.samples[0].image)
    assert "fray" in {one.label for one in inspection.candidates}


def test_the_report_lies_beside_the_bundle(added: Path, tiny_dataset: Dataset) -> None:
    folder = added.with_name("larger-report")
    report = json.loads((folder / "enrolment.json").read_text(encoding="utf-8"))
    assert {one["label"] for one in report["similarities"]} == set(OLD)
    assert len(report["outcomes"]) == 3 and report["held_out"]
    changes = {one["label"]: one for one in report["changes"]}
    assert changes["fray"]["before"] is None
    true = sum(a.label == "spot" for s in tiny_dataset.split("test") for a in s.annotations)
    for when in ("before", "after"):
        spot = changes["spot"][when]
        assert spot["found"] + spot["missed"] + spot["confused"] == true
    page = (folder / "report.html").read_text(encoding="utf-8")
    for text in ("fray", "scratch", report["sentences"][0][:20].replace("'", "&#39;"), "split test"):
        assert text in page


def test_a_short_training_adds_the_class_too(
    parent: Path, examples: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    from blemish.workflows.add_class import AddClassRequest, add_class

    out = tmp_path / "tuned"
    request = AddClassRequest(
        parent, "fray", examples, out, tiny_dataset.root, True, settings={"fine_tune_steps": 2}, device="cpu"
    )
    tuned: Bundle = load_bundle(add_class(request, quiet=True))
    assert tuned.manifest.class_names == (*OLD, "fray")
    assert tuned.manifest.settings["fine_tune_steps"] == 2
    assert tuned.manifest.settings["shots"] == 3, "all examples are drawn"
    assert all(one.startswith("examples/") for one in tuned.manifest.memory["examples"]["fray"])
    assert tuned.manifest.provenance["parent"] == load_bundle(parent).id
    before, after = (load_bundle(path).networks["detector"] for path in (parent, out))
    changed = {name.split(".")[0] for name, one in after.items() if not np.array_equal(one, before[name])}
    assert "region_head" in changed and "extractor" not in changed
    report = json.loads((tmp_path / "tuned-report" / "enrolment.json").read_text(encoding="utf-8"))
    assert report["trained"] and {one["label"] for one in report["changes"]} == {*OLD, "fray"}


def test_what_training_noticed_stands_in_the_report(
    added: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    from blemish.workflows.evaluate import evaluate_bundles

    result = evaluate_bundles(
        [added], tiny_dataset.root, tmp_path, split="test", command="as tested", device="cpu", quiet=True
    )
    page = result.report.read_text(encoding="utf-8")
    assert "as tested" in page and result.metrics["split"] == "test"
    assert "<li>noted in training</li>" in page
    assert "added without training, from 3 examples" in page
