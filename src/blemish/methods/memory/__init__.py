"""Memory: what is unlike all good patches is a defect, and what is like a marked one. See README.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.dataset.samples import Dataset
from blemish.methods.base import BaseMethod
from blemish.methods.capabilities import (
    CorrectedBundle,
    CorrectedImage,
    CorrectionKind,
    ExportsGraphs,
    GraphPlan,
    StoredCorrection,
    TakesCorrections,
)
from blemish.methods.common.graphs import FIXED_SIDE
from blemish.methods.contract import Fitted, Graph, Networks, StageSteps, Summary, SweptCurves, Trainer
from blemish.methods.memory.corrections import Corrector
from blemish.methods.memory.inference import (
    FEATURES,
    HEAD,
    PATCHES,
    REFERENCE,
    USUAL,
    MemoryInference,
    inference_from,
)
from blemish.methods.memory.serving import served
from blemish.methods.memory.settings import MemorySettings
from blemish.methods.memory.state import MemoryState

if TYPE_CHECKING:
    from torch import nn


class MemoryMethod(BaseMethod[MemorySettings], ExportsGraphs, TakesCorrections):
    """The method's object; imports torch only where networks are built."""

    name = "memory"
    title = "Memory of good patches"
    summary = Summary(
        needs="Images of good parts; one is enough to begin with. Marks of any kind, labels, boxes or "
        "outlines, are learned from as soon as there are some.",
        gives="A map of how far each place is from what is good, outlines, and a verdict; no classes.",
        cost="Training on 299 good images takes a minute of one core, and 0.5 GB beside the libraries; a "
        "head takes minutes more. An image takes 0.07 s of one core at 256×256.",
        when="There are good parts and no defects yet, or few; kinds of defects that nobody has seen must "
        "alarm; false alarms are to be corrected on the line. From good images alone AUROC was 0.96 on "
        "bottle caps and 0.89 on magnetic tiles, whose good ones differ much (test images, one seed).",
    )
    settings_type = MemorySettings
    memory_type = MemoryState
    curves_type = SweptCurves
    needs_defects_in = ()
    stage_steps = (StageSteps("head", "head_steps", least=200),)

    def resolved_settings(self, settings: MemorySettings, note: Callable[[str], None]) -> MemorySettings:
        from blemish.methods.common.backbone_choice import BACKBONE, with_chosen_network

        return with_chosen_network(settings, BACKBONE)

    def fit(self, dataset: Dataset, settings: MemorySettings, trainer: Trainer) -> Fitted:
        from blemish.methods.memory.training import fit

        return fit(dataset, settings, trainer)

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        from blemish.methods.memory.network import (
            DefectHead,
            FeatureNetwork,
            PatchCounts,
            Patches,
            Reference,
            Usual,
        )

        settings = self.settings(manifest).model_copy(update={"backbone_weights": "none"})
        state = MemoryState.model_validate(manifest.memory)
        counts = PatchCounts(
            state.patches,
            state.positives,
            len(state.validation),
            state.far,
            state.far if state.head else 0,
        )
        modules: dict[str, nn.Module] = {
            FEATURES: FeatureNetwork(settings),
            PATCHES: Patches(counts, state.dimensions),
            USUAL: Usual(self.inference(manifest).places),
        }
        if state.head:
            modules[HEAD] = DefectHead(state.dimensions, settings.head_width)
        if settings.align != "none" and settings.size is not None:
            modules[REFERENCE] = Reference(settings.size)
        return modules

    def inference(self, manifest: Manifest) -> MemoryInference:
        return inference_from(
            self.settings(manifest),
            manifest.class_names,
            state=MemoryState.model_validate(manifest.memory),
            threshold=manifest.thresholds["value"],
        )

    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        from blemish.methods.memory.export import graph_plans

        return graph_plans(modules, self.settings(manifest), manifest.tiling.get(FIXED_SIDE))

    def kept_tensors(self, manifest: Manifest) -> tuple[str, ...]:
        aligned = self.settings(manifest).align != "none"
        return (PATCHES, USUAL, REFERENCE) if aligned else (PATCHES, USUAL)

    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        return served(graphs, tensors, head=MemoryState.model_validate(manifest.memory).head)

    def correct(
        self,
        kind: CorrectionKind,
        images: Sequence[CorrectedImage],
        networks: Networks,
        tensors: Mapping[str, Tensors],
        manifest: Manifest,
        *,
        review: float,
        by: str = "",
        on: str = "",
    ) -> CorrectedBundle:
        corrector = Corrector(self.inference(manifest), networks, tensors, manifest.memory)
        return corrector.corrected(kind, images, review=review, by=by, on=on)

    def undo(
        self, kind: CorrectionKind, networks: Networks, tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> CorrectedBundle:
        return Corrector(self.inference(manifest), networks, tensors, manifest.memory).undone(kind)

    def corrections(self, manifest: Manifest) -> tuple[StoredCorrection, ...]:
        found = MemoryState.model_validate(manifest.memory).corrections
        return tuple(
            StoredCorrection(each.kind, tuple(each.images.values()), each.by, each.on) for each in found
        )


METHOD = MemoryMethod()
