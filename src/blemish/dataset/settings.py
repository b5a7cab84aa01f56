"""`dataset.yaml`: settings of a folder that its layout alone does not tell.

Every key is optional; an unknown one is an error that names the nearest. Paths start at the file's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from blemish.arrays import Colour
from blemish.errors import BlemishError, nearest_name
from blemish.untrusted import read_yaml

SETTINGS_NAME = "dataset.yaml"
MAX_MM_PER_PX = 1000.0
SHOWN = 100  # characters of a wrong value
MAX_TEXT = 4096  # characters of a value: no path is longer
SYSTEM_FOLDERS = ("/dev", "/proc", "/sys")  # their files never end, or are no files
SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)


class DatasetSettings(BaseModel):
    """The keys of `dataset.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: str | None = None  # name of a layout; None finds it
    root: str | None = None  # folder of the images; None is the yaml file's own
    annotations: str | dict[SplitName, str] | None = None  # COCO: the JSON file, or one for each split
    classes: tuple[str, ...] | dict[str, str] | None = None  # the names in order, or new names for old
    splits: dict[SplitName, str | tuple[str, ...]] | None = None  # a text file, or the images' names
    group: str | None = None  # regular expression; its first group, in the sample's id, is the group
    mm_per_px: float | None = Field(
        default=None, gt=0, le=MAX_MM_PER_PX, allow_inf_nan=False
    )  # of every image
    bits: int | None = Field(default=None, ge=8, le=16)  # that 16-bit images use, such as 12 of a camera
    colours: dict[str, str] | None = None  # pairs: class name → "#rrggbb" in the masks
    exact_colours: bool = (
        False  # pairs: every pixel of a named colour counts, no edges are blurred or dithered
    )
    unlabelled: Literal["clean", "leave-out", "error"] | None = None  # images without annotation; None: as
    # the tool has it, which is clean for those that write no file for a clean image, and else an error
    label_key: str | None = None  # column or attribute that holds the class, where several could
    above: int | None = Field(default=None, ge=0, le=254)  # gray masks: a pixel is defect when it is brighter
    mask_values: Literal["binary", "classes", "instances"] | None = None  # gray masks: what values mean
    clean: tuple[str, ...] | None = None  # names of folders whose images are clean

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
        settings = DatasetSettings(**content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        reason = first["msg"].removeprefix("Value error, ")
        raise BlemishError(
            f"{path}: '{key}' must be valid. Received: {shown(content.get(key))} ({shown(reason)}). "
            "Correct that line."
        ) from error
    if settings.annotations is None or settings.layout == "coco":
        return settings
    if settings.layout is None:
        return settings.model_copy(update={"layout": "coco"})
    raise BlemishError(
        f"{path}: 'annotations' must go with 'layout: coco'. Received: layout '{shown(settings.layout)}'. "
        "Remove one of the two."
    )


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
