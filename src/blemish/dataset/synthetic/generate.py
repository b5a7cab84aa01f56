"""A synthetic data set on disk, in COCO layout, with the exact mask, class and contrast of every defect.

Image `index` depends on the seed, the index and the settings alone: a larger set begins with the smaller
one. Common and rare classes come from a weight for each; splits are stratified by rarest class, then by
surface.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Size
from blemish.dataset.layouts import load_dataset
from blemish.dataset.run_lengths import encode
from blemish.dataset.samples import Dataset
from blemish.dataset.synthetic.defects import DEFECTS
from blemish.dataset.synthetic.parts import MAX_SHIFT, PART, PART_DEFECTS, PART_WEIGHTS, render_part
from blemish.dataset.synthetic.render import DefectRequest, Rendered, check_size, known_name, render
from blemish.dataset.synthetic.surfaces import SURFACES
from blemish.dataset.unfinished import refuse_content, whole_folder
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.folder_lock import locks_out

# Two common kinds, two rare ones: about one defect in twenty-five is of the rarest.
CLASS_WEIGHTS: Mapping[str, float] = {
    "scratch": 8, "spot": 8, "stain": 5, "crack": 3, "dent": 1, "missing_structure": 1,
}  # fmt: skip

# As in DAGM2007, every texture has a defect of its own, and its class stands for both.
DAGM_PAIRS: Mapping[str, str] = {
    "woven_fabric": "missing_structure",
    "brushed_metal": "scratch",
    "cast_metal": "spot",
    "wood_grain": "stain",
    "leather": "dent",
    "concrete": "crack",
}

# Their defects measure some 60 by 120 pixels of 512×512, and so do ours with these scales.
DAGM_SCALES: Mapping[str, float] = {
    "missing_structure": 2.0, "scratch": 2.5, "spot": 4.0, "stain": 1.0, "dent": 1.3, "crack": 2.5,
}  # fmt: skip

# Soft things are faint: the contrasts of these kinds end at this share of the range, counted in logarithms.
SOFT_KINDS, SOFT_SHARE = ("stain", "dent"), 0.7

SPLIT_PATTERN = ("train", "test", "train", "val", "train")


@dataclass(frozen=True)
class SyntheticSettings:
    """Contents of a synthetic set; `synthesise` explains the fields."""

    surfaces: tuple[str, ...]
    seed: int
    size: Size
    class_weights: Mapping[str, float]
    defective_share: float
    defects_per_image: tuple[int, int]
    contrast: tuple[float, float]
    pairing: str
    defect_scale: float = 1.0
    turn: float = 180.0
    shift: float = 0.05

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of defects that occur on these surfaces."""
        return PART_DEFECTS if PART in self.surfaces else tuple(DEFECTS)

    @property
    def class_names(self) -> tuple[str, ...]:
        if self.pairing == "dagm":
            return tuple(dagm_class(surface) for surface in self.surfaces)
        return self.kinds


@locks_out
def synthesise(  # noqa: PLR0913 - each is a property of the set that a user may choose
    out: Path,
    *,
    surfaces: Sequence[str] | None = None,
    images: int,
    seed: int,
    size: Size = (512, 512),
    class_weights: Mapping[str, float] | None = None,
    defective_share: float = 0.6,
    defects_per_image: tuple[int, int] = (1, 3),
    contrast: tuple[float, float] = (12.0, 90.0),
    pairing: str = "free",
    defect_scale: float = 1.0,
    turn: float = 180.0,
    shift: float = 0.05,
) -> Dataset:
    """Write synthetic images and their truth to the new folder `out`, and load them.

    images: how many
    surfaces: names from SURFACES, taken in turn, all of them by default; or "part" alone, the same machined
        part in every image, whose defects are those of PART_DEFECTS
    size: (height, width)
    class_weights: how often each defect kind is drawn, relative to the others; kinds left out are not drawn
    defective_share: share of images with defects, on every surface
    defects_per_image: minimum and maximum, inclusive, on a defective image
    contrast: lowest and highest mean absolute change in gray levels; drawn evenly on a logarithmic scale,
        stains and dents from its lower part. Where a surface has no room for it, or no structure to miss, the
        defect is weaker than drawn; the truth holds what is in the image
    pairing: "free" draws any kind on any surface, and the classes are the kinds; "dagm" draws on each surface
        its own kind of DAGM_PAIRS at the size of DAGM_SCALES, classes are named "<surface>_<kind>", and
        class_weights have no say
    defect_scale: length and width of the defects relative to their usual ones
    turn, shift: how freely a part lies: at most so many degrees either way, and so far from the middle, in
        shorter sides of the image; textures are not moved
    Raises BlemishError for an unknown name, a number out of range, or a folder that is not empty
    """
    default = tuple(DAGM_PAIRS) if pairing == "dagm" else tuple(SURFACES)
    usual = PART_WEIGHTS if surfaces is not None and PART in surfaces else CLASS_WEIGHTS
    settings = SyntheticSettings(
        surfaces=default if surfaces is None else tuple(surfaces),
        seed=seed,
        size=size,
        class_weights=usual if class_weights is None else class_weights,
        defective_share=defective_share,
        defects_per_image=defects_per_image,
        contrast=contrast,
        pairing=pairing,
        defect_scale=defect_scale,
        turn=turn,
        shift=shift,
    )
    _check(settings, images=images, out=out)
    with whole_folder(out, by="blemish data synth"):
        entries = [_write_image(out, index, settings) for index in range(images)]
        _write_truth(out, entries, settings)
    return load_dataset(out)


