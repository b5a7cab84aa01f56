"""`train`: from a dataset and settings to a bundle in a run folder, resumable at any point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from blemish.bundle.store import Bundle, save_bundle
from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.split import split_dataset
from blemish.errors import BlemishError
from blemish.evaluation.stored import regions_in_words
from blemish.inspector.loading import assemble
from blemish.methods.contract import Fitted
from blemish.progress import Reporter
from blemish.training.clock import Clock
from blemish.training.evidence import note_evidence
from blemish.training.manifest import describe, state_of, with_operating_point
from blemish.training.planning import keep_plan, planned, steps_saved
from blemish.training.record import note_steps
from blemish.training.request import (
    Request,
    claim_folder,
    refuse_good_images_alone,
    refuse_several_processes,
    refuse_unfit_start,
    refuse_unknown_rules,
    remove_empty_run,
    run_to_go_on,
    with_scale,
)
from blemish.training.trainer import RunTrainer

VALIDATION_SHARE = 0.2


def train(request: Request, reporter: Reporter, clock: Clock | None = None) -> Bundle:
    """Train, choose thresholds on the validation images, write RUN/bundle.

    clock: that a budget is counted on, where the work began before
    Raises BlemishError for data that the method cannot learn from, a folder that holds another run, or a loss
    that is not finite. Whatever stops it, checkpoints and an earlier bundle stay whole.
    """
    clock = reporter.whole = clock or Clock()
    refuse_unknown_rules(request.settings)
    refuse_several_processes()
    refuse_unfit_start(request)
    run_to_go_on(request)  # refused before time is spent on planning
    request = with_scale(request)
    settings = request.method.resolved_settings(request.settings, reporter.line)
    request = replace(request, settings=settings)
    needed = bool(request.method.needs_defects_in)
    dataset = with_validation(request.dataset, request.seed, reporter, needed=needed)
    refuse_good_images_alone(request.method, dataset)
    digest = fingerprint(dataset)
    request, plan = planned(request, dataset, trained, clock, reporter)
    claim_folder(request, digest)
    try:
        keep_plan(request.run, plan)
        clock.plan = plan
        trainer = RunTrainer(
            request.run,
            request.settings,
            seed=request.seed,
            reporter=reporter,
            initial_bundle=request.initial_bundle,
            clock=clock,
        )
        try:
            bundle = trained(request, dataset, trainer, digest)
            note_steps(request.run, trainer.steps)
            return bundle
        finally:
            trainer.log.close()
    except BlemishError:
        remove_empty_run(request.run)
        raise


def trained(request: Request, dataset: Dataset, trainer: RunTrainer, digest: str = "") -> Bundle:
    """Fit the method in a folder that the request has claimed; returns the bundle. digest: of the dataset"""
    fitted = request.method.fit(dataset, request.settings, trainer)
    for name, other in fitted.extra_models.items():
        trainer.reporter.line(f"{name}: a bundle of its own, in {request.run / name}")
        save_fitted(request.run / name, other, request, dataset, digest, trainer)
    return save_fitted(request.run / "bundle", fitted, request, dataset, digest, trainer)


def save_fitted(
    path: Path, fitted: Fitted, request: Request, dataset: Dataset, digest: str, trainer: RunTrainer
) -> Bundle:
    """Write the bundle of a fitted method, with an operating point where it can inspect images."""
    own = fitted.dataset or dataset
    fitted = replace(fitted, notes=(*fitted.notes, *steps_saved(trainer.clock.plan, trainer.steps)))
    manifest = describe(request, own, fitted, digest, trainer.steps)
    for line in regions_in_words(manifest):
        trainer.note(line)
    networks = {name: state_of(module) for name, module in fitted.modules.items()}
    if fitted.can_inspect:
        inference = request.method.inference(manifest)
        inspector = assemble(inference, trainer.networks(fitted.modules), manifest, "validation")
        held_out = (
            (each.sample, assemble(inference, trainer.networks(each.modules), manifest, "validation"))
            for each in fitted.held_out
        )
        manifest, judged = with_operating_point(manifest, inspector, own, request, trainer.reporter, held_out)
        note_evidence(judged, manifest, own, inspector.inference, networks, trainer)
    return save_bundle(path, manifest, networks)


def with_validation(dataset: Dataset, seed: int, reporter: Reporter, *, needed: bool = True) -> Dataset:
    """Give a dataset the splits "train" and "val": its own, or a share of its training images for "val".

    In a dataset of several products each of them has both.
    needed: else a single image, which cannot be divided, is left in "train"
    """
    if not dataset.products:
        return with_own_validation(dataset, seed, reporter, needed=needed)
    split_of: dict[str, str | None] = {}
    for name in dataset.products:
        of = f" of {name}"
        own = with_own_validation(of_product(dataset, name), seed, reporter, of=of, needed=needed)
        split_of |= {sample.id: sample.split for sample in own}
    return dataset.with_splits(split_of)


def with_own_validation(
    dataset: Dataset, seed: int, reporter: Reporter, *, of: str = "", needed: bool = True
) -> Dataset:
    """Give a dataset of one product the splits "train" and "val". of: the product, for the message

    needed: see `with_validation`
    """
    splits = dataset.splits
    if splits.get("val") and splits.get("train"):
        return dataset
    pool = (
        dataset.split("train") if splits.get("train") else dataset.where(lambda sample: sample.split is None)
    )
    if not len(pool):
        raise BlemishError(
            f"{dataset.root} has no training images{of}: splits are {splits}. Run `blemish data split`."
        )
    if len(pool) == 1 and not needed:
        return dataset.with_splits(
            {sample.id: "train" if sample.split is None else sample.split for sample in dataset}
        )
    groups = {sample.group for sample in pool} - {None}
    # Of fewer groups than it takes, one held out would be too large a share, and perhaps of one kind.
    by: Literal["content", "group"] = "group" if len(groups) * VALIDATION_SHARE >= 1 else "content"
    cut = split_dataset(pool, test=0.0, val=VALIDATION_SHARE, by=by, seed=seed)
    split_of = {sample.id: sample.split for sample in (*dataset, *cut)}
    held_out = cut.splits.get("val", 0)
    reporter.line(f"{held_out} of {len(pool)} images for training{of} are held out for validation.")
    return dataset.with_splits(split_of)
