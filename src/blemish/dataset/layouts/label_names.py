"""Names of folders that mean clean or defective, in several languages: closed lists, nothing is guessed.

Names are compared without case, spaces, dots, hyphens and underscores: "n.i.O." is "nio".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable
from fnmatch import fnmatchcase

from blemish.dataset.layouts.common import CLEAN_NAMES as PLAIN_CLEAN_NAMES
from blemish.dataset.layouts.common import SPLIT_OF_FOLDER, parent
from blemish.dataset.layouts.mask_index import IMAGE_FOLDER_ENDINGS, IMAGE_FOLDERS
from blemish.dataset.settings import SETTINGS_NAME, DatasetSettings
from blemish.errors import BlemishError

DEFECT = "defect"
CLEAN_NAMES = frozenset(re.sub(r"[\W_]+", "", name) for name in PLAIN_CLEAN_NAMES) | frozenset(
    {"goods", "okay", "pass", "passed", "accept", "accepted", "intact", "flawless", "faultless", "undamaged"}
    | {"defectless", "nodefect", "nodefects", "nondefect", "nondefective", "notdefective", "undefective"}
    | {
        "nofault",
        "nonfaulty",
        "noanomaly",
        "noanomalies",
        "nonanomalous",
        "nodamage",
        "nondamaged",
        "faultfree",
    }
    | {"conforming", "conform", "goodparts", "okparts", "normals"}
    | {
        "io",
        "gut",
        "gutteil",
        "gutteile",
        "fehlerfrei",
        "inordnung",
        "fehlerlos",
        "unbeschädigt",
        "ohnefehler",
    }
    | {"bon", "bons", "conforme", "conformes", "bueno", "buenos", "buono", "buoni", "goed", "sansdefaut"}
    | {"sansdéfaut", "sindefecto", "良品", "合格", "正常", "无缺陷", "無缺陷"}
)
DEFECT_NAMES = frozenset(
    {
        "1",
        "bad",
        "ng",
        "nok",
        "ko",
        "notok",
        "defect",
        "defects",
        "defective",
        "abnormal",
        "anomaly",
        "anomalies",
    }
    | {
        "anomalous",
        "faulty",
        "fail",
        "failed",
        "reject",
        "rejected",
        "notgood",
        "notnormal",
        "nongood",
        "scrap",
    }
    | {"nonconforming", "badparts", "ngparts", "nokparts", "anormal"}
    | {
        "nio",
        "schlecht",
        "schlechtteil",
        "schlechtteile",
        "fehlerhaft",
        "nichtinordnung",
        "ausschuss",
        "defekt",
    }
    | {
        "mauvais",
        "nonconforme",
        "nonconformes",
        "malo",
        "malos",
        "noconforme",
        "cattivo",
        "difettoso",
        "fout",
    }
    | {"不良", "不良品", "不合格", "异常", "異常", "缺陷"}
)
NEGATIONS = (
    "no",
    "non",
    "not",
    "un",
    "in",
    "without",
    "ohne",
    "kein",
    "keine",
    "nicht",
    "sans",
    "sin",
    "freeof",
)
FREE_OF = ("free", "less", "frei", "los")  # endings


def plain(name: str) -> str:
    """Name as it is compared: composed, without case and separators, and without an ending like _images."""
    match = IMAGE_FOLDER_ENDINGS.match(name)
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", match[1] if match else name).casefold())


def fits_name(name: str, entry: str) -> bool:
    """True where an entry of `clean:` is this name, or a pattern with * and ? that it fits."""
    return plain(name) == plain(entry) or fnmatchcase(name.casefold(), entry.casefold())


def is_clean(name: str, settings: DatasetSettings | None = None) -> bool:
    """True for a folder of clean images: one that `clean:` lists, or without that setting a known name."""
    if settings is not None and settings.clean is not None:
        return any(fits_name(name, entry) for entry in settings.clean)
    return plain(name) in CLEAN_NAMES


def is_defective(name: str, settings: DatasetSettings | None = None) -> bool:
    """True for a folder of defective images whose name does not say of which class."""
    return plain(name) in DEFECT_NAMES and not is_clean(name, settings)


def means_good(name: str) -> bool:
    """True for a known name of clean folders that can mean nothing else, as a number can, which may count."""
    return is_clean(name) and not name.isdecimal()


def says_state(name: str, settings: DatasetSettings | None = None) -> bool:
    """True for a name that says whether an image is clean or defective, and nothing else."""
    return is_clean(name, settings) or is_defective(name, settings)


def is_generic(name: str) -> bool:
    """True for folders like images/ or train/, which say nothing of a label."""
    return name.casefold() in IMAGE_FOLDERS or name.lower() in SPLIT_OF_FOLDER


def label_folder(file: str, settings: DatasetSettings | None = None) -> str:
    """Name of the folder that labels an image: the nearest that says clean, else the nearest not generic.

    '' where there is none.
    """
    parts = [part for part in parent(file).split("/") if part and not is_generic(part)]
    known = [part for part in parts if is_clean(part, settings) or is_defective(part, settings)]
    if known and is_clean(known[-1], settings):
        return known[-1]
    return parts[-1] if parts else ""


def class_label(name: str, settings: DatasetSettings | None = None) -> str:
    """Class that a folder's name means: 'defect' for names like bad and NG, else the name."""
    return DEFECT if is_defective(name, settings) else name


def refuse_doubtful_names(
    names: Iterable[str], settings: DatasetSettings, place: object, *, noun: str = "folder"
) -> None:
    """Raise BlemishError for names that may mean clean, as long as `clean:` does not say which ones do.

    These are negations of another name, like no_crack beside crack, names with a word that means clean, like
    good_lot1, and numbers beyond 0 and 1.
    """
    if settings.clean is not None:
        return
    found = sorted(set(names))
    for name in found:
        if seems_clean(name, found):
            raise BlemishError(
                f"{place}: the {noun} '{name}' must be known as clean or as a class. Received: a name that "
                f"may mean clean. Put 'clean: [{name}]' into {SETTINGS_NAME}, or 'clean: [good]' with the "
                "names of those that mean clean."
            )
    numbers = [name for name in found if name.isdecimal()]
    if "0" in numbers and set(numbers) - {"0", "1"}:
        raise BlemishError(
            f"{place}: the {noun} '0' must be known as clean or as a class. Received: {noun}s "
            f"{', '.join(numbers)}. Put 'clean: [0]' into {SETTINGS_NAME}, or 'clean: []' if it is a class."
        )


def seems_clean(name: str, names: Iterable[str]) -> bool:
    """True for a name that is not known and may mean clean, among these."""
    if is_clean(name) or is_defective(name):
        return False
    stems = {plain(other) for other in names} | CLEAN_NAMES | DEFECT_NAMES
    return is_negation(plain(name), stems) or has_clean_word(name)


def has_clean_word(name: str) -> bool:
    """True for a name of several words, one of which means clean: ok_front, normal_test, good-2."""
    words = [plain(word) for word in re.split(r"[\W_]+", name) if word]
    return len(words) > 1 and any(word in CLEAN_NAMES and not word.isdecimal() for word in words)


def is_negation(name: str, known: Container[str]) -> bool:
    """True for a name like 'nocrack' where 'crack' is known, and for any like 'crackfree'."""
    rests = (name.removeprefix(start) for start in NEGATIONS if name.startswith(start))
    return any(rest in known for rest in rests) or any(
        name.endswith(end) and len(name) > len(end) + 2 for end in FREE_OF
    )
