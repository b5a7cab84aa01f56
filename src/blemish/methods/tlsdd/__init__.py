"""TL-SDD: rare defect classes from a few boxed examples, by transfer in two phases. See README.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Bundle, Tensors
from blemish.dataset.samples import Dataset
from blemish.methods.base import BaseMethod
from blemish.methods.capabilities import (
    ALARMS,
    AddsClasses,
    Embedder,
    EmbedsRegions,
    Enrolment,
    Example,
    Exported,
    ExportsGraphs,
    GraphPlan,
    Negative,
)
from blemish.methods.common import image_head
from blemish.methods.common.graphs import FIXED_SIDE
from blemish.methods.contract import Fitted, Graph, Networks, StageSteps, Summary, Trainer
from blemish.methods.tlsdd.memory import TlsddCurves, TlsddMemory, image_shift_of
from blemish.methods.tlsdd.runtime.inference import TlsddInference, inference_from
from blemish.methods.tlsdd.settings import BACKBONE, TlsddSettings

if TYPE_CHECKING:
    from torch import nn


class TlsddMethod(BaseMethod[TlsddSettings], AddsClasses, EmbedsRegions, ExportsGraphs):
    """The method's object; imports torch only where networks are built."""

    name = "tlsdd"
    title = "Few-shot defect detection (TL-SDD)"
    summary = Summary(
        needs="Boxes of the defects (outlines are turned into boxes): common classes with plenty of "
        "them, rare ones with five or more.",
        gives="Box, class and confidence of each defect, and a verdict; no outlines. A bundle takes "
        "a new class from a few boxes in seconds (`add-class`).",
        cost="A large network. With a ResNet-50 as backbone an image of 512×512 takes 0.45 s of processor "
        "time in fp32 where it is brought to 224, as by default, and 1.1 s at its own size, on a busy core.",
        when="Defects are marked by boxes, classes are to be told apart, and some are rare. From "
        "five boxes its AP50 of rare classes was 0.26 on NEU-DET; training all classes at "
        "once gave 0.02.",
    )
    settings_type = TlsddSettings
    memory_type = TlsddMemory
    curves_type = TlsddCurves
    supports_warm_start = True
    needs_defects_in = ("train",)
    stage_steps = (
        StageSteps("base", "steps", least=200),
        StageSteps("joint", "steps", least=200),
        StageSteps("fine", "fine_tune_steps", least=100),
        StageSteps(image_head.BASE_STAGE, image_head.STEPS, least=image_head.LEAST_STEPS),
        StageSteps(image_head.STAGE, image_head.STEPS, least=image_head.LEAST_STEPS),
    )
    cheaper = (
        {"kept_side": 192, "kept_box": 12},
        {"kept_side": 160, "kept_box": 10, "region_samples": 32, "clean_queries": 1},
    )

    def resolved_settings(self, settings: TlsddSettings, note: Callable[[str], None]) -> TlsddSettings:
        from blemish.methods.common.backbone_choice import with_chosen_network

        if settings.backbone != "auto":  # with --from, a file that the bundle's settings name may be gone
            return settings
        return with_chosen_network(settings, BACKBONE)

    def rehearsed_settings(
        self, dataset: Dataset, settings: TlsddSettings, start: Bundle | None
    ) -> TlsddSettings:
        from blemish.methods.tlsdd.training.fitting import rehearsed_settings

        return rehearsed_settings(dataset, settings, start)

    def fit(self, dataset: Dataset, settings: TlsddSettings, trainer: Trainer) -> Fitted:
        from blemish.methods.tlsdd.training.fitting import fit

        return fit(dataset, settings, trainer)

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        from blemish.methods.tlsdd.class_bank.bank import ClassBank
        from blemish.methods.tlsdd.class_bank.enrolled import (
            ENROLLED,
            blank_tensors,
            enrolled_names,
            has_background,
        )
        from blemish.methods.tlsdd.network.class_tensors import EnrolledTensors
        from blemish.methods.tlsdd.network.detector import Detector
        from blemish.nn.image_head import ImageHead

        settings = self.settings(manifest).model_copy(update={"backbone_weights": "none"})
        added = len(enrolled_names(manifest))
        trained = len(manifest.class_names) - added
        detector, bank = Detector(settings, trained), ClassBank.empty(settings, trained).to_torch()
        detector.serve(bank)
        modules: dict[str, nn.Module] = {"detector": detector, "bank": bank}
        if has_background(manifest):
            sampled = TlsddMemory.model_validate(manifest.memory).background_sample
            enrolled = EnrolledTensors(blank_tensors(settings, added, sampled))
            detector.serve(bank, enrolled)
            modules[ENROLLED] = enrolled
        if image_shift_of(manifest) is not None:
            modules[image_head.NAME] = ImageHead()
        return modules

    def check_compatible(self, modules: Mapping[str, nn.Module], *, source: str) -> None:
        from blemish.methods.tlsdd.network.class_tensors import ClassTensors, refuse_other_bank

        refuse_other_bank(modules["detector"], cast(ClassTensors, modules["bank"]), source=source)

    def inference(self, manifest: Manifest) -> TlsddInference:
        return inference_from(
            self.settings(manifest),
            manifest.class_names,
            threshold=manifest.thresholds["score"],
            shifts=manifest.memory.get("class_shifts"),
            enrolled=len(manifest.memory.get("enrolled", ())),
            image_shift=image_shift_of(manifest),
        )

    def enrol(
        self,
        networks: Mapping[str, nn.Module] | Exported,
        manifest: Manifest,
        name: str,
        examples: Sequence[Example],
        negatives: Sequence[Negative] = (),
        *,
        tune: bool = False,
        alarms: float = ALARMS,
    ) -> Enrolment:
        from blemish.methods.tlsdd.class_bank.adding import add_class

        return add_class(networks, manifest, name, examples, negatives, tune=tune, alarms=alarms)

    def extendable(self, manifest: Manifest) -> tuple[str, ...]:
        return tuple(manifest.memory.get("enrolled", ()))

    def remove_class(
        self, networks: Mapping[str, Tensors], manifest: Manifest, name: str
    ) -> tuple[Mapping[str, Tensors], Mapping[str, Any]]:
        from blemish.methods.tlsdd.class_bank.editing import without_class

        return without_class(networks, manifest, name)

    def rename_class(self, manifest: Manifest, name: str, new: str) -> Manifest:
        from blemish.methods.tlsdd.class_bank.editing import renamed

        return renamed(manifest, name, new)

    def tuning(self, manifest: Manifest, name: str, examples: int) -> dict[str, Any]:
        from blemish.methods.tlsdd.class_bank.adding import tuning_settings

        return tuning_settings(self.settings(manifest), name, examples)

    def embedder(self, networks: Mapping[str, nn.Module] | Exported, manifest: Manifest) -> Embedder:
        from blemish.methods.tlsdd.class_bank.embedding import RegionEmbedder, refuse_no_space
        from blemish.methods.tlsdd.class_bank.enrolled import KnownClasses
        from blemish.methods.tlsdd.runtime.parts import open_parts

        refuse_no_space(self.settings(manifest))
        parts, bank, enrolled = open_parts(networks, manifest)
        return RegionEmbedder(parts, KnownClasses(bank, enrolled).whole)

    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        from blemish.methods.common.export import image_head_plan
        from blemish.methods.tlsdd.export import plans
        from blemish.methods.tlsdd.network.class_tensors import ClassTensors
        from blemish.methods.tlsdd.network.detector import Detector

        detector, bank = cast(Detector, modules["detector"]), cast(ClassTensors, modules["bank"])
        found = plans(detector, bank, fixed_side=manifest.tiling.get(FIXED_SIDE))
        if image_head.NAME in modules:
            found[image_head.NAME] = image_head_plan(modules[image_head.NAME], channels=3)
        return found

    def kept_tensors(self, manifest: Manifest) -> tuple[str, ...]:
        from blemish.methods.tlsdd.class_bank.enrolled import ENROLLED, has_background

        return ("bank", ENROLLED) if has_background(manifest) else ("bank",)

    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        from blemish.methods.tlsdd.runtime.graph_detector import graph_network

        networks = {"detector": graph_network(Exported(graphs, tensors), manifest)}
        if image_shift_of(manifest) is not None:
            return {**networks, **image_head.served_head(graphs)}
        return networks


METHOD = TlsddMethod()
