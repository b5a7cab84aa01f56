"""A small set of three classes, and settings of a training of seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.dataset.synthetic import synthesise
from blemish.evaluation.records import ImageRecord, TruthDefect
from blemish.inspection import Inspection, Verdict
from blemish.methods.tlsdd.runtime.inference import inference_from
from blemish.methods.tlsdd.settings import TlsddSettings


def tiny(**changes) -> TlsddSettings:
    fields = {
        "preset": "tiny", "device": "cpu", "precision": "fp32",
        "common": ("scratch", "spot"), "rare": ("stain",), "steps": 4, "fine_tune_steps": 4, "warmup": 1,
    }  # fmt: skip
    return TlsddSettings(**{**fields, **changes})


@pytest.fixture(scope="session")
def surfaces(tmp_path_factory) -> Dataset:
    return synthesise(
        tmp_path_factory.mktemp("tlsdd") / "data",
        surfaces=["cast_metal", "brushed_metal"],
        images=24,
        seed=3,
        size=(96, 96),
        class_weights={"scratch": 1, "spot": 1, "stain": 1},
        contrast=(70, 120),
        defective_share=0.9,
    )


@pytest.fixture(scope="session")
def exported_detector():
    """A detector with every kind of graph, its bank, and the graphs in ONNX Runtime."""
    from blemish.methods.tlsdd.export import plans
    from tests.methods.tlsdd.graphs import exported, lively

    detector, bank = lively(proposals="per_class", background="one_minus_max")
    return detector, bank, {name: exported(plan) for name, plan in plans(detector, bank).items()}


@pytest.fixture
def records_of():
    """From detector rows of images whose square i is of class order[i] to what evaluation keeps."""

    def build(rows, squares, names):
        records = []
        for order, found in rows.items():
            truth = tuple(
                TruthDefect(names[number], tuple(map(float, square)), (), 256.0)
                for square, number in zip(squares, order, strict=True)
            )
            inference = inference_from(TlsddSettings(), tuple(names), threshold=0.5)
            findings = inference.decide(found, np.zeros((64, 64, 3), np.uint8), {}, with_maps=False)
            inspection = Inspection(
                "x", (64, 64), Verdict.NG, 1.0, findings.defects, "b", candidates=findings.candidates
            )
            annotations = tuple(Annotation(one.label, one.box_xyxy) for one in truth)
            sample = Sample(Path("x.png"), str(order), annotations)
            iou = np.zeros((len(truth), len(findings.defects)), np.float32)
            records.append(ImageRecord(sample, inspection, truth, iou))
        return records

    return build
