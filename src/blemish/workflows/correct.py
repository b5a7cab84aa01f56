"""`accept` and `reject`: wrongly judged images become part of a bundle as data, and can be taken back.

Nothing is trained; exported bundles are corrected without torch. The report says what becomes of the images
themselves and of the validation images, whose patches the bundle holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from blemish.bundle.store import DECISION, Bundle, load_bundle, save_bundle, sha256_of
from blemish.dataset.boxes import cleaned_boxes
from blemish.dataset.opening import open_dataset
from blemish.decision.store import decision_text, stored_decision
from blemish.errors import BlemishError, WrongUseError
from blemish.files import write_atomically
from blemish.folder_lock import folder_lock
from blemish.images.bit_depth import full_range
from blemish.images.decode import image_size, read_image, with_channels
from blemish.inspection import Inspection, Verdict
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of, method_of, networks_of
from blemish.inspector.sources import images_below
from blemish.methods.capabilities import (
    CorrectedBundle,
    CorrectedImage,
    CorrectionKind,
    KnownScore,
    TakesCorrections,
)
from blemish.progress import Reporter

NAMED = 10  # images at most in a sentence
DONE = {"accept": "accepted as good", "reject": "rejected as defective"}


@dataclass(frozen=True)
class CorrectRequest:
    """A correction to be made, or with `undo` the last one of its kind to be taken back.

    images: files and folders; boxes: a dataset that marks defects in them, for "reject"
    by, on: who corrects and when, for the record
    """

    kind: CorrectionKind
    bundle: Path
    images: tuple[Path, ...]
    out: Path
    boxes: Path | None = None
    undo: bool = False
    by: str = ""
    on: str = ""
    device: str = "auto"


@dataclass(frozen=True)
class Corrected:
    """Corrected bundle. path: of it; sentences: on what changed"""

    path: Path
    sentences: tuple[str, ...]
    known: tuple[KnownScore, ...] = field(default=())


def correct(request: CorrectRequest, *, quiet: bool = False) -> Corrected:
    """Write the corrected bundle, with the decision of the one before.

    Raises WrongUseError for images with `undo` or none without, BlemishError for a bundle whose method takes
    no corrections, an image that cannot be read or is corrected already, and a folder that exists.
    """
    refuse_wrong_use(request)
    reporter = Reporter(quiet=quiet)
    with folder_lock(request.out, beside=True, note=reporter.line):
        if request.out.exists():
            raise BlemishError(f"{request.out} already exists. Choose another --out.")
        parent = load_bundle(request.bundle)
        method, inference = method_of(parent)
        if not isinstance(method, TakesCorrections):
            raise BlemishError(
                f"{request.bundle}: method {method.name} takes no corrections without training. Train it "
                "again with these images, or choose thresholds anew: blemish decide."
            )
        networks = networks_of(parent, method, device=request.device, bfloat16=False)
        tensors, manifest = parent.networks, parent.manifest
        images = read_images(request, parent, inference.channels, reporter.line)
        before = replace(inspector_of(parent, device=request.device), limited=False)
        made = (
            method.undo(request.kind, networks, tensors, manifest)
            if request.undo
            else method.correct(
                request.kind,
                images,
                networks,
                tensors,
                manifest,
                review=review_threshold(before),
                by=request.by,
                on=request.on,
            )
        )
        written = save(parent, made, request.out)
        after = replace(inspector_of(written, device=request.device), limited=False)
        sentences = (
            *(f"{image.name}: {changed(image, before, after)}." for image in images),
            *sentences_on_known(made.known, after),
        )
        for sentence in sentences:
            reporter.line(sentence)
        return Corrected(written.path, sentences, made.known)


def refuse_wrong_use(request: CorrectRequest) -> None:
    if request.undo and (request.images or request.boxes):
        raise WrongUseError(
            f"--undo takes back the last {request.kind}. Received: images as well. Leave them out."
        )
    if not request.undo and not request.images:
        raise WrongUseError(f"{request.kind} needs images. Received: none. Name files or a folder.")


def read_images(
    request: CorrectRequest, bundle: Bundle, channels: int | None, note: Callable[[str], None]
) -> tuple[CorrectedImage, ...]:
    """Images of a request with their boxes, each content once. note: called with a line on what is left out

    Raises BlemishError for an image without a box, where boxes are given, and for a folder without an image.
    """
    files = [
        file
        for path in request.images
        for file in (images_below(path, note).images if path.is_dir() else [path])
    ]
    marked = boxes_by_digest(request.boxes) if request.boxes else None
    found: dict[str, CorrectedImage] = {}
    for file in files:
        stored = full_range(read_image(file), bundle.manifest.settings.get("bits"), str(file))
        digest = sha256_of(file)
        boxes = None
        if marked is not None:
            boxes = marked.get(digest)
            if not boxes:
                raise BlemishError(
                    f"{file} has no box in {request.boxes}. Mark its defects, or leave --boxes out."
                )
        found.setdefault(digest, CorrectedImage(file.name, digest, with_channels(stored, channels), boxes))
    return tuple(found.values())


def boxes_by_digest(data: Path) -> dict[str, tuple[tuple[float, float, float, float], ...]]:
    """Boxes of a dataset's images, by the SHA-256 of the file."""
    return {
        sha256_of(sample.image): tuple(
            box.box_xyxy for box in cleaned_boxes(sample, image_size(sample.image)).boxes
        )
        for sample in open_dataset(data)
        if sample.is_defective
    }


