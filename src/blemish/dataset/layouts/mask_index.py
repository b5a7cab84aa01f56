"""Which image files of a folder are masks, and of which image: told by names of folders and endings of files.

Used by every layout with masks, so that no mask is taken as a photograph, nor a photograph as a mask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from blemish.dataset.account import SHOWN
from blemish.dataset.layouts.common import Source, Tree, parent, stem
from blemish.dataset.layouts.identity import MASK_FOLDERS, folded
from blemish.dataset.mask_files import MaskFacts, mask_facts
from blemish.errors import BlemishError

# Folders of these names hold masks too, but only where files of theirs fit images outside.
MAYBE_FOLDERS = frozenset({"label", "labels", "lable", "lables", "annotation", "annotations", "labelled"})
FOLDER_ENDINGS = re.compile(
    r"^(.+?)[_-](masks?|gts?|ground_?truth|labels?|annotations?|segmentations?)$", re.I
)
IMAGE_FOLDERS = (
    "image",
    "images",
    "img",
    "imgs",
    "data",
    "jpegimages",
    "pictures",
    "photos",
    "input",
    "inputs",
)
IMAGE_FOLDER_ENDINGS = re.compile(r"^(.+?)[_-](images?|imgs?|pictures|photos)$", re.I)
FILE_ENDINGS = re.compile(
    r"^(.+?)[_-](masks?\d?|gt|ground_?truth|label|lable|labels|seg|segmentation)$", re.I
)
FILE_BEGINNINGS = re.compile(r"^(masks?|gt|ground_?truth|seg|segmentation)[_-](.+)$", re.I)
NUMBERED = re.compile(r"[_-]mask\d\.\w+$", re.I)


@dataclass(frozen=True)
class MaskIndex:
    """Image files told apart.

    photographs: those that are no masks, in order
    masks_of: masks of each photograph that has some
    orphans: masks that fit no photograph
    doubtful: masks that fit several alike, with two of these
    """

    photographs: tuple[str, ...]
    masks_of: dict[str, tuple[str, ...]]
    orphans: tuple[str, ...] = ()
    doubtful: dict[str, tuple[str, str]] = field(default_factory=dict)

    @cached_property
    def photograph_set(self) -> frozenset[str]:
        return frozenset(self.photographs)

    def of(self, image: str) -> tuple[str, ...]:
        return self.masks_of.get(image, ())

    def refuse_orphans(self, source: Source) -> None:
        """Raise BlemishError for a mask without an image, where an image without a mask counts as clean."""
        if self.orphans:
            shown = ", ".join(self.orphans[:SHOWN])
            more = f" and {len(self.orphans) - SHOWN} more" if len(self.orphans) > SHOWN else ""
            raise BlemishError(
                f"{source.root}: every mask must have an image of its name, as images without a mask count "
                f"as clean. Received: {shown}{more}. Rename or remove the masks, or add the images."
            )

    def refuse_doubtful(self, source: Source) -> None:
        """Raise BlemishError for a mask that fits two images alike."""
        for mask, (first, second) in self.doubtful.items():
            raise BlemishError(
                f"{source.root / mask} must be the mask of one image. Received: {first} and {second}. "
                "Put the masks into folders named like those of the images."
            )

    @property
    def left_out(self) -> dict[str, str]:
        """Masks without an image, with the reason for an account."""
        return dict.fromkeys(self.orphans, "these masks fit no image: neither name nor folder is an image's")


def find_masks(tree: Tree) -> MaskIndex:
    """Tell the masks of a tree from its photographs, and pair them."""
    return told_apart(tree.images)


@lru_cache(maxsize=8)  # several layouts ask of the same files
def told_apart(images: tuple[str, ...]) -> MaskIndex:
    in_folders = [file for file in images if mask_place(file)]
    while True:
        inside = {*in_folders}
        outside = [file for file in images if file not in inside]
        beside = pairs_beside(outside)
        finder = ImageFinder(file for file in outside if file not in beside)
        found = {file: finder.image_of(file) for file in in_folders}
        unsure = unsure_folders(found)
        if not unsure:
            break
        in_folders = [file for file in in_folders if mask_folder(file) not in unsure]
    found |= beside
    masks_of: dict[str, list[str]] = {}
    for mask, image in found.items():
        if image is not None:
            masks_of.setdefault(image, []).append(mask)
    return MaskIndex(
        tuple(file for file in images if file not in found),
        {image: tuple(masks) for image, masks in masks_of.items()},
        tuple(mask for mask, image in found.items() if image is None and mask not in finder.doubtful),
        {mask: pair for mask, pair in finder.doubtful.items() if mask in found and found[mask] is None},
    )


def image_facts(
    source: Source, image: str, masks: Sequence[str], *, exact_colours: bool = False
) -> tuple[MaskFacts, ...]:
    """Facts on the masks of an image.

    Several lie in a folder of the image's name, or are numbered. Raises BlemishError for others, for a broken
    mask, and for a copy of the image itself.
    """
    path = source.root / image
    if len(masks) > 1 and any(
        parent(m).rpartition("/")[2] != stem(image) and not NUMBERED.search(m) for m in masks
    ):
        raise BlemishError(
            f"{path} must have one mask, or a folder of masks of its name. Received: {masks[0]} and "
            f"{masks[1]}. Remove one."
        )
    found = []
    for mask in (source.root / name for name in masks):
        same_length = mask.is_file() and path.is_file() and mask.stat().st_size == path.stat().st_size
        found.append(mask_facts(mask, exact_colours=exact_colours))
        if same_length and mask.read_bytes() == path.read_bytes() and not found[-1].is_empty:
            raise BlemishError(
                f"{mask} must be a mask of {path}. Received: a copy of the image itself. Replace or remove "
                "it."
            )
    return tuple(found)


def unsure_folders(found: dict[str, str | None]) -> set[str]:
    """Folders whose name need not mean masks, none of whose files fits an image: these hold photographs."""
    fitting = {mask_folder(mask) for mask, image in found.items() if image is not None}
    return {folder for mask in found if (folder := mask_folder(mask)) not in fitting and not is_sure(folder)}


def is_sure(folder: str) -> bool:
    return folder.rpartition("/")[2].lower() in MASK_FOLDERS


def mask_place(file: str) -> int | None:
    """Place of the folder that means masks among the parts of a path, counted from 1; None without one."""
    parts = file.split("/")[:-1]
    places = [i for i, part in enumerate(parts, start=1) if means_masks(part)]
    return places[-1] if places else None


def mask_folder(file: str) -> str:
    """Path of the folder that means masks."""
    return "/".join(file.split("/")[: mask_place(file)])


def means_masks(part: str) -> bool:
    return part.lower() in MASK_FOLDERS | MAYBE_FOLDERS or FOLDER_ENDINGS.match(part) is not None


def pairs_beside(files: Sequence[str]) -> dict[str, str | None]:
    """Mask → image for a_mask.png or mask_a.png beside a.jpg, or elsewhere where the name is unique.

    None where other files of the ending have an image and this one has none.
    """
    by_key = {(parent(file), folded(stem(file))): file for file in files}
    by_name: dict[str, list[str]] = {}
    for file in files:
        by_name.setdefault(folded(stem(file)), []).append(file)
    parted = {file: parts for file in files if (parts := image_and_mark(stem(file)))}
    found: dict[str, str | None] = {}
    for file, (image, _) in parted.items():
        elsewhere = by_name.get(folded(image), [])
        unique = elsewhere[0] if len(elsewhere) == 1 else None
        found[file] = by_key.get((parent(file), folded(image)), unique)
    marks = {parted[file][1] for file, image in found.items() if image is not None}
    return {file: image for file, image in found.items() if parted[file][1] in marks}


def image_and_mark(name: str) -> tuple[str, str] | None:
    """Image's name in a mask's name, and what marks it as a mask: `_mask` after it, or `mask_` before."""
    if match := FILE_ENDINGS.match(name):
        return match[1], f"_{folded(match[2])}"
    match = FILE_BEGINNINGS.match(name)
    return (match[2], f"{folded(match[1])}_") if match else None


class ImageFinder:
    """Photographs by their names, for the masks that lie in folders of their own."""

    def __init__(self, photographs: Iterable[str]) -> None:
        self.doubtful: dict[str, tuple[str, str]] = {}
        self.exact: dict[str, list[str]] = {}
        self.folded: dict[str, list[str]] = {}
        for file in photographs:
            self.exact.setdefault(stem(file), []).append(file)
            self.folded.setdefault(folded(stem(file)), []).append(file)

    def image_of(self, mask: str) -> str | None:
        """The image whose name and folders a mask has, None without one."""
        place = mask_place(mask) or 0
        parts = mask.split("/")
        around = [*parts[: place - 1], *parts[place:-1]]
        own = own_part(parts[place - 1])
        if own and (image := self.image_in([*parts[: place - 1], *own, *parts[place:-1]], mask)):
            return image
        return self.image_in(around, mask)

    def image_in(self, between: Sequence[str], mask: str) -> str | None:
        """The image of a mask's name that lies in these folders, and in fewest others."""
        names = [stem(mask), PurePosixPath(stem(mask)).stem]
        names += [parts[0] for name in names[:1] if (parts := image_and_mark(name))]
        for name in dict.fromkeys(names):
            for table, text in ((self.exact, name), (self.folded, folded(name))):
                if best := self.nearest(table.get(text, []), between, mask):
                    return best
        folder = parent(mask).rpartition("/")[2]
        if between and between[-1] == folder:  # MVTec LOCO: a folder of masks for each image
            return self.nearest(self.exact.get(folder, []), between[:-1], mask)
        return None

    def nearest(self, images: Sequence[str], between: Sequence[str], mask: str) -> str | None:
        """The image that lies in all folders of the mask, and in fewest others; None for two alike."""
        wanted = telling(between)
        fitting = [image for image in images if holds(telling(parent(image).split("/")), wanted)]
        ranked = sorted(fitting, key=lambda image: len(telling(parent(image).split("/"))))
        depths = [len(telling(parent(image).split("/"))) for image in ranked[:2]]
        if len(depths) > 1 and depths[0] == depths[1]:
            self.doubtful[mask] = (ranked[0], ranked[1])
            return None
        return ranked[0] if ranked else None


def own_part(folder: str) -> list[str]:
    """Name of the images' folder that a mask folder's name holds: 'train' of 'train_masks'."""
    match = FOLDER_ENDINGS.match(folder) if folder.lower() not in MASK_FOLDERS else None
    return [match[1]] if match else []


def telling(parts: Sequence[str]) -> list[str]:
    """Parts of a folder's path that say more than that it holds images, without their endings for that."""
    plain = (match[1] if (match := IMAGE_FOLDER_ENDINGS.match(part)) else part for part in parts)
    return [folded(part) for part in plain if part and folded(part) not in IMAGE_FOLDERS]


def holds(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """True where all wanted parts occur, in their order."""
    rest = iter(parts)
    return all(any(part == want for part in rest) for want in wanted)
