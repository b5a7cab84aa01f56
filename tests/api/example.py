"""A program that uses the Python API; mypy checks it, and nothing runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import blemish


def main(folder: Path) -> None:
    dataset: blemish.Dataset = blemish.open_dataset(folder / "data")
    bundle: Path = blemish.train("severity", dataset.root, folder / "run", settings={"cell": 2})
    result = blemish.evaluate(bundle, folder / "data", folder / "evaluation")
    print(result.metrics["images"], result.report.name, blemish.__version__)
    revision: int = blemish.decide(bundle, "calibration", escape=0.01).decision.revision
    larger: Path = blemish.add_class(bundle, "fray", "examples", folder / "larger")
    blemish.export(larger, "onnx")
    inspector: blemish.Inspector = blemish.load(bundle, threads=2)
    for inspection in inspector.inspect_many([folder / "a.png", np.zeros((9, 9), np.uint8), b"..."]):
        if inspection.verdict is blemish.Verdict.NG:
            describe(inspection, revision)
    blemish.load(3)  # type: ignore[arg-type]
    blemish.export(bundle, "tensorrt")  # type: ignore[arg-type]
    inspector.inspect(3)  # type: ignore[arg-type]


def describe(inspection: blemish.Inspection, revision: int) -> str:
    table = inspection.to_detections()
    corner: np.float32 = table.xyxy[0, 0]
    defect: blemish.Defect = inspection.defects[0]
    return f"{revision}: {defect.label} {defect.length_mm} {corner}"