def save(parent: Bundle, made: CorrectedBundle, out: Path) -> Bundle:
    """Write the parent with its changes; graphs, certificate and decision go with it."""
    manifest = parent.manifest.model_copy(update={"memory": dict(made.memory)})
    networks = {**parent.networks, **made.networks}
    written = save_bundle(out, manifest, networks, other_files=parent.other_files)
    decision = stored_decision(parent.path, bundle=parent.id)
    if decision is not None:
        own = decision.model_copy(update={"bundle": written.id})
        write_atomically(written.path / DECISION, decision_text(own))
    return load_bundle(out)


def review_threshold(inspector: BundleInspector) -> float:
    """Image score from which an image is not OK."""
    if inspector.decision is None:
        return min(inspector.review, inspector.ng)
    score = inspector.decision.score
    return min((each for each in (score.review, score.ng) if each is not None), default=1.0)


def changed(image: CorrectedImage, before: BundleInspector, after: BundleInspector) -> str:
    """Verdict of an image before and after."""
    was, now = (inspector.judge(image.pixels, image.name) for inspector in (before, after))
    return f"{spoken(was)} before, {spoken(now)} now"


def spoken(inspection: Inspection) -> str:
    score = "" if inspection.score is None else f" ({inspection.score:.3f})"
    why = f", {'; '.join(inspection.reasons)}" if inspection.reasons else ""
    return f"{inspection.verdict.name}{score}{why}"


def sentences_on_known(known: Sequence[KnownScore], inspector: BundleInspector) -> tuple[str, ...]:
    """Sentences on the validation images whose verdict changes."""
    if not known:
        return ("The bundle holds no validation image, so that nothing is known of other images.",)
    lines = []
    for defective, kind in ((True, "defective"), (False, "good")):
        own = [each for each in known if each.defective == defective]
        if not own:
            lines.append(f"No {kind} validation image is known.")
            continue
        verdicts = [
            (each, verdict_of(each.before, inspector), verdict_of(each.after, inspector)) for each in own
        ]
        counts = ", ".join(
            f"{verdict.name} {sum(was is verdict for _, was, _ in verdicts)} → "
            f"{sum(now is verdict for _, _, now in verdicts)}"
            for verdict in (Verdict.OK, Verdict.REVIEW, Verdict.NG)
        )
        lines.append(f"Of {len(own)} {kind} validation images: {counts}.")
        if defective:
            passing = [each.id for each, was, now in verdicts if now is Verdict.OK and was is not Verdict.OK]
            lines += [f"warning: known defects that would now pass: {listed(passing)}."] if passing else []
        else:
            failing = [each.id for each, was, now in verdicts if was is Verdict.OK and now is not Verdict.OK]
            lines += [f"warning: good images no longer OK: {listed(failing)}."] if failing else []
    return tuple(lines)


def verdict_of(score: float, inspector: BundleInspector) -> Verdict:
    """Verdict by a score alone."""
    return inspector.judged(score, ()).verdict


def listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
