"""Requests to a line over its socket: recorded, then answered, or refused in words."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from stand_in_line import (
    asked,
    change,
    inspections,
    new_line,
    opened,
    png,
    records,
    running,
    said,
    wait_for,
)
from test_line_folder import header_of

from blemish.station.journal_check import verify_journal
from blemish.station.layout import LineFolder

OVERLOAD_SECONDS = 60.0 if os.environ.get("BLEMISH_STATION_LONG") else 5.0
SLOW_SECONDS = 0.05  # that the bundle "slow-1" takes for a part
DEADLINE_MS = 2000


def resident_mb() -> float:
    """Memory of this process that lies in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.fixture
def line(tmp_path: Path) -> LineFolder:
    return new_line(tmp_path / "station")


def test_an_answer_is_recorded_before_it_is_given(line: LineFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(line, monkeypatch):
        channel = opened(line)
        for number, (value, verdict) in enumerate([(10, "OK"), (100, "REVIEW"), (200, "NG")], start=1):
            reply = asked(channel, png(value), serial=f"s{number}", lot="7", name=f"{number}.png")
            (*_, record) = inspections(line)  # read at once
            assert reply["doc"] == record["doc"]
            assert (reply["seq"], reply["verdict"]) == (record["seq"], verdict) == (number, verdict)
            assert reply["result"] == ("OK" if verdict == "OK" else "NG")
            assert (record["serial"], record["lot"]) == (f"s{number}", "7")
        channel.close()
        wait_for(lambda: len(records(line, "answered")) == 3)
    assert verify_journal(line.journal).seq == 3


def test_review_passes_where_the_line_says_so(line: LineFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    change(line, review_is_ng=False)
    with running(line, monkeypatch):
        reply = asked(opened(line), png(100))
    assert (reply["verdict"], reply["result"]) == ("REVIEW", "OK")


@pytest.mark.parametrize("content", [b"not an image", png(10)[:60], header_of(60_000, 60_000)])
def test_what_cannot_be_read_is_a_recorded_error_and_ng(
    line: LineFolder, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    with running(line, monkeypatch):
        reply = asked(opened(line), content, name="part.png")
    assert (reply["verdict"], reply["result"]) == ("ERROR", "NG")
    assert "part.png" in reply["error"]
    (record,) = inspections(line)
    stored = line.root.parent.parent / "images" / record["image"]["file"]
    assert stored.read_bytes() == content


@pytest.mark.parametrize("bundle", ["raises-1", "nan-1"])
def test_a_fault_of_the_bundle_is_an_error_and_the_line_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: str
) -> None:
    line = new_line(tmp_path / "station")
    with running(line, monkeypatch) as process:
        monkeypatch.setattr("stand_in_line.Brightest.forward", failing(bundle))
        reply = asked(opened(line), png(10))
        assert (reply["verdict"], reply["result"]) == ("ERROR", "NG")
        assert process.status()["state"] == "ready"
    assert [record["doc"]["verdict"] for record in inspections(line)] == ["ERROR"]


def failing(bundle: str) -> Any:
    def forward(self: object, pixels: Any, networks: object) -> Any:
        if bundle == "nan-1":
            return np.full(pixels.shape, np.nan, np.float32)
        raise RuntimeError("a fault of the bundle")

    return forward


def test_hold_lasts_over_a_restart_and_refusals_are_recorded(
    line: LineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(line, monkeypatch):
        assert said(opened(line), do="hold", why="Cleaning.")["state"] == "hold"
    with running(line, monkeypatch, ready=False) as process:
        wait_for(lambda: process.bundles.judge is not None)
        channel = opened(line)
        reply = asked(channel, png(10), serial="a")
        assert reply == {"error": "Cleaning.", "verdict": "ERROR", "result": "NG"}
        assert said(channel, do="resume")["state"] == "ready"
        assert asked(channel, png(10), serial="b")["verdict"] == "OK"
    (missed,) = records(line, "missed")
    assert (missed.record["serial"], missed.record["reason"]) == ("a", "hold")
    states = [entry.record["state"] for entry in records(line, "state")]
    assert states[-2:] == ["ready", "stopping"]


def test_a_late_answer_is_an_error_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = new_line(tmp_path / "station", bundle="slow-1", deadline_ms=20)
    with running(line, monkeypatch):
        reply = asked(opened(line), png(10), serial="late")
    assert reply["result"] == "NG" and "20 ms" in reply["error"]
    assert [entry.record["reason"] for entry in records(line, "missed")] == ["deadline"]
    assert not records(line, "answered")


def test_under_overload_every_request_is_answered_or_recorded_as_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times what the line can inspect, for 5 s; `make test-station`: for a minute."""
    line = new_line(tmp_path / "station", bundle="slow-1", deadline_ms=DEADLINE_MS)
    replies: list[dict[str, Any]] = []
    clients, each_s = 20, 20 * SLOW_SECONDS / 10  # a request of each client in that time is tenfold
    end = time.monotonic() + OVERLOAD_SECONDS

    def ask(number: int) -> None:
        channel, asks = opened(line), 0
        while (begun := time.monotonic()) < end:
            reply = asked(channel, png(10, mark=asks), serial=f"{number}-{asks}")
            replies.append({key: value for key, value in reply.items() if key != "doc"})
            asks += 1
            time.sleep(max(0.0, each_s - (time.monotonic() - begun)))
        channel.close()

    with running(line, monkeypatch) as process:
        threads = [threading.Thread(target=ask, args=[number]) for number in range(clients)]
        for thread in threads:
            thread.start()
        time.sleep(OVERLOAD_SECONDS / 5)
        early = resident_mb()
        for thread in threads:
            thread.join()
        late = resident_mb()
        assert process.status()["missed"] > 0
    took = sorted(entry.record["ms"] for entry in records(line, "answered"))
    assert late - early < 20, f"{early:.0f} MB after a fifth of the time, {late:.0f} MB at the end"
    assert took[int(0.99 * len(took))] < DEADLINE_MS
    print(
        f"{len(replies)} requests in {OVERLOAD_SECONDS:g} s, {len(took)} answered, p99 "
        f"{took[int(0.99 * len(took))]:.0f} ms; {early:.0f} MB, then {late:.0f} MB"
    )
    answered = {reply["seq"] for reply in replies if "seq" in reply}
    refused = [reply for reply in replies if "seq" not in reply]
    assert all(reply["result"] == "NG" for reply in refused)
    assert all(reply["retry_after"] > 0 for reply in refused if reply["error"] == "busy")
    assert answered <= {record["seq"] for record in inspections(line)}
    serials = [entry.record["serial"] for entry in records(line, "missed")]
    assert len(serials) == len(refused) == len(set(serials))
    facts = verify_journal(line.journal)
    assert facts.kinds["answered"] == len(answered)


def test_a_promotion_takes_over_between_two_parts(line: LineFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(line, monkeypatch) as process:
        channel = opened(line)
        bundles = []
        change(line, bundle=Path("bundles/sound-2"))
        for number in range(2000):
            bundles.append(asked(channel, png(10), serial=str(number))["doc"]["bundle"])
            if bundles[-1] == "sound-2":
                break
        assert bundles[0] == "sound-1" and bundles[-1] == "sound-2"
        assert bundles == sorted(bundles)
        assert process.status()["revision"] == 2
    (told,) = [entry for entry in records(line, "state") if entry.record.get("bundle") == "sound-2"]
    before = [entry.n for entry in records(line, "inspection") if entry.record["bundle"] == "sound-1"]
    assert max(before) < told.n


@pytest.mark.parametrize("bad", ["damaged-2", "raises-2", "nan-2"])
def test_a_bundle_that_does_not_judge_is_refused_and_the_running_one_stays(
    line: LineFolder, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    def refused() -> bool:
        return any("refused" in entry.record for entry in records(line, "state"))

    with running(line, monkeypatch) as process:
        monkeypatch.setattr("blemish.station.line.promotion.open_judge", warmed)
        change(line, bundle=Path("bundles") / bad)
        wait_for(refused)
        reply = asked(opened(line), png(10))
        assert (reply["verdict"], reply["doc"]["bundle"]) == ("OK", "sound-1")
        assert process.status()["bundle"] == "sound-1"
    (told,) = [entry.record for entry in records(line, "state") if "refused" in entry.record]
    assert "sound-1 stays" in told["why"] and bad in told["why"]


def warmed(root: Path, bundle: Path, decision: Any, last: Any) -> Any:
    from stand_in_line import stand_in

    judge = stand_in(root, bundle, decision, last)
    judge.warm_up(last)
    return judge


def test_a_line_whose_bundle_is_refused_at_the_start_is_on_hold_until_another_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = new_line(tmp_path / "station", bundle="damaged-1")
    with running(line, monkeypatch, ready=False) as process:
        wait_for(lambda: "refused" in process.status()["why"])
        assert asked(opened(line), png(10))["result"] == "NG"
        change(line, bundle=Path("bundles/sound-1"))
        wait_for(lambda: process.status()["state"] == "ready")
        assert asked(opened(line), png(10))["result"] == "OK"


def test_settings_that_cannot_be_read_change_nothing(
    line: LineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(line, monkeypatch):
        line.settings.write_text('{"name": "L1", "bundel": 3}')
        wait_for(lambda: any("bundel" in entry.record["why"] for entry in records(line, "state")))
        assert asked(opened(line), png(10))["result"] == "OK"


def test_a_shadow_is_recorded_and_answers_nothing(line: LineFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    change(line, shadow=Path("bundles/sound-9"))
    with running(line, monkeypatch) as process:
        wait_for(lambda: process.status()["shadow"])
        reply = asked(opened(line), png(200))
        assert reply["doc"]["bundle"] == "sound-1"
        wait_for(lambda: len(inspections(line)) == 2)
        change(line, shadow=None)
        wait_for(lambda: process.status()["shadow"] is None)
    first, second = inspections(line)
    assert (first["shadow"], second["shadow"], second["bundle"]) == (False, True, "sound-9")
    assert first["image"] == second["image"]
    assert second["audit"] is False


def test_who_follows_sees_every_part_and_can_have_its_picture(
    line: LineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(line, monkeypatch):
        following, channel = opened(line), opened(line)
        assert said(following, do="follow")["kind"] == "alive"
        for value in (10, 200):
            asked(channel, png(value, size=(100, 200)), serial=f"<b>{value}")
        events: list[dict[str, Any]] = []
        while len([event for event in events if event["kind"] == "inspection"]) < 2:
            event = following.read_message()
            assert event is not None
            events.append(event)
        shown = [event for event in events if event["kind"] == "inspection"]
        assert [(event["seq"], event["verdict"]) for event in shown] == [(1, "OK"), (2, "NG")]
        assert shown[1]["defects"][0]["box_xyxy"] == [5, 3, 6, 4]
        assert shown[1]["serial"] == "<b>200"
        head = said(channel, do="picture", max=50)
        picture = cv2.imdecode(np.frombuffer(channel.read_block(head["bytes"]), np.uint8), -1)
        assert picture.shape == (25, 50)
        assert (head["seq"], head["scale"]) == (2, 0.25)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b'{"do": "inspect", "bytes": 0}\n', "'bytes' must be in 1"),
        (b'{"do": "inspect", "bytes": 99999999999}\n', "'bytes' must be in 1"),
        (b'{"do": "inspect", "bytes": true}\n', "'bytes' must be in 1"),
        (b'{"do": "inspect", "bytes": 5, "serial": ["x"]}\n', "'serial' must be a text"),
        (b'{"do": "inspect", "bytes": 5, "lot": "' + b"x" * 2000 + b'"}\n', "'lot' must be a text"),
        (b'{"do": "format the disk"}\n', "'do' must be one of"),
        (b"[1, 2]\n", "JSON object"),
        (b"GET / HTTP/1.1\r\n", "JSON object"),
        (b"[" * 60_000 + b"\n", "JSON object"),
        (b"x" * 70_000, "at most 65536 bytes"),
    ],
)
def test_a_wrong_message_is_refused_in_words_and_others_are_served(
    line: LineFolder, monkeypatch: pytest.MonkeyPatch, message: bytes, words: str
) -> None:
    with running(line, monkeypatch):
        channel = opened(line)
        channel.connection.sendall(message)
        reply = channel.read_message()
        assert reply is not None and words in reply["error"]
        assert (reply["verdict"], reply["result"]) == ("ERROR", "NG")
        assert asked(opened(line), png(10))["result"] == "OK"


def test_a_request_that_breaks_off_leaves_no_part(line: LineFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(line, monkeypatch):
        channel = opened(line)
        channel.connection.sendall(b'{"do": "inspect", "bytes": 100}\n' + b"x" * 50)
        channel.close()
        assert asked(opened(line), png(10))["seq"] == 1
    assert len(inspections(line)) == 1


def test_a_line_is_not_ready_before_its_bundle_is_open(
    line: LineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, may_open = threading.Event(), threading.Event()

    def slowly(*given: Any) -> Any:
        from stand_in_line import stand_in

        opening.set()
        assert may_open.wait(60)
        return stand_in(*given)

    with running(line, monkeypatch, ready=False, opened_by=slowly) as process:
        for _ in range(50):
            assert process.status()["state"] == "hold"
        assert opening.wait(60)
        assert "being opened" in asked(opened(line), png(10))["error"]
        may_open.set()
        wait_for(lambda: process.status()["state"] == "ready")
        assert asked(opened(line), png(10))["result"] == "OK"
