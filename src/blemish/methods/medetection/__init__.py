"""MeDetection: a verdict on a product with few samples, learned from other products. See README.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.dataset.samples import Dataset
from blemish.methods.contract import Fitted, Graph, GraphPlan, Networks, Trainer
from blemish.methods.medetection.inference import MedetectionInference, inference_from
from blemish.methods.medetection.serving import served
from blemish.methods.medetection.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class MedetectionMethod:
    """The method's object; imports torch only where networks are built."""

    name = "medetection"
    title = "Few-sample product inspection (MeDetection)"
    settings_type = Settings
    takes_start = True

    def fit(self, dataset: Dataset, settings: Settings, trainer: Trainer) -> Fitted:
        from blemish.methods.medetection.training import fit

        return fit(dataset, settings, trainer)

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        from blemish.methods.medetection.network import DifferenceNetwork, References

        settings = Settings.model_validate({**manifest.settings, "stem_weights": "none"})
        count = len(manifest.memory.get("references", ()))
        return {"network": DifferenceNetwork(settings), "references": References(count, settings.size)}

    def refuse_misfits(self, modules: Mapping[str, nn.Module], *, source: str) -> None:
        """The references are pixels, and fit any network of their size."""

    def inference(self, manifest: Manifest) -> MedetectionInference:
        return inference_from(
            Settings.model_validate(manifest.settings),
            manifest.class_names,
            thresholds=manifest.thresholds,
            memory=manifest.memory,
        )

    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        from blemish.methods.medetection.export import graph_plans

        return graph_plans(modules, Settings.model_validate(manifest.settings))

    def kept_tensors(self, manifest: Manifest) -> tuple[str, ...]:
        return ("references",)

    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        return served(graphs, tensors, Settings.model_validate(manifest.settings))


METHOD = MedetectionMethod()
