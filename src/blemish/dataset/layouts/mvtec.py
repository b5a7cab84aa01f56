"""The MVTec AD layout: `train/good`, `test/<defect>`, `ground_truth/<defect>/<stem>_mask.png`, per category.

Source: Bergmann et al. 2019, "MVTec AD". With several categories in a folder the class is "category-defect"
and every category is a product.
"""

from __future__ import annotations

from blemish.dataset.layouts.common import CLEAN_NAMES, Contents, Source, Tree, collect, join, stem
from blemish.dataset.samples import Annotation, MaskFile, Sample
from blemish.errors import BlemishError

TRAINING, TEST, TRUTH = "train/good", "test", "ground_truth"


def detect(tree: Tree) -> str | None:
    """Some folder has train/good and test/ with images."""
    categories = find_categories(tree)
    if not categories:
        return None
    where = join(categories[0], TRAINING)
    several = f"; each of {len(categories)} categories is a product" if len(categories) > 1 else ""
    return f"{where} holds good images and {join(categories[0], TEST)} folders of defect names{several}"


def read(source: Source) -> Contents:
    categories = find_categories(source.tree)
    images = [
        (category, file)
        for category in categories
        for part in ("train", TEST)
        for file in source.tree.images_below(join(category, part))
    ]
    samples, skipped = collect(
        images,
        lambda item: read_sample(source, *item, prefixed=len(categories) > 1),
        name=lambda item: item[1],
        skip=source.skip_broken,
    )
    labels = {annotation.label for sample in samples for annotation in sample.annotations}
    return Contents(tuple(samples), tuple(sorted(labels)), skipped)


def find_categories(tree: Tree) -> list[str]:
    """Folders that hold train/good and test/; '' when the root is a category itself."""
    folders = {folder for folder in tree.folders if f"/{folder}".endswith(f"/{TRAINING}")}
    categories = sorted(folder.removesuffix(TRAINING).rstrip("/") for folder in folders)
    return [category for category in categories if tree.images_below(join(category, TEST))]


def read_sample(source: Source, category: str, file: str, *, prefixed: bool) -> Sample:
    part, _, rest = file.removeprefix(f"{category}/").partition("/")
    kind = rest.partition("/")[0]
    product = category if prefixed else None
    if kind.lower() in CLEAN_NAMES:
        return Sample(source.root / file, file, split=part, product=product)
    label = f"{category.rpartition('/')[2]}-{kind}" if prefixed else kind
    mask = find_mask(source, category, kind, file)
    return Sample(source.root / file, file, (Annotation(label, mask=mask),), split=part, product=product)


def find_mask(source: Source, category: str, kind: str, file: str) -> MaskFile | None:
    """The mask of a defective image; None where the dataset has no ground truth at all."""
    truth = join(category, TRUTH)
    if not source.tree.images_below(truth):
        return None
    for name in (f"{stem(file)}_mask.png", f"{stem(file)}.png"):
        if (mask := f"{truth}/{kind}/{name}") in source.tree.image_set:
            return MaskFile(source.root / mask, above=source.settings.above)
    raise BlemishError(
        f"{source.root / file} must have a mask. Received: no {truth}/{kind}/{stem(file)}_mask.png. "
        "Add the mask or remove the image."
    )
