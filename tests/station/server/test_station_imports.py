"""The server loads no network runtime, image library or NumPy; `import blemish` loads none of the server."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "numpy", "cv2", "onnxruntime", "openvino", "PIL", "scipy", "httpx"}
SERVER = {"fastapi", "sqlalchemy", "alembic", "uvicorn", "argon2", "starlette", "httpx"}


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import blemish.station.server.app, blemish.station.server.runtime", HEAVY),
        ("import blemish, blemish.cli.commands", SERVER),
        ("import blemish.station, blemish.station.line.settings, blemish.station.supervisor", SERVER),
    ],
)
def test_modules_that_are_left_out(statement: str, absent: set[str]) -> None:
    assert not loaded(statement) & absent
