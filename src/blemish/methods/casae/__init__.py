"""CASAE: outlines by cascaded autoencoders, types by a compact CNN on upright crops. See README.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.dataset.samples import Dataset
from blemish.methods.base import BaseMethod
from blemish.methods.capabilities import ExportsGraphs, GraphPlan
from blemish.methods.casae.inference import CasaeInference, inference_from, tells_types
from blemish.methods.casae.serving import served
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common import image_head
from blemish.methods.common.graphs import FIXED_SIDE
from blemish.methods.common.map_score import MapMemory
from blemish.methods.common.region_thresholds import region_thresholds
from blemish.methods.contract import Fitted, Graph, Networks, StageSteps, Summary, SweptCurves, Trainer

if TYPE_CHECKING:
    from torch import nn

    from blemish.bundle.store import Bundle


class CasaeMethod(BaseMethod[CasaeSettings], ExportsGraphs):
    """The method's object; imports torch only where networks are built."""

    name = "casae"
    title = "Cascaded autoencoders (CASAE)"
    summary = Summary(
        needs="Outlines of the defects, as masks or polygons, in training and validation images. It "
        "can also learn from images of the same surface that no one has marked "
        "(`unlabelled`).",
        gives="Outline, class, area and lengths of each defect, a map of its probability, and a "
        "verdict; no severity.",
        cost="At its own resolution an image of 300×250 takes 0.11 s of processor time, one of 2000×2000 "
        "8.5 s, in fp32 on one core. With the paper's networks one squeezed to 512×512 takes 0.9 s in fp32 "
        "and 0.26 s in bf16 on two.",
        when="Defects differ much in size, from specks to changes of tone over much of the image. Large "
        "images are inspected faster as a whole, with `size`, where their defects are large, too.",
    )
    settings_type = CasaeSettings
    memory_type = MapMemory
    curves_type = SweptCurves
    stage_steps = (
        StageSteps("first", "steps", least=600),
        StageSteps("second", "second_steps", least=200),
        StageSteps(image_head.STAGE, image_head.STEPS, least=image_head.LEAST_STEPS),
        StageSteps("types", "types_steps", least=200),
    )
    cheaper = ({"size": 128, "patch": 128}, {"size": 96, "patch": 96})

    def resolved_settings(self, settings: CasaeSettings, note: Callable[[str], None]) -> CasaeSettings:
        from blemish.methods.common.encoder_choice import with_chosen_encoder

        return with_chosen_encoder(settings, note)

    def rehearsed_settings(
        self, dataset: Dataset, settings: CasaeSettings, start: Bundle | None
    ) -> CasaeSettings:
        """Settings under which an image score that learns does so from the few images of a rehearsal."""
        few = image_head.rehearsed_images(dataset, settings)
        return settings.model_copy(update={"image_score_images": few})

    def fit(self, dataset: Dataset, settings: CasaeSettings, trainer: Trainer) -> Fitted:
        from blemish.methods.casae.training import fit

        return fit(dataset, settings, trainer)

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        from blemish.methods.casae.network import Cascade, CompactNetwork
        from blemish.nn.image_head import ImageHead

        settings = self.settings(manifest)
        modules: dict[str, nn.Module] = {"cascade": Cascade(settings.with_random_encoder)}
        if tells_types(settings, manifest.class_names):
            modules["types"] = CompactNetwork(
                len(manifest.class_names), size=settings.types_size, standardise=settings.types_standardise
            )
        if MapMemory.model_validate(manifest.memory).uses_head:
            modules[image_head.NAME] = ImageHead()
        return modules

    def inference(self, manifest: Manifest) -> CasaeInference:
        return inference_from(
            self.settings(manifest),
            manifest.class_names,
            threshold=manifest.thresholds["probability"],
            **region_thresholds(manifest.thresholds),
            fitted_score=MapMemory.model_validate(manifest.memory).image_score,
        )

    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        from blemish.methods.casae.export import graph_plans

        return graph_plans(modules, self.settings(manifest), manifest.tiling.get(FIXED_SIDE))

    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        networks = served(graphs, types=tells_types(self.settings(manifest), manifest.class_names))
        if MapMemory.model_validate(manifest.memory).uses_head:
            return {**networks, **image_head.served_head(graphs)}
        return networks


METHOD = CasaeMethod()
