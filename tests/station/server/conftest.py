"""Stations for tests, on SQLite in a folder and on a PostgreSQL that the session starts."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra 'station'")
pytest.importorskip("fastapi", reason="needs the extra 'station'")

from blemish.station.server import passwords
from blemish.station.server.runtime import close_station
from tests.station.server.station_builders import Bench, FakeLine, opened_bench

NUMBERS = count(1)
ENGINES = ["sqlite", "postgresql"]


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id with little work, as most tests log in; test_station_login checks the real parameters."""
    monkeypatch.setattr(passwords, "hasher", passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords.dummy_hash.cache_clear()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL server of this session, up to the database's name."""
    pytest.importorskip("pg8000", reason="needs the extra 'postgres'")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not folders or shutil.which("runuser") is None:
        pytest.skip("needs PostgreSQL's server programs, such as Debian's package postgresql")
    root = tmp_path_factory.mktemp("postgres")
    data, as_user = root / "data", []
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        as_user = ["runuser", "-u", "nobody", "--"]
        shutil.chown(root, "nobody")
        for parent in (root, *root.parents):
            if parent != parent.parent and parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        root.parent.chmod(0o755)
    programs = folders[-1]
    subprocess.run(
        [*as_user, programs / "initdb", "-D", data, "-U", "station", "--auth=trust", "--no-sync", "-E", "UTF8"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    port = 20000 + os.getpid() % 20000
    options = f"-p {port} -k {root} -h 127.0.0.1 -c fsync=off -c max_connections=60"
    subprocess.run(
        [*as_user, programs / "pg_ctl", "-D", data, "-w", "-o", options, "-l", root / "log", "start"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    yield f"postgresql+pg8000://station@127.0.0.1:{port}"
    subprocess.run([*as_user, programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, cwd="/")


@pytest.fixture
def new_database(postgres: str) -> str:
    """Address of an empty database on it."""
    from sqlalchemy import create_engine, text

    name = f"t{next(NUMBERS)}"
    engine = create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{postgres}/{name}"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Station on SQLite."""
    made = opened_bench(tmp_path / "station")
    yield made
    close_station(made.station)


@pytest.fixture(params=ENGINES)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Station on SQLite, and one on PostgreSQL."""
    address = request.getfixturevalue("new_database") if request.param == "postgresql" else None
    made = opened_bench(tmp_path / "station", address)
    yield made
    close_station(made.station)


@pytest.fixture
def line(bench: Bench) -> FakeLine:
    """Line "press", number 1, of the bench, to be ingested by it."""
    bench.add_line()
    return FakeLine(bench.station.folder)
