"""The inspector of the Python API: a bundle, or a chain of them, that judges images of every common form."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from blemish.bundle.store import load_bundle
from blemish.images.image_input import ImageInput, image_reader
from blemish.inspection import Inspection
from blemish.inspector.chain import Judge, judge_of, stages_of
from blemish.inspector.chain_data import notes_on_data
from blemish.inspector.limits import DEFAULT_LIMITS, Limits
from blemish.inspector.loading import class_names_of
from blemish.inspector.pipeline import Steps, answers_of, decoded
from blemish.inspector.sources import Item


class Inspector:
    """A trained bundle, or a chain of several, ready to judge images. `blemish.load` makes it.

    Images are given as
    - a path (str or Path) of a PNG, JPEG, BMP, TIFF, WebP or PNM file, turned upright as its EXIF says,
    - the bytes of such a file,
    - a numpy array, [H, W] gray or [H, W, 3] in the order RGB (OpenCV reads BGR: give `image[..., ::-1]`),
      of dtype uint8 or uint16, whose full range is 0 … 255 or 0 … 65535,
    - a PIL image of an 8-bit or 16-bit mode.
    Gray images are repeated for a bundle of colour, and colour becomes luminance for a bundle of gray, as
    when a file is read. A file that cannot be read, or an image that is too large for the memory, gives an
    inspection with the verdict ERROR; anything else raises BlemishError.
    """

    def __init__(self, judge: Judge, class_names: tuple[str, ...]) -> None:
        self._judge, self._class_names = judge, class_names

    def __repr__(self) -> str:
        return f"<blemish.Inspector {self.bundle}>"

    @property
    def bundle(self) -> str:
        """Id of the bundle, as in `Inspection.bundle`; those of a chain are joined by "+"."""
        return self._judge.bundle

    @property
    def class_names(self) -> tuple[str, ...]:
        """Every label that a defect can have, in the bundle's order."""
        return self._class_names

    @property
    def score_map_max(self) -> float | None:
        """Value of the map "score_map" that is drawn in the hottest colour; None for a bundle without it."""
        return self._judge.inference.score_map_max

    @property
    def score_map_threshold(self) -> float | None:
        """Value of the map "score_map" from which a pixel is defective; None for a bundle without it."""
        return self._judge.inference.pixel_threshold

    def inspect(self, image: ImageInput, name: str | None = None, *, with_maps: bool = False) -> Inspection:
        """Judge an image.

        name: in the inspection, instead of the path or a word such as "array"
        with_maps: also fill `Inspection.maps`, for drawing and for exact masks
        Raises BlemishError for anything but an image, see `Inspector`.
        """
        steps = Steps(self._judge, with_maps)
        return steps.decide(steps.forward(decoded(item_of(image, name or name_of(image))))).inspection

    def inspect_many(self, images: Iterable[ImageInput], *, with_maps: bool = False) -> Iterator[Inspection]:
        """Judge images as they come, in order, while the next are decoded; few are in memory at a time.

        Arrays, PIL images and bytes are named by their number, such as "array#000003". The images are taken
        in a thread of their own, which has ended when the iterator is exhausted or closed.
        Raises BlemishError for anything but an image, see `Inspector`.
        """
        with answers_of(self._judge, items_of(images), with_maps=with_maps) as answers:
            for answer in answers.coming:
                yield answer.inspection


def load_inspector(
    folders: Sequence[Path],
    *,
    device: str = "auto",
    mm_per_px: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
    input_check: bool = True,
) -> Inspector:
    """Inspector of the bundle in a folder, or of several as a chain, which may be warned of.

    Raises BlemishError for one refused.
    """
    bundles = [load_bundle(folder) for folder in folders]
    judge = judge_of(bundles, device=device, mm_per_px=mm_per_px, limits=limits, input_check=input_check)
    for note in notes_on_data(bundles):
        warnings.warn(note, stacklevel=2)
    return Inspector(judge, class_names_of(stages_of(judge), bundles))


def items_of(images: Iterable[ImageInput]) -> Iterator[Item]:
    for number, image in enumerate(images):
        own = name_of(image)
        yield item_of(image, own if isinstance(image, str | Path) else f"{own}#{number:06d}")


def item_of(image: ImageInput, name: str) -> Item:
    return Item(name, name, image_reader(image, name))


def name_of(image: ImageInput) -> str:
    """The path, or for an image in memory what kind it is."""
    if isinstance(image, str | Path):
        return str(image)
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "")) or "PIL image"
    return "bytes" if isinstance(image, bytes) else "array"
