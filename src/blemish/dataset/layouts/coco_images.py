"""Images of COCO annotation files: which picture each entry means, and with which annotations.

An image is one picture: numbers and names that would give it twice, or give two one number, are refused,
joined with a word, or left out on request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from blemish.dataset.layouts.coco_files import CocoEntry, CocoFile, number_of, text_of
from blemish.dataset.layouts.common import Remark, Source, grouped, split_of_path
from blemish.errors import BlemishError

TWICE = "they are listed twice, under different ids, and read as one image with all the annotations"
SAME_FILES = "several annotation files list them with the same annotations, which count once"
OTHER_SPLIT = "they lie in the folder of another split than their annotation file's"


@dataclass
class Faults:
    """Collector of faults: the first is raised, or all are noted where broken files may be left out."""

    skip: bool
    skipped: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)

    def skip_image(self, name: str, message: str) -> None:
        self._raise(message)
        self.skipped[name] = message

    def drop(self, place: str, message: str, reason: str) -> None:
        self._raise(message)
        self.dropped[place] = reason

    def _raise(self, message: str) -> None:
        if not self.skip:
            raise BlemishError(message)


@dataclass(frozen=True)
class Picture:
    """An image as annotation files speak of it.

    path: id of the sample; entries: those that list it; marks: its annotations; names: number → class
    """

    path: str
    file: CocoFile
    entries: tuple[CocoEntry, ...]
    marks: tuple[CocoEntry, ...]
    names: Mapping[int | str, str]
    remarks: tuple[Remark, ...] = ()

    def by_path(self) -> str:
        return self.path

    @property
    def called(self) -> str:
        return str(self.entries[0]["file_name"])

    @property
    def content(self) -> list[str]:
        """Content of a mark, whatever its numbers are: equal for equal annotations."""
        keys = ("bbox", "segmentation", "iscrowd")
        return sorted(
            str([self.names.get(number_of(mark["category_id"], "")), *map(mark.get, keys)])
            for mark in self.marks
        )


def pictures_of(
    source: Source, file: CocoFile, names: Mapping[int | str, str], faults: Faults
) -> list[Picture]:
    """The images of a file with their annotations; those that share a number are a fault."""
    marks = marks_by_image(file)
    images = grouped(file.section("images"), lambda image: number_of(image["id"], f"{file.path}: image id"))
    for number in marks.keys() - images.keys():
        for mark in marks[number]:
            message = f"{file.path} must have an image for every annotation. Received: image_id {number} "
            place = f"{file.name}: annotation {mark.get('id', '')}"
            faults.drop(
                place, f"{message}without an image. Correct the file.", "its image is not in the file"
            )
    pictures = []
    for number, entries in images.items():
        called = dict.fromkeys(
            text_of(e["file_name"], f"{file.path}: image {number}: file_name") for e in entries
        )
        if len(called) > 1:
            message = f"{file.path} must give every image an id of its own. Received: id {number} twice, for "
            for name in called:
                faults.skip_image(name, f"{message}{' and '.join(called)}. Correct the file.")
            continue
        picture = located(
            source, Picture("", file, tuple(entries), tuple(marks.get(number, ())), names), faults
        )
        pictures += [picture] if picture else []
    return pictures


def marks_by_image(file: CocoFile) -> dict[int | str, list[CocoEntry]]:
    """Annotations by image; those whose own id was used before get another, so that each has one."""
    marks: dict[int | str, list[CocoEntry]] = {}
    times: dict[str, int] = {}
    for mark in file.section("annotations"):
        image = number_of(mark["image_id"], f"{file.path}: annotation {mark.get('id', '')}: image_id")
        own = str(mark.get("id", ""))
        times[own] = times.get(own, 0) + 1
        again = "id" in mark and times[own] > 1
        marks.setdefault(image, []).append({**mark, "id": f"{own}-{times[own]}"} if again else mark)
    return marks


def located(source: Source, picture: Picture, faults: Faults) -> Picture | None:
    """The picture with its path; None where its image is not there."""
    file = picture.file
    split = file.split if file.own_split else None

    def fits(path: str) -> bool:
        return split is None or split_of_path(path) in (None, split)

    try:
        found = source.tree.names.find(picture.called, near=file.name, fits=fits)
    except BlemishError as error:
        faults.skip_image(picture.called, str(error))
        return None
    other = OTHER_SPLIT if file.split and split_of_path(found.path) not in (None, file.split) else ""
    remarks = tuple(
        Remark("image name", f"'{picture.called}' for {found.path}", why)
        for why in (found.doubt, other)
        if why
    )
    return replace(picture, path=found.path, remarks=remarks)


def joined(pictures: Sequence[Picture], faults: Faults) -> list[Picture]:
    """Join pictures that name the same image into one; none, and a fault, where they contradict."""
    first = pictures[0]
    if len(pictures) == 1:
        return [first]
    path, files = first.path, list(dict.fromkeys(picture.file.name for picture in pictures))
    if len(files) > 1:
        splits = dict.fromkeys(p.file.split for p in pictures if p.file.split)
        what = " in two splits" if len(splits) > 1 else ", with other annotations"
        same = len(files) == len(pictures) and all(p.content == first.content for p in pictures)
        if not same or len(splits) > 1:
            faults.skip_image(
                path,
                f"{path} must be in one annotation file. Received: {' and '.join(files)}{what}. "
                "Remove one of the files, or name those to be read under 'annotations' in dataset.yaml.",
            )
            return []
        chosen = next((picture for picture in pictures if picture.file.split), first)
        return [replace(chosen, remarks=(*chosen.remarks, Remark("image", path, SAME_FILES)))]
    called = list(dict.fromkeys(picture.called for picture in pictures))
    if len(called) > 1:
        ids = " and ".join(str(picture.entries[0]["id"]) for picture in pictures)
        faults.skip_image(
            path,
            f"{first.file.path} must name every image once. Received: ids {ids}, {' and '.join(called)}, "
            f"which both mean {path}. Correct the names.",
        )
        return []
    entries = tuple(entry for picture in pictures for entry in picture.entries)
    marks = tuple(mark for picture in pictures for mark in picture.marks)
    ids = ", ".join(str(entry["id"]) for entry in entries)
    remark = Remark("image", f"{path} under ids {ids}", TWICE)
    return [replace(first, entries=entries, marks=marks, remarks=(*first.remarks, remark))]
