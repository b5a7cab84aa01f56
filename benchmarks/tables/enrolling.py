"""The rare classes of a support draw added to a base one by one, without training.

Source: TL-SDD eqs. 1 and 2, as `blemish add-class` uses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from blemish.bundle.store import Bundle, save_bundle
from blemish.dataset.boxes import boxed_instances
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.support_sets import SupportSet
from blemish.errors import BlemishError
from blemish.images.decode import read_image
from blemish.inspector.loading import loaded_modules
from blemish.methods import find_method
from blemish.methods.capabilities import AddsClasses, Example
from blemish.nn.runtime import prepare_runtime


def enrol_all(
    base: Bundle, dataset: Dataset, draw: SupportSet, names: Sequence[str], path: Path
) -> tuple[Bundle, float]:
    """The base with every named class behind its own, kept as a bundle at `path`, and the seconds it took.

    Raises BlemishError for a method that cannot do that.
    """
    prepare_runtime()
    start = perf_counter()
    bundle = base
    for name in names:
        bundle = enrol_one(bundle, name, drawn_examples(dataset, draw, name))
    saved = save_bundle(path, bundle.manifest, bundle.networks)
    return saved, perf_counter() - start


def enrol_one(bundle: Bundle, name: str, examples: Sequence[Example]) -> Bundle:
    """The bundle, in memory, with one class more."""
    method = find_method(bundle.manifest.method)
    if not isinstance(method, AddsClasses):
        raise BlemishError(
            "kind enrolled needs a method that takes classes without training. "
            f"Received: '{method.name}'. Remove the row."
        )
    modules = loaded_modules(bundle, method)
    added = method.enrol(modules, bundle.manifest, name, examples)
    manifest = bundle.manifest.model_copy(
        update={"class_names": (*bundle.manifest.class_names, name), "memory": dict(added.memory)}
    )
    return Bundle(bundle.path, manifest, {**bundle.networks, **added.networks})


def drawn_examples(dataset: Dataset, draw: SupportSet, name: str) -> list[Example]:
    """The class's boxes in the draw, with their images."""
    wanted = set(draw.classes[name])
    holders = {id.rpartition("#")[0] for id in wanted}
    examples = []
    for sample in dataset.split("train"):
        if sample.id in holders:
            pixels = read_image(sample.image, channels=3)
            boxes = boxed_instances(sample, (pixels.shape[0], pixels.shape[1]))
            examples += [
                Example(box.id, sample.id, pixels, box.box_xyxy) for box in boxes if box.id in wanted
            ]
    return examples
