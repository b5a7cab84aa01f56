"""The API as files: its OpenAPI, and the table of rights made from it.

`python -m blemish.station.server.contract FOLDER` writes openapi.json and rights.txt, which tests compare.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from blemish.files import write_atomically
from blemish.station.server.app import make_app
from blemish.station.server.identity import ANYONE, ROLES

OPENAPI, RIGHTS = "openapi.json", "rights.txt"
METHODS = ("get", "post", "put", "patch", "delete")


def openapi() -> dict[str, Any]:
    """OpenAPI of this version; its version is left out, as it changes without the API."""
    found = make_app(None, page=Path("/nowhere")).openapi()  # type: ignore[arg-type]  # no request is made
    return {**found, "info": {"title": found["info"]["title"], "version": "v1"}}


def rights() -> list[tuple[str, str, str]]:
    """Method, path and least role of every route, sorted by path."""
    paths = openapi()["paths"]
    return [
        (method.upper(), path, paths[path][method].get("x-role", ROLES[-1]))
        for path in sorted(paths)
        for method in METHODS
        if method in paths[path]
    ]


def rights_text() -> str:
    """Table of rights, a route a line: what each role may do is marked."""
    columns = (ANYONE, *ROLES)
    lines = [f"{'':6} {'':52} " + " ".join(columns)]
    for method, path, least in rights():
        marks = " ".join(
            ("x" if columns.index(name) >= columns.index(least) else "-").center(len(name))
            for name in columns
        )
        lines.append(f"{method:6} {path:52} {marks}".rstrip())
    return "\n".join(lines) + "\n"


def openapi_text() -> str:
    """OpenAPI as JSON with an entry a line."""
    return json.dumps(openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Write both files."""
    write_atomically(folder / OPENAPI, openapi_text())
    write_atomically(folder / RIGHTS, rights_text())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
