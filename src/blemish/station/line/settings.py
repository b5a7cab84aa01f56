"""Settings of a line, as line.json holds them: what it inspects with, where parts come from, what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blemish.bundle.faults import first_fault
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.station.layout import LineFolder
from blemish.untrusted import read_json

Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Settings that do not change; a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class FolderSource(Settings):
    """A folder that is watched: each image file that comes into it is a part."""

    kind: Literal["folder"] = "folder"
    path: Path
    renamed: bool = False
    """Whoever writes the files renames them into the folder when they are whole: each is taken at once. Else
    a file is taken when it has not changed for a moment."""
    after: Literal["keep", "delete"] = "keep"
    """What becomes of a file once its record is on the disk."""


class ListSource(Settings):
    """A text file with the path of an image on each line, taken from the first to the last, once."""

    kind: Literal["list"] = "list"
    path: Path


class VideoSource(Settings):
    """A video file, taken from the first frame to the last, once."""

    kind: Literal["video"] = "video"
    path: Path
    every: int = Field(1, ge=1)
    """n, for every n-th frame."""


Source = Annotated[FolderSource | ListSource | VideoSource, Field(discriminator="kind")]


class Keep(Settings):
    """Images that are kept; of the others the record alone is. Those of the audit are always kept."""

    review: bool = True
    ng: bool = True
    error: bool = True
    ok_share: Share = 0.01
    """Share of the OK parts, drawn by a keyed hash of the part's number."""


class DecisionOf(Settings):
    """Decision that the bundle's folder must hold, or the change is refused."""

    revision: int
    sha256: str | None = None
    """Of the decision file; None is not checked."""


class LineSettings(Settings):
    """Everything that a LINE process is told."""

    name: str
    bundle: Path | None = None
    """Folder of the bundle, relative to the station's; without one, the line is on hold."""
    decision: DecisionOf | None = None
    source: Source | None = None
    """Where parts come from; without one, from the socket alone."""
    deadline_ms: int | None = Field(None, gt=0)
    """An answer that comes later is an ERROR for whoever asked, and recorded as missed."""
    keep: Keep = Keep()
    audit_share: Share = 0.01
    """Share of the OK parts that a person looks at without the verdict, drawn by a keyed hash."""
    review_is_ng: bool = True
    """A part to be reviewed is NG for a controller, which knows OK and NG alone."""
    shadow: Path | None = None
    """Folder of a second bundle, whose inspections are recorded and answer nothing."""
    min_free_mb: int = Field(256, ge=0)
    """Free space, in MB, under which the line is on hold: less, and the next image might not be kept."""
    link: dict[str, Any] | None = None
    """Of the process that speaks to a controller; the LINE process does not read it."""
    revision: int = Field(1, ge=1)
    """Number of these settings, counted up with every change."""


def read_settings(folder: LineFolder) -> LineSettings:
    """Settings of a line. Raises BlemishError for a file that is missing or does not hold them."""
    fields = read_json(folder.settings)
    if not isinstance(fields, dict):
        raise BlemishError(
            f"{folder.settings} must hold settings in braces. Received: something else. Correct it."
        )
    try:
        settings = LineSettings.model_validate(fields)
    except ValidationError as error:
        raise BlemishError(
            f"{folder.settings}: {first_fault(error, LineSettings.model_fields)} Correct it."
        ) from error
    if settings.name != folder.name:
        raise BlemishError(
            f"{folder.settings}: name must be that of its folder. Received: '{settings.name}'. Correct it."
        )
    return settings


def write_settings(folder: LineFolder, settings: LineSettings) -> None:
    """Write a line's settings, which a running LINE process takes within a second."""
    text = json.dumps(settings.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    write_atomically(folder.settings, text)