def dagm_class(surface: str) -> str:
    """The class of a surface's own defect: "<surface>_<kind>"."""
    return f"{surface}_{DAGM_PAIRS[surface]}"


def draw_image(index: int, settings: SyntheticSettings) -> tuple[str, Rendered]:
    """Image `index` of a set. returns: the name of its surface, and the image with its truth"""
    generator = np.random.default_rng([settings.seed, index])
    turn, position = divmod(index, len(settings.surfaces))
    surface = settings.surfaces[position]
    requests = []
    if _is_defective(turn, (position + 0.5) / len(settings.surfaces), settings.defective_share):
        low, high = settings.defects_per_image
        count = generator.integers(low, high + 1)
        requests = [_draw_request(surface, settings, generator) for _ in range(count)]
    if surface != PART:
        return surface, render(surface, size=settings.size, defects=requests, generator=generator)
    return surface, render_part(
        size=settings.size, defects=requests, generator=generator, turn=settings.turn, shift=settings.shift
    )


def stratified_splits(strata: Sequence[tuple[str, ...]], *, seed: int) -> list[str]:
    """A split for each item: items sorted by stratum are dealt in turn, 3 to train, 1 to val, 1 to test.

    strata: the properties, most important first, whose shares should be alike in every split
    """
    shuffled = np.random.default_rng([seed, len(strata)]).permutation(len(strata))
    order = sorted(shuffled.tolist(), key=lambda item: strata[item])
    splits = [""] * len(strata)
    for place, item in enumerate(order):
        splits[item] = SPLIT_PATTERN[place % len(SPLIT_PATTERN)]
    return splits


def _is_defective(turn: int, phase: float, share: float) -> bool:
    """Spread the defective images evenly: of any n turns in a row, share · n are defective, rounded."""
    # Whole numbers, so that no rounding error adds up.
    share, phase = round(share * 10**6), round(phase * 10**6)
    return ((turn + 1) * share + phase) // 10**6 > (turn * share + phase) // 10**6


def _draw_request(surface: str, settings: SyntheticSettings, generator: np.random.Generator) -> DefectRequest:
    """A kind by the class weights (or the surface's own), and a contrast even on the logarithmic scale."""
    if settings.pairing == "dagm":
        kind = DAGM_PAIRS[surface]
    else:
        # In the same order, however they were named.
        kinds = [kind for kind in settings.kinds if kind in settings.class_weights]
        weights = np.array([settings.class_weights[kind] for kind in kinds], dtype=float)
        kind = kinds[int(generator.choice(len(kinds), p=weights / weights.sum()))]
    low, high = settings.contrast
    scale = settings.defect_scale * (DAGM_SCALES[kind] if settings.pairing == "dagm" else 1.0)
    share = generator.random() * (SOFT_SHARE if kind in SOFT_KINDS else 1.0)
    return DefectRequest(kind, low * (high / low) ** share, scale)


