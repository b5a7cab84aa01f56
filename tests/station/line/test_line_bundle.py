"""A line with a trained bundle: the answers of `inspect`, with all that a replay needs; damage is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from stand_in_line import SECONDS, asked, inspections, opened, records, running, wait_for

from blemish.bundle.store import load_bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.inspection import Inspection
from blemish.inspector.loading import open_inspector
from blemish.station.add_line import add_line
from blemish.station.layout import StationFolder
from blemish.station.line.judging import open_judge
from blemish.station.line.settings import DecisionOf, ListSource, read_settings, write_settings


def test_a_line_answers_as_inspect_does_and_refuses_a_damaged_bundle(
    tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [sample.image for sample in tiny_dataset][:6]
    listed = tmp_path / "all.txt"
    listed.write_text("".join(f"{path}\n" for path in paths))
    root = tmp_path / "station"
    settings = add_line(root, "L1", bundle=tiny_bundle, source=ListSource(path=listed))
    assert settings.bundle == Path("bundles") / load_bundle(tiny_bundle).id
    line = StationFolder(root).line("L1")
    damaged = root / "bundles" / "damaged"
    shutil.copytree(root / settings.bundle, damaged)
    weights = sorted(damaged.glob("*.safetensors"))[0]
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with running(line, monkeypatch, ready=False, opened_by=open_judge) as process:
        wait_for(lambda: len(inspections(line)) == len(paths), 3 * SECONDS)
        changed = settings.model_copy(update={"bundle": Path("bundles/damaged"), "revision": 2})
        write_settings(line, changed)
        wait_for(lambda: any("refused" in entry.record for entry in records(line, "state")))
        reply = asked(opened(line), paths[0].read_bytes(), name=str(paths[0]))
        assert process.status()["bundle"] == reply["doc"]["bundle"] == load_bundle(tiny_bundle).id
    inspector = open_inspector(tiny_bundle)
    for path, record in zip([*paths, paths[0]], inspections(line), strict=True):
        found = Inspection.from_json(record["doc"])
        own = Inspection.from_json(inspector.inspect(path).to_json())
        assert replace(found, timings_ms={}, record=None) == replace(own, timings_ms={}, record=None)
        assert found.record is not None
        assert found.record.bundles[0].digest == load_bundle(tiny_bundle).digest


def test_a_bundle_with_another_decision_than_the_approved_one_is_refused(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    station = StationFolder(tmp_path / "station")
    settings = add_line(station.root, "L1", bundle=tiny_bundle)
    assert settings.bundle is not None
    with pytest.raises(BlemishError, match="decision of revision 3"):
        open_judge(station.root, settings.bundle, DecisionOf(revision=3), None)


def test_a_line_is_changed_in_parts(tiny_bundle: Path, tmp_path: Path) -> None:
    root = tmp_path / "station"
    add_line(root, "L1", bundle=tiny_bundle)
    add_line(root, "L1", deadline_ms=500)
    settings = read_settings(StationFolder(root).line("L1"))
    assert (settings.deadline_ms, settings.revision) == (500, 2)
    assert settings.bundle is not None
    with pytest.raises(BlemishError, match="folder that is there"):
        from blemish.station.line.settings import FolderSource

        add_line(root, "L1", source=FolderSource(path=tmp_path / "missing"))
    with pytest.raises(BlemishError, match="not a bundle"):
        add_line(root, "L1", bundle=tmp_path)
    assert read_settings(StationFolder(root).line("L1")) == settings
