"""Stations as they run, with all their processes; PostgreSQL as the tests of the server start it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from blemish.dataset.samples import Dataset

pytest.importorskip("fastapi", reason="needs the extra 'station'")

from tests.cli.tlsdd_bundles import make_bundle
from tests.station.browser.conftest import browser
from tests.station.server.conftest import new_database, postgres
from tests.station.whole.running_station import LONG

__all__ = ["browser", "make_bundle", "new_database", "postgres"]


# Large images are reduced to that of the small ones, so that 100 megapixels are inspected in seconds.
SIZE = 96


@pytest.fixture(scope="session")
def first_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle of TL-SDD, which takes classes: trained in the long form, else with weights that were drawn."""
    if not LONG:
        make: Callable[..., Path] = request.getfixturevalue("make_bundle")
        return make(size=SIZE)
    from blemish.methods.quick import quick_of
    from blemish.workflows.train import train_bundle

    data: Dataset = request.getfixturevalue("tiny_dataset")
    settings = {**quick_of("tlsdd").overfit, "size": SIZE, "device": "cpu", "precision": "fp32"}
    run = tmp_path_factory.mktemp("first") / "run"
    return train_bundle("tlsdd", data.root, run, settings=settings, plan=False, quiet=True)
