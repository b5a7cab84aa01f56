"""Bundles: uploads that lie are refused, decisions, promotion with evidence, rollback, shadow."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.bundle.store import Bundle, save_bundle
from blemish.station.comparison import compared
from blemish.station.database.base import utc_now
from blemish.station.database.work import ComparisonRow
from blemish.station.server.routes.bundles import newest_decision
from tests.station.server.station_builders import Bench, FakeLine
from tests.station.server.test_station_datasets import frozen, labelled

DECISION = """schema_version: 1
bundle: {bundle}
revision: {revision}
score: {{review: 0.4, ng: 0.6}}
"""


def made_bundle(folder: Path, number: int = 0) -> Bundle:
    """Bundle of weights that no network has: it is stored, hashed and moved, and never run here."""
    manifest = Manifest(method="severity", class_names=("scratch",), preprocessing=Preprocessing(channels=1))
    return save_bundle(folder, manifest, {"net": {"weight": np.full((4,), number, np.float32)}})


def zipped(folder: Path, prefix: str = "", **replaced: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.writestr(prefix + file.name, replaced.get(file.stem, file.read_bytes()))
    return data.getvalue()


def upload(bench: Bench, content: bytes) -> Any:
    return bench.engineer.post("/bundles", files={"file": ("bundle.zip", content)})


def added(bench: Bench, tmp_path: Path, number: int = 0) -> str:
    made = made_bundle(tmp_path / f"b{number}", number)
    assert upload(bench, zipped(made.path)).json()["id"] == made.id
    return made.id


@pytest.mark.parametrize("prefix", ["", "bundle/"])
def test_bundle_is_uploaded_and_a_second_time_is_the_same(bench: Bench, tmp_path: Path, prefix: str) -> None:
    made = made_bundle(tmp_path / "b")
    for _ in range(2):
        answer = upload(bench, zipped(made.path, prefix))
        assert answer.status_code == 201, answer.text
    (listed,) = bench.viewer.get("/bundles").json()["items"]
    assert (listed["id"], listed["method"], listed["runtime"]) == (made.id, "severity", "torch")
    stored = bench.station.folder.bundles / made.id
    assert (stored / "net.safetensors").read_bytes() == (made.path / "net.safetensors").read_bytes()
    assert bench.viewer.get(f"/bundles/{made.id}").json()["manifest"]["class_names"] == ["scratch"]


class Lies:
    """Archives that lie, by name."""

    @staticmethod
    def wrong_hash(folder: Path) -> bytes:
        return zipped(folder, net=(folder / "net.safetensors").read_bytes()[:-1] + b"\x01")

    @staticmethod
    def link(folder: Path) -> bytes:
        data = io.BytesIO(zipped(folder))
        with zipfile.ZipFile(data, "a") as archive:
            entry = zipfile.ZipInfo("usage.json")
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, "/etc/passwd")
        return data.getvalue()

    @staticmethod
    def outside(folder: Path) -> bytes:
        return zipped(folder, "../")

    @staticmethod
    def absolute(folder: Path) -> bytes:
        return zipped(folder, "/tmp/")

    @staticmethod
    def deep(folder: Path) -> bytes:
        return zipped(folder, "a/b/")

    @staticmethod
    def bomb(folder: Path) -> bytes:
        return zipped(folder, net=b"\0" * (64 << 20))

    @staticmethod
    def size_that_lies(folder: Path) -> bytes:
        content = bytearray(zipped(folder, net=b"\0" * 5000))
        size = (5000).to_bytes(4, "little")
        return bytes(content.replace(size, (10).to_bytes(4, "little")))

    @staticmethod
    def twice(folder: Path) -> bytes:
        data = io.BytesIO(zipped(folder))
        with zipfile.ZipFile(data, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("manifest.json", "{}")
        return data.getvalue()

    @staticmethod
    def many(folder: Path) -> bytes:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for number in range(100):
                archive.writestr(f"{number}.json", "{}")
        return data.getvalue()

    @staticmethod
    def no_zip(folder: Path) -> bytes:
        return b"PK\x03\x04 and nothing"

    @staticmethod
    def foreign_file(folder: Path) -> bytes:
        data = io.BytesIO(zipped(folder))
        with zipfile.ZipFile(data, "a") as archive:
            archive.writestr("evil.py", "import os")
        return data.getvalue()


LIES = [name for name in vars(Lies) if not name.startswith("_")]


@pytest.mark.parametrize("name", LIES)
def test_upload_that_lies_is_refused_and_leaves_nothing(bench: Bench, tmp_path: Path, name: str) -> None:
    made = made_bundle(tmp_path / "b")
    answer = upload(bench, getattr(Lies, name)(made.path))
    assert answer.status_code == 400, answer.text
    assert "\n" not in answer.json()["error"] and str(tmp_path) not in answer.text
    assert not list(bench.station.folder.bundles.iterdir())
    assert not bench.viewer.get("/bundles").json()["items"]


def test_decision_counts_up_and_gets_a_folder_of_its_own(
    bench: Bench, line: FakeLine, tmp_path: Path
) -> None:
    name = added(bench, tmp_path)
    for revision in (1, 2):
        body = {"yaml": DECISION.format(bundle=name, revision=revision), "why": "as agreed"}
        assert bench.engineer.post(f"/bundles/{name}/decisions", json=body).status_code == 201
    again = bench.engineer.post(f"/bundles/{name}/decisions", json=body)
    assert (again.status_code, again.json()["error"]) == (409, "revision: must be 3. Received: 2.")
    bad = {"yaml": DECISION.format(bundle="tlsdd-000000000000", revision=3), "why": "as agreed"}
    assert bench.engineer.post(f"/bundles/{name}/decisions", json=bad).status_code == 400
    first = bench.engineer.get(f"/bundles/{name}/decisions").json()["items"][-1]["id"]
    for decision, folder in ((first, f"{name}.r1"), (None, f"{name}.r2")):
        body = {"bundle_id": name, "decision_id": decision, "why": "first on the line"}
        assert bench.engineer.post("/lines/1/promote", json=body).status_code == 201
        settings = json.loads(bench.station.folder.line("press").settings.read_text())
        assert settings["bundle"] == f"bundles/{folder}"
        stored = bench.station.folder.bundles / folder
        assert f"revision: {settings['decision']['revision']}" in (stored / "decision.yaml").read_text()
        assert (stored / "net.safetensors").samefile(bench.station.folder.bundles / name / "net.safetensors")
    with bench.station.database.reading() as session:
        assert newest_decision(session, name).revision == 2  # type: ignore[union-attr]


def comparison_of(bench: Bench, a: str, b: str, dataset_id: int) -> int:
    row = ComparisonRow(a=a, b=b, dataset_id=dataset_id, doc=compared([]), at=utc_now())
    bench.station.write(lambda session: session.add(row))
    return row.id


def test_promotion_needs_a_comparison_newer_than_the_last_label(
    bench: Bench, line: FakeLine, tmp_path: Path
) -> None:
    shas = labelled(bench, line, lots=3)
    dataset = int(str(frozen(bench, "set")["id"]))
    old, new = added(bench, tmp_path, 0), added(bench, tmp_path, 1)

    def promote(**fields: Any) -> Any:
        return bench.engineer.post("/lines/1/promote", json={"why": "it is better", **fields})

    assert bench.operator.post("/lines/1/start").status_code == 409, "nothing is promoted yet"
    assert promote(bundle_id=old).status_code == 201
    assert bench.operator.post("/lines/1/start").json()["state"] == "running"
    assert "compare" in promote(bundle_id=new).json()["error"]
    wrong = comparison_of(bench, new, old, dataset)
    assert promote(bundle_id=new, comparison_id=wrong).status_code == 409
    right = comparison_of(bench, old, new, dataset)
    items = {"items": []}
    answer = bench.operator.put(f"/images/{shas[1]}/annotations", json=items, headers={"If-Match": "1"})
    assert answer.status_code == 200
    assert "Labels have changed" in promote(bundle_id=new, comparison_id=right).json()["error"]
    newer = comparison_of(bench, old, new, dataset)
    assert promote(bundle_id=new, comparison_id=newer, why="x").status_code == 422, "a reason has words"
    assert promote(bundle_id=new, comparison_id=newer, approved_by="engineer").status_code == 409
    done = promote(bundle_id=new, comparison_id=newer, approved_by="admin").json()
    assert (done["bundle_id"], done["by"], done["approved_by"]) == (new, "engineer", "admin")
    assert bench.viewer.get("/lines/1").json()["bundle_id"] == new
    back = bench.engineer.post("/lines/1/rollback", json={"why": "too many false alarms"})
    assert (back.status_code, back.json()["bundle_id"]) == (201, old)
    assert bench.engineer.post("/lines/1/rollback", json={"why": "further back"}).status_code == 409
    settings = json.loads(bench.station.folder.line("press").settings.read_text())
    assert settings["bundle"] == f"bundles/{old}" and settings["revision"] == 5


def test_shadow_begins_and_ends(bench: Bench, line: FakeLine, tmp_path: Path) -> None:
    name = added(bench, tmp_path)
    assert (
        bench.engineer.post("/lines/1/shadow", json={"bundle_id": name, "why": "to see"}).status_code == 201
    )
    assert bench.viewer.get("/lines/1").json()["shadow_bundle_id"] == name
    assert bench.engineer.post("/lines/1/shadow", json={"bundle_id": None, "why": "seen"}).status_code == 201
    assert json.loads(bench.station.folder.line("press").settings.read_text())["shadow"] is None


def test_shadow_is_compared_on_the_same_parts(bench: Bench, line: FakeLine, tmp_path: Path) -> None:
    a, b = added(bench, tmp_path, 0), added(bench, tmp_path, 1)
    for number, (answer, shadow) in enumerate([("NG", "NG"), ("OK", "NG"), ("NG", "OK")]):
        pixels = np.full((8, 8), number, np.uint8)
        line.part(answer, bundle=a, serial=None, pixels=pixels)
        line.part(shadow, bundle=b, serial=None, pixels=pixels, shadow=True)
    bench.ingest()
    bench.operator.post("/inspections/5/review", json={"verdict": "OK"})
    body = {"a": a, "b": b, "line_id": 1, "from_seq": 1, "to_seq": 6}
    doc = bench.engineer.post("/comparisons", json=body).json()["comparison"]["doc"]
    assert (doc["images"], doc["labelled"], doc["num_flips"]) == (3, 1, 2)
    assert doc["table"]["only_b_right"] == 1
    assert bench.engineer.post("/comparisons", json={**body, "from_seq": 7, "to_seq": 9}).status_code == 409
    assert bench.engineer.post("/comparisons", json={**body, "dataset_id": 1}).status_code == 422


def test_retired_bundle_is_not_promoted(bench: Bench, line: FakeLine, tmp_path: Path) -> None:
    name = added(bench, tmp_path)
    assert bench.engineer.post(f"/bundles/{name}/retire").json()["retired_at"]
    answer = bench.engineer.post("/lines/1/promote", json={"bundle_id": name, "why": "it is good"})
    assert answer.status_code == 409 and "retired" in answer.json()["error"]


def test_bundle_and_line_of_the_folder_are_taken_in(bench: Bench, tmp_path: Path) -> None:
    from blemish.station.add_line import add_line
    from blemish.station.server.line_files import publish_all, take_in_lines

    made = made_bundle(tmp_path / "b")
    add_line(bench.station.folder.root, "mill", bundle=made.path)
    before = json.loads(bench.station.folder.line("mill").settings.read_text())
    take_in_lines(bench.station)
    take_in_lines(bench.station)
    (found,) = bench.viewer.get("/lines").json()["items"]
    assert (found["name"], found["bundle_id"], found["state"]) == ("mill", made.id, "running")
    publish_all(bench.station)
    assert json.loads(bench.station.folder.line("mill").settings.read_text()) == before
