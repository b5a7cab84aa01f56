"""From the journal into the record, and the questions that are asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from blemish.station import ingest as ingesting
from blemish.station.journal import Place
from tests.station.server.station_builders import Bench, FakeLine


def test_journal_is_ingested_once_and_found_by_filters(either: Bench) -> None:
    line_id = either.add_line()
    line = FakeLine(either.station.folder)
    for number in range(12):
        line.part("NG" if number % 3 == 0 else "OK", lot="L2" if number > 7 else "L1")
    line.journal.append("missed", reason="busy", source="request")
    line.journal.append("state", state="hold", why="disk")
    for _ in range(3):
        either.ingest(line_id)
    viewer = either.viewer
    first = viewer.get("/inspections", params={"limit": 5}).json()
    assert [each["seq"] for each in first["items"]] == [12, 11, 10, 9, 8]
    rest = viewer.get("/inspections", params={"limit": 50, "cursor": first["next"]}).json()
    assert [each["seq"] for each in rest["items"]] == [7, 6, 5, 4, 3, 2, 1]
    assert rest["next"] is None
    chosen = viewer.get("/inspections", params={"verdict": "NG", "lot": "L2"}).json()["items"]
    assert [each["seq"] for each in chosen] == [10]
    of_class = viewer.get("/inspections", params={"class": "scratch", "line": line_id}).json()["items"]
    assert [each["seq"] for each in of_class] == [10, 7, 4, 1]
    assert of_class[0]["answered_via"] == "request"
    assert of_class[0]["image"]["kept"]
    assert not viewer.get("/inspections", params={"class": "dent"}).json()["items"]
    events = viewer.get(f"/lines/{line_id}/events").json()["items"]
    assert [(each["kind"], each["value"], each["text"]) for each in events] == [
        ("state", "hold", "disk"),
        ("missed", "request", "busy"),
    ]


def test_records_are_on_the_disk_before_the_database_knows_them(
    bench: Bench, line: FakeLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line may have written a record without having waited for the disk; a power cut would take it back."""
    steps: list[str] = []
    sync, store = ingesting.sync_segment, ingesting.store

    def told_sync(folder: Path, number: int) -> int:
        steps.append(f"segment {number}")
        return sync(folder, number)

    def told_store(session: Session, **given: Any) -> Place:
        steps.append("rows")
        return store(session, **given)

    monkeypatch.setattr(ingesting, "sync_segment", told_sync)
    monkeypatch.setattr(ingesting, "store", told_store)
    line.part()
    bench.ingest()
    bench.ingest()
    assert steps == ["segment 1", "rows"], "nothing new needs no disk"


def test_times_filter_half_open(bench: Bench, line: FakeLine) -> None:
    at = [line.part()["at"] for _ in range(2)]
    bench.ingest()
    found = bench.viewer.get("/inspections", params={"from": at[0], "to": at[1]}).json()["items"]
    assert len(found) == (1 if at[0] != at[1] else 0)
    assert bench.viewer.get("/inspections", params={"from": "yesterday"}).status_code == 422


def test_inspection_in_full_names_its_neighbours_in_the_filter(bench: Bench, line: FakeLine) -> None:
    for verdict in ("NG", "OK", "NG", "OK", "NG"):
        line.part(verdict)
    bench.ingest()
    found = bench.viewer.get("/inspections/3", params={"verdict": "NG"}).json()
    assert (found["newer"], found["older"]) == (5, 1)
    assert found["doc"]["image"] == "part-3.png", "no path in an answer"
    assert found["defects"][0]["box_xyxy"] == [10, 20, 30, 28]
    assert bench.viewer.get("/inspections/99").status_code == 404


def test_error_without_an_image_and_odd_names_are_recorded(either: Bench) -> None:
    line_id = either.add_line()
    line = FakeLine(either.station.folder)
    odd = "a\u202eb<b>\x00\x1b[31m" + "x" * 500
    line.part("ERROR", serial=odd, lot=None, image=None)
    either.ingest(line_id)
    found = either.viewer.get("/inspections/1").json()
    assert found["verdict"] == "ERROR"
    assert found["image"] is None
    assert found["serial"].startswith("a\u202eb<b>\ufffd\x1b[31m")
    assert len(found["serial"]) == 200


def test_shadow_without_a_serial_is_of_the_part_before(bench: Bench, line: FakeLine) -> None:
    pixels = np.full((8, 8), 7, np.uint8)
    line.part("OK", serial=None, pixels=pixels)
    line.part("NG", serial=None, pixels=pixels, shadow=True)
    bench.ingest()
    assert [each["seq"] for each in bench.viewer.get("/inspections").json()["items"]] == [1]
    shadows = bench.viewer.get("/inspections", params={"shadow": True}).json()["items"]
    assert [(each["seq"], each["serial"]) for each in shadows] == [(2, "#1")]


def test_damaged_journal_stops_its_line_alone_and_is_told(bench: Bench, line: FakeLine) -> None:
    from blemish.station.server.runtime import ingest_all

    other = FakeLine(bench.station.folder, "lathe")
    bench.add_line("lathe")
    line.part()
    line.part()
    other.part()
    file = bench.station.folder.line("press").journal / "00000001.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"S2"', b'"S9"'))
    ingest_all(bench.station)
    ready = bench.anonymous().get("/ready")
    assert ready.status_code == 503
    assert ready.json()["faults"] == ["press: its record is not read"]
    assert "must" in bench.viewer.get("/lines/1").json()["fault"]
    assert len(bench.viewer.get("/inspections", params={"line": 2}).json()["items"]) == 1


def test_record_tables_refuse_update_and_delete(either: Bench) -> None:
    line_id = either.add_line()
    FakeLine(either.station.folder).part("NG")
    either.ingest(line_id)
    for statement in (
        "UPDATE inspection SET verdict = 'OK'",
        "DELETE FROM defect",
        "UPDATE audit SET who = 'nobody'",
        "DELETE FROM answer",
    ):
        message = ""
        try:
            either.station.write(lambda session, statement=statement: session.execute(text(statement)))
        except Exception as error:
            message = str(error)
        assert "append-only" in message, statement
