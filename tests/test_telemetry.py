"""No runtime opens a connection, looks a name up, or leaves an id in the user's home.

Each case runs in a process of its own, with an empty home and sockets that note every use.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = """
import socket, threading
seen = []
def noted(name):
    def refuse(*arguments, **named):
        seen.append((name, arguments))
        raise OSError("no network here")
    return refuse
for name in ("create_connection", "getaddrinfo", "gethostbyname"):
    setattr(socket, name, noted(name))
socket.socket.connect = noted("connect")
"""
END = """
import time
time.sleep(1.0)  # senders work in threads
print(seen)
assert not seen, seen
"""
OPENVINO_GRAPH = """
import sys
from pathlib import Path
import numpy as np
from blemish.exporting.graph_files import as_openvino, write_openvino
from blemish.inspector.graph_backend import open_openvino
from blemish.inspector.limits import Limits
from blemish.bundle.manifest import StoredGraph, StoredInput
from tests.inspector.test_onnx_file import added, weights, written
folder = Path(sys.argv[1])
whole = as_openvino(written(added(weights(2.0)), folder))
xml, _ = write_openvino(whole, folder, "one", source="a", precision="fp32")
x = StoredInput(name="x", dtype="float32", shape=(None,))
stored = StoredGraph(files=("a",), inputs=(x,), outputs=("y",))
assert open_openvino(xml, stored, Limits())[0]({"x": np.ones(1, np.float32)})["y"][0] == 3
"""
ONNX_GRAPH = """
import sys
from pathlib import Path
import numpy as np
from blemish.inspector.onnx_backend import open_onnx
from blemish.inspector.limits import Limits
from blemish.bundle.manifest import StoredGraph, StoredInput
from tests.inspector.test_onnx_file import added, weights, written
file = written(added(weights(2.0)), Path(sys.argv[1]))
x = StoredInput(name="x", dtype="float32", shape=(None,))
stored = StoredGraph(files=("a",), inputs=(x,), outputs=("y",))
assert open_onnx(file, stored, Limits())[0]({"x": np.ones(1, np.float32)})["y"][0] == 3
"""
QUANTISED = """
from blemish.optional_dependencies import opt_out_of_telemetry
opt_out_of_telemetry()
import nncf
from nncf.telemetry import wrapper
wrapper.telemetry.send_event("nncf", "test", "test")
"""


def left_behind(
    code: str, folder: Path, **environment: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run code with sockets noted; returns the process and the files it left in its home."""
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    done = subprocess.run(
        [sys.executable, "-c", GUARD + code + END, str(folder)],
        env={**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, [str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()]


@pytest.mark.parametrize("code", [ONNX_GRAPH, OPENVINO_GRAPH, QUANTISED], ids=["onnx", "openvino", "nncf"])
def test_nothing_is_told_and_nothing_is_left(code: str, tmp_path: Path) -> None:
    done, files = left_behind(code, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not [name for name in files if "onnxruntime" in name or "openvino" in name or "intel" in name], (
        files
    )


def test_the_guard_sees_what_openvino_would_send(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    pytest.importorskip("openvino_telemetry")
    done, files = left_behind("import openvino", tmp_path)
    assert done.returncode != 0 or "intel/openvino_ga_cid" in files


def test_a_users_own_choice_stays(tmp_path: Path) -> None:
    code = "from blemish.optional_dependencies import opt_out_of_telemetry as out; out(); import os; "
    code += "assert os.environ['ORT_DISABLE_TELEMETRY'] == '0'"
    done, _ = left_behind(code, tmp_path, ORT_DISABLE_TELEMETRY="0")
    assert done.returncode == 0, done.stderr
