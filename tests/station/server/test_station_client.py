"""The Python client against a server that listens, and the SERVER process itself."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from blemish.errors import BlemishError, WrongUseError
from blemish.station import Client
from blemish.station.client import StationError
from blemish.station.server.__main__ import ServerOptions, parsed, refuse_open_address
from tests.station.server.station_builders import PASSWORD, Bench, FakeLine


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def address(bench: Bench, line: FakeLine) -> Iterator[str]:
    for verdict in ("NG", "OK", "NG"):
        line.part(verdict)
    bench.ingest()
    assert bench.operator
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(bench.app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def test_client_reads_reviews_and_names_what_is_refused(bench: Bench, address: str) -> None:
    with Client(address) as client:
        with pytest.raises(StationError, match="Log in") as refused:
            client.lines()
        assert refused.value.status == 401 and refused.value.id
        client.login("operator", PASSWORD)
        assert client.line("press").state == "held"
        with pytest.raises(BlemishError, match="no line 'mill'"):
            client.line("mill")
        found = list(client.inspections(limit=1, class_="scratch"))
        assert [(each.seq, each.verdict, each.classes) for each in found] == [
            (3, "NG", ("scratch",)),
            (1, "NG", ("scratch",)),
        ]
        assert client.original(found[0].image_sha256 or "").startswith(b"\x89PNG")
        assert client.review(found[0].id, "OK", comment="dust")["verdict"] == "OK"
        with pytest.raises(StationError) as conflict:
            client.review(found[0].id, "NG")
        assert conflict.value.status == 409 and conflict.value.answer["current"]["verdict"] == "OK"
        with pytest.raises(StationError, match="does not answer"):
            client.inspect("press", b"pixels", serial="A7")
    token = bench.admin.post("/tokens", json={"name": "plc", "role": "viewer"}).json()["secret"]
    with Client(address, token=token) as machine:
        assert [each.name for each in machine.lines()] == ["press"]


def test_client_of_a_station_that_is_not_there_says_so() -> None:
    with (
        Client(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(BlemishError, match="does not answer"),
    ):
        client.lines()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "station.example"])
def test_open_address_needs_tls_or_a_proxy(host: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="lets other computers in"):
        refuse_open_address(ServerOptions(tmp_path, host=host))
    refuse_open_address(ServerOptions(tmp_path, host=host, proxy="127.0.0.1"))
    refuse_open_address(ServerOptions(tmp_path, host=host, certificate=tmp_path, key=tmp_path))
    refuse_open_address(parsed([str(tmp_path), "--host", "localhost"]))
    with pytest.raises(WrongUseError, match="go together"):
        refuse_open_address(ServerOptions(tmp_path, key=tmp_path))


def test_server_process_ingests_is_killed_and_ends_cleanly(tmp_path: Path) -> None:
    """Killed while it ingests: every record is there once, and the audit is whole."""
    from blemish.station.add_line import add_line
    from blemish.station.audit_check import check_station
    from blemish.station.layout import StationFolder

    root, port = tmp_path / "station", free_port()
    add_line(root, "press")
    line = FakeLine(StationFolder(root))

    def started() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "blemish.station.server", str(root), "--port", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == f"The page is at http://127.0.0.1:{port}\n".encode()
        code = process.stdout.readline().decode()
        assert re.search(r"the code is [A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}$", code.strip())
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/api/v1/health").json()["needs_setup"]
                return process
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("it did not begin to serve")

    for kill in range(2):
        for _ in range(450):
            line.part("NG", keep=False)
        process = started()
        if kill < 1:
            time.sleep(0.1)
            process.send_signal(signal.SIGKILL)
            process.wait()
    database = tmp_path / "station" / "station.db"
    end = time.monotonic() + 60
    counted = 0
    while counted < 900 and time.monotonic() < end:
        counted = count_rows(database)
        time.sleep(0.2)
    memory = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, -signal.SIGTERM)
    assert count_rows(database) == 900
    assert not check_station(root).faults
    assert memory < 150, f"{memory:.0f} MB without a line"


def count_rows(database: Path) -> int:
    import sqlite3

    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT seq) FROM inspection").fetchone()
    assert rows[0] == rows[1], "none twice"
    return int(rows[0])
