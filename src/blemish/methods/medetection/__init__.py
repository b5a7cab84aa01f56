"""MeDetection: a verdict on a product with few samples, learned from other products. See README.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.dataset.samples import Dataset
from blemish.methods.base import BaseMethod
from blemish.methods.capabilities import ExportsGraphs, GraphPlan
from blemish.methods.contract import Fitted, Graph, Networks, StageSteps, Trainer
from blemish.methods.medetection.inference import MedetectionInference, inference_from
from blemish.methods.medetection.memory import MedetectionCurves, MedetectionMemory
from blemish.methods.medetection.serving import served
from blemish.methods.medetection.settings import MedetectionSettings

if TYPE_CHECKING:
    from torch import nn


class MedetectionMethod(BaseMethod[MedetectionSettings], ExportsGraphs):
    """The method's object; imports torch only where networks are built."""

    name = "medetection"
    title = "Few-sample product inspection (MeDetection)"
    settings_type = MedetectionSettings
    memory_type = MedetectionMemory
    curves_type = MedetectionCurves
    supports_warm_start = True
    needs_defects_in = ("train",)
    stage_steps = (
        StageSteps("meta", "meta_steps", least=50),
        StageSteps("tune", "steps", least=200),
    )

    def fit(self, dataset: Dataset, settings: MedetectionSettings, trainer: Trainer) -> Fitted:
        from blemish.methods.medetection.training import fit

        return fit(dataset, settings, trainer)

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        from blemish.methods.medetection.network import DifferenceNetwork, References

        settings = self.settings(manifest).model_copy(update={"backbone_weights": "none"})
        count = len(MedetectionMemory.model_validate(manifest.memory).references)
        return {"network": DifferenceNetwork(settings), "references": References(count, settings.size)}

    def inference(self, manifest: Manifest) -> MedetectionInference:
        return inference_from(
            self.settings(manifest),
            manifest.class_names,
            thresholds=manifest.thresholds,
            memory=manifest.memory,
        )

    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        from blemish.methods.medetection.export import graph_plans

        return graph_plans(modules, self.settings(manifest))

    def kept_tensors(self, manifest: Manifest) -> tuple[str, ...]:
        return ("references",)

    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        return served(graphs, tensors, self.settings(manifest))


METHOD = MedetectionMethod()
