"""The API as files that are compared, every cell of the table of rights, and odd requests without a 500."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from blemish.station.server import contract
from blemish.station.server.identity import ANYONE, ROLES
from tests.station.server.station_builders import Bench, FakeLine

FILES = Path(__file__).parents[1]
REMEDY = "Run: python -m blemish.station.server.contract tests/station"
VALUES = {"sha256": "0" * 64, "bundle_id": "severity-0123456789ab", "level": "0", "x": "0", "y": "0"}


def test_openapi_is_the_stored_one() -> None:
    assert (FILES / contract.OPENAPI).read_text() == contract.openapi_text(), REMEDY


def test_table_of_rights_is_the_stored_one() -> None:
    assert (FILES / contract.RIGHTS).read_text() == contract.rights_text(), REMEDY


def test_every_cell_of_the_table(bench: Bench) -> None:
    """A role that may gets anything but 401 and 403; one that may not gets 403, and nobody 401."""
    columns = (ANYONE, *ROLES)
    clients = {ANYONE: bench.anonymous(), **{name: bench.client(name) for name in ROLES}}
    for method, path, least in contract.rights():
        if path.endswith(("/logout", "/setup", "/login")):  # their own tests; they would end the sessions
            continue
        address = re.sub(r"\{(\w+)\}", lambda found: VALUES.get(found[1], "999999"), path)
        for name in columns:
            answer = clients[name].request(method, address.removeprefix("/api/v1"))
            allowed = columns.index(name) >= columns.index(least)
            if allowed:
                assert answer.status_code not in (401, 403, 500), (method, path, name, answer.text)
            else:
                expected = 401 if name == ANYONE else 403
                assert answer.status_code == expected, (method, path, name, answer.text)


def test_route_without_a_role_is_admins(bench: Bench) -> None:
    from fastapi import Depends

    from blemish.station.server.identity import authorise

    router = APIRouter()
    router.add_api_route("/forgotten", lambda: {"secret": 1}, methods=["GET"])
    bench.app.include_router(router, prefix="/api/v1", dependencies=[Depends(authorise)])
    bench.app.router.routes.insert(0, bench.app.router.routes.pop())
    assert bench.anonymous().get("/forgotten").status_code == 401
    assert bench.engineer.get("/forgotten").status_code == 403
    assert bench.admin.get("/forgotten").status_code == 200


def test_every_body_has_an_example_that_is_understood(bench: Bench) -> None:
    """Each is sent as it is: what it names may not be there, but its fields are right."""
    bench.add_line()
    for path, operations in contract.openapi()["paths"].items():
        for method, operation in operations.items():
            contents = operation.get("requestBody", {}).get("content", {})
            for kind, content in contents.items():
                assert content["examples"], (method, path)
                if kind != "application/json":
                    continue
                for example in content["examples"].values():
                    address = re.sub(r"\{(\w+)\}", lambda found: VALUES.get(found[1], "1"), path)
                    headers = {"If-Match": '"0"'}
                    answer = bench.admin.request(
                        method, address.removeprefix("/api/v1"), json=example["value"], headers=headers
                    )
                    assert answer.status_code != 422, (path, example, answer.text)


ODD: list[Any] = [
    None,
    -1,
    0,
    2**63,
    1e308,
    "",
    "\0",
    "\u202e",
    "../../etc/passwd",
    "x" * 3000,
    [],
    {},
    [[]],
    True,
]


def test_odd_requests_are_refused_in_one_line_without_a_path(bench: Bench) -> None:
    """Every operation with odd parameters and bodies: no 500, and no answer that names a folder."""
    FakeLine(bench.station.folder).part("NG")
    bench.add_line()
    bench.ingest()
    admin, api = bench.admin, contract.openapi()
    for path, methods in api["paths"].items():
        if path.endswith(("/logout", "/setup")):
            continue
        for method, operation in methods.items():
            for number, odd in enumerate(ODD):
                given = request_of(api, path, operation, odd, number)
                answer = admin.request(method.upper(), given.pop("path"), **given)
                assert answer.status_code < 500 or answer.status_code == 503, (method, path, odd, answer.text)
                assert str(bench.station.folder.root) not in answer.text, (method, path, odd)
                if answer.status_code >= 400 and answer.headers["content-type"] == "application/json":
                    assert "\n" not in answer.json()["error"] and answer.json()["id"], (
                        method,
                        path,
                        answer.text,
                    )


def request_of(api: Any, path: str, operation: Any, odd: Any, number: int) -> dict[str, Any]:
    """Request with an odd value in one place after another."""
    text = odd if isinstance(odd, str) else json.dumps(odd)
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:200] or "_"
    filled = re.sub(r"\{(\w+)\}", lambda found: safe if number % 2 else VALUES.get(found[1], "1"), path)
    query = {each["name"]: text for each in operation.get("parameters", ()) if each["in"] == "query"}
    headers = {each["name"]: "3" for each in operation.get("parameters", ()) if each["in"] == "header"}
    given: dict[str, Any] = {"path": filled.removeprefix("/api/v1"), "params": query, "headers": headers}
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = content["application/json"]["schema"]
        names = api["components"]["schemas"].get(str(schema.get("$ref", "")).rpartition("/")[2], {})
        fields = list(names.get("properties", {}))
        given["json"] = dict.fromkeys(fields, odd) if number % 3 else odd
        if given["json"] is not None and not isinstance(odd, float):
            return given
        given["json"] = {}
    elif content:
        given["files"] = {"file": ("../x\n", b"\0" * 10), "image": ("", b"not an image")}
    return given


@pytest.mark.parametrize("address", ["/", "/somewhere", "/api/v1/openapi.json", "/docs", "/redoc"])
def test_page_and_openapi(bench: Bench, address: str) -> None:
    client = bench.anonymous()
    client.base_url = "http://testserver"
    answer = client.get(address)
    assert answer.status_code == (200 if address in ("/", "/api/v1/openapi.json") else 404)
    if address == "/":
        assert "make web" in answer.text


def test_built_page_answers_addresses_of_its_own(bench: Bench, tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    from blemish.station.server.app import make_app

    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("<p>the page")
    (tmp_path / "page" / "app.js").write_text("1")
    client = TestClient(make_app(bench.station, page=tmp_path / "page"), client=("127.0.0.1", 1))
    assert client.get("/review/7").text == "<p>the page"
    assert client.get("/app.js").status_code == 200
    assert client.get("/missing.js").status_code == 404
    assert client.get("/api/v1/nowhere").status_code == 404
    assert client.get("/../../etc/passwd").text == "<p>the page"
