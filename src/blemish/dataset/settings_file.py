"""Reading a `dataset.yaml`, and finding the folder of images that it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blemish.dataset.settings import DatasetSettings
from blemish.errors import BlemishError, nearest_name
from blemish.untrusted import read_yaml

SHOWN = 100  # characters of a wrong value
MAX_TEXT = 4096  # characters of a value: no path is longer
SYSTEM_FOLDERS = ("/dev", "/proc", "/sys")  # their files never end, or are no files
COMMENTED = re.compile(rb"[{,]\s*#[0-9a-fA-F]{6}\s*:")  # a colour without quotes, which begins a comment


def read_settings(path: Path) -> DatasetSettings:
    """Read a yaml file. Raises BlemishError that names the file, the key, and the nearest known key."""
    try:
        content = read_yaml(path, as_text=True)
    except BlemishError as error:
        if COMMENTED.search(path.read_bytes()):
            raise BlemishError(f"{error} A colour must stand in quotes, as in '#ff0000'.") from error
        raise
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
    for key in ("classes", "colours"):
        if key in content and content[key] is None:
            raise BlemishError(
                f"{path}: '{key}' must have a value. Received: none. Put colours into quotes, as in "
                "'#ff0000': without them a # begins a comment."
            )
    try:
        settings = DatasetSettings(**content)
        refuse_contrary(settings, path)
        return settings
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        reason = first["msg"].removeprefix("Value error, ")
        raise BlemishError(
            f"{path}: '{key}' must be valid. Received: {shown(content.get(key))} ({shown(reason)}). "
            "Correct that line."
        ) from error


def refuse_contrary(settings: DatasetSettings, path: Path) -> None:
    """Raise BlemishError for names of mask values beside a setting by which the values mean no classes."""
    for key, value in (("above", settings.above), ("mask_values", settings.mask_values)):
        if settings.value_names and value not in (None, "classes", "instances"):
            raise BlemishError(
                f"{path}: 'classes' must not number mask values where '{key}: {value}' says that they are no "
                "classes. Received: both. Remove one of them."
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
