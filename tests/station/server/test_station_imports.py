"""What the server loads: no network runtime, no image library; and `import blemish` none of the server."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "cv2", "onnxruntime", "openvino", "PIL", "scipy", "httpx"}
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
