from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from types import ModuleType

import pytest

from blemish import provenance


def test_a_runtime_distributed_under_another_name_tells_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime-gpu installs the module onnxruntime, and no distribution of that name."""

    def installed(name: str) -> str:
        raise PackageNotFoundError(name)

    module = ModuleType("onnxruntime")
    module.__version__ = "1.23.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    monkeypatch.setattr(provenance, "version", installed)
    facts = provenance.runtime_facts("onnxruntime", device="cpu", precision="fp32")
    assert (facts["name"], facts["version"]) == ("onnxruntime", "1.23.0")
