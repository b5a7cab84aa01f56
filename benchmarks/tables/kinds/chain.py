"""Rows that measure bundles of other rows one behind the other, or one of them alone, on the test images.

A chain is measured on the same images as each of its bundles, which were trained and validated on others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.tables.experiment import expanded
from benchmarks.tables.results import Result, RowJob
from benchmarks.tables.row_kind import Figures, NoSettings, RowKind, row_kinds, validated
from benchmarks.tables.schema import TRAIN, TableRow
from benchmarks.tables.table import Table
from benchmarks.tables.training import below, bundle_of, test_evaluation
from blemish.bundle.store import Bundle, load_bundle
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.bounds import proportion_bound
from blemish.evaluation.records import ImageRecord
from blemish.inspection import Verdict
from blemish.inspector.chain import Judge, judge_of, stages_of
from blemish.inspector.chain_order import Role, role_of
from blemish.methods import find_method


class ChainKind(RowKind):
    """The bundles of rows `stages` one behind the other, or one of them alone, on the test images."""

    name = "chain"
    takes_stages = True

    def settings(self, table: Table, row: TableRow) -> dict[str, Any]:
        """The stages in their order, and every setting behind each."""
        validated(NoSettings, row.settings, table, row)
        stages = self.measured_bundles(table, row)
        every = {f"{home.name}/{stage.name}": stage.traits.settings(home, stage) for home, stage in stages}
        return {"stages": list(row.stages), **flat(every)}

    def upgraded(self, table: Table, row: TableRow, stored: Result) -> dict[str, Any]:
        every = {}
        for home, stage in self.measured_bundles(table, row):
            place = f"{home.name}/{stage.name}"
            own = below(stored.settings, f"{place}.")
            every[place] = stage.traits.upgraded(home, stage, stored.model_copy(update={"settings": own}))
        return {"stages": stored.settings.get("stages"), **flat(every)}

    def measured_bundles(self, table: Table, row: TableRow) -> list[tuple[Table, TableRow]]:
        kinds = tuple(name for name, kind in row_kinds().items() if kind.is_stage)
        return [table.named_row(row, name, field="stages", kinds=kinds) for name in row.stages]

    def measure(self, table: Table, job: RowJob) -> Figures:
        """Figures of metrics.json for the test images, and those of the chain itself."""
        seed = job.seed or 0
        bundles = [stage_bundle(home, stage, seed) for home, stage in self.measured_bundles(table, job.row)]
        refuse_used_images(bundles, table.dataset.split("test"), f"table {table.name}, row {job.row.name}")
        judge = judge_of(bundles, device=bundles[0].manifest.settings["device"])
        manifests = [bundle.manifest for bundle in bundles]
        evaluation = test_evaluation(judge, table.dataset, manifests, seed, table.reporter)
        return {**evaluation.metrics, "chain": chain_figures(judge, evaluation.records)}


def flat(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Every value of every group under GROUP.KEY."""
    return {f"{group}.{key}": value for group, values in groups.items() for key, value in values.items()}


def stage_bundle(home: Table, row: TableRow, seed: int) -> Bundle:
    """The bundle that a row left. Raises BlemishError when it was trained with other settings."""
    if row.kind == TRAIN:
        return bundle_of(home, row, seed)
    bundle = load_bundle(home.bundle_path(row, seed), method=home.experiment.method)
    model = find_method(home.experiment.method).settings_type
    own = model.model_validate(bundle.manifest.settings).model_dump(mode="json")
    chosen = expanded({**home.experiment.settings, **row.settings})
    wanted = validated(model, {**own, **chosen}, home, row).model_dump(mode="json")
    if wanted != own:
        key = next(key for key in wanted if wanted[key] != own[key])
        raise BlemishError(
            f"{bundle.path} was trained with {key}={own[key]}. Row {row.name} of table {home.name} has "
            f"{wanted[key]}. Use another --out, or remove the run folder and the row's JSON."
        )
    return bundle


def refuse_used_images(bundles: Sequence[Bundle], images: Dataset, where: str) -> None:
    """Raises BlemishError where a bundle learned, or had its thresholds chosen, from a test image."""
    marks = set(image_digests(images))
    for bundle in bundles:
        data = bundle.manifest.data
        if used := marks & {*data.get("trained_on", ()), *data.get("validated_on", ())}:
            raise BlemishError(
                f"{where}: test images must be new to every bundle. Received: {bundle.path}, trained or "
                f"validated on {len(used)} of {len(images)}. Train it on the same splits."
            )


def chain_figures(judge: Judge, records: Sequence[ImageRecord]) -> dict[str, Any]:
    """Shares of images by their way: "passed" by a gate without the later stages, "disagreed": sent to a
    person as stages disagree, both with bounds; "seconds" by stage over all images, asked there or not.
    """
    judged = [record for record in records if record.inspection.verdict is not Verdict.ERROR]
    roles = [str(role_of(stage.inference)) for stage in stages_of(judge)]
    by_stage = [stage_seconds(record, roles[0]) for record in records]
    figures: dict[str, Any] = {
        "seconds": {
            name: float(np.mean([seconds.get(name, 0.0) for seconds in by_stage]))
            for name in ("decode", *roles)
        }
    }
    if len(roles) > 1:
        disagreed = [record for record in judged if record.inspection.reasons]
        figures["disagreed"] = proportion_bound(len(disagreed), len(judged)).to_json()
    if len(roles) > 1 and roles[0] == Role.GATE:
        passed = [record for record in judged if roles[1] not in stage_seconds(record, roles[0])]
        figures["passed"] = proportion_bound(len(passed), len(judged)).to_json()
    return figures


def stage_seconds(record: ImageRecord, only: str) -> dict[str, float]:
    """Seconds of decoding and of each stage that an image was asked in. only: the stage of one alone"""
    seconds: dict[str, float] = {}
    for step, milliseconds in record.inspection.timings_ms.items():
        stage, dot, _ = step.partition(".")
        name = stage if dot or step == "decode" else only
        seconds[name] = seconds.get(name, 0.0) + milliseconds / 1000
    return seconds
