"""Stations as they run, with all their processes; PostgreSQL as the tests of the server start it."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'station'")

from tests.station.server.conftest import new_database, postgres

__all__ = ["new_database", "postgres"]
