"""What every method that exports graphs must keep to: its bundles answer without torch as they do with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle import Bundle, load_bundle
from blemish.bundle.store import CERTIFICATE
from blemish.dataset.samples import Dataset
from blemish.exporting.request import ExportRequest
from blemish.exporting.run import export_bundle
from blemish.images.decode import read_image
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of
from blemish.methods import find_method, method_names
from blemish.methods.capabilities import ExportsGraphs
from blemish.methods.contract import Method
from blemish.progress import Reporter

SIZES = [(1, 1), (33, 95), (97, 131), (140, 41)]


@pytest.fixture(scope="session", params=reversed(method_names()))
def method(request: pytest.FixtureRequest) -> Method:
    """Every method, the last first: a process beside this one trains the first, and neither waits."""
    return find_method(request.param)


@pytest.fixture(scope="session")
def exported(
    method: Method, bundle: Bundle, four_images: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The bundle that overfitted `four_images`, exported to ONNX with its certificate."""
    if not isinstance(method, ExportsGraphs):
        pytest.skip(f"{method.name} exports no graphs")
    out = tmp_path_factory.mktemp(method.name) / "onnx"
    loaded = load_bundle(bundle.path)
    return export_bundle(
        ExportRequest(loaded, "onnx", "fp32", out, dataset=four_images), Reporter(quiet=True)
    )


@pytest.fixture(scope="session")
def sides(bundle: Bundle, exported: Path) -> tuple[BundleInspector, BundleInspector]:
    return inspector_of(load_bundle(bundle.path), device="cpu"), inspector_of(load_bundle(exported))


def test_its_certificate_compares_defects(exported: Path) -> None:
    certificate = json.loads((exported / CERTIFICATE).read_text())
    assert certificate["passed"]
    assert certificate["compared"]["images"] >= 32
    assert certificate["compared"]["defects"] > 0
    assert len({row["torch"]["score"] for row in certificate["images"]}) > 8


def without_times(found: Any) -> dict[str, Any]:
    return {**found.to_json(), "timings_ms": None, "bundle": None}


def test_both_sides_find_the_same_on_images_of_training(
    four_images: Dataset, sides: tuple[BundleInspector, BundleInspector]
) -> None:
    for sample in four_images.split("train"):
        torch, graphs = (without_times(side.inspect(sample.image)) for side in sides)
        assert_near(graphs, torch)


@pytest.mark.parametrize("size", SIZES)
def test_both_sides_answer_alike_at_odd_sizes(
    four_images: Dataset, sides: tuple[BundleInspector, BundleInspector], size: tuple[int, int]
) -> None:
    pixels = read_image(four_images.samples[0].image, channels=sides[0].inference.channels)
    rows, columns = (np.arange(length) % own for length, own in zip(size, pixels.shape, strict=False))
    cut = np.ascontiguousarray(pixels[rows][:, columns])
    torch, graphs = (side.judge(cut, "cut", with_maps=True) for side in sides)
    assert graphs.error is None
    assert graphs.verdict is torch.verdict
    assert graphs.score == pytest.approx(torch.score, abs=1e-3)
    for name in set(torch.maps) - {"defects"}:
        np.testing.assert_allclose(graphs.maps[name], torch.maps[name], atol=1e-2)


def test_it_runs_where_torch_cannot_be_imported(
    exported: Path, four_images: Dataset, sides: tuple[BundleInspector, BundleInspector]
) -> None:
    image = four_images.samples[0].image
    program = (
        "import json, sys; from pathlib import Path\n"
        "sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'accelerate']))\n"
        "from blemish.inspector.loading import open_inspector\n"
        f"found = open_inspector(Path({str(exported)!r})).inspect(Path({str(image)!r}))\n"
        "print(json.dumps(found.to_json()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {**json.loads(done.stdout), "timings_ms": None, "bundle": None}
    assert_near(found, without_times(sides[0].inspect(image)))


def assert_near(found: Any, expected: Any) -> None:
    """The same but for the last digits of numbers."""
    if isinstance(expected, Mapping):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_near(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_near(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-2, abs=1e-3)
    else:
        assert found == expected
