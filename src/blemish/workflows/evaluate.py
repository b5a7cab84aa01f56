"""Measuring a bundle, or several as a chain, on a split of a dataset; writes the figures and a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blemish.bundle.manifest import Manifest, known_images
from blemish.bundle.store import Bundle, load_bundle
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.ignored import sentences_on_ignored
from blemish.dataset.opening import naming_the_option
from blemish.dataset.samples import Dataset
from blemish.decision.decision import Decision
from blemish.decision.sentences import sentences
from blemish.decision.usage import read_usage
from blemish.evaluation.baselines import HISTOGRAMS, ImageFeatures
from blemish.evaluation.calibration import hidden_defects
from blemish.evaluation.causes import Trained
from blemish.evaluation.decided import operating_point_of
from blemish.evaluation.evidence import features_at_hand, with_evidence
from blemish.evaluation.records import Evaluation, ImageRecord
from blemish.evaluation.report import ReportContext
from blemish.evaluation.run import evaluate_samples, for_judge, notes_on_groups, split_to_evaluate
from blemish.evaluation.stored import (
    region_choice,
    regions_in_words,
    threshold_sweep,
    training_curve,
    training_losses,
)
from blemish.evaluation.truth import sentences_on_lost_places
from blemish.folder_lock import locks_out
from blemish.inspector.chain import Judge, as_judge
from blemish.inspector.chain_data import notes_on_data, refuse_unrelated
from blemish.inspector.inspector import BundleInspector
from blemish.methods import find_method
from blemish.progress import Reporter
from blemish.workflows.evaluation_writer import EvaluationResult, data_context, write_evaluation
from blemish.workflows.reading import read_dataset
from blemish.workflows.scale import inspector_in_scale, notes_on_scale
from blemish.workflows.test_set_access import record_test_set_access

CHAIN_NOTE = (
    "Several bundles were run one after the other. Score, AUROC and thresholds are the first one's; the "
    "others can only send an image to a person. An image that a gate passed is without defects, severity 0, "
    "in every figure."
)

UNCHECKED_NOTE = "Images were judged whether or not they are like those of the training (--no-input-check)."


@dataclass(frozen=True)
class EvaluatedBundles:
    """A bundle to be measured, or the stages of a chain. places: their folders as the user gave them"""

    places: Sequence[Path]
    bundles: Sequence[Bundle]
    inspectors: Sequence[BundleInspector]
    judge: Judge

    @property
    def manifests(self) -> list[Manifest]:
        return [bundle.manifest for bundle in self.bundles]

    @property
    def methods(self) -> str:
        return "+".join(manifest.method for manifest in self.manifests)

    @property
    def decisions(self) -> list[Decision | None]:
        return [inspector.decision for inspector in self.inspectors]

    @property
    def decision(self) -> Decision | None:
        """Decision of the first bundle, which makes the verdict."""
        return self.decisions[0]

    def notes_on_known_images(self, chosen: Dataset) -> Iterator[str]:
        """Sentences on bundles that were trained or decided on images that are to be measured."""
        for manifest, inspector in zip(self.manifests, self.inspectors, strict=True):
            yield from notes_on_known_images(manifest, chosen, inspector.decision)

    def notes_on_hidden(self, records: Sequence[ImageRecord]) -> Iterator[str]:
        """Sentences on minimum sizes of decisions that are above a labelled defect of these images."""
        for inspector in self.inspectors:
            if inspector.decision is not None:
                yield from hidden_defects(
                    inspector.decision,
                    records,
                    mm_per_px=inspector.scale,
                    classifies=inspector.inference.classifies,
                )


@locks_out
def evaluate_bundles(  # noqa: PLR0913 - every option of an evaluation
    places: Sequence[Path],
    data: Path,
    out: Path,
    *,
    split: str,
    command: str,
    mm_per_px: float | None = None,
    device: str = "auto",
    input_check: bool = True,
    skip_broken: bool = False,
    quiet: bool = False,
) -> EvaluationResult:
    """Measure a bundle, or several as a chain, on a split; writes metrics.json and report.html.

    Images of the split "test" are sealed: each evaluation on them is counted in every bundle.
    places: folders of the bundles; command: the user's call, for the report
    input_check: whether images unlike those of the training are REVIEW in place of OK
    skip_broken: leave out broken files, each with a line, and note them in metrics.json and the report
    Raises BlemishError for bundles and data that do not go together.
    """
    reporter = Reporter(quiet=quiet)
    dataset = read_dataset(data, reporter, skip_broken=skip_broken)
    evaluated = opened(places, dataset, device=device, mm_per_px=mm_per_px, input_check=input_check)
    chosen, left_out = for_judge(split_to_evaluate(dataset, split), evaluated.judge, evaluated.manifests)
    notes = (*left_out, *notes_on_data(evaluated.bundles), *decisions_of_later(evaluated.inspectors))
    notes += (*evaluated.notes_on_known_images(chosen), *notes_on_groups(chosen))
    notes += (*notes_on_scale(evaluated.inspectors[0], dataset), *sentences_on_ignored(chosen))
    notes += () if input_check else (UNCHECKED_NOTE,)
    for note in notes:
        reporter.line(f"warning: {note}")
    context = report_context(evaluated, chosen, data, command)  # before the long work: it may refuse
    with naming_the_option(chosen):
        evaluation = measured(evaluated, chosen, split, reporter)
    evaluation = with_evidence(
        evaluation,
        dataset.split("train"),
        trained=trained(evaluated),
        features=features_of(evaluated.bundles[0]),
    )
    late = (*evaluated.notes_on_hidden(evaluation.records), *sentences_on_lost_places(evaluation.records))
    context = replace(context, notes=(*notes, *late))
    evaluation, context = record_test_set_access(
        evaluation, context, evaluated.bundles, chosen, evaluated.decisions
    )
    for note in context.notes[len(notes) :]:
        reporter.line(note)
    for line in context.regions:
        reporter.line(line)
    context = context_of_chain(context, evaluated.bundles, places)
    return write_evaluation(out, evaluation, context, split=split)


def opened(
    places: Sequence[Path],
    dataset: Dataset,
    *,
    device: str,
    mm_per_px: float | None,
    input_check: bool,
) -> EvaluatedBundles:
    """Bundles and inspectors of these folders. Raises BlemishError for one that is refused."""
    bundles = [load_bundle(place) for place in places]
    for bundle in bundles:
        read_usage(bundle.path, bundle=bundle.id)  # before the long work: it may refuse
    if input_check:
        refuse_unrelated(bundles)
    inspectors = [
        inspector_in_scale(bundle, dataset, device=device, mm_per_px=mm_per_px, input_check=input_check)
        for bundle in bundles
    ]
    return EvaluatedBundles(places, bundles, inspectors, as_judge(inspectors))


def trained(evaluated: EvaluatedBundles) -> Trained:
    """The first bundle, whose scores are judged, with the losses of its training."""
    manifest, inference = evaluated.manifests[0], evaluated.inspectors[0].inference
    return Trained(manifest, inference, training_losses(manifest, evaluated.places[0]))


def features_of(bundle: Bundle) -> ImageFeatures:
    """Features to compare images by; those of a bundle that is run without torch need none either."""
    if bundle.manifest.runtime is not None:
        return HISTOGRAMS
    return features_at_hand(bundle.networks, bundle.manifest.settings)


def measured(evaluated: EvaluatedBundles, chosen: Dataset, split: str, reporter: Reporter) -> Evaluation:
    first = evaluated.manifests[0]
    return evaluate_samples(evaluated.judge, chosen, reporter).result(
        method=evaluated.methods,
        split=split,
        seed=first.provenance.get("seed"),
        operating_point=operating_point_of(first, evaluated.decision),
        pixel_threshold=evaluated.judge.inference.pixel_threshold,
    )


def notes_on_known_images(
    manifest: Manifest, chosen: Dataset, decision: Decision | None = None
) -> tuple[str, ...]:
    """Sentence for a bundle that was trained, or its thresholds chosen, on images that are to be measured."""
    calibrated = decision.chosen.seen if decision and decision.chosen else ()
    known = {*known_images(manifest.data), *calibrated} & set(image_digests(chosen))
    if not known:
        return ()
    return (
        f"{len(known)} of these {len(chosen)} images were used to train the bundle or to choose its "
        "thresholds: on them the figures and bounds say nothing about new parts.",
    )


def report_context(evaluated: EvaluatedBundles, dataset: Dataset, data: Path, command: str) -> ReportContext:
    """Report context of the first bundle: data, settings, curves and the decision in words.

    data: the path as the user gave it. Raises BlemishError for stored curves that cannot be drawn.
    """
    loaded, place, decision = evaluated.bundles[0], evaluated.places[0], evaluated.decision
    manifest = loaded.manifest
    return replace(
        data_context(dataset, data, command),
        title=f"{find_method(manifest.method).title} on {dataset.root.name}",
        method=manifest.method,
        bundle_name=str(place),
        bundle_hash=loaded.id,
        training=training_curve(manifest, place),
        threshold_sweep=threshold_sweep(manifest, place),
        **region_charts(manifest, place),
        regions=regions_in_words(manifest),
        settings=settings_and_steps(manifest),
        noticed=manifest.notes,
        decided=sentences(decision) if decision else (),
    )


def region_charts(manifest: Manifest, place: Path) -> dict[str, Any]:
    """Fields of a report's context on how regions were chosen; none where they were not."""
    charts = region_choice(manifest, place)
    return {} if charts is None else dict(zip(("region_surface", "region_areas"), charts, strict=True))


