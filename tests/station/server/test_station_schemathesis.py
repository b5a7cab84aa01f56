"""Requests that schemathesis makes of the OpenAPI, those that fit it and those that do not: none gives a 500.

`make test-station` makes more of them: BLEMISH_STATION_REQUESTS=200 for each operation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from blemish.station.server.app import API
from tests.station.server.station_builders import Bench, FakeLine

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
REQUESTS = int(os.environ.get("BLEMISH_STATION_REQUESTS", "4"))
AT_THE_END = ("PATCH /api/v1/users", "DELETE /api/v1/tokens")  # they may take the rights away


@pytest.fixture
def operations(bench: Bench, line: FakeLine) -> list[Any]:
    """Operations of a station that has something of everything; all are sent by an admin's token."""
    for verdict in ("OK", "REVIEW", "NG", "ERROR"):
        line.part(verdict)
    bench.ingest()
    bench.admin.post("/classes", json={"name": "scratch", "colour": "#d62728"})
    bench.admin.post("/datasets", json={"name": "set"})
    schema = schemathesis.openapi.from_dict(bench.anonymous().get("/openapi.json").json())
    schema.app = bench.app
    found = [each.ok() for each in schema.get_all_operations()]
    return sorted(found, key=lambda each: each.label.startswith(AT_THE_END))


def test_no_request_gives_a_500(bench: Bench, operations: list[Any]) -> None:
    token = bench.admin.post("/tokens", json={"name": "all", "role": "admin"}).json()["secret"]
    headers = {"Authorization": f"Bearer {token}"}
    modes = schemathesis.GenerationMode
    seen = 0

    def asked(operation: Any, mode: Any) -> Callable[[], None]:
        @settings(
            max_examples=REQUESTS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal seen
            seen += 1
            answer = case.call(headers=headers)
            assert answer.status_code != 500, (case.as_curl_command(), answer.text)

        return ask

    for operation in operations:
        for mode in (modes.POSITIVE, modes.NEGATIVE):
            with suppress(Unsatisfiable):  # of an operation to which nothing wrong can be sent
                asked(operation, mode)()
    assert seen >= len(operations)
    print(f"{seen} requests of {len(operations)} operations at {API}")
