"""The Python API: the use cases of blemish as functions of plain values. `import blemish` offers them.

Paths are str or Path, settings a dict. Functions are quiet unless `quiet=False`, which shows progress on
standard error. What the user can mend raises `BlemishError`, whose text is one line: rule, value received,
remedy. In the examples, `bundle`, `data`, `image` and `out` are paths: of a trained bundle, a dataset, an
image and a new folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from blemish.errors import BlemishError
from blemish.optional_dependencies import require_package
from blemish.python_words import call, in_python_words, refuse_below
from blemish.threads import set_threads

if TYPE_CHECKING:
    from blemish.dataset.samples import Dataset
    from blemish.image_inspector import Inspector
    from blemish.methods.capabilities import CorrectionKind
    from blemish.workflows.correct import Corrected
    from blemish.workflows.decide import DecideResult
    from blemish.workflows.evaluation_writer import EvaluationResult
    from blemish.workflows.inspect import RecordedInspections
    from blemish.workflows.recommend import Recommendation

AnyPath = str | PathLike[str]
Split = Literal["train", "val", "test", "all"]


@in_python_words()
def load(
    bundle: AnyPath,
    *,
    then: Sequence[AnyPath] = (),
    device: str = "auto",
    mm_per_px: float | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    memory_limit: float | None = None,
    input_check: bool = True,
) -> Inspector:
    """Open a bundle for inspection, or several as a chain.

    then: further bundles of a chain, in the order gate, segmenter, detector
    device: "auto", "cpu" or "cuda"; an exported bundle has only "auto" and "cpu"
    mm_per_px: scale of the images, instead of the bundle's or its decision's
    threads: maximum number in this process; None takes OMP_NUM_THREADS, else one per core
    time_limit: seconds that the networks may take for an image, beyond which it is an ERROR; None: 60, and 10
        for each megapixel
    memory_limit: GiB that the graphs of an exported bundle may take in this process; None: 4
    input_check: an image unlike those of the training is not OK but REVIEW; False judges it like any other
    Raises BlemishError for a bundle that is damaged, of another version, or cannot run here.

    >>> inspector = blemish.load(bundle, device="cpu")
    >>> inspector.class_names[:2]
    ('scratch', 'spot')
    >>> inspection = inspector.inspect(image)
    >>> inspection.size
    (96, 96)
    >>> [each.verdict == inspection.verdict for each in inspector.inspect_many([image, image])]
    [True, True]
    """
    from blemish.image_inspector import load_inspector
    from blemish.inspector.limits import limits_of
    from blemish.workflows.scale import checked_scale

    set_threads(threads)
    folders = [Path(bundle), *map(Path, then)]
    limits = limits_of(time_limit, memory_limit)
    return load_inspector(
        folders,
        device=device,
        mm_per_px=checked_scale(mm_per_px),
        limits=limits,
        input_check=input_check,
    )


def open_dataset(root: AnyPath, *, layout: str | None = None, skip_broken: bool = False) -> Dataset:
    """Open a dataset; its layout is recognised, or named by `layout`. No image is decoded.

    root: the folder of the images, or a dataset.yaml that names it
    skip_broken: leave out what cannot be read and list it in `Dataset.skipped`, instead of raising
    Raises BlemishError that names the file or setting.

    >>> dataset = blemish.open_dataset(data)
    >>> len(dataset), dataset.class_names[:2]
    (24, ('scratch', 'spot'))
    >>> sorted(dataset.splits)
    ['test', 'train', 'val']
    """
    from blemish.dataset.layouts import load_dataset

    return load_dataset(Path(root), layout=layout, skip_broken=skip_broken)


@in_python_words()
def recommend(data: AnyPath) -> Recommendation:
    """Recommend the method that suits a dataset, by what its images are marked with.

    returns: an object with `method`, `reason`, `settings` that the data call for, `better`, sentences on what
        would make the data better, and `second`, another choice or None
    Raises BlemishError where no method can learn from the data, with what is missing.

    >>> found = blemish.recommend(data)
    >>> found.method, found.second.method
    ('severity', 'casae')
    """
    from blemish.workflows.recommend import recommend as choose

    return choose(Path(data), open_dataset(data))


@in_python_words()
def train(  # noqa: PLR0913 - every option of a training
    method: str | None,
    data: AnyPath | None,
    out: AnyPath,
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    resume: bool = False,
    initial_bundle: AnyPath | None = None,
    time_budget: str | float | None = None,
    skip_broken: bool = False,
    threads: int | None = None,
    quiet: bool = True,
) -> Path:
    """Train a method on the dataset's train and val splits; returns the path of the bundle, OUT/bundle.

    method: such as "severity", or "auto" for the one that `recommend` names
    settings: of the method by name, defaults for the others; seed: None is 0
    initial_bundle: start from this bundle, with its settings
    resume: continue the run in `out`, with its own method, data, settings and seed where they are None
    skip_broken: leave out broken files and note them in the bundle, instead of raising
    time_budget: that training may take, in seconds or such as "15m"; None: as the preset says
    Raises BlemishError for a wrong method, settings or data.

    >>> settings = {"steps": 2, "batch": 2, "patch": 64, "types": False, "device": "cpu"}
    >>> trained = blemish.train("severity", data, out, settings=settings)
    >>> trained.relative_to(out)
    PosixPath('bundle')
    """
    refuse_below(0, seed=seed)
    require_package("torch", "blemish.train")
    from blemish.workflows.train import train_bundle

    return train_bundle(
        method,
        None if data is None else Path(data),
        Path(out),
        settings=settings,
        seed=seed,
        resume=resume,
        initial_bundle=None if initial_bundle is None else Path(initial_bundle),
        time_budget=time_budget,
        threads=threads,
        skip_broken=skip_broken,
        quiet=quiet,
    )


@in_python_words()
def evaluate(  # noqa: PLR0913 - every option of an evaluation
    bundle: AnyPath,
    data: AnyPath,
    out: AnyPath,
    *,
    split: Split = "test",
    then: Sequence[AnyPath] = (),
    mm_per_px: float | None = None,
    device: str = "auto",
    input_check: bool = True,
    skip_broken: bool = False,
    threads: int | None = None,
    quiet: bool = True,
) -> EvaluationResult:
    """Measure a bundle, or a chain, on a split of a dataset; writes metrics.json and report.html to `out`.

    skip_broken: leave out broken files and note them in metrics.json, instead of raising
    then, input_check: see `load`. Test images are sealed: each evaluation on them is counted in the bundle.
    returns: an object with `metrics`, as metrics.json holds them, `figures`, a few lines with those that
        matter, and `report`, the path of report.html
    Raises BlemishError where bundle and data do not go together.

    >>> result = blemish.evaluate(bundle, data, out, device="cpu")
    >>> result.metrics["images"], result.report.name
    (5, 'report.html')
    """
    from blemish.workflows.evaluate import evaluate_bundles
    from blemish.workflows.scale import checked_scale

    set_threads(threads)
    return evaluate_bundles(
        [Path(bundle), *map(Path, then)],
        Path(data),
        Path(out),
        split=split,
        command=call("evaluate", bundle, data, out, split=split, then=then, mm_per_px=mm_per_px),
        mm_per_px=checked_scale(mm_per_px),
        device=device,
        input_check=input_check,
        skip_broken=skip_broken,
        quiet=quiet,
    )


@in_python_words()
def inspect(  # noqa: PLR0913 - every option of an inspection
    bundle: AnyPath,
    images: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    *,
    then: Sequence[AnyPath] = (),
    overlay: bool = False,
    sheet: bool = False,
    csv: bool = False,
    every: int = 1,
    mm_per_px: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    time_limit: float | None = None,
    memory_limit: float | None = None,
    input_check: bool = True,
    watch: bool = False,
    duration: str | float | None = None,
    max_images: int | None = None,
    resume: bool = False,
    quiet: bool = True,
) -> RecordedInspections:
    """Inspect files of images into OUT/inspections.jsonl; for images in memory and single answers see `load`.

    images: image, folder, video, glob, or list of paths (.txt), or several of them; or a live source:
        "rtsp://…", "http://…" (Motion JPEG) or "camera:0"; then: see `load`
    overlay: also draw each image with its defects; every: n, for every n-th frame of a video or a stream
    sheet: also draw small pictures of the images on one sheet, the worst first
    csv: also write tables for spreadsheets, of images and of defects
    time_limit, memory_limit, input_check: see `load`
    watch: inspect what is in the folder, and then each image that comes
    duration, max_images: of a live source or a watched folder, in seconds or such as "10m", and inspected
        images, after which it ends; None: when it is interrupted
    resume: keep the answers in OUT of a run that did not end, and inspect the other images
    returns: an object with `file`, the path, `failures`, how many have the verdict ERROR, and `counts` of all
        that was found: `counts.verdicts`, `counts.left_out` with the reasons, `counts.not_judged`; iterating
        over it gives the inspections
    Raises BlemishError for a bundle or path that is refused, and at the end for what could not be written.

    >>> recorded = blemish.inspect(bundle, [image], out, device="cpu")
    >>> recorded.file.name, recorded.failures, len(list(recorded))
    ('inspections.jsonl', 0, 1)
    >>> recorded.counts.found, recorded.counts.judged, recorded.counts.not_judged
    (1, 1, 0)
    """
    refuse_below(1, every=every, max_images=max_images)
    from blemish.durations import parse_duration
    from blemish.inspector.limits import limits_of
    from blemish.inspector.live.options import LiveOptions
    from blemish.workflows.inspect import inspect_images
    from blemish.workflows.scale import checked_scale

    set_threads(threads)
    paths = [images] if isinstance(images, str | PathLike) else images
    seconds = None if duration is None else parse_duration(str(duration), "--duration")
    recorded = inspect_images(
        [Path(bundle), *map(Path, then)],
        [path if isinstance(path, str) else Path(path) for path in paths],
        Path(out),
        overlay=overlay,
        sheet=sheet,
        csv=csv,
        every=every,
        mm_per_px=checked_scale(mm_per_px),
        device=device,
        limits=limits_of(time_limit, memory_limit),
        input_check=input_check,
        live=LiveOptions(watch, seconds, max_images),
        resume=resume,
        quiet=quiet,
    )
    if recorded.output_lack:
        raise BlemishError(f"{recorded.output_lack} The answers are in {recorded.file}.")
    return recorded


@in_python_words()
def decide(  # noqa: PLR0913 - every option of a decision
    bundle: AnyPath,
    data: AnyPath,
    *,
    escape: float | None = None,
    overkill: float | None = None,
    cost: str | None = None,
    rule: str | None = None,
    review: str | None = None,
    split: Split | None = None,
    limits: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
    grades: Sequence[str] | None = None,
    out: AnyPath | None = None,
    mm_per_px: float | None = None,
    device: str = "auto",
    skip_broken: bool = False,
    threads: int | None = None,
    quiet: bool = True,
) -> DecideResult:
    """Choose thresholds on calibration images and write them as a new revision of the bundle's decision.

    Give one of: escape, the share of defective images that may stay below NG; overkill, the share of clean
    images that may be rejected; cost, such as "escape=100,overkill=1"; rule, such as "f1".
    review: rule of the lower threshold, by default "balance<=0.2": the more images, the narrower the band
    split: None is "val" where the data have one, else "all"
    limits: such as ["crack:length=3mm:ng"]; ignore: such as ["length=0.2mm"]; grades: such as
        ["severity=8:scrap"]; None keeps those of the revision before, ["none"] drops them
    out: file to write instead of decision.yaml in the bundle
    skip_broken: leave out broken files and note their number, instead of raising
    returns: an object with `decision` (revision, thresholds, rules), `file`, and `sentences` on what it costs
    Raises BlemishError for images that the bundle was trained on, test images, and unknown rules.

    >>> result = blemish.decide(bundle, data, rule="f1", device="cpu")
    >>> result.decision.revision, result.file.name
    (1, 'decision.yaml')
    """
    from blemish.workflows import decide as workflow
    from blemish.workflows.decide_rules import chosen_rules, parsed_grades, parsed_limits, parsed_minimums
    from blemish.workflows.scale import checked_scale

    set_threads(threads)
    request = workflow.DecideRequest(
        Path(bundle),
        Path(data),
        chosen_rules(escape=escape, overkill=overkill, cost=cost, rule=rule, review=review),
        split=split,
        limits=parsed_limits(limits),
        ignore=parsed_minimums(ignore),
        grades=parsed_grades(grades),
        out=None if out is None else Path(out),
        mm_per_px=checked_scale(mm_per_px),
        device=device,
        skip_broken=skip_broken,
    )
    return workflow.decide(request, quiet=quiet)


@in_python_words()
def add_class(  # noqa: PLR0913 - every option of a new class
    bundle: AnyPath,
    name: str,
    examples: AnyPath,
    out: AnyPath,
    *,
    check: AnyPath | None = None,
    fine_tune: bool = False,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    skip_broken: bool = False,
    threads: int | None = None,
    quiet: bool = True,
    good: AnyPath | None = None,
    negative: AnyPath | None = None,
    tune: bool = True,
    alarms: float | None = None,
) -> Path:
    """Add a defect class to a bundle from 1 to 10 boxed examples; returns the new bundle's path.

    examples: dataset with the boxes, all of them or those called `name`; more of them for a class added so
    good: folder of images of good parts; negative: dataset whose boxes are false alarms of the class
    tune: fit the class to all regions of its examples' images, which takes seconds, if that finds as many
    alarms: false findings of the class on an image, on average, that its threshold lets pass; None: 0.1
    check: images of the older classes, measured before and after
    skip_broken: leave out broken files of both, instead of raising
    fine_tune: train briefly instead, on `check`'s training images as well; settings, seed: of that training
    The report is written beside the new bundle, to OUT-report.
    Raises BlemishError for a method that takes no class, and for examples that cannot be used.
    """
    refuse_below(0, seed=seed)
    from blemish.workflows import add_class as workflow

    set_threads(threads)
    request = workflow.AddClassRequest(
        Path(bundle),
        name,
        Path(examples),
        Path(out),
        check=None if check is None else Path(check),
        fine_tune=fine_tune,
        settings=settings or {},
        seed=seed,
        device=device,
        skip_broken=skip_broken,
        command=call("add_class", bundle, name, examples, out, check=check, fine_tune=fine_tune),
        good=None if good is None else Path(good),
        negative=None if negative is None else Path(negative),
        tune=tune,
        alarms=alarms,
    )
    return workflow.add_class(request, quiet=quiet)


@in_python_words()
def remove_class(bundle: AnyPath, name: str, out: AnyPath, *, quiet: bool = True) -> Path:
    """Remove a class that `add_class` added to a bundle; returns the new bundle's path.

    Raises BlemishError for a class that the bundle does not have, or that training taught.
    """
    from blemish.workflows.edit_classes import remove_class as remove

    return remove(Path(bundle), name, Path(out), quiet=quiet)


@in_python_words()
def rename_class(bundle: AnyPath, name: str, new: str, out: AnyPath, *, quiet: bool = True) -> Path:
    """Rename a class of a bundle, which finds the same as before; returns the new bundle's path.

    Raises BlemishError for a class that the bundle does not have, and for a name that it has.
    """
    from blemish.workflows.edit_classes import rename_class as rename

    return rename(Path(bundle), name, new, Path(out), quiet=quiet)


@in_python_words()
def accept(  # noqa: PLR0913 - every option of a correction
    bundle: AnyPath,
    images: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    *,
    undo: bool = False,
    by: str = "",
    on: str = "",
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = True,
) -> Corrected:
    """Teach a bundle of memory that images are good, in seconds; it may be exported.

    images: files or folders, none with `undo`, which takes the last ones back
    by, on: who corrects and when, for the bundle's record
    returns: an object with `path` of the new bundle, `sentences` on what changed, and `known`, the scores of
        the validation images before and after
    Raises BlemishError for a method that takes no corrections, and for images that cannot be used.
    """
    set_threads(threads)
    return corrected("accept", bundle, images, out, undo=undo, by=by, on=on, device=device, quiet=quiet)


@in_python_words()
def reject(  # noqa: PLR0913 - every option of a correction
    bundle: AnyPath,
    images: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    *,
    boxes: AnyPath | None = None,
    undo: bool = False,
    by: str = "",
    on: str = "",
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = True,
) -> Corrected:
    """Teach a bundle of memory that images are defective, in seconds; it may be exported.

    boxes: dataset that marks the defects in the images; the rest as of `accept`
    Raises BlemishError for a method that takes no corrections, and for images that cannot be used.
    """
    set_threads(threads)
    marked = None if boxes is None else Path(boxes)
    return corrected(
        "reject", bundle, images, out, boxes=marked, undo=undo, by=by, on=on, device=device, quiet=quiet
    )


def corrected(
    kind: CorrectionKind,
    bundle: AnyPath,
    images: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    *,
    quiet: bool,
    **options: Any,
) -> Corrected:
    """Correct a bundle. options: other fields of `CorrectRequest`"""
    from blemish.workflows import correct as workflow

    paths = [images] if isinstance(images, str | PathLike) else images
    request = workflow.CorrectRequest(kind, Path(bundle), tuple(map(Path, paths)), Path(out), **options)
    return workflow.correct(request, quiet=quiet)


@in_python_words()
def export(  # noqa: PLR0913 - every option of an export
    bundle: AnyPath,
    to: Literal["onnx", "openvino"],
    *,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    out: AnyPath | None = None,
    tile: int | None = None,
    data: AnyPath | None = None,
    calibration: int | None = None,
    max_drop: float | None = None,
    seed: int = 0,
    skip_broken: bool = False,
    threads: int | None = None,
    quiet: bool = True,
) -> Path:
    """Write a bundle that runs without torch, once it gives the same answers; returns the new one's path.

    out: None is beside the bundle: BUNDLE-onnx, BUNDLE-openvino-int8, …
    tile: cut images to this side and fix it, fastest
    data: images that both sides are compared on, needed for int8
    skip_broken: leave out broken files of `data`, instead of raising
    calibration: of int8, inputs of each graph; None is 100
    max_drop: of int8, what it may cost on validation images; None is 0.01
    Raises BlemishError for what cannot be exported, or answers that differ.
    """
    refuse_below(0, seed=seed, max_drop=max_drop)
    refuse_below(1, tile=tile, calibration=calibration)
    require_package("torch", "blemish.export")
    from blemish.workflows import export as workflow

    set_threads(threads)
    return workflow.export(
        Path(bundle),
        to,
        precision=precision,
        out=None if out is None else Path(out),
        tile=tile,
        data=None if data is None else Path(data),
        calibration=calibration,
        max_drop=max_drop,
        seed=seed,
        skip_broken=skip_broken,
        quiet=quiet,
    )
