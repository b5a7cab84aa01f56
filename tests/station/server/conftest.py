"""Stations for tests, on SQLite in a folder and on a PostgreSQL that the session starts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra 'station'")
pytest.importorskip("fastapi", reason="needs the extra 'station'")

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from blemish.station.database import engine
from blemish.station.database.migrate import migrate
from blemish.station.server import passwords
from blemish.station.server.runtime import close_station
from tests.station.server.station_builders import Bench, FakeLine, opened_bench

NUMBERS = count(1)
ENGINES = ["sqlite", "postgresql"]


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id with little work, as most tests log in; test_station_login checks the real parameters."""
    monkeypatch.setattr(
        passwords, "hasher", passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    )
    passwords.dummy_hash.cache_clear()


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite without fsync; test_station_database checks that a station has it."""
    quick = tuple("synchronous=OFF" if "synchronous" in each else each for each in engine.WRITER_PRAGMAS)
    monkeypatch.setattr(engine, "WRITER_PRAGMAS", quick)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite database with the tables, to be copied: migrating takes a third of a second."""
    root = tmp_path_factory.mktemp("empty")
    migrate(engine.database_url(root, None))
    return root / "station.db"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a PostgreSQL server of this session, up to the database's name."""
    pytest.importorskip("pg8000", reason="needs the extra 'postgres'")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not folders or shutil.which("runuser") is None:
        pytest.skip("needs PostgreSQL's server programs, such as Debian's package postgresql")
    root = Path(tempfile.mkdtemp(prefix="blemish-postgres-"))  # the test run's own folder is closed to others
    data, as_user = root / "data", []
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        as_user = ["runuser", "-u", "nobody", "--"]
        shutil.chown(root, "nobody")
    programs = folders[-1]
    subprocess.run(
        [*as_user, programs / "initdb", "-D", data, "-U", "station", "-A", "trust", "-N", "-E", "UTF8"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = f"-p {port} -k {root} -h 127.0.0.1 -c fsync=off -c max_connections=60"
    subprocess.run(
        [*as_user, programs / "pg_ctl", "-D", data, "-w", "-o", options, "-l", root / "log", "start"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    yield f"postgresql+pg8000://station@127.0.0.1:{port}"
    subprocess.run(
        [*as_user, programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, cwd="/"
    )


def created(postgres: str, name: str, template: str = "template0") -> str:
    """Address of a new database on a server."""
    connected = create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with connected.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    return f"{postgres}/{name}"


@pytest.fixture
def new_database(postgres: str) -> str:
    """Address of an empty database on PostgreSQL."""
    return created(postgres, f"t{next(NUMBERS)}")


@pytest.fixture(scope="session")
def with_tables(postgres: str) -> str:
    """Name of a database on PostgreSQL with the tables, to be copied."""
    migrate(make_url(created(postgres, "with_tables")))
    return "with_tables"


@pytest.fixture
def bench(tmp_path: Path, empty_database: Path) -> Iterator[Bench]:
    """Station on SQLite."""
    made = opened_bench(with_copy(tmp_path / "station", empty_database))
    yield made
    close_station(made.station)


@pytest.fixture(params=ENGINES)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Station on SQLite, and one on PostgreSQL."""
    if request.param == "postgresql":
        template = request.getfixturevalue("with_tables")
        address = created(request.getfixturevalue("postgres"), f"t{next(NUMBERS)}", template)
        made = opened_bench(tmp_path / "station", address)
    else:
        made = opened_bench(with_copy(tmp_path / "station", request.getfixturevalue("empty_database")))
    yield made
    close_station(made.station)


def with_copy(root: Path, database: Path) -> Path:
    """Folder of a station that has a copy of a database."""
    root.mkdir()
    shutil.copyfile(database, root / "station.db")
    return root


@pytest.fixture
def line(bench: Bench) -> FakeLine:
    """Line "press", number 1, of the bench, to be ingested by it."""
    bench.add_line()
    return FakeLine(bench.station.folder)
