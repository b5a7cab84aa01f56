"""Checks that the bundles of a chain learned from images of one kind: product, size, type and classes.

A chain of bundles that know no image in common is refused, as each image would be unlike the training images
of one of them; doubts are sentences for the user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from blemish.bundle.manifest import known_images
from blemish.bundle.store import Bundle
from blemish.errors import BlemishError
from blemish.inspector.input_check import KnownInputs, Limits, Spread, stored_input_check


def refuse_unrelated(bundles: Sequence[Bundle]) -> None:
    """Raise BlemishError for bundles of a chain whose training images have nothing in common."""
    known = [(bundle, known_inputs_of(bundle)) for bundle in bundles]
    for (first, own), (second, other) in combinations(known, 2):
        if own is None or other is None or common_images(first, second):
            continue
        reason = next(differences(own, other), None)
        if reason is not None:
            raise BlemishError(
                "The bundles of a chain must be trained on images of one product, size and type. Received: "
                f"{first.path} and {second.path}, {reason}. Train one of them again, or add --no-input-check."
            )


def notes_on_data(bundles: Sequence[Bundle]) -> Iterator[str]:
    """Sentences on bundles of a chain that may not belong together; none for one bundle."""
    for first, second in combinations(bundles, 2):
        known = [known_images(bundle.manifest.data) for bundle in (first, second)]
        if all(known) and not common_images(first, second):
            yield (
                f"{first.path} and {second.path} were trained on different images, none in common. Check "
                "that they are of one product."
            )
        names = [set(bundle.manifest.class_names) for bundle in (first, second)]
        if all(len(each) > 1 for each in names) and not names[0] & names[1]:
            shown = " and ".join(", ".join(bundle.manifest.class_names) for bundle in (first, second))
            yield f"{first.path} and {second.path} have no class in common: {shown}."


def known_inputs_of(bundle: Bundle) -> KnownInputs | None:
    """Statistics of a bundle's training images; None for an older bundle."""
    check = stored_input_check(bundle.manifest.data, str(bundle.path))
    return check if isinstance(check, KnownInputs) else None


def common_images(first: Bundle, second: Bundle) -> bool:
    return bool(known_images(first.manifest.data) & known_images(second.manifest.data))


def differences(first: KnownInputs, second: KnownInputs) -> Iterator[str]:
    """Ways in which no image can be like the training images of both."""
    if apart(first.width, second.width) or apart(first.height, second.height):
        sizes = " and ".join(f"{each.width} × {each.height}" for each in (first, second))
        yield f"of images of {sizes} px (width × height)"
    if not {*first.bits} & {*second.bits}:
        bits = " and ".join(", ".join(map(str, each.bits)) for each in (first, second))
        yield f"of images stored in {bits} bits"
    if not {*first.colour} & {*second.colour}:
        yield "of gray images and of images in colour"
    if apart(first.brightness, second.brightness):
        levels = " and ".join(str(each.brightness) for each in (first, second))
        yield f"of images of another brightness, mean {levels}"
    if first.spread and second.spread and are_unlike(first.spread, second.spread):
        yield "of images that are unlike each other as a whole, as of different products"


def apart(first: Limits, second: Limits) -> bool:
    """True where nothing that the first accepts is accepted by the second. Both are limited on both sides."""
    ends = [(each.accepted_from or 0.0, each.accepted_to or np.inf) for each in (first, second)]
    (low, high), (other_low, other_high) = ends
    return bool(high < other_low or other_high < low)


def are_unlike(first: Spread, second: Spread) -> bool:
    """True where a typical image of each is unlike those of the other."""
    return all(
        own.distance.side(own.distance_of(np.array(other.mean))) > 0
        for own, other in ((first, second), (second, first))
    )
