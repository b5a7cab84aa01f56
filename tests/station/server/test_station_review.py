"""Reviews that are never overwritten, and a queue that lends each part to one person."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from blemish.station.database.base import utc_now
from blemish.station.database.labels import ReviewLeaseRow
from tests.station.server.station_builders import Bench, FakeLine


def test_review_holds_until_it_is_superseded(either: Bench) -> None:
    line_id = either.add_line()
    FakeLine(either.station.folder).part("REVIEW")
    either.ingest(line_id)
    first = either.operator.post("/inspections/1/review", json={"verdict": "NG", "seconds": 2.5}).json()
    other = either.engineer.post("/inspections/1/review", json={"verdict": "OK"})
    assert other.status_code == 409
    assert other.json()["current"]["id"] == first["id"] and other.json()["yours"]["verdict"] == "OK"
    undo = {"verdict": "OK", "supersedes": first["id"], "comment": "a fibre"}
    assert either.engineer.post("/inspections/1/review", json=undo).status_code == 201
    assert either.engineer.post("/inspections/1/review", json=undo).status_code == 409, "twice is no fork"
    shown = either.viewer.get("/inspections/1").json()["review"]
    assert (shown["verdict"], shown["by"]) == ("OK", "engineer")
    history = either.viewer.get("/inspections/1/reviews").json()["items"]
    assert [each["verdict"] for each in history] == ["OK", "NG"]


def test_queue_gives_review_first_then_audits_then_ng_each_to_one_person(either: Bench) -> None:
    line_id = either.add_line()
    line = FakeLine(either.station.folder)
    line.part("OK")
    line.part("NG")
    line.part("OK", audit=True, keep=True)
    line.part("REVIEW")
    line.part("NG", keep=False)
    either.ingest(line_id)
    mine = either.operator.get("/queue/next").json()["item"]
    assert (mine["inspection"]["seq"], mine["blind"], mine["waiting"]) == (4, False, 3)
    assert either.operator.get("/queue/next").json()["item"]["inspection"]["seq"] == 4, "it stays mine"
    blind = either.engineer.get("/queue/next").json()["item"]
    assert blind["inspection"]["seq"] == 3 and blind["blind"]
    assert blind["inspection"]["verdict"] is None and blind["inspection"]["score"] is None
    assert either.admin.get("/queue/next").json()["item"]["inspection"]["seq"] == 2
    assert either.client("operator", "fourth").get("/queue/next").json()["item"] is None
    either.operator.post("/inspections/4/review", json={"verdict": "OK"})
    assert either.operator.get("/queue/next").json()["item"] is None, "the rest is with others"


def test_lease_ends_by_time_and_by_giving_the_part_back(bench: Bench, line: FakeLine) -> None:
    line.part("REVIEW")
    line.part("REVIEW")
    bench.ingest()
    assert bench.operator.get("/queue/next").json()["item"]["inspection"]["seq"] == 1
    skipped = bench.operator.get("/queue/next", params={"skip": 1}).json()["item"]
    assert skipped["inspection"]["seq"] == 2
    assert bench.engineer.get("/queue/next").json()["item"]["inspection"]["seq"] == 1
    past = utc_now() - timedelta(seconds=1)
    bench.station.write(lambda session: session.query(ReviewLeaseRow).update({"until": past}))
    assert bench.admin.get("/queue/next").json()["item"]["inspection"]["seq"] == 1


def test_nobody_reviews_as_somebody_else(bench: Bench, line: FakeLine) -> None:
    line.part("NG")
    bench.ingest()
    assert bench.viewer.post("/inspections/1/review", json={"verdict": "OK"}).status_code == 403
    answer = bench.operator.post("/inspections/1/review", json={"verdict": "OK", "by": 1})
    assert answer.status_code == 422 and answer.json()["error"].startswith("by: ")
    with bench.station.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM review")).scalar() == 0
