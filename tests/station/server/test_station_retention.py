"""A disk that fills up: images go, oldest first, and never what people or the audit have named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.station import retention
from blemish.station.audit_check import check_station
from blemish.station.database.parts import ImageRow
from blemish.station.retention import make_room
from tests.station.server.station_builders import Bench, FakeLine

KINDS = (
    "sample",
    "sample, annotated",
    "sample, reviewed",
    "audit",
    "NG",
    "NG, reviewed",
    "REVIEW",
    "example",
)


@pytest.fixture
def parts(either: Bench) -> dict[str, dict[str, Any]]:
    """A kept image of each kind, in that order, with tiles."""
    either.add_line()
    line = FakeLine(either.station.folder)
    found = {}
    for number, kind in enumerate(KINDS):
        verdict = kind.partition(",")[0] if kind[0] in "NR" else "OK"
        record = line.part(
            verdict, keep=True, audit=kind == "audit", pixels=np.full((8, 8), number, np.uint8)
        )
        found[kind] = record["image"]
        either.station.folder.tile_file(record["image"]["sha256"]).write_bytes(b"tiles")
    either.ingest()
    shas = {kind: image["sha256"] for kind, image in found.items()}
    body = {"name": "scratch", "colour": "#d62728", "example_id": shas["example"]}
    assert either.admin.post("/classes", json=body).status_code == 201
    path = f"/images/{shas['sample, annotated']}/annotations"
    assert either.admin.put(path, json={"items": []}, headers={"If-Match": '"0"'}).status_code == 200
    for number in (3, 6):
        assert either.admin.post(f"/inspections/{number}/review", json={"verdict": "OK"}).status_code < 300
    return found


def kept(bench: Bench, parts: dict[str, dict[str, Any]]) -> set[str]:
    """Kinds whose image is there, as the disk and the API agree."""
    found = set()
    for kind, image in parts.items():
        answer = bench.viewer.get(f"/images/{image['sha256']}/original")
        on_disk = (bench.station.folder.images / image["file"]).is_file()
        assert (
            on_disk
            == (answer.status_code == 200)
            == bench.station.folder.tile_file(image["sha256"]).is_file()
        )
        assert on_disk or answer.status_code == 410
        found |= {kind} if on_disk else set()
    return found


@pytest.mark.parametrize(
    ("used", "gone"),
    [(0.84, set()), (0.85, {"sample"}), (0.94, {"sample"}), (0.95, {"sample", "NG", "REVIEW"})],
)
def test_images_that_nobody_has_named_go(
    either: Bench, parts: dict[str, dict[str, Any]], used: float, gone: set[str]
) -> None:
    for kind, image in parts.items():
        mark_as(either, image["sha256"], "sample" if kind.startswith("sample") else kind)
    number = make_room(
        either.station.writer, either.station.folder, either.station.audit_key, used=lambda _: used
    )
    assert number == len(gone)
    assert kept(either, parts) == set(KINDS) - gone
    assert either.viewer.get("/inspections").json()["items"], "rows stay"


def mark_as(bench: Bench, sha256: str, why: str) -> None:
    """Have an image kept for that reason."""

    def change(session: Any) -> None:
        session.get(ImageRow, sha256).kept_because = why

    bench.station.write(change)


def test_it_stops_where_there_is_room_again_and_the_record_stays_whole(bench: Bench, line: FakeLine) -> None:
    folder = bench.station.folder
    records = [line.part("NG", pixels=np.full((8, 8), number, np.uint8)) for number in range(5)]
    bench.ingest()
    files = [folder.images / record["image"]["file"] for record in records]

    def used(_: Path) -> float:
        return 0.96 if sum(file.is_file() for file in files) > 2 else 0.8

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "BATCH", 1)
        assert make_room(bench.station.writer, folder, bench.station.audit_key, used=used) == 3
    assert [file.is_file() for file in files] == [False, False, False, True, True], "the oldest went"
    again = line.part("NG", pixels=np.zeros((8, 8), np.uint8))
    bench.ingest()
    assert bench.viewer.get(f"/images/{again['image']['sha256']}/original").status_code == 200
    removed = bench.admin.get("/audit", params={"action": "image.remove"}).json()["items"]
    assert [each["after"]["images"] for each in reversed(removed)] == [
        [record["image"]["sha256"]] for record in records[:3]
    ]
    assert not check_station(folder.root).faults
