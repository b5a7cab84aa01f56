"""Stations as they run, with all their processes; PostgreSQL as the tests of the server start it."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'station'")

from tests.cli.tlsdd_bundles import make_bundle, parent
from tests.station.browser.conftest import browser
from tests.station.server.conftest import new_database, postgres

__all__ = ["browser", "make_bundle", "new_database", "parent", "postgres"]
