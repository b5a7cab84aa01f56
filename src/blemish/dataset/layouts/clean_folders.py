"""`clean:` of dataset.yaml against the folders that are there: names, patterns and paths of folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from blemish.dataset.layouts import masks
from blemish.dataset.layouts.common import Source, parent
from blemish.dataset.layouts.label_names import fits_name
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError, nearest_name


def with_clean_folders(source: Source, *, labels_too: bool = False) -> Source:
    """The source with the names of its clean folders in place of the paths in `clean:`.

    labels_too: an entry may also be a label in a file, so that no folder need have such a name
    Raises BlemishError for an entry that fits no folder but is nearly the name of one, for entries of which
    none fits any, and for a path whose last part is also the name of a folder elsewhere, which no entry fits.
    """
    entries = [entry.strip("/") for entry in source.settings.clean or ()]
    if not entries:
        return source
    paths = folders_of_images(source)
    short = {folder: name for folder, name in masks.class_names(source.tree).items() if folder}
    names = dict.fromkeys(entry for entry in entries if "/" not in entry)
    found = {entry: [path for path in paths if fits(path, entry)] for entry in entries}
    refuse_unknown(found, paths, source, labels_too=labels_too)
    for entry, fitting in found.items():
        # Of MT_Free the layout of class folders with masks keeps Free.
        names |= dict.fromkeys(name for folder, name in short.items() if folder_or_above(folder, fitting))
        if "/" in entry:
            names |= dict.fromkeys(path.rpartition("/")[2] for path in fitting)
            refuse_namesake(entry, fitting, paths, entries, source)
    return replace(source, settings=source.settings.model_copy(update={"clean": tuple(names)}))


def folders_of_images(source: Source) -> list[str]:
    """Paths of all folders that hold images, directly or below."""
    direct = {parent(file) for file in source.tree.images} - {""}
    return sorted({"/".join(f.split("/")[: n + 1]) for f in direct for n in range(f.count("/") + 1)})


def fits(path: str, entry: str) -> bool:
    """True where an entry is the path of a folder, or its name; both may be patterns."""
    if "/" in entry:
        return fnmatchcase(path.casefold(), entry.casefold())
    return fits_name(path.rpartition("/")[2], entry)


def folder_or_above(folder: str, fitting: list[str]) -> bool:
    return any(f"{folder}/".startswith(f"{path}/") for path in fitting)


def refuse_namesake(
    entry: str, fitting: list[str], paths: list[str], entries: list[str], source: Source
) -> None:
    names = {path.rpartition("/")[2] for path in fitting}
    others = [path for path in paths if path.rpartition("/")[2] in names and path not in fitting]
    for path in others:
        if not any(fits(path, other) for other in entries):
            raise BlemishError(
                f"{source.home / SETTINGS_NAME}: 'clean' must tell folders by their names. Received: "
                f"'{entry}', but '{path}' has that name too. Rename one of them, or list both."
            )


def refuse_unknown(
    found: Mapping[str, Sequence[str]], paths: Sequence[str], source: Source, *, labels_too: bool
) -> None:
    """Raise BlemishError for an entry without a folder, where one nearly has its name or no entry fits."""
    taken = {path for fitting in found.values() for path in fitting}
    rule = f"{source.home / SETTINGS_NAME}: 'clean' must name folders that hold images"
    for entry in (entry for entry, fitting in found.items() if not fitting):
        free = [path for path in paths if path not in taken]
        known = free if "/" in entry else list(dict.fromkeys(path.rpartition("/")[2] for path in free))
        if hint := nearest_name(entry, known):
            raise BlemishError(f"{rule}. Received: '{entry}'.{hint}")
        if not taken and not labels_too:
            some = ", ".join(known[:8]) or "none"
            raise BlemishError(f"{rule}. Received: '{entry}'. Use one of {some}.")
