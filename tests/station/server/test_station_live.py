"""The live view, and parts that are sent to a line, against a line that the test plays on a Unix socket."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tests.station.server.station_builders import API, Bench


class PlayedLine:
    """Answers on a socket as a LINE process does; `events` go to whoever follows."""

    def __init__(self, path: Path) -> None:
        self.events: Queue[dict[str, Any] | None] = Queue()
        self.received: list[dict[str, Any]] = []
        self.pictures, self.seq, self.busy = 0, 0, False
        path.parent.mkdir(parents=True, exist_ok=True)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as file:
            while line := file.readline():
                asked = json.loads(line)
                content = file.read(asked.get("bytes", 0)) if asked["do"] == "inspect" else b""
                self.received.append({**asked, "content": content})
                if asked["do"] == "follow":
                    while (event := self.events.get()) is not None:
                        file.write(json.dumps(event).encode() + b"\n")
                        file.flush()
                    return
                file.write(self.answer(asked))
                file.flush()

    def answer(self, asked: dict[str, Any]) -> bytes:
        if asked["do"] == "picture":
            self.pictures += 1
            return json.dumps({"seq": self.seq, "scale": 0.5, "bytes": 4}).encode() + b"\nJPEG"
        if asked["do"] == "inspect" and self.busy:
            return b'{"error": "busy", "retry_after": 2.2}\n'
        if asked["do"] == "inspect":
            return b'{"seq": 7, "verdict": "NG", "ms": 4.5, "doc": {"verdict": "NG"}}\n'
        return json.dumps({"state": "ready", "seq": self.seq, "bundle": None, "queue": 0}).encode() + b"\n"

    def inspected(self, seq: int) -> None:
        self.seq = seq
        image = {"sha256": "0" * 64, "file": "00/secret.png"}
        self.events.put({"kind": "inspection", "seq": seq, "verdict": "NG", "shadow": False, "image": image})


@pytest.fixture
def played(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedLine]:
    bench.add_line()
    monkeypatch.chdir(tmp_path)
    made = PlayedLine(Path("station/lines/press/socket"))
    yield made
    made.events.put(None)
    made.listening.close()


def opened(client: TestClient, line_id: int = 1, **headers: str) -> Any:
    return client.websocket_connect(f"ws://testserver{API}/lines/{line_id}/live", headers=headers)


def test_events_come_as_written_and_pictures_when_the_page_is_ready(bench: Bench, played: PlayedLine) -> None:
    with opened(bench.viewer) as page:
        played.inspected(1)
        event = page.receive_json()
        assert (event["seq"], event["verdict"]) == (1, "NG") and "file" not in event["image"]
        picture = page.receive_bytes()
        assert struct.unpack("<4sIQfI", picture[:24]) == (b"BLF1", 0, 1, 0.5, 4) and picture[24:] == b"JPEG"
        for seq in (2, 3, 4):
            played.inspected(seq)
            assert page.receive_json()["seq"] == seq
        assert played.pictures == 1, "nobody has drawn the first yet"
        page.send_text("ready")
        assert struct.unpack("<4sIQfI", page.receive_bytes()[:24])[2] == 4, "the newest, and none between"


def test_nobody_follows_without_a_session_from_another_page_or_an_unknown_line(
    bench: Bench, played: PlayedLine
) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, opened(bench.anonymous()) as page:
        page.receive_json()
    assert refused.value.code == 4401
    with pytest.raises(WebSocketDisconnect) as unknown, opened(bench.viewer, 99) as page:
        page.receive_json()
    assert unknown.value.code == 4404
    with pytest.raises(WebSocketDisconnect) as foreign, opened(bench.viewer, Origin="http://evil.example"):
        pass
    assert foreign.value.code == 4403


def test_end_of_the_line_is_told(bench: Bench, played: PlayedLine) -> None:
    with pytest.raises(WebSocketDisconnect) as ended, opened(bench.viewer) as page:
        played.events.put(None)
        while True:
            page.receive_json()
    assert ended.value.code == 4503


def test_part_is_sent_on_with_its_bytes_and_answered(bench: Bench, played: PlayedLine) -> None:
    files, data = {"image": ("../a.png", b"pixels")}, {"serial": "A7", "lot": "L1"}
    answer = bench.operator.post("/lines/1/inspect", files=files, data=data)
    assert answer.json() == {"seq": 7, "verdict": "NG", "ms": 4.5, "doc": {"verdict": "NG"}}
    sent = next(each for each in played.received if each["do"] == "inspect")
    assert (sent["serial"], sent["lot"], sent["content"]) == ("A7", "L1", b"pixels")
    played.busy = True
    busy = bench.operator.post("/lines/1/inspect", files=files)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "2")
    assert (
        bench.operator.post("/lines/1/inspect", files=files, data={"serial": "a\u202eb"}).status_code == 422
    )


def test_line_that_does_not_answer_is_unavailable_and_its_state_is_unknown(bench: Bench) -> None:
    bench.add_line()
    answer = bench.operator.post("/lines/1/inspect", files={"image": ("a.png", b"x")})
    assert answer.status_code == 503 and "does not answer" in answer.json()["error"]
    found = bench.viewer.get("/lines/1").json()
    assert (found["live"], found["behind"], found["state"]) == (None, None, "held")


def test_hold_start_and_stop_are_files_of_the_line(bench: Bench, played: PlayedLine) -> None:
    folder = bench.station.folder.line("press")
    assert folder.hold.read_text() == "Added by admin, and not started yet."
    assert bench.operator.post("/lines/1/start").status_code == 409
    assert bench.operator.post("/lines/1/hold").json()["state"] == "held"
    assert folder.hold.read_text() == "Held by operator."
    assert folder.settings.exists()
    assert bench.engineer.post("/lines/1/stop").json()["state"] == "stopped"
    assert not folder.settings.exists()
    assert "reload" in {each["do"] for each in played.received}


def test_settings_change_by_what_is_given_and_sources_are_for_admins_eyes(
    bench: Bench, tmp_path: Path
) -> None:
    bench.add_line()
    body = {"source": {"kind": "folder", "path": str(tmp_path)}, "audit_share": 0.5}
    assert bench.engineer.patch("/lines/1", json=body).status_code == 403
    changed = bench.admin.patch("/lines/1", json=body).json()
    assert changed["source"]["path"] == str(tmp_path) and changed["audit_share"] == 0.5
    seen = bench.viewer.get("/lines/1").json()
    assert (seen["source"], seen["source_kind"]) == (None, "folder")
    bench.admin.patch("/lines/1", json={"deadline_ms": 500})
    settings = json.loads(bench.station.folder.line("press").settings.read_text())
    assert (settings["audit_share"], settings["deadline_ms"], settings["revision"]) == (0.5, 500, 3)
    assert bench.admin.patch("/lines/1", json={"keep": {"ok_share": 2}}).status_code == 422