def _write_image(out: Path, index: int, settings: SyntheticSettings) -> dict[str, Any]:
    """Draw and write an image. returns: what annotations.json says of it"""
    surface, rendered = draw_image(index, settings)
    name = f"images/{surface}_{index + 1:04d}.png"
    done, png = cv2.imencode(".png", rendered.image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    write_atomically(out / name, png.tobytes())
    labels = [dagm_class(surface)] * len(rendered.labels) if settings.pairing == "dagm" else rendered.labels
    truths = zip(labels, rendered.masks, rendered.contrasts, strict=True)
    return {
        "file_name": name,
        "surface": surface,
        "defects": [
            {
                "category_id": settings.class_names.index(label) + 1,
                **_mask_fields(mask),
                "contrast": round(contrast, 4),
            }
            for label, mask, contrast in truths
        ],
    }


def _mask_fields(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's fields of a mask."""
    return {
        "segmentation": {"size": list(mask.shape), "counts": encode(mask).counts},
        "bbox": list(cv2.boundingRect(mask.view(np.uint8))),
        "area": int(np.count_nonzero(mask)),
        "iscrowd": 0,
    }


def _write_truth(out: Path, entries: Sequence[Mapping[str, Any]], settings: SyntheticSettings) -> None:
    """annotations.json, splits/*.txt and dataset.yaml; the last is written last, so a broken set has none."""
    height, width = settings.size
    images = [
        {
            "id": i,
            "file_name": entry["file_name"],
            "width": width,
            "height": height,
            "surface": entry["surface"],
        }
        for i, entry in enumerate(entries, start=1)
    ]
    defects = [(i, defect) for i, entry in enumerate(entries, start=1) for defect in entry["defects"]]
    truth = {
        "info": {"description": "Synthetic surfaces made by blemish", "seed": settings.seed},
        "images": images,
        "categories": [{"id": i, "name": name} for i, name in enumerate(settings.class_names, start=1)],
        "annotations": [
            {"id": number, "image_id": image, **defect}
            for number, (image, defect) in enumerate(defects, start=1)
        ],
    }
    write_atomically(out / "annotations.json", json.dumps(truth) + "\n")
    splits = stratified_splits(_strata(entries), seed=settings.seed)
    for split in ("train", "val", "test"):
        chosen = [str(entry["file_name"]) for entry, own in zip(entries, splits, strict=True) if own == split]
        write_atomically(out / "splits" / f"{split}.txt", "".join(f"{name}\n" for name in chosen))
    write_atomically(out / "dataset.yaml", "layout: coco\n")


def _strata(entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """For each image its rarest class (nothing for a clean one), then its surface."""
    counts = Counter(defect["category_id"] for entry in entries for defect in entry["defects"])
    strata = []
    for entry in entries:
        classes = {defect["category_id"] for defect in entry["defects"]}
        rarest = min(classes, key=lambda category: (counts[category], category)) if classes else ""
        strata.append((str(rarest), str(entry["surface"])))
    return strata


def _check(settings: SyntheticSettings, *, images: int, out: Path) -> None:
    """Raise BlemishError for the first setting that cannot be."""
    if settings.pairing not in ("free", "dagm"):
        raise BlemishError(
            f"pairing must be 'free' or 'dagm'. Received: '{settings.pairing}'. Use one of the two."
        )
    if not settings.surfaces:
        raise BlemishError("surfaces must name at least one surface. Received: none. Leave it out for all.")
    known = tuple(DAGM_PAIRS) if settings.pairing == "dagm" else (*SURFACES, PART)
    for surface in settings.surfaces:
        known_name("surface", surface, known)
    if PART in settings.surfaces and len(set(settings.surfaces)) > 1:
        raise BlemishError(
            f"surfaces must be either '{PART}' alone or textures. Received: {', '.join(settings.surfaces)}. "
            "Make two sets."
        )
    check_size(settings.size)
    _check_weights(settings.class_weights, settings.kinds)
    _check_numbers(settings, images=images)
    refuse_content(out)


def _check_weights(weights: Mapping[str, float], kinds: Sequence[str]) -> None:
    for kind, weight in weights.items():
        known_name("defect kind", kind, kinds)
        if not (math.isfinite(weight) and weight >= 0):
            raise BlemishError(
                f"class_weights must be numbers ≥ 0. Received: {kind}={weight}. Use 0 to leave it out."
            )
    if not sum(weights.values()) > 0:
        raise BlemishError(
            "class_weights must name a kind with a weight above 0. Received: none. Leave it out."
        )


def _check_numbers(settings: SyntheticSettings, *, images: int) -> None:
    fewest, largest = settings.defects_per_image
    low, high = settings.contrast
    share = settings.defective_share
    rules = (
        (images >= 1, "images must be at least 1", images, "Ask for one or more"),
        (settings.seed >= 0, "seed must be 0 or more", settings.seed, "Use a whole number such as 0"),
        (0 <= share <= 1, "defective_share must be from 0 to 1", share, "Use 0.6 for six in ten"),
        (
            1 <= fewest <= largest,
            "defects_per_image must be (minimum ≥ 1, maximum)",
            (fewest, largest),
            "Use (1, 3)",
        ),
        (
            1 <= low <= high <= 200,
            "contrast must be within 1 to 200 gray levels",
            (low, high),
            "Use (12, 90)",
        ),
        (
            0.25 <= settings.defect_scale <= 4,
            "defect_scale must be from 0.25 to 4",
            settings.defect_scale,
            "Use 1",
        ),
        (0 <= settings.turn <= 180, "turn must be from 0 to 180 degrees", settings.turn, "Use 180"),
        (
            0 <= settings.shift <= MAX_SHIFT,
            f"shift must be from 0 to {MAX_SHIFT:g}",
            settings.shift,
            "Use 0.05",
        ),
    )
    for holds, rule, received, remedy in rules:
        if not holds:
            raise BlemishError(f"{rule}. Received: {received}. {remedy}.")
