"""Graphs that fail are refused where their outputs are used: without boxes all would be clean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from blemish.errors import BlemishError
from blemish.methods.common.outputs import OutputError
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.export import plans
from blemish.methods.tlsdd.runtime.graph_detector import GraphDetector
from tests.methods.tlsdd.graphs import eager, lively

IMAGE = np.random.default_rng(0).random((1, 3, 70, 100), np.float32)
WRONG = {
    "NaN": lambda right: np.full_like(right, np.nan),
    "−∞": lambda right: np.full_like(right, -np.inf),
    "whole numbers": lambda right: right.astype(np.int64),
    "no batch": lambda right: right[0],
    "another size": lambda right: np.concatenate([right, right], axis=-1),
}


@pytest.mark.parametrize("changes", [{}, {"proposals": "per_class"}, {"variant": "fr-joint"}], ids=str)
def test_every_output_of_every_graph_is_checked(changes: dict[str, Any]) -> None:
    detector, bank = lively(**changes)
    planned = plans(detector, bank)
    graphs = {name: eager(plan) for name, plan in planned.items() if name != "support"}
    assert np.isfinite(GraphDetector(graphs, detector.settings).rows(IMAGE, bank.to_bank())).all()
    for graph, run in graphs.items():
        for output in planned[graph].outputs:
            for how, change in WRONG.items():
                if output == "made_for" and how in ("NaN", "−∞"):
                    continue  # a digest, of whole numbers

                def odd(arrays: Any, run: Any = run, output: str = output, change: Any = change) -> Any:
                    found = run(arrays)
                    return {**found, output: change(found[output])}

                odd_detector = GraphDetector({**graphs, graph: odd}, detector.settings)
                with pytest.raises(OutputError, match=output):
                    odd_detector.rows(IMAGE, bank.to_bank())


@pytest.mark.parametrize("changes", [{}, {"proposals": "per_class"}], ids=str)
def test_a_torch_detector_whose_proposals_are_no_numbers_is_refused(changes: dict[str, Any]) -> None:
    for layer in ("cls_logits", "bbox_pred"):
        for huge in (3e38, -3e38):  # finite, so that loading lets it pass
            detector, _ = lively(**changes)
            getattr(detector.rpn.rpn.head, layer).weight.fill_(huge)
            with torch.inference_mode(), pytest.raises(OutputError, match="not finite"):
                detector(torch.from_numpy(IMAGE))


def test_a_class_bank_must_be_finite_and_of_its_types() -> None:
    detector, bank = lively()
    tensors = dict(bank.to_bank().tensors())
    classes = len(tensors["known"])
    assert ClassBank.from_tensors(tensors, detector.settings, classes).known.all()
    for name in ("class_vectors", "prototypes"):
        for value in (np.nan, np.inf):
            odd = tensors[name].copy()
            odd[0, 0] = value
            with pytest.raises(BlemishError, match=f"{name} must be finite"):
                ClassBank.from_tensors({**tensors, name: odd}, detector.settings, classes)
    whole = {**tensors, "prototypes": tensors["prototypes"].astype(np.int32)}
    with pytest.raises(BlemishError, match="of its types"):
        ClassBank.from_tensors(whole, detector.settings, classes)
