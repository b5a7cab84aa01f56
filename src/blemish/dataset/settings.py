"""`dataset.yaml`: settings of a folder that its layout alone does not tell.

Every key is optional; an unknown one is an error that names the nearest. Paths start at the file's folder.
What a user is told of a key stands beside it here, as `Key`, and nowhere else: `described_keys` gives it to
whatever prints it, and docs/layouts.md is checked against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from blemish.arrays import Colour
from blemish.errors import BlemishError, nearest_name
from blemish.untrusted import read_yaml

SETTINGS_NAME = "dataset.yaml"
MAX_MM_PER_PX = 1000.0
SHOWN = 100  # characters of a wrong value
MAX_TEXT = 4096  # characters of a value: no path is longer
SYSTEM_FOLDERS = ("/dev", "/proc", "/sys")  # their files never end, or are no files
HOW_TO_READ = frozenset(
    {"classes", "colours", "exact_colours", "unlabelled", "label_key", "above", "mask_values", "clean"}
)  # keys that hold for the folders below, too
SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)


@dataclass(frozen=True)
class Key:
    """Description of a key for the user.

    meaning: a sentence; values: those it takes, in words; default: what holds without it, in words
    example: its line, or lines, in a dataset.yaml
    """

    meaning: str
    values: str
    default: str
    example: str


class DatasetSettings(BaseModel):
    """The keys of `dataset.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Annotated[
        str | None,
        Key(
            "The layout by which the folder is read.",
            "a name that `blemish data layouts` lists; lots or products where sub-folders are datasets",
            "found by the files",
            "layout: pairs",
        ),
    ] = None
    root: Annotated[
        str | None,
        Key(
            "The folder of the images, where this file lies elsewhere.",
            "a path",
            "the folder of this file",
            "root: ../images",
        ),
    ] = None
    annotations: Annotated[
        str | dict[SplitName, str] | None,
        Key(
            "The label file to be read, where there are several.",
            "a path, or one for each of train, val and test",
            "every label file that is found",
            "annotations: labels/instances.json",
        ),
    ] = None
    classes: Annotated[
        tuple[str, ...] | dict[str, str] | None,
        Key(
            "The classes: their order, new names for old ones, or the names of what masks show.",
            "a list of names; old: new; number of a mask value: name; '#rrggbb' or 'red,green,blue': name",
            "as the labels have them",
            "classes: {1: scratch, 2: dent}",
        ),
    ] = None
    splits: Annotated[
        dict[SplitName, str | tuple[str, ...]] | None,
        Key(
            "The images of each split.",
            "for each of train, val and test a text file with an image a line, or a list of images",
            "splits/train.txt, val.txt and test.txt beside this file, else as the layout has them",
            "splits: {train: lists/train.txt, test: lists/test.txt}",
        ),
    ] = None
    group: Annotated[
        str | None,
        Key(
            "The lot or part of an image, which `data split --by group` keeps together.",
            "a regular expression; what its first parentheses match in the image's path is the group",
            "as the layout has it: folders of lots, else none",
            "group: '(lot[0-9]+)'",
        ),
    ] = None
    mm_per_px: Annotated[
        float | None,
        Field(gt=0, le=MAX_MM_PER_PX, allow_inf_nan=False),
        Key(
            "The scale of every image, for sizes in mm; `blemish data scale` measures it.",
            f"a number above 0, up to {MAX_MM_PER_PX:.0f}",
            "sizes in pixels alone",
            "mm_per_px: 0.05",
        ),
    ] = None
    bits: Annotated[
        int | None,
        Field(ge=8, le=16),
        Key(
            "The bits that a camera uses of images with 16.",
            "8 to 16",
            "all of them",
            "bits: 12",
        ),
    ] = None
    colours: Annotated[
        dict[str, str] | None,
        Key(
            "The colour of each class in colour masks; `classes` with colours says the same.",
            "name: '#rrggbb'",
            "colours are classes called colour-rrggbb, or as a file of the dataset names them",
            "colours: {scratch: '#ff0000'}",
        ),
    ] = None
    exact_colours: Annotated[
        bool,
        Key(
            "Whether every pixel of a named colour counts, as no edges are blurred or dithered.",
            "true or false",
            "false: stray colours along edges are overlooked",
            "exact_colours: true",
        ),
    ] = False
    unlabelled: Annotated[
        Literal["clean", "leave-out", "error"] | None,
        Key(
            "What images without an annotation are.",
            "clean, leave-out or error",
            "as their tool has it: clean where it writes no file for a clean image, else an error",
            "unlabelled: clean",
        ),
    ] = None
    label_key: Annotated[
        str | None,
        Key(
            "The column or attribute that holds the class.",
            "a name in the label file",
            "the only one that can be it",
            "label_key: defect_type",
        ),
    ] = None
    above: Annotated[
        int | None,
        Field(ge=0, le=254),
        Key(
            "The brightness above which a pixel of a gray mask is defective.",
            "0 to 254, of 255",
            "decided for each mask by its values",
            "above: 40",
        ),
    ] = None
    mask_values: Annotated[
        Literal["binary", "classes", "instances"] | None,
        Key(
            "What several values in gray masks mean.",
            "binary (all mark defects), classes (each is a class) or instances (each is a defect)",
            "binary where that is clear, else asked for",
            "mask_values: classes",
        ),
    ] = None
    clean: Annotated[
        tuple[str, ...] | None,
        Key(
            "The folders of clean images: names, or patterns such as 'ok_*' or 'lot1/*_ok'.",
            "a list; [] where no folder is clean",
            "folders of known names, such as good and ok",
            "clean: [intact, no_crack]",
        ),
    ] = None

    @field_validator("group")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"not a regular expression ({error})") from error
        if groups < 1:
            raise ValueError("a regular expression without a group in parentheses")
        return value

    @field_validator("colours")
    @classmethod
    def _colours(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for text in (value or {}).values():
            if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
                raise ValueError(f"'{text}', not a colour such as '#ff0000'")
        return value

    def below(self, outer: DatasetSettings) -> DatasetSettings:
        """These settings, and those of the folder around that say how labels and masks are read."""
        return self.model_copy(
            update={
                name: getattr(outer, name)
                for name in HOW_TO_READ & outer.model_fields_set - self.model_fields_set
            }
        )

    @property
    def class_order(self) -> tuple[str, ...] | None:
        """The class names in their order, where the user has set it."""
        if isinstance(self.classes, dict):
            return tuple(dict.fromkeys(self.classes.values()))
        return self.classes

    @property
    def rgb_of(self) -> dict[str, Colour]:
        """RGB of each named mask colour."""
        return {
            name: (int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))
            for name, text in (self.colours or {}).items()
        }


def described_keys() -> dict[str, Key]:
    """Description of every key of `dataset.yaml`, by its name, in the order in which they are told."""
    return {
        name: next(part for part in field.metadata if isinstance(part, Key))
        for name, field in DatasetSettings.model_fields.items()
    }


def read_settings(path: Path) -> DatasetSettings:
    """Read a yaml file. Raises BlemishError that names the file, the key, and the nearest known key."""
    content = read_yaml(path, as_text=True)
    if not isinstance(content, dict | None):
        kind = type(content).__name__
        raise BlemishError(f"{path} must hold 'key: value' lines. Received: a {kind}. Correct or remove it.")
    if content and "names" in content and {"path", "train", "val"} & content.keys():
        return DatasetSettings()  # YOLO's trainers have a file of this name too; the YOLO reader reads it
    return validated(content or {}, path)


def validated(content: dict[Any, Any], path: Path) -> DatasetSettings:
    known = DatasetSettings.model_fields
    for key, value in content.items():
        if key not in known:
            hint = nearest_name(shown(key), known) or f" Use one of {', '.join(known)}."
            raise BlemishError(f"{path} must hold known keys only. Received: '{shown(key)}'.{hint}")
        for text in texts_in(value):
            if len(text) > MAX_TEXT or "\0" in text:
                what = "with a NUL character" if "\0" in text else f"of {len(text)} characters"
                raise BlemishError(
                    f"{path}: '{key}' must be valid. Received: a text {what}. Correct that line."
                )
    try:
        return DatasetSettings(**content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        reason = first["msg"].removeprefix("Value error, ")
        raise BlemishError(
            f"{path}: '{key}' must be valid. Received: {shown(content.get(key))} ({shown(reason)}). "
            "Correct that line."
        ) from error


def texts_in(value: object) -> Iterator[str]:
    """All texts inside a value of lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (*texts_in(key), *texts_in(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


def images_root(settings: DatasetSettings, file: Path) -> Path:
    """Folder of the images. file: dataset.yaml, or where it would be

    Raises BlemishError where it is none, or one of the system.
    """
    if settings.root is None:
        return file.parent
    root = file.parent / settings.root
    try:
        real = root.resolve(strict=True)
        if not real.is_dir() or real == Path(real.anchor):
            raise ValueError("a file" if real.is_file() else f"{real}, with all that there is")
        if real.as_posix().startswith(SYSTEM_FOLDERS):
            raise ValueError(f"{real}, a folder of the system")
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or (
            "a loop of links" if isinstance(error, RuntimeError) else error
        )
        raise BlemishError(
            f"{file}: 'root' must be a folder. Received: {shown(settings.root)!r} ({reason}). Correct it."
        ) from error
    return root


def shown(value: object) -> str:
    """Text of a value for a message: one line, and not all of a long one."""
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
