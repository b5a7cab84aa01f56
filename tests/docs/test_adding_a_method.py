"""The method that docs/adding-a-method.md builds: its files are taken from the page and used as any other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import blemish.methods
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset
from blemish.exporting.request import ExportRequest
from blemish.exporting.run import export_bundle
from blemish.images.decode import image_size
from blemish.inspector.loading import open_inspector
from blemish.methods import find_method, method_names
from blemish.methods.quick import quick_of
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding-a-method.md"
FILES = {"__init__.py", "settings.py", "network.py", "inference.py", "training.py", "export.py", "quick.py"}


@pytest.fixture
def pixelnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the page's files into a folder of their own, which is searched for methods too."""
    files = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.M | re.S))
    assert set(files) == FILES
    folder = tmp_path / "methods" / "pixelnet"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(blemish.methods, "__path__", [*blemish.methods.__path__, str(folder.parent)])
    for name in [name for name in sys.modules if name.startswith("blemish.methods.pixelnet")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("pixelnet")
def test_the_method_of_the_page_trains_inspects_and_exports(tiny_dataset: Dataset, tmp_path: Path) -> None:
    assert "pixelnet" in method_names()
    method = find_method("pixelnet")
    settings = method.settings_type.model_validate(
        {**quick_of("pixelnet").overfit, "device": "cpu", "precision": "fp32"}
    )
    quiet = Reporter(quiet=True)
    bundle = train(Request(method, tiny_dataset, settings, tmp_path / "run"), quiet)
    inspector = open_inspector(bundle.path, device="cpu")
    met = union = 0
    for sample in tiny_dataset.split("train"):
        found = inspector.inspect(sample.image, with_maps=True).maps["defects"] > 0
        truth = class_map(sample, tiny_dataset.class_names, image_size(sample.image)) > 0
        met, union = met + int((found & truth).sum()), union + int((found | truth).sum())
    assert met / union > 0.5

    exported = export_bundle(ExportRequest(bundle, "onnx", "fp32", tmp_path / "exported"), quiet)
    image = tiny_dataset.samples[0].image
    answers = [open_inspector(path).inspect(image, with_maps=True) for path in (bundle.path, exported)]
    np.testing.assert_allclose(answers[0].maps["score_map"], answers[1].maps["score_map"], atol=1e-4)
