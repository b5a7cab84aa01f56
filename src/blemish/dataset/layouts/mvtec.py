"""The MVTec AD layout: `train/good`, `test/<defect>`, `ground_truth/<defect>/<stem>_mask.png`, per category.

Read alike are MVTec AD 2 (`test_public/`, its masks inside), MVTec LOCO (a folder of masks for each image)
and BTAD (`ok` and `ko`). With several categories in a folder the class is "category-defect" and every
category is a product. Sources: Bergmann et al. 2019, "MVTec AD"; Bergmann et al. 2022, "Beyond Dents and
Scratches"; Heckler-Kram et al. 2025, "The MVTec AD 2 Dataset"; Mishra et al. 2021, "VT-ADL".
"""

from __future__ import annotations

from blemish.dataset.layouts import labels
from blemish.dataset.layouts.common import SPLIT_OF_FOLDER, Contents, Source, Tree, collect, join, stem
from blemish.dataset.layouts.label_names import class_label, is_clean, refuse_doubtful_names
from blemish.dataset.layouts.mask_index import MaskIndex, find_masks, image_facts
from blemish.dataset.mask_files import MaskFacts
from blemish.dataset.mask_sets.mask_set import MaskReadings
from blemish.dataset.mask_sets.read import read_masks
from blemish.dataset.samples import Sample
from blemish.errors import BlemishError

TRAINING = "train"
TEST_PARTS = ("test", "test_public")
SPLIT_OF_PART = {**SPLIT_OF_FOLDER, "test_public": "test"}
UNLABELLED = "no folder says which of these images are clean, as in a test set whose labels are kept private"


def detect(tree: Tree) -> str | None:
    """Some folder has train/good and test/ with images."""
    categories = find_categories(tree)
    if not categories:
        return None
    where = join(categories[0], TRAINING)
    several = f"; each of {len(categories)} categories is a product" if len(categories) > 1 else ""
    return f"{where} holds good images and the test folder beside it folders of defect names{several}"


def read(source: Source) -> Contents:
    categories = find_categories(source.tree)
    index = find_masks(source.tree)
    index.refuse_doubtful(source)
    images, unlabelled = sorted_images(source, categories, index)
    refuse_doubtful_names((kind_of(*item)[1] for item in images), source.settings, source.root)
    found, skipped = collect(
        images,
        lambda item: (item, read_facts(source, index, *item)),
        name=lambda i: i[1],
        skip=source.skip_broken,
    )
    readings = read_masks(
        [fact for _, facts in found for fact in facts], source.settings, source.root, one_class=True
    )
    several = len(categories) > 1
    samples, marked = collect(
        found,
        lambda entry: read_sample(source, *entry[0], entry[1], readings, prefixed=several),
        name=lambda entry: entry[0][1],
        skip=source.skip_broken,
    )
    names = {annotation.label for sample in samples for annotation in sample.annotations}
    return Contents(
        tuple(samples),
        tuple(sorted(names)),
        {**skipped, **marked},
        read=frozenset(mask for _, file in images for mask in index.of(file)),
        left_out={**index.left_out, **unlabelled},
        warnings=(*readings.warnings, *labels.without_place(samples, index)),
    )


def find_categories(tree: Tree) -> list[str]:
    """Folders that hold train/good and test/; '' when the root is a category itself.

    Under another clean name than good, train/ must have nothing else, and the category masks.
    """
    index = find_masks(tree)
    kinds: dict[str, set[str]] = {}
    for file in index.photographs:
        before, found, after = f"/{file}".partition(f"/{TRAINING}/")
        if found and "/" in after:
            kinds.setdefault(before.removeprefix("/"), set()).add(after.partition("/")[0])
    return sorted(
        category
        for category, names in kinds.items()
        if any(tree.images_below(join(category, part)) for part in TEST_PARTS)
        and ("good" in names or (all(map(is_clean, names)) and has_masks(index, category)))
    )


def has_masks(index: MaskIndex, category: str) -> bool:
    """True where a category has masks, fitting or not."""
    files = (*index.masks_of, *index.orphans)
    return any(file.startswith(f"{category}/") or not category for file in files)


def sorted_images(
    source: Source, categories: list[str], index: MaskIndex
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """(category, image) of all images with a label; second, those without, with the reason."""
    images = [
        (category, file)
        for category in categories
        for file in index.photographs
        if file.startswith(f"{category}/") or not category
    ]
    labelled = [item for item in images if all(kind_of(*item))]
    return labelled, {file: UNLABELLED for category, file in images if (category, file) not in {*labelled}}


def kind_of(category: str, file: str) -> tuple[str, str]:
    """Part of the dataset (train, val or test) and kind of an image; '' for what its path lacks."""
    part, _, rest = file.removeprefix(f"{category}/" if category else "").partition("/")
    kind, _, name = rest.partition("/")
    return SPLIT_OF_PART.get(part, ""), kind if name else ""


def read_facts(source: Source, index: MaskIndex, category: str, file: str) -> tuple[MaskFacts, ...]:
    """Facts on the masks of an image.

    Raises BlemishError for a defective one without, where others have masks.
    """
    _, kind = kind_of(category, file)
    masks = index.of(file)
    if not masks and not is_clean(kind, source.settings) and has_masks(index, category):
        raise BlemishError(
            f"{source.root / file} must have a mask. Received: no {join(category, 'ground_truth')}/{kind}/"
            f"{stem(file)}_mask.png. Add the mask or remove the image."
        )
    return image_facts(source, file, masks)


def read_sample(
    source: Source,
    category: str,
    file: str,
    facts: tuple[MaskFacts, ...],
    readings: MaskReadings,
    *,
    prefixed: bool,
) -> Sample:
    split, kind = kind_of(category, file)
    sample = Sample(source.root / file, file, split=split, product=category if prefixed else None)
    label = class_label(kind, source.settings)
    label = f"{category.rpartition('/')[2]}-{label}" if prefixed else label
    return labels.placed(sample, kind, label, facts, readings, source)
