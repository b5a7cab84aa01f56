"""Warnings of certificates: of another machine or runtime, failed, missing; none of this machine's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle.store import CERTIFICATE, MANIFEST, load_bundle, sha256_of
from blemish.inspector.certificates import certificate_warnings
from blemish.provenance import package_version, processor
from tests.legacy.conftest import blemish, unpacked

__all__ = ["blemish", "unpacked"]  # fixtures


@pytest.fixture
def exported(unpacked: Path, tmp_path: Path) -> Callable[..., Path]:
    """An exported bundle with another certificate, or without one; hashes follow."""

    def make(**changes: Any) -> Path:
        bundle = shutil.copytree(unpacked / "bundles" / "casae-onnx", tmp_path / "bundle")
        manifest = json.loads((bundle / MANIFEST).read_text())
        own = {
            "hardware": f"{processor()}, 64 cores",
            "versions": {"onnxruntime": package_version("onnxruntime")},
        }
        certificate = json.loads((bundle / CERTIFICATE).read_text()) | own | changes
        (bundle / CERTIFICATE).write_text(json.dumps(certificate))
        manifest["files"][CERTIFICATE] = sha256_of(bundle / CERTIFICATE)
        if changes.get("passed") == "missing":
            (bundle / CERTIFICATE).unlink()
            del manifest["files"][CERTIFICATE]
        (bundle / MANIFEST).write_text(json.dumps(manifest))
        return bundle

    return make


def test_of_this_machine_there_is_no_warning(exported: Callable[..., Path], unpacked: Path) -> None:
    """However many of its cores were used."""
    assert certificate_warnings(load_bundle(exported())) == ()
    assert certificate_warnings(load_bundle(unpacked / "bundles" / "casae")) == (), "not exported"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hardware": "Intel Atom, 4 cores"}, "on Intel Atom, onnxruntime "),
        ({"versions": {"onnxruntime": "1.0.0"}}, "onnxruntime 1.0.0; here are "),
        (
            {"versions": 3, "hardware": None},
            "on an unknown processor, onnxruntime of an unknown version; here",
        ),
        (
            {"passed": False, "failures": ["'score' is off by 1 on a.png"]},
            "did not pass: 'score' is off by 1 on a",
        ),
        ({"passed": False}, "did not pass"),
        ({"passed": "missing"}, "has no certificate"),
    ],
)
def test_anything_else_is_told_in_a_line_of_an_inspection(
    exported: Callable[..., Path],
    unpacked: Path,
    tmp_path: Path,
    blemish: Callable[..., Any],
    changes: dict[str, Any],
    expected: str,
) -> None:
    bundle = exported(**changes)
    (warning,) = certificate_warnings(load_bundle(bundle))
    assert expected in warning and str(bundle) in warning
    image = next((unpacked / "surfaces" / "images").iterdir())
    answer = blemish("inspect", bundle, image, "--out", tmp_path / "out")
    assert answer.code == 0 and f"warning: {warning}" in answer.err.splitlines()
    assert blemish("inspect", bundle, image, "--out", tmp_path / "out", "--quiet").err.count("\n") == 1, (
        "counts"
    )
