"""Migrations on both engines, the one writer, and the audit trail that names what was changed."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from blemish.errors import BlemishError
from blemish.station.database.audit import STATION, record, verify
from blemish.station.database.base import utc_now
from blemish.station.database.engine import database_url, open_database, refuse_network_file_system
from blemish.station.database.migrate import alembic_config, migrate, revisions
from blemish.station.database.people import SessionRow, UserRow
from blemish.station.database.schema import APPEND_ONLY, METADATA
from tests.station.server.station_builders import Bench, FakeLine


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "postgresql":
        return make_url(request.getfixturevalue("new_database"))
    return database_url(tmp_path, None)


def test_every_revision_upgrades_to_the_tables_of_the_code(empty: URL) -> None:
    for revision in revisions():
        migrate(empty, revision=revision)
    migrate(empty)
    engine = create_engine(empty)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_revisions_by_file_name_are_those_of_alembic() -> None:
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    assert revisions() == [script.revision for script in scripts][::-1]


def test_database_of_a_newer_version_is_refused_and_not_changed(empty: URL) -> None:
    migrate(empty)
    engine = create_engine(empty)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(BlemishError, match=r"newer blemish.*9999.*Update blemish"):
        migrate(empty)


def test_every_append_only_table_refuses_update_and_delete(either: Bench) -> None:
    """A trigger of an empty table does not fire by row, so the triggers themselves are counted."""
    catalogue = {
        "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal",
    }[either.station.database.dialect]
    with either.station.database.reading() as session:
        found = [str(row[0]).strip('"') for row in session.execute(text(catalogue))]
    assert {name: found.count(name) for name in APPEND_ONLY} == dict.fromkeys(APPEND_ONLY, 2)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://somewhere/db", "must be PostgreSQL by pg8000. Received: 'mysql'"),
        ("not an address", "--database must be an address"),
    ],
)
def test_other_databases_are_refused(tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(BlemishError, match=message):
        database_url(tmp_path, address)


def test_sqlite_on_a_network_file_system_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path}/a\\040b nfs4 rw 0 0\n")
    refuse_network_file_system(tmp_path / "other", mounts)
    with pytest.raises(BlemishError, match=r"network file system \(nfs4\).*--database"):
        refuse_network_file_system(tmp_path / "a b" / "station", mounts)


def test_change_that_fails_takes_no_other_of_its_group_with_it(either: Bench) -> None:
    writer = either.station.writer
    gate, results = threading.Event(), {}

    def user(name: str) -> None:
        def change(session: object) -> str:
            session.add(UserRow(name=name, password_hash="x", role="viewer", created_at=utc_now()))  # type: ignore[attr-defined]
            session.flush()  # type: ignore[attr-defined]
            return name

        try:
            results[threading.current_thread().name] = writer.write(change)
        except Exception as error:
            results[threading.current_thread().name] = type(error).__name__

    waits = threading.Thread(target=lambda: writer.write(lambda session: gate.wait(10)))
    waits.start()
    threads = [
        threading.Thread(target=user, args=[n], name=str(k)) for k, n in enumerate(["a", "a", "b", "c"])
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in [waits, *threads]:
        thread.join()
    assert sorted(results.values()) == ["IntegrityError", "a", "b", "c"]
    with either.station.database.reading() as session:
        assert set(session.execute(text("SELECT name FROM site_user")).scalars()) == {"a", "b", "c"}


def test_sqlite_is_on_the_disk_before_a_change_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    migrate(database_url(tmp_path, None))
    opened = open_database(database_url(tmp_path, None))
    with opened.writer.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("synchronous", "journal_mode")
        }
    opened.close()
    assert pragmas == {"synchronous": 2, "journal_mode": "wal"}


def test_readers_cannot_write(either: Bench) -> None:
    with either.station.database.reading() as session, pytest.raises(Exception, match=r"read-?only"):
        session.execute(text("DELETE FROM site_user"))


def test_times_keep_their_moment_on_both_engines(either: Bench) -> None:
    now = utc_now()
    user_id = either.admin and 1
    row = SessionRow(secret_hash="x", user_id=user_id, csrf="", created_at=now, expires_at=now, last_used=now)
    either.station.write(lambda session: session.add(row))
    with either.station.database.reading() as session:
        found = session.get(SessionRow, row.id)
        assert found is not None and found.created_at == now


class TestAudit:
    def test_whole_trail_has_no_fault(self, either: Bench) -> None:
        either.engineer.get("/me")
        found = either.engineer.get("/audit/verify").json()
        assert found["whole"] and found["count"] >= 4, found

    @pytest.mark.parametrize(
        ("statement", "expected"),
        [
            ("UPDATE audit SET who = 'nobody' WHERE id = 2", (2, "was changed")),
            ("UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE id = 3", (3, "was changed")),
            ("DELETE FROM audit WHERE id = 2", (2, "is missing")),
            ("DELETE FROM audit WHERE id = 6", (6, "is missing")),
            ("UPDATE review SET verdict = 'OK'", (5, "its row was changed: verdict")),
            ("DELETE FROM review", (5, "its row is missing")),
            ("UPDATE inspection SET verdict = 'OK'", (None, "its row was changed: verdict")),
            ("DELETE FROM defect", (None, "its row was changed: defects")),
            ("DELETE FROM answer", (None, "its row is missing")),
        ],
    )
    def test_changed_or_deleted_row_is_named(
        self, bench: Bench, statement: str, expected: tuple[int | None, str]
    ) -> None:
        line_id = bench.add_line()  # entries: 1 setup, 2 login, 3 line
        FakeLine(bench.station.folder).part("NG")
        bench.ingest(line_id)
        bench.admin.post("/inspections/1/review", json={"verdict": "NG"})  # 4
        bench.admin.post("/classes", json={"name": "dent", "colour": "#ff0000"})
        bench.admin.post("/classes", json={"name": "spot", "colour": "#00ff00"})
        with bench.station.database.reading() as session:
            (review,) = session.execute(text("SELECT id FROM audit WHERE action = 'review'")).scalars()
        tamper(bench, statement)
        faults = bench.admin.get("/audit/verify").json()["faults"]
        number = review if expected[0] == 5 else expected[0]
        assert (number, expected[1]) in {(fault["number"], fault["fault"]) for fault in faults}, faults

    def test_head_that_was_noted_tells_of_a_trail_that_was_written_anew(self, bench: Bench) -> None:
        assert bench.admin
        with bench.station.database.reading() as session:
            noted = session.execute(text("SELECT count, hash FROM audit_head")).one()
        tamper(bench, "DELETE FROM audit; DELETE FROM audit_head")
        key = bench.station.audit_key
        for _ in range(3):
            bench.station.write(lambda session: record(session, key, STATION, "login", "site_user/1"))
        with bench.station.database.reading() as session:
            assert not list(verify(session, key))
            (fault,) = verify(session, key, noted=(noted[0], noted[1]))
        assert fault.fault == "is not the row that was noted"

    def test_another_key_does_not_seal_the_head(self, bench: Bench) -> None:
        assert bench.admin
        with bench.station.database.reading() as session:
            (fault,) = verify(session, b"another key")
        assert "seal" in fault.fault


def tamper(bench: Bench, statements: str) -> None:
    """Change the file as somebody with a SQL tool does, triggers out of the way."""
    with sqlite3.connect(bench.station.folder.database) as connection:
        triggers = [
            row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ]
        for name in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.executescript(statements)
