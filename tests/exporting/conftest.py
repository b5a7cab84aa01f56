"""Bundles of random networks on disk, and one of them exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from random_bundles import SEVERITY, manifest_of, random_modules

from blemish.bundle import Bundle, load_bundle, save_bundle
from blemish.exporting.request import ExportRequest
from blemish.exporting.run import export_bundle
from blemish.progress import Reporter
from blemish.training.manifest import state_of


@pytest.fixture(scope="session")
def new_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bundle]:
    """A bundle of a random network of the method, loaded from disk. more: of `manifest_of`"""

    def make(method: str, settings: Mapping[str, Any], seed: int = 0, **more: Any) -> Bundle:
        manifest = manifest_of(method, settings, **more)
        modules = random_modules(method, manifest, seed)
        folder = tmp_path_factory.mktemp(method) / "bundle"
        save_bundle(folder, manifest, {name: state_of(module) for name, module in modules.items()})
        return load_bundle(folder)

    return make


@pytest.fixture(scope="session")
def severity_bundle(new_bundle: Callable[..., Bundle]) -> Bundle:
    return new_bundle("severity", SEVERITY)


@pytest.fixture(scope="session")
def exported(severity_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The severity bundle exported to ONNX. Copy it before changing anything."""
    out = tmp_path_factory.mktemp("exported") / "onnx"
    return export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", out), Reporter(quiet=True))
