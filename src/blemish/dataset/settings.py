"""`dataset.yaml`: settings of a folder that its layout alone does not tell.

Every key is optional; an unknown one is an error that names the nearest. Paths start at the file's folder.
What a user is told of a key stands beside it here, as `Key`, and nowhere else: `described_keys` gives it to
whatever prints it, and docs/layouts.md is checked against it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from blemish.arrays import Colour
from blemish.dataset.class_names import class_keys, colour_of

SETTINGS_NAME = "dataset.yaml"
MAX_MM_PER_PX = 1000.0
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
            "name: '#rrggbb' or [red, green, blue]",
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

    @field_validator("colours", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """Colours written as lists, [255, 0, 0], become text."""
        if not isinstance(value, dict):
            return value
        return {k: ",".join(map(str, v)) if isinstance(v, list) else v for k, v in value.items()}

    @field_validator("colours")
    @classmethod
    def _colours(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for text in (value or {}).values():
            if colour_of(text) is None:
                raise ValueError(f"'{text}', not a colour such as '#ff0000' or '255,0,0'")
        return value

    @field_validator("classes", mode="before")
    @classmethod
    def _classes(cls, value: Any) -> Any:
        class_keys(value)  # which raises for a faulty colour
        for key, name in value.items() if isinstance(value, dict) else ():
            if not isinstance(name, str):
                raise ValueError(
                    f"'{key}' has no name; values and colours go first, as in '255,0,0': scratch"
                )
        return value

    def below(self, outer: DatasetSettings) -> DatasetSettings:
        """These settings, and those of the folder around that say how labels and masks are read."""
        names = HOW_TO_READ & outer.model_fields_set - self.model_fields_set
        found = {name: getattr(outer, name) for name in names}
        if isinstance(outer.classes, dict) and "classes" in found:
            renamed = class_keys(outer.classes).renamed  # done once, for all folders
            found["classes"] = {key: name for key, name in outer.classes.items() if key not in renamed}
        return self.model_copy(update=found)

    @property
    def colour_names(self) -> dict[Colour, str]:
        """Class name of each mask colour that `colours` or `classes` names."""
        own = {colour_of(text): name for name, text in (self.colours or {}).items()}
        return {colour: name for colour, name in own.items() if colour} | class_keys(self.classes).by_colour

    @property
    def value_names(self) -> dict[int, str]:
        """Class name of each mask value that `classes` names."""
        return class_keys(self.classes).by_value


def described_keys() -> dict[str, Key]:
    """Description of every key of `dataset.yaml`, by its name, in the order in which they are told."""
    return {
        name: next(part for part in field.metadata if isinstance(part, Key))
        for name, field in DatasetSettings.model_fields.items()
    }
