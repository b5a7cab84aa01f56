"""An inspection opens no socket and writes nothing outside --out, by torch, ONNX Runtime and OpenVINO.

Python's audit hook tells what Python does, and a trace of system calls, where `strace` is, what the runtimes'
own libraries do. Home, temporary and working folder are empty and stay so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.exporting.graph_files import as_openvino, write_openvino
from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture

AUDITED = """
import json, os, sys
noted = []
CHANGES = {"os." + call for call in "mkdir rename remove rmdir link symlink truncate chmod".split()}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def hook(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        noted.append([event, ""])
    elif event == "open" and not isinstance(arguments[0], int) and arguments[2] & WRITING:
        noted.append([event, os.path.abspath(os.fsdecode(arguments[0]))])
    elif event in CHANGES and not isinstance(arguments[0], int):
        noted.append([event, os.path.abspath(os.fsdecode(arguments[0]))])
sys.addaudithook(hook)
from blemish.cli.main import run
report = sys.argv.pop(1)
try:
    run()
finally:
    text = json.dumps(noted)
    with open(report, "w") as file:
        file.write(text)
"""
CALLS = (
    "%network,open,openat,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,truncate,unlink,unlinkat"
)
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")
DEVICES = {"/dev/null", "/dev/tty", "/dev/urandom"}


@pytest.fixture(scope="module", params=["torch", "onnx", "openvino"])
def bundle(request: pytest.FixtureRequest, unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that the runtime runs."""
    if request.param == "torch":
        return unpacked / "bundles" / "severity"
    exported = unpacked / "bundles" / "casae-onnx"
    return exported if request.param == "onnx" else in_openvino(exported, tmp_path_factory.mktemp("openvino"))


def in_openvino(exported: Path, folder: Path) -> Path:
    """The bundle with its graph for OpenVINO."""
    pytest.importorskip("openvino")
    manifest = json.loads((exported / "manifest.json").read_text())
    source = manifest["runtime"]["source"]
    files = write_openvino(
        as_openvino(exported / "cascade.onnx"), folder, "cascade", source=source, precision="fp32"
    )
    manifest["runtime"]["kind"] = "openvino"
    manifest["runtime"]["graphs"]["cascade"]["files"] = [file.name for file in files]
    manifest["files"] = {file.name: sha256(file.read_bytes()).hexdigest() for file in files}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_no_socket_is_opened_and_nothing_is_written_outside(bundle: Path, tmp_path: Path) -> None:
    empty = {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "cwd")}
    for folder in empty.values():
        folder.mkdir()
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), np.full((96, 96), 90, np.uint8))
    out, report, trace = tmp_path / "out", tmp_path / "audit.json", tmp_path / "trace"
    options = [str(tmp_path / "in"), "--out", str(out), "--overlay", "--sheet", "--csv"]
    done = subprocess.run(
        [*traced(trace), sys.executable, "-c", AUDITED, str(report), "inspect", str(bundle), *options],
        cwd=empty["cwd"],
        env=environment(**{name: str(folder) for name, folder in empty.items()}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    noted = json.loads(report.read_text())
    assert not [event for event, _ in noted if event.startswith("socket.")]
    assert outside((path for event, path in noted if path), out) == set()
    assert any(path.endswith("inspections.jsonl.part") for _, path in noted), "the hook was at work"
    assert not [path for folder in empty.values() for path in folder.iterdir()]
    if trace.exists():
        calls = list(calls_in(trace, empty["cwd"]))
        assert not [line for name, line, _ in calls if name == "socket"]
        written = [path for _, line, path in calls if path != str(report) and is_written(line)]
        assert outside(written, out) == set()
        assert any(path.endswith("inspections.jsonl.part") for path in written), "the trace was at work"


def traced(trace: Path) -> list[str]:
    """Beginning of a command that writes its system calls into a file; none where that cannot be."""
    command = ["strace", "-f", "--seccomp-bpf", "-s", "4096", "-e", f"trace={CALLS}"]
    able = (
        shutil.which("strace")
        and not subprocess.run(
            [*command, "-o", os.devnull, "true"], capture_output=True, check=False
        ).returncode
    )
    return [*command, "-o", str(trace)] if able else []


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    here = os.pathsep.join(path for path in sys.path if path)
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": here, **more}


def calls_in(trace: Path, cwd: Path) -> list[tuple[str, str, str]]:
    """Name, line and last path of each traced call that did not fail."""
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        call = re.match(r"\d+ +(\w+)\(", line)
        if call and " = -1 " not in line:
            paths = re.findall(r'"([^"]*)"', line)
            found.append((call[1], line, os.path.abspath(cwd / paths[-1]) if paths else ""))  # noqa: PTH100
    return found


def is_written(line: str) -> bool:
    return "open" not in line.split("(", maxsplit=1)[0] or bool(WRITES.search(line))


def outside(paths: object, out: Path) -> set[str]:
    """Paths that are neither in the folder nor devices that keep nothing."""
    return {str(path) for path in paths if not Path(path).is_relative_to(out)} - DEVICES  # type: ignore[attr-defined]
