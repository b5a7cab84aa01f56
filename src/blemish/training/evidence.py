"""What a trained bundle is worth, told at the end of a training by the validation images alone."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.dataset.samples import Dataset
from blemish.evaluation.causes import Trained
from blemish.evaluation.evaluator import Evaluator
from blemish.evaluation.evidence import features_at_hand, summary_lines, with_evidence
from blemish.evaluation.operating_point import OperatingPoint
from blemish.evaluation.records import ImageRecord, PixelCounts
from blemish.evaluation.stored import training_losses
from blemish.inspection import Verdict
from blemish.methods.contract import Inference
from blemish.training.trainer import RunTrainer


def note_evidence(
    evaluator: Evaluator,
    manifest: Manifest,
    dataset: Dataset,
    inference: Inference,
    networks: Mapping[str, Tensors],
    trainer: RunTrainer,
) -> None:
    """Note the figures that matter and warnings, for the user and the log of the run.

    evaluator: with the validation images, judged without thresholds; manifest: with an operating point
    """
    point = OperatingPoint.from_json(manifest.operating_point)
    assert point is not None
    judged = copy(evaluator)
    judged.records = [judged_by(record, point) for record in evaluator.records]
    evaluation = with_evidence(
        judged.result(method=manifest.method, split="val", seed=trainer.seed, operating_point=point),
        dataset.split("train"),
        trained=Trained(manifest, inference, training_losses(manifest, trainer.run)),
        features=features_at_hand(networks, manifest.settings),
    )
    images = f"validation, {len(judged.records)} images (the thresholds were chosen on them)"
    for line in summary_lines(evaluation.metrics, images):
        trainer.note(line)


def judged_by(record: ImageRecord, point: OperatingPoint) -> ImageRecord:
    """Record with the verdict of an operating point; where that is OK, its findings are under the limit."""
    inspection = record.inspection
    if inspection.score is None:
        return record
    verdict = point.verdict(inspection.score)
    if verdict is not Verdict.OK:
        return replace(record, inspection=replace(inspection, verdict=verdict))
    pixels = record.pixels
    if pixels is not None:
        pixels = PixelCounts(tp=0, fp=0, fn=pixels.tp + pixels.fn, tn=pixels.fp + pixels.tn)
    return replace(
        record,
        inspection=replace(inspection, verdict=verdict, defects=(), under_limit=inspection.defects),
        pixels=pixels,
        iou=record.iou[:, :0],
        ignored_overlap=record.ignored_overlap[:, :0],
    )
