"""Graphs of exports, each written once in a run of the tests: torch takes seconds for one."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch

from blemish.bundle.store import sha256
from blemish.exporting.onnx_models import onnx_model
from blemish.methods.capabilities import GraphPlan


class ContentPickler(pickle.Pickler):
    """Pickler to which networks of the same values are the same, wherever they lie in memory."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return tuple, ([tuple(value.shape), value.detach().numpy().tobytes()],)
        if isinstance(value, torch.nn.Module):
            fields = {
                name: sorted(each) if isinstance(each, set) else each for name, each in vars(value).items()
            }
            return tuple, ([type(value), fields],)
        return NotImplemented


def digest_of(plan: GraphPlan) -> str:
    content = io.BytesIO()
    ContentPickler(content).dump((plan.module, plan.inputs, plan.outputs, plan.free))
    return sha256(content.getvalue())


def read_or_written(plan: GraphPlan, made_once: Callable[..., Path]) -> Any:
    """ONNX model of the plan, written by torch unless the run has one of the same network."""

    def write(folder: Path) -> None:
        onnx.save(onnx_model(plan), folder / "graph.onnx")

    return onnx.load(made_once(f"graph-{digest_of(plan)}", write) / "graph.onnx")
