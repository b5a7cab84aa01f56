"""Replay of what a real bundle said: the same, or the field that differs, by a child process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sqlalchemy import text

from tests.station.server.station_builders import Bench, FakeLine
from tests.station.server.test_station_database import tamper


@pytest.fixture
def recorded(bench: Bench, line: FakeLine, tiny_bundle: Path, tmp_path: Path) -> dict[str, Any]:
    """A part that a tiny bundle judged, recorded as a line does it."""
    from blemish.station.bundles import add_bundle
    from blemish.station.server.line_files import take_in_lines
    from blemish.workflows.inspect import inspect_images

    path = add_bundle(bench.station.folder, tiny_bundle)
    take_in_lines(bench.station)
    pixels = np.full((96, 96), 120, np.uint8)
    cv2.line(pixels, (10, 20), (80, 60), 250, 2)
    record = line.part("NG", pixels=pixels)  # writes the image where the bundle finds it
    file = bench.station.folder.images / record["image"]["file"]
    inspect_images([bench.station.folder.root / path], [file], tmp_path / "out", quiet=True)
    doc = json.loads((tmp_path / "out" / "inspections.jsonl").read_text())
    line.journal.append("state", state="ready", why="")
    real = line.part("NG", pixels=pixels, doc=doc, bundle=path.name, decision_revision=None)
    bench.ingest()
    return real


def test_replay_is_the_same_until_a_byte_is_changed(bench: Bench, recorded: dict[str, Any]) -> None:
    assert bench.viewer.post("/inspections/2/replay").status_code == 403
    answer = bench.operator.post("/inspections/2/replay")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"same": True, "differences": [], "notes": []}
    tamper(bench, "UPDATE inspection SET verdict = 'OK' WHERE id = 2")
    image = bench.station.folder.images / recorded["image"]["file"]
    image.write_bytes(image.read_bytes()[:-20] + b"x" + image.read_bytes()[-19:])
    found = {each["field"] for each in bench.operator.post("/inspections/2/replay").json()["differences"]}
    assert "record.verdict" in found and "image_sha256" in found


def test_changed_bundle_is_named(bench: Bench, recorded: dict[str, Any]) -> None:
    weights = next((bench.station.folder.bundles / recorded["bundle"]).glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    (fault,) = bench.operator.post("/inspections/2/replay").json()["differences"]
    assert fault["field"] == "bundle" and "was changed or damaged" in fault["text"]


def test_part_without_pixels_or_bundle_cannot_be_replayed(bench: Bench, line: FakeLine) -> None:
    line.part("OK")
    line.part("NG")
    bench.ingest()
    assert "were not kept" in bench.operator.post("/inspections/1/replay").json()["error"]
    assert "no bundle" in bench.operator.post("/inspections/2/replay").json()["error"]
    with bench.station.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM inspection")).scalar() == 2
