"""The YOLO layout: a text file an image, lines "class cx cy w h" or "class x1 y1 …", in shares of the size.

The class names are in `data.yaml` (or another YAML file with `names`, `classes.txt`, `obj.names`). An image
without a text file is clean, as YOLO's trainers have it, but a split without any text file is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from blemish.dataset.layouts.common import (
    Contents,
    Reading,
    Remark,
    Source,
    Tree,
    collect,
    grouped,
    is_turned,
    parent,
    remark_lines,
    split_of_path,
)
from blemish.dataset.layouts.entries import alike_names
from blemish.dataset.layouts.unlabelled import with_unlabelled
from blemish.dataset.layouts.yolo_files import (
    NO_IMAGE,
    Pairs,
    in_label_folder,
    is_dota,
    looks_right,
    misplaced,
    paired,
    refuse_dota,
)
from blemish.dataset.layouts.yolo_lines import LineRule, read_line
from blemish.dataset.layouts.yolo_names import (
    class_names,
    data_files,
    key_point_shape,
    text_files,
)
from blemish.dataset.layouts.yolo_splits import read_splits
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError
from blemish.images.decode import image_size
from blemish.untrusted import read_text, regular_file

TURNED = (
    "turned by EXIF data; the labels are read for the upright image, though some tools label what is stored"
)


def detect(tree: Tree) -> str | None:
    """A text file of the image's name holds a class number and shares of the size."""
    if not any(file.lower().endswith(".txt") for file in tree.files):
        return None
    pairs = paired(Source(tree))
    for image, text in pairs.labels.items():
        if looks_right(tree, text):
            return f"{text} holds 'class cx cy w h' lines for {image}"
    data = ("data.yaml", "data.yml")
    names = next((file for file in tree.files if file.rpartition("/")[2].lower() in data), None)
    files = [*pairs.labels.values(), *pairs.strays]
    label = next((file for file in files if in_label_folder(file) and (names or is_dota(tree, file))), None)
    return f"{label} is a label file" if label else None


def read(source: Source) -> Contents:
    data = data_files(source)
    splits = read_splits(source, data)
    pairs = paired(source, splits.lists)
    refuse_dota(source, [*pairs.labels.values(), *pairs.strays])
    names, remarks = class_names(source, data)
    rule = LineRule(names, key_point_shape(source, data))
    split_of = {image: splits.of.get(image) or split_of_path(image) for image in source.tree.images}
    images, lost = members(source, pairs, split_of)
    faults = {
        **pairs.faults,
        **misplaced(source, pairs),
        **unlabelled_splits(source, images, pairs, split_of),
    }
    if faults and not source.skip_broken:
        raise BlemishError(next(iter(faults.values())))
    readings, skipped = collect(
        [image for image in images if image not in faults],
        lambda image: read_sample(source, image, pairs.labels.get(image), rule, split_of[image]),
        name=str,
        skip=source.skip_broken,
    )
    remarks += [*splits.remarks, *lost, *(remark for reading in readings for remark in reading.remarks)]
    texts = [text for image, text in pairs.labels.items() if image in images]
    strays = {
        file: NO_IMAGE for file in pairs.strays if in_label_folder(file) or looks_right(source.tree, file)
    }
    contents = Contents(
        samples=tuple(reading.sample for reading in readings),
        class_names=tuple(dict.fromkeys(names)),
        skipped={**faults, **skipped},
        read=frozenset({*(file.path for file in data), *text_files(source), *splits.lists, *texts}),
        left_out={**pairs.left_out, **strays},
        warnings=(*alike_names(names), *remark_lines(remarks)),
    )
    return (
        contents if leave_clean(source) else with_unlabelled(contents, source, pairs.labels, default="clean")
    )


def leave_clean(source: Source) -> bool:
    """True where images without a label file are clean, as they are unless the settings say otherwise."""
    return source.settings.unlabelled in (None, "clean")


def members(
    source: Source, pairs: Pairs, split_of: Mapping[str, str | None]
) -> tuple[list[str], list[Remark]]:
    """Images of the dataset, and remarks on those that count as clean for want of a label file.

    They lie in a split, or in a folder in which some image has a label file.
    """
    folders = {parent(image) for image in pairs.labels}
    images = [image for image in source.tree.images if split_of[image] or parent(image) in folders]
    if not leave_clean(source):
        return [image for image in images if image in pairs.labels], []
    described = {split_of[image] for image in pairs.labels}  # others are faults, see `unlabelled_splits`
    clean = [image for image in images if image not in pairs.labels and split_of[image] in {*described, None}]
    reason = f"of {len(images)} images these have no label file, and count as clean"
    return images, [Remark("image", image, reason) for image in clean]


def unlabelled_splits(
    source: Source, images: list[str], pairs: Pairs, split_of: Mapping[str, str | None]
) -> dict[str, str]:
    """Faults of the images of splits in which no image has a label file."""
    faults: dict[str, str] = {}
    for split, members in grouped(images, lambda image: split_of[image]).items():
        if (
            split
            and source.settings.unlabelled is None
            and not any(image in pairs.labels for image in members)
        ):
            what = f"{source.root / members[0]} and all other images of '{split}' must have label files."
            faults |= dict.fromkeys(
                members,
                f"{what} Received: none. Add them, empty ones for clean images, or name their folder labels.",
            )
    return faults


def read_sample(source: Source, image: str, text: str | None, rule: LineRule, split: str | None) -> Reading:
    path = regular_file(source.root / image)
    if text is None:
        return Reading(Sample(path, image, split=split))
    size = image_size(path)
    marks: list[Annotation] = []
    remarks: list[Remark] = []
    for number, line in enumerate(read_text(source.root / text).split("\n"), start=1):
        if line.strip():
            mark, doubts = read_line(line, rule, size, f"{source.root / text} line {number}")
            marks.append(mark)
            remarks += [Remark("line", f"{text} line {number}", doubt) for doubt in doubts]
    if marks and is_turned(path):
        remarks.append(Remark("image", image, TURNED))
    return Reading(Sample(path, image, tuple(marks), split=split), tuple(remarks))
