"""Backup and restore, and the audit from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blemish.cli.commands import app
from blemish.errors import BlemishError, WrongUseError
from blemish.station.audit_check import check_station
from blemish.station.database.backup import back_up, restore
from blemish.station.layout import StationFolder
from blemish.station.server.runtime import close_station
from tests.station.server.station_builders import Bench, FakeLine, opened_bench


@pytest.fixture
def saved(bench: Bench, line: FakeLine, tmp_path: Path) -> Path:
    for verdict in ("OK", "NG", "REVIEW"):
        line.part(verdict)
    bench.ingest()
    bench.operator.post("/inspections/2/review", json={"verdict": "OK"})
    back_up(bench.station.folder, tmp_path / "backup")
    return tmp_path / "backup"


def test_restored_station_has_all_of_it_and_goes_on(
    bench: Bench, line: FakeLine, saved: Path, tmp_path: Path
) -> None:
    line.part("NG")  # behind the backup
    bench.ingest()
    restore(saved, tmp_path / "new")
    again = opened_bench(tmp_path / "new")
    assert again.station.has_admin and again.station.setup_code is None
    client = again.anonymous()
    csrf = client.post("/login", json={"name": "operator", "password": "correct horse battery"}).json()[
        "csrf"
    ]
    assert csrf
    found = client.get("/inspections").json()["items"]
    assert [(each["seq"], each["verdict"]) for each in found] == [(3, "REVIEW"), (2, "NG"), (1, "OK")]
    assert found[1]["review"]["verdict"] == "OK"
    sha = found[1]["image"]["sha256"]
    assert client.get(f"/images/{sha}/original").status_code == 200
    restored = FakeLine(again.station.folder, seq=3)
    restored.part("NG")
    again.ingest()
    assert len(client.get("/inspections").json()["items"]) == 4
    close_station(again.station)
    assert not check_station(tmp_path / "new").faults
    assert (tmp_path / "new" / "secrets").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["change", "remove", "list"])
def test_damaged_backup_is_refused_and_nothing_is_made(saved: Path, tmp_path: Path, damage: str) -> None:
    image = next((saved / "images").rglob("*.png"))
    if damage == "change":
        image.write_bytes(image.read_bytes() + b"x")
    elif damage == "remove":
        image.unlink()
    else:
        content = json.loads((saved / "backup.json").read_text())
        content["files"]["../outside"] = "0" * 64
        (saved / "backup.json").write_text(json.dumps(content))
    with pytest.raises(BlemishError, match=r"missing or was changed|must lie in"):
        restore(saved, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_places_that_are_taken_or_empty_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match="must be new or empty"):
        restore(saved, saved)
    with pytest.raises(BlemishError, match="holds no database"):
        back_up(StationFolder(tmp_path / "nothing"), tmp_path / "out")
    with pytest.raises(BlemishError, match="holds no station"):
        check_station(tmp_path / "nothing")
    with pytest.raises(WrongUseError, match="COUNT:HASH"):
        check_station(tmp_path / "nothing", head="7")


def test_commands_print_the_head_and_find_it_again(bench: Bench, saved: Path, tmp_path: Path) -> None:
    root = str(bench.station.folder.root)
    first = CliRunner().invoke(app, ["station", "audit", root])
    assert first.exit_code == 0, first.output
    head = first.output.splitlines()[-1].removeprefix("head: ")
    bench.add_line("another")
    second = CliRunner().invoke(app, ["station", "audit", root, "--head", head])
    assert second.exit_code == 0 and "whole: " in second.output
    count, _, _ = head.partition(":")
    wrong = CliRunner().invoke(app, ["station", "audit", root, "--head", f"{count}:{'0' * 64}"])
    assert wrong.exit_code != 0 and "is not the row that was noted" in wrong.output
    done = CliRunner().invoke(app, ["station", "backup", root, str(tmp_path / "other"), "--no-images"])
    assert done.exit_code == 0 and not (tmp_path / "other" / "images").exists()
