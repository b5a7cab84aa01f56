"""Severity regression: severity map → filter → connected components → type (He & Liu 2020). See README.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.dataset.samples import Dataset
from blemish.images.tiling import Tiling
from blemish.methods.base import BaseMethod
from blemish.methods.capabilities import ExportsGraphs, GraphPlan
from blemish.methods.common import image_head
from blemish.methods.common.graphs import FIXED_SIDE
from blemish.methods.common.map_score import MapMemory
from blemish.methods.common.region_thresholds import region_thresholds
from blemish.methods.contract import Fitted, Graph, Networks, StageSteps, Summary, SweptCurves, Trainer
from blemish.methods.severity.inference import SeverityInference, inference_from, tells_types
from blemish.methods.severity.serving import served
from blemish.methods.severity.settings import SeveritySettings

if TYPE_CHECKING:
    from torch import nn

    from blemish.bundle.store import Bundle


# What a map shows that has hardly learned is thousands of specks; one that has learned shows few regions.
REHEARSED: Mapping[str, float] = {"types_regions": 3, "min_area": 400.0}


class SeverityMethod(BaseMethod[SeveritySettings], ExportsGraphs):
    """The method's object; imports torch only where networks are built."""

    name = "severity"
    title = "Severity regression"
    summary = Summary(
        needs="Outlines of the defects, as masks or polygons, in training and validation images. "
        "Defective images with boxes or labels alone are left out.",
        gives="Outline, class, severity from 0 to 12, area and lengths of each defect, a map of the "
        "severity, and a verdict. Images of any size, and line scan.",
        cost="A small network. An image of 8192×12800 takes 30 s in fp32 and 12 s in bf16 on two "
        "cores, one of magnetic tiles 0.34 s on one.",
        when="Defects are thin or small beside the image, such as cracks and scratches, or their "
        "strength and length decide. Of changes of tone over hundreds of pixels the paper's network, which "
        "sees 64 pixels to each side, finds none; an encoder, which sees 214, has found 6 of 12.",
    )
    settings_type = SeveritySettings
    memory_type = MapMemory
    curves_type = SweptCurves
    stage_steps = (
        StageSteps("regression", "steps", least=300),
        StageSteps(image_head.STAGE, image_head.STEPS, least=image_head.LEAST_STEPS),
        StageSteps("types", "types_steps", least=100),
    )

    def resolved_settings(self, settings: SeveritySettings, note: Callable[[str], None]) -> SeveritySettings:
        from blemish.methods.common.encoder_choice import with_chosen_encoder

        return with_chosen_encoder(settings, note)

    def rehearsed_settings(
        self, dataset: Dataset, settings: SeveritySettings, start: Bundle | None
    ) -> SeveritySettings:
        """Settings under which a map that has hardly learned takes no longer than one that has."""
        few = image_head.rehearsed_images(dataset, settings)
        return settings.model_copy(update={**REHEARSED, "image_score_images": few})

    def fit(self, dataset: Dataset, settings: SeveritySettings, trainer: Trainer) -> Fitted:
        from blemish.methods.severity.training import fit

        return fit(dataset, settings, trainer)

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        from blemish.methods.severity.network import empty_type_network, new_network
        from blemish.nn.image_head import ImageHead

        settings = self.settings(manifest)
        modules: dict[str, nn.Module] = {"severity": new_network(settings.with_random_encoder)}
        if settings.context > 1:
            modules["context"] = new_network(settings.with_random_encoder)
        if tells_types(settings, manifest.class_names):
            modules["types"] = empty_type_network(settings, len(manifest.class_names))
        if MapMemory.model_validate(manifest.memory).uses_head:
            modules[image_head.NAME] = ImageHead()
        return modules

    def inference(self, manifest: Manifest) -> SeverityInference:
        described = inference_from(
            self.settings(manifest),
            manifest.class_names,
            threshold=manifest.thresholds["severity"],
            **region_thresholds(manifest.thresholds),
            drop_above=manifest.thresholds["drop_above"],
            fitted_score=MapMemory.model_validate(manifest.memory).image_score,
        )
        tiling = manifest.tiling
        return replace(
            described,
            channels=manifest.preprocessing.channels,
            tiles=Tiling(tile=tiling["tile"], halo=tiling["halo"], stride=tiling["stride"]),
        )

    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        from blemish.methods.severity.export import graph_plans

        return graph_plans(modules, self.settings(manifest), manifest.tiling.get(FIXED_SIDE))

    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        settings = self.settings(manifest)
        types = tells_types(settings, manifest.class_names)
        networks = served(graphs, context=settings.context > 1, types=types)
        if MapMemory.model_validate(manifest.memory).uses_head:
            return {**networks, **image_head.served_head(graphs)}
        return networks


METHOD = SeverityMethod()
