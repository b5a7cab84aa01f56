"""Checking that a dataset is fit for use: counts, balance, broken files, leaks between splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from blemish.dataset.account import Account
from blemish.dataset.hashing import in_threads
from blemish.dataset.opening import without_faulty
from blemish.dataset.product_sets.products import ProductCounts, counts_of_products, one_sided_products
from blemish.dataset.quality.check_alike import AlikePair, alike, alike_problems, listing, lot_problems, lots
from blemish.dataset.quality.check_bits import bit_problems
from blemish.dataset.quality.check_image import ImageFinding, check_image
from blemish.dataset.quality.problems import ERROR, WARNING, Problem
from blemish.dataset.quality.rarity import shape_findings
from blemish.dataset.samples import Dataset, count

CLEAN_BY_FOLDER = frozenset({"labels", "mvtec"})  # layouts in which a folder says so, not a lack of labels
IMBALANCE_LIMIT = 10.0  # most frequent class / rarest, in images, from which a warning is given


@dataclass(frozen=True)
class CheckReport:
    """Findings of `check_dataset`. Splits are "train", "val", "test" and "" for none.

    images, annotations: class → split → how many images show it, how many annotations name it
    clean: split → images without annotations
    imbalance: images of the most frequent class for each of the rarest; None with fewer than two classes seen
    outlined, placed: defective images with an outline, or at least a box, for all that is marked in them
    products: normal and defective images of each product, in a dataset of several
    shapes: sizes and shapes of the boxes of each class, and what that says; None without boxes
    groups: images and classes of each lot; alike: pairs of images that are nearly the same
    account: what became of every file and annotation that reading found
    ignored: "crowd" and "difficult" → number of annotations that evaluation ignores
    smallest, largest: (height, width) by area; modes: "gray", "colour", "16-bit gray" … → images
    """

    root: str
    layout: str
    reason: str
    total: int
    splits: Mapping[str, int]
    images: Mapping[str, Mapping[str, int]]
    annotations: Mapping[str, Mapping[str, int]]
    clean: Mapping[str, int]
    imbalance: float | None
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    modes: Mapping[str, int]
    outlined: int
    placed: int
    problems: tuple[Problem, ...]
    products: tuple[ProductCounts, ...] = ()
    shapes: Mapping[str, Any] | None = None
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    alike: tuple[AlikePair, ...] = ()
    account: Account = field(default_factory=Account)
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def defective(self) -> int:
        return self.total - sum(self.clean.values())

    @property
    def usable(self) -> bool:
        """True where nothing was found that would stop or falsify training."""
        return all(problem.severity != ERROR for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        plain = asdict(replace(self, alike=(), account=Account()))
        alike = [pair.to_json() for pair in self.alike]
        return {**plain, "alike": alike, "account": self.account.to_json(), "usable": self.usable}


def check_dataset(
    dataset: Dataset,
    *,
    skipped: str = WARNING,
    skip_broken: bool = False,
    on_image: Callable[[], None] | None = None,
) -> CheckReport:
    """Decode every image and mask and report what is wrong with them; bad data raises nothing.

    skipped: severity of files that could not be read and were left out, ERROR unless that was requested
    skip_broken: also leave out images with an error, as `opening.without_broken` does; then BlemishError is
        raised where none is left
    on_image: called after each image, for a progress bar
    """
    findings: list[ImageFinding] = []
    for finding in in_threads(partial(check_image, class_names=dataset.class_names), dataset.samples):
        findings.append(finding)
        if on_image:
            on_image()
    if skip_broken:
        dataset = without_faulty(dataset, findings)
        findings = [finding for finding in findings if finding.sample.id not in dataset.skipped]
    defective = [sample for sample in dataset if sample.is_defective]
    shapes = shape_findings([(f.size, f.boxes) for f in findings if f.size], dataset.class_counts)
    groups, pairs = lots(dataset), alike(findings)
    sizes = sorted((f.size for f in findings if f.size), key=lambda size: (size[0] * size[1], size))
    return CheckReport(
        root=str(dataset.root),
        layout=dataset.layout,
        reason=dataset.reason,
        total=len(dataset),
        splits=dataset.splits,
        images=images_by_class(dataset),
        annotations={
            name: count(s.split or "" for s in dataset for a in s.annotations if a.label == name)
            for name in dataset.class_names
        },
        clean=count(sample.split or "" for sample in dataset if not sample.is_defective),
        imbalance=imbalance(dataset),
        smallest=sizes[0] if sizes else None,
        largest=sizes[-1] if sizes else None,
        modes=count(f.mode for f in findings if f.mode),
        outlined=sum(all(a.has_outline for a in s.annotations) for s in defective),
        placed=sum(all(a.has_place for a in s.annotations) for s in defective),
        problems=(
            *all_problems(dataset, findings, skipped),
            *alike_problems(pairs),
            *lot_problems(groups),
            *(Problem(WARNING, text) for text in (shapes or {}).get("sentences", ())),
        ),
        products=counts_of_products(dataset),
        shapes=shapes,
        groups=groups,
        alike=pairs,
        account=dataset.account,
        ignored=ignored(dataset),
    )


def images_by_class(dataset: Dataset) -> dict[str, dict[str, int]]:
    shown = [(s.split or "", {a.label for a in s.annotations}) for s in dataset]
    return {name: count(split for split, labels in shown if name in labels) for name in dataset.class_names}


def ignored(dataset: Dataset) -> dict[str, int]:
    marks = [annotation for sample in dataset for annotation in sample.annotations]
    return {"crowd": sum(a.crowd for a in marks), "difficult": sum(a.difficult for a in marks)}


def imbalance(dataset: Dataset) -> float | None:
    counts = [number for number in dataset.class_counts.values() if number]
    return max(counts) / min(counts) if len(counts) > 1 else None


def all_problems(dataset: Dataset, findings: Sequence[ImageFinding], skipped: str) -> Iterator[Problem]:
    """Problems of single images first, then those that concern several."""
    yield from (problem for finding in findings for problem in finding.problems)
    for reason in dict.fromkeys(dataset.skipped.values()):  # one may hold for several images
        yield Problem(skipped, f"left out: {reason}", "left-out")
    yield from (Problem(WARNING, line) for line in dataset.account.warnings)
    yield from drawn_problems(findings)
    yield from bit_problems(findings, dataset.info.get("bits"))
    for same in same_content(findings):
        yield from duplicate_problems(same, dataset)
    yield from split_problems(dataset)
    yield from group_problems(dataset)
    yield from class_problems(dataset)
    yield from (Problem(ERROR, text, "one-sided-product") for text in one_sided_products(dataset))


def drawn_problems(findings: Sequence[ImageFinding]) -> Iterator[Problem]:
    """Problem of images that look like masks, among others that do not."""
    drawn = [str(finding.sample.image) for finding in findings if finding.drawn]
    if drawn and len(drawn) < sum(finding.size is not None for finding in findings):
        text = f"drawings of a few values among photographs, taken as images of parts: {listing(drawn)}. "
        what = "Are they masks? Then name them so (a_mask.png, or a folder 'mask'), or remove them."
        yield Problem(WARNING, f"{text}{what}", "drawing-among-images")


def same_content(findings: Iterable[ImageFinding]) -> list[list[ImageFinding]]:
    """Groups of two or more findings whose images have equal pixels."""
    groups: dict[str, list[ImageFinding]] = {}
    for finding in findings:
        if finding.content is not None:
            groups.setdefault(finding.content, []).append(finding)
    return [group for group in groups.values() if len(group) > 1]


def duplicate_problems(same: Sequence[ImageFinding], dataset: Dataset) -> Iterator[Problem]:
    """Problems of images with equal pixels: duplicates, in several splits, marked differently."""
    names = listing([str(finding.sample.image) for finding in same])
    splits = sorted({finding.sample.split for finding in same} - {None}, key=str)
    if len(splits) > 1:
        yield Problem(
            WARNING,
            f"{names} are the same picture, in {' and '.join(map(str, splits))}: figures would be too good. "
            "Split again by content.",
            "same-image-torn",
        )
    else:
        yield Problem(WARNING, f"{names} are the same picture. Keep one of them.", "same-image")
    if len({finding.marks for finding in same}) > 1:
        labels = [listing(sorted({a.label for a in f.sample.annotations})) or "clean" for f in same]
        what = f"as {' and '.join(dict.fromkeys(labels))}" if len(set(labels)) > 1 else "in different places"
        text = f"{names} are the same picture but marked {what}. Decide which is right."
        yield Problem(WARNING, text, "same-image-other-marks")


def split_problems(dataset: Dataset) -> Iterator[Problem]:
    splits = dataset.splits
    if set(splits) == {""}:
        yield Problem(WARNING, f"{dataset.root} has no splits. Make them with 'blemish data split'.")
        return
    left = [sample for sample in dataset if sample.split is None]
    if left:
        yield Problem(
            WARNING, f"{len(left)} images are in no split: {listing([str(s.image) for s in left])}."
        )
    if not splits.get("train"):
        yield Problem(WARNING, f"{dataset.root} has no image in 'train'. Split it again before training.")


def group_problems(dataset: Dataset) -> Iterator[Problem]:
    """Problem of groups (lots, parts, photographs) that lie in several splits."""
    splits: dict[str, set[str]] = {}
    for sample in dataset:
        if sample.group is not None and sample.split is not None:
            splits.setdefault(sample.group, set()).add(sample.split)
    torn = [group for group, names in splits.items() if len(names) > 1]
    if torn:
        yield Problem(
            WARNING,
            f"{dataset.root}: {len(torn)} of {len(splits)} groups lie in several splits ({listing(torn)}). "
            "Split by group where images of a group look alike.",
        )


def class_problems(dataset: Dataset) -> Iterator[Problem]:
    counts = dataset.class_counts
    if not any(sample.is_defective for sample in dataset):
        if dataset.layout in CLEAN_BY_FOLDER and not dataset.class_names:
            return
        yield Problem(
            WARNING, f"{dataset.root} has no annotation at all. Check that the masks or labels are in place."
        )
        return
    if all(sample.is_defective for sample in dataset):
        yield Problem(
            WARNING,
            f"{dataset.root} has no clean image: nothing will tell how many good parts are rejected, and "
            "every threshold is chosen without them. Add images of good parts.",
            "no-clean-image",
        )
    for name in (name for name, number in counts.items() if not number):
        yield Problem(
            WARNING,
            f"{dataset.root}: no image shows class '{name}'. Add examples or remove the class.",
            "class-unseen",
        )
    yield from unlearned_problems(dataset)
    ratio = imbalance(dataset)
    if ratio is not None and ratio >= IMBALANCE_LIMIT:
        seen = {name: number for name, number in counts.items() if number}
        common, rare = max(seen, key=lambda n: seen[n]), min(seen, key=lambda n: seen[n])
        yield Problem(
            WARNING,
            f"{dataset.root}: {seen[common]} images show '{common}' and {seen[rare]} show '{rare}'. "
            f"Add examples of '{rare}'.",
        )


def unlearned_problems(dataset: Dataset) -> Iterator[Problem]:
    """Problems of classes that some image shows, but no image of one of the splits."""
    missing = {
        "train": "it cannot be learned",
        "val": "no threshold is chosen with it in mind",
        "test": "nothing tells how many of its defects are missed",
    }
    images = images_by_class(dataset)
    for split in (split for split in missing if dataset.splits.get(split)):
        names = [name for name, counts in images.items() if counts and not counts.get(split)]
        if names:
            yield Problem(
                WARNING,
                f"{dataset.root}: no image of '{split}' shows {listing(names)}: "
                f"{missing[split]}. Split again, or add examples.",
            )