def settings_and_steps(manifest: Manifest) -> dict[str, Any]:
    """Settings of a bundle, and the steps of its training that were planned and taken, where it has them."""
    steps = {
        name: manifest.provenance[key]
        for name, key in (("steps planned", "steps_planned"), ("steps taken", "steps_taken"))
        if manifest.provenance.get(key)
    }
    return {**manifest.settings, **steps}


def decisions_of_later(stages: Sequence[BundleInspector]) -> tuple[str, ...]:
    """Sentences on the decisions of stages behind the first, whose limits make no verdict in a chain."""
    return tuple(
        f"{stage.bundle} has a decision of its own: what it ignores is ignored and what it grades is graded, "
        f"but its thresholds and limits make no verdict here. {' '.join(sentences(stage.decision))}"
        for stage in stages[1:]
        if stage.decision is not None
    )


def context_of_chain(first: ReportContext, stages: Sequence[Bundle], places: Sequence[Path]) -> ReportContext:
    """Report context of a whole chain, made from that of its first bundle; unchanged for one bundle.

    stages: bundles in their order; places: their folders as the user gave them
    """
    if len(stages) == 1:
        return first
    manifests = [stage.manifest for stage in stages]
    return replace(
        first,
        title=f"{first.title}, as the first of {len(stages)} bundles",
        method="+".join(manifest.method for manifest in manifests),
        bundle_name=" + ".join(map(str, places)),
        bundle_hash="+".join(stage.id for stage in stages),
        settings={
            f"{manifest.method}.{key}": value
            for manifest in manifests
            for key, value in settings_and_steps(manifest).items()
        },
        training=None,
        threshold_sweep=None,
        region_surface=None,
        region_areas=None,
        regions=tuple(line for manifest in manifests for line in regions_in_words(manifest)),
        notes=(CHAIN_NOTE, *first.notes),
        noticed=tuple(note for manifest in manifests for note in manifest.notes),
    )
