"""TL-SDD: rare defect classes from a few boxed examples, by transfer in two phases. See README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.dataset.samples import Dataset
from blemish.methods.base import BaseMethod
from blemish.methods.capabilities import (
    Embedder,
    EmbedsRegions,
    Enrolment,
    EnrolsClasses,
    Example,
    Exported,
    ExportsGraphs,
    GraphPlan,
)
from blemish.methods.common.graphs import FIXED_SIDE
from blemish.methods.contract import Fitted, Graph, Networks, Trainer
from blemish.methods.tlsdd.inference import TlsddInference, inference_from
from blemish.methods.tlsdd.memory import TlsddCurves, TlsddMemory
from blemish.methods.tlsdd.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class TlsddMethod(BaseMethod[Settings], EnrolsClasses, EmbedsRegions, ExportsGraphs):
    """The method's object; imports torch only where networks are built."""

    name = "tlsdd"
    title = "Few-shot defect detection (TL-SDD)"
    settings_type = Settings
    memory_type = TlsddMemory
    curves_type = TlsddCurves
    takes_start = True
    needs_defects_in = ("train",)

    def fit(self, dataset: Dataset, settings: Settings, trainer: Trainer) -> Fitted:
        from blemish.methods.tlsdd.fitting import fit

        return fit(dataset, settings, trainer)

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        from blemish.methods.tlsdd.bank import ClassBank
        from blemish.methods.tlsdd.detector import Detector

        settings = self.settings(manifest).model_copy(update={"backbone_weights": "none"})
        classes = len(manifest.class_names)
        detector = Detector(settings, classes)
        bank = ClassBank(classes, width=settings.width, embedding=settings.embedding)
        detector.serve(bank)
        return {"detector": detector, "bank": bank}

    def refuse_misfits(self, modules: Mapping[str, nn.Module], *, source: str) -> None:
        from blemish.methods.tlsdd.bank import ClassBank, refuse_other_bank

        refuse_other_bank(modules["detector"], cast(ClassBank, modules["bank"]), source=source)

    def inference(self, manifest: Manifest) -> TlsddInference:
        return inference_from(
            self.settings(manifest),
            manifest.class_names,
            threshold=manifest.thresholds["score"],
        )

    def enrol(
        self,
        networks: Mapping[str, nn.Module] | Exported,
        manifest: Manifest,
        name: str,
        examples: Sequence[Example],
    ) -> Enrolment:
        from blemish.methods.tlsdd.add_class import enrolled

        return enrolled(networks, manifest, name, examples)

    def tuning(self, manifest: Manifest, name: str, examples: int) -> dict[str, Any]:
        from blemish.methods.tlsdd.add_class import tuning_settings

        return tuning_settings(self.settings(manifest), name, examples)

    def embedder(self, networks: Mapping[str, nn.Module] | Exported, manifest: Manifest) -> Embedder:
        from blemish.methods.tlsdd.embedding import RegionEmbedder, refuse_no_space
        from blemish.methods.tlsdd.parts import opened

        refuse_no_space(self.settings(manifest))
        return RegionEmbedder(*opened(networks, manifest))

    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        from blemish.methods.tlsdd.bank import ClassBank
        from blemish.methods.tlsdd.detector import Detector
        from blemish.methods.tlsdd.export import plans

        detector, bank = cast(Detector, modules["detector"]), cast(ClassBank, modules["bank"])
        return plans(detector, bank, fixed_side=manifest.tiling.get(FIXED_SIDE))

    def kept_tensors(self, manifest: Manifest) -> tuple[str, ...]:
        return ("bank",)

    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        from blemish.methods.tlsdd.served import served_detector

        return {"detector": served_detector(Exported(graphs, tensors), manifest)}


METHOD = TlsddMethod()
