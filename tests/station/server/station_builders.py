"""Builders of stations for tests: journals as a line writes them, logged-in clients, images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from fastapi.testclient import TestClient

from blemish.station.ingest import ingest
from blemish.station.journal import Journal
from blemish.station.layout import StationFolder
from blemish.station.server.app import API, make_app
from blemish.station.server.runtime import open_station
from blemish.station.server.state import Station

PASSWORD = "correct horse battery"


def png_of(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def defect(
    label: str = "scratch", box: tuple[float, float, float, float] = (10, 20, 30, 28)
) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    return {
        "label": label,
        "confidence": 0.9,
        "box_xyxy": list(box),
        "contour": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]],
        "rectangle": {
            "center_xy": [(x0 + x1) / 2, (y0 + y1) / 2],
            "length": x1 - x0,
            "width": y1 - y0,
            "angle_deg": 0.0,
        },
        "area": (x1 - x0) * (y1 - y0),
    }


@dataclass
class FakeLine:
    """Writes a line's journal and images as the LINE process does."""

    folder: StationFolder
    name: str = "press"
    seq: int = 0
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder.line(self.name).journal, max_bytes=1 << 20)

    def part(self, verdict: str = "OK", **given: Any) -> dict[str, Any]:
        """Record an inspection, and that it was answered; returns its record."""
        self.seq += 1
        pixels = given.pop("pixels", None)
        if pixels is None:
            pixels = np.full((64, 96), self.seq % 251, np.uint8)
        content, keep = png_of(pixels), given.pop("keep", verdict != "OK")
        sha = hashlib.sha256(content).hexdigest()
        file = f"{sha[:2]}/{sha}.png" if keep else None
        if file is not None:
            path = self.folder.images / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        defects = given.pop("defects", [defect()] if verdict in ("NG", "REVIEW") else [])
        doc = {
            "image": f"/somewhere/part-{self.seq}.png",
            "size": list(pixels.shape[:2]),
            "verdict": verdict,
            "score": None if verdict == "ERROR" else 0.9 if verdict == "NG" else 0.1,
            "defects": defects,
            "mm_per_px": None,
            "timings_ms": {"network": 3.0},
            "bundle": "severity-0123456789ab",
            "error": "It could not be read." if verdict == "ERROR" else None,
            **given.pop("doc", {}),
        }
        fields = {
            "seq": self.seq,
            "serial": f"S{self.seq}",
            "lot": "L1",
            "image": {
                "sha256": sha,
                "pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
                "height": pixels.shape[0],
                "width": pixels.shape[1],
                "channels": 1 if pixels.ndim == 2 else 3,
                "dtype": str(pixels.dtype),
                "bytes": len(content),
                "file": file,
                "kept_because": verdict.lower() if keep else None,
            },
            "bundle": "severity-0123456789ab",
            "decision_revision": 1,
            "runtime": {"blemish": "0.2", "runtime": "torch 2", "threads": 1, "processor": "x"},
            "shadow": False,
            "audit": False,
            "ms": {"decode": 1.0, "inspect": 3.0},
            **given,
        }
        record = dict(self.journal.append("inspection", durable=False, doc=doc, **fields))
        if not fields["shadow"]:
            self.journal.append("answered", durable=False, seq=self.seq, via="request", ms=5.0)
        return record


@dataclass
class Bench:
    """A station under test, with a line and a client for each role."""

    station: Station
    app: Any
    clients: dict[str, TestClient] = field(default_factory=dict)

    @property
    def admin(self) -> TestClient:
        return self.client("admin")

    @property
    def engineer(self) -> TestClient:
        return self.client("engineer")

    @property
    def operator(self) -> TestClient:
        return self.client("operator")

    @property
    def viewer(self) -> TestClient:
        return self.client("viewer")

    def anonymous(self, address: str = "127.0.0.1") -> TestClient:
        return TestClient(
            self.app,
            base_url=f"http://testserver{API}",
            client=(address, 5000),
            raise_server_exceptions=False,
        )

    def client(self, role: str, name: str | None = None) -> TestClient:
        """Client that is logged in as a user of that role, made where there is none."""
        name = name or role
        if name not in self.clients:
            client = self.anonymous()
            if role == "admin" and not self.station.has_admin:
                body = {"code": self.station.setup_code, "name": name, "password": PASSWORD}
                answer = client.post("/setup", json=body)
            else:
                body = {"name": name, "password": PASSWORD, "role": role}
                assert self.admin.post("/users", json=body).status_code == 201
                answer = client.post("/login", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            client.headers["X-CSRF-Token"] = answer.json()["csrf"]
            self.clients[name] = client
        return self.clients[name]

    def add_line(self, name: str = "press") -> int:
        answer = self.admin.post("/lines", json={"name": name})
        assert answer.status_code == 201, answer.text
        number: int = answer.json()["id"]
        return number

    def ingest(self, line_id: int = 1, name: str = "press") -> None:
        ingest(self.station.writer, line_id, self.station.folder.line(name))


def opened_bench(root: Any, database: str | None = None) -> Bench:
    """Bench on a new station in a folder."""
    station = open_station(StationFolder(root), database=database)
    return Bench(station, make_app(station, page=root / "no-page"))


def closing(bench: Bench) -> Iterator[Bench]:
    from blemish.station.server.runtime import close_station

    yield bench
    close_station(bench.station)
