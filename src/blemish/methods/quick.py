"""Quick tests of a method: settings of trainings of seconds, and traits that the contract's tests need.

A method's folder holds them as `QUICK` in its module `quick`; they are found by looking, as the method is.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from blemish.errors import BlemishError


@dataclass(frozen=True)
class Quick:
    """Settings and traits of a method for tests.

    overfit: settings of a training that overfits four images of 96×96 with scratches and spots, in seconds
    short: changes to them for a training too short to learn
    tiny: of a training on the tiny set of 24 such images, for tests of everything above methods
    judges_whole_images: whether it tells normal from defective images as wholes, with a single box that
        points at a place and does not measure
    squeezes: whether images are squeezed to a square, so that stretching one changes nothing and a frame does
    needs_good_images: whether it learns from nothing without an image of a good part
    drawn_by_no_seed: networks that four images decide alone, whatever the seed
    """

    overfit: Mapping[str, Any]
    short: Mapping[str, Any]
    tiny: Mapping[str, Any] = field(default_factory=dict)
    judges_whole_images: bool = False
    squeezes: bool = False
    needs_good_images: bool = False
    drawn_by_no_seed: tuple[str, ...] = ()


def quick_of(name: str) -> Quick:
    """Find the quick tests of a method. Raises BlemishError where its folder has none."""
    module = f"blemish.methods.{name}.quick"
    try:
        found = importlib.import_module(module).QUICK
    except (ImportError, AttributeError) as error:
        raise BlemishError(
            f"Method '{name}' must have its quick tests in {module}: QUICK = Quick(...). Received: {error}."
        ) from error
    assert isinstance(found, Quick), f"{module}.QUICK is a {type(found).__name__}"
    return found
