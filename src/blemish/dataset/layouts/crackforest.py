"""The CrackForest layout: `image/*.jpg` with `groundTruth/<stem>.mat`, segments of 2 and above are cracks.

Source: Shi et al. 2016, "Automatic Road Crack Detection Using Random Structured Forests".
"""

from __future__ import annotations

from blemish.dataset.layouts.common import Contents, Source, Tree, collect, image_named, stem
from blemish.dataset.mask_files import read_stored
from blemish.dataset.samples import Annotation, MaskFile, Sample

CLASS_NAME = "crack"
BACKGROUND = 1


def detect(tree: Tree) -> str | None:
    """There are MATLAB files in groundTruth/, and images of their names."""
    truths = find_truths(tree)
    if not truths or not any(stem(file) in tree.by_stem for file in truths):
        return None
    return f"{truths[0]} and {len(truths) - 1} more are MATLAB ground truth of images of the same names"


def read(source: Source) -> Contents:
    samples, skipped = collect(
        find_truths(source.tree), lambda file: read_sample(source, file), name=str, skip=source.skip_broken
    )
    return Contents(tuple(samples), (CLASS_NAME,), skipped, read=frozenset(find_truths(source.tree)))


def find_truths(tree: Tree) -> list[str]:
    return [f for f in tree.files if f.endswith(".mat") and "/groundtruth/" in f"/{f.lower()}"]


def read_sample(source: Source, truth: str) -> Sample:
    image = image_named(source.tree, stem(truth), near=truth)
    mask = MaskFile(source.root / truth, above=BACKGROUND)
    marked = (
        (Annotation(CLASS_NAME, mask=mask),)
        if read_stored(mask.path).values.max(initial=0) > BACKGROUND
        else ()
    )
    return Sample(source.root / image, image, marked)
