"""Tables of types filled end to end on tiny pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.tables.fill import fill_table
from benchmarks.tables.table import Table, open_table
from blemish.bundle.store import load_bundle
from blemish.dataset.masks import class_map
from blemish.errors import BlemishError
from blemish.evaluation.classification import FALSE_ALARM, MISSED
from blemish.images.decode import read_image
from blemish.inspector.loading import inspector_of
from blemish.methods.casae.crops import upright
from blemish.methods.common.patches import marked_defects
from blemish.progress import Reporter

FEATURES = {"iterations": 30}
TYPES: dict[str, Any] = {
    "title": "Types",
    "paper": "none",
    "synthetic": {
        "images": 30, "seed": 0, "size": [64, 64], "pairing": "dagm",
        "surfaces": ["woven_fabric", "concrete"], "defective_share": 0.8,
    },
    "method": "casae",
    "settings": {
        "preset": "tiny", "width": 1, "size": 32, "cascade": False, "steps": 1, "types_steps": 3,
        "device": "cpu", "precision": "fp32",
    },
    "rows": [
        {"name": "glcm", "kind": "type-features", "settings": {"features": "glcm", **FEATURES}},
        {"name": "cnn", "kind": "types"},
    ],
    "columns": [{"path": "type.accuracy", "heading": "accuracy"}, {"path": "type.recall.*", "heading": ""}],
}  # fmt: skip


def write(name: str = "types", **changes: Any) -> None:
    Path("experiments").mkdir(exist_ok=True)
    Path("experiments", f"{name}.yaml").write_text(yaml.safe_dump({**TYPES, **changes}, sort_keys=False))


def fill(name: str = "types", out: str = "out") -> Path:
    return fill_table(name, Path(out), data=None, seeds=1, quiet=True)


def opened(name: str = "types") -> Table:
    return open_table(name, Path("out"), data=None, reporter=Reporter(quiet=True))


def stored(name: str, folder: str = "out/types") -> dict[str, Any]:
    return json.loads(Path(folder, f"{name}-seed0.json").read_text())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BLEMISH_ROWS", raising=False)
        write()
        fill()
    return folder


@pytest.fixture(autouse=True)
def in_folder(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(filled)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    write()


@pytest.mark.parametrize("row", ["glcm", "cnn"])
def test_every_true_defect_of_the_test_images_is_named_once(row: str) -> None:
    dataset, figures = opened().dataset, stored(row)["figures"]["type"]
    labels = [
        dataset.class_names[one.label]
        for sample in dataset.split("test")
        for one in marked_defects([class_map(sample, dataset.class_names, (64, 64))], join_distance=4)
    ]
    confusion = figures["confusion"]
    assert figures["defects"] == len(labels) > 0
    for name in dataset.class_names:
        assert sum(confusion[name].values()) == labels.count(name)
        right = confusion[name][name]
        assert figures["recall"][name] == (right / labels.count(name) if name in labels else None)
        assert confusion[name][MISSED] == confusion[FALSE_ALARM][name] == 0
    right = sum(confusion[name][name] for name in dataset.class_names)
    assert figures["accuracy"] == pytest.approx(right / len(labels))


def test_the_compact_cnn_is_the_bundles_on_crops_of_true_rectangles() -> None:
    """Its answers one by one, by the inference's own way of naming what was found."""
    dataset = opened().dataset
    inspector = inspector_of(load_bundle(Path("out/types/runs/cnn-seed0/bundle")), device="cpu")
    right = []
    for sample in dataset.split("test"):
        classes = class_map(sample, dataset.class_names, (64, 64))
        for defect in marked_defects([classes], join_distance=4):
            pixels = read_image(sample.image, channels=1)
            probabilities = inspector.inference.probabilities([defect.rectangle], pixels, inspector.networks)
            right.append(int(probabilities.argmax()) == defect.label)
    assert stored("cnn")["figures"]["type"]["accuracy"] == pytest.approx(np.mean(right))


def test_how_long_the_autoencoder_is_trained_does_not_matter_to_the_types() -> None:
    """So a table of types may train it for one step."""
    longer = {**TYPES["settings"], "steps": 4, "width": 2, "size": 64}
    write("longer", settings=longer, rows=[TYPES["rows"][1]])
    fill("longer")
    weights = [
        load_bundle(Path(f"out/{name}/runs/cnn-seed0/bundle")).networks["types"]
        for name in ("types", "longer")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert stored("cnn", "out/longer")["figures"]["type"] == stored("cnn")["figures"]["type"]


def test_the_same_seed_gives_the_same_figures() -> None:
    fill(out="again")
    for row in ("glcm", "cnn"):
        assert stored(row, "again/types")["figures"]["type"] == stored(row)["figures"]["type"]


def test_the_table_has_a_column_for_each_class() -> None:
    table = Path("out/types/table.md").read_text()
    assert all(f" {name} " in table.splitlines()[4] for name in opened().dataset.class_names)


def test_faults_are_told_with_table_and_row() -> None:
    row = {"name": "glcm", "kind": "type-features", "settings": {"features": "glmc"}}
    write("wrong", rows=[row])
    with pytest.raises(
        BlemishError, match=r"table wrong, row glcm: settings: 'features' must be 'glcm', 'hog' or "
    ):
        fill("wrong")
    write("wrong", rows=[{**row, "settings": {"features": "hog", "cell": 50}}])
    with pytest.raises(
        BlemishError, match=r"types_size must be at least two cells of 50\. Received: 99\. Use 100"
    ):
        fill("wrong")
    for kind in (row | {"settings": {"features": "hog"}}, TYPES["rows"][1]):
        write("wrong", rows=[kind], method="severity", settings={})
        with pytest.raises(BlemishError, match=r"kind type\S+ needs method casae\. Received: severity\."):
            fill("wrong")


def test_what_a_row_of_types_lacks_is_named() -> None:
    write("wrong", rows=[{**TYPES["rows"][1], "settings": {"types": False}}])
    with pytest.raises(BlemishError, match=r"kind types needs types=true\. Received: types=false\."):
        fill("wrong")
    single = {**TYPES["synthetic"], "surfaces": ["woven_fabric"]}
    write("single", rows=[TYPES["rows"][1]], synthetic=single)
    with pytest.raises(
        BlemishError, match=r"kind types needs two classes or more\. Received: \w+\. Use other"
    ):
        fill("single")


def test_all_rows_name_the_crops_of_the_tables_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features are taken of the very crops that the compact CNN is given."""
    changed = {"types_size": 120, "types_margin": 1.5, "join_distance": 9.0}
    write("crops", settings={**TYPES["settings"], **changed})
    seen: list[tuple[int, float]] = []

    def noted(pixels: Any, rectangle: Any, *, margin: float, size: int) -> Any:
        seen.append((size, margin))
        return upright(pixels, rectangle, margin=margin, size=size)

    monkeypatch.setattr("benchmarks.tables.kinds.types.upright", noted)
    fill("crops")
    assert set(seen) == {(120, 1.5)}
    assert (
        stored("glcm", "out/crops")["figures"]["type"]["defects"]
        == (stored("cnn", "out/crops")["figures"]["type"]["defects"])
    )
    settings = stored("glcm", "out/crops")["settings"]
    assert (settings["size"], settings["margin"], settings["join_distance"]) == (120, 1.5, 9.0)
