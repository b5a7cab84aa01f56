"""Images that no annotation describes: clean, left out or an error, by one rule for all layouts.

Most tools write an empty annotation for a clean image, so one without any was perhaps never looked at: that
is an error until `unlabelled:` of dataset.yaml says otherwise. Where a format lists defects alone, such
images are clean, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from blemish.dataset.account import remark
from blemish.dataset.layouts.common import Contents, Source, parent, split_of_path
from blemish.dataset.layouts.mask_index import find_masks
from blemish.dataset.samples import Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError

Rule = Literal["clean", "leave-out", "error"]


def with_unlabelled(
    contents: Contents, source: Source, described: Iterable[str], *, default: Rule
) -> Contents:
    """Contents with the images that no annotation describes, by the settings or the layout's own rule.

    described: images that annotations are about, also those that could not be read
    default: the layout's rule; it holds for the folders of described images, the user's for all images
    Raises BlemishError by the rule "error" unless broken files are skipped.
    """
    rule = source.settings.unlabelled or default
    images = missing_images(source, {*described}, everywhere=source.settings.unlabelled == "clean")
    if not images:
        return contents
    if rule == "clean" and {*contents.skipped} - source.tree.image_set:  # a broken file may tell of them
        why = "must be in a label file that can be read. Received: none, and faulty files that may name it."
        faults = {file: f"{source.root / file} {why} Correct those first." for file in images}
        return replace(contents, skipped={**contents.skipped, **faults})
    if rule == "error":
        return replace(contents, skipped={**contents.skipped, **refused(images, source)})
    return by_rule(contents, source, images, rule=rule)


def by_rule(contents: Contents, source: Source, images: list[str], *, rule: Rule | None = None) -> Contents:
    """Contents with the images as clean samples, or left out. rule: None is that of the settings"""
    if not images:
        return contents
    if (rule or source.settings.unlabelled) == "leave-out":
        reason = f"no annotation describes these images ('unlabelled: leave-out' of {SETTINGS_NAME})"
        return replace(contents, left_out={**contents.left_out, **dict.fromkeys(images, reason)})
    why = f"by 'unlabelled: clean' of {SETTINGS_NAME}" if source.settings.unlabelled else "as its tool has it"
    clean = [Sample(source.root / file, file, split=split_of_path(file)) for file in images]
    line = remark(images, "image", f"taken as clean without an annotation, {why}")
    return replace(contents, samples=(*contents.samples, *clean), warnings=(*contents.warnings, line))


def missing_images(source: Source, described: set[str], *, everywhere: bool) -> list[str]:
    """Images without annotation that are no masks, in the folders of described ones or in the whole tree."""
    folders = {parent(file) for file in described}
    return [
        file
        for file in find_masks(source.tree).photographs
        if file not in described and (everywhere or parent(file) in folders)
    ]


def refused(images: list[str], source: Source) -> dict[str, str]:
    """Reason for every image. Raises BlemishError with the first, unless broken files are skipped."""
    rule = "must have an annotation, an empty one when clean. Received: none. " + (
        f"Put 'unlabelled: clean' (or 'leave-out') into {SETTINGS_NAME}, or annotate."
    )
    if not source.skip_broken:
        more = f" and {len(images) - 1} more" if len(images) > 1 else ""
        raise BlemishError(f"{source.root / images[0]}{more} {rule}")
    return {file: f"{source.root / file} {rule}" for file in images}
