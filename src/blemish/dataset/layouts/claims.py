"""Which files of a folder a reader has claimed, and the reasons for which others are left out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from blemish.dataset.account import Account
from blemish.dataset.layouts.common import Contents, Source
from blemish.dataset.samples import Dataset, MaskFile, Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES, UNREAD_IMAGE_SUFFIXES
from blemish.untrusted import read_yaml

LABEL_SUFFIXES = frozenset(
    {".txt", ".xml", ".json", ".jsonl", ".csv", ".tsv", ".xls", ".xlsx", ".ods", ".parquet", ".mat", ".npy"}
    | {".npz", ".yaml", ".yml"}
)
ARCHIVES = frozenset({".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip"})
NOTE_NAMES = ("readme", "license", "licence", "changelog", "requirements", "terms", "citation", "copyright")
NO_ANNOTATION = "no annotation that was read names it, so it is neither clean nor defective"
NO_LABELS = "no label file that this layout knows"
NOT_READ = "images of this type are not read; save them as PNG or TIFF"
NOT_OPENED = "archives are not opened; unpack them"
OTHER_SETTINGS = "settings that do not apply here: those of the folder that was given do"


def account_of(contents: Contents, source: Source, dataset: Dataset) -> Account:
    """Account of the files of a source, given what its reader and the settings made of them."""
    files = source.tree.file_set
    used = files & (contents.read | used_files(dataset.samples, source.root) | named_files(source))
    free = files - used
    skipped = {file: why for file, why in dataset.skipped.items() if file in free}
    free -= skipped.keys()
    known = {file: why for file, why in contents.left_out.items() if file in free}
    claimed = used | skipped.keys() | known.keys()
    rest = [file for file in source.tree.files if file not in claimed]
    reasons = {file: reason for file in rest if (reason := reason_of(file))}
    return Account(
        used=used,
        left_out={**known, **reasons, **source.tree.odd},
        skipped=skipped,
        notes=tuple(file for file in rest if file not in reasons),
        annotations=sum(len(sample.annotations) for sample in dataset),
        dropped=contents.dropped,
        remarks=contents.warnings,
    )


def named_files(source: Source) -> frozenset[str]:
    """Files below the root that dataset.yaml names, and itself; another one there that says the same, too."""
    settings = source.settings
    annotations, lists = settings.annotations or (), settings.splits or {}
    names = [SETTINGS_NAME, *(lists.values())]
    names += [annotations] if isinstance(annotations, str) else [*dict(annotations).values()]
    paths = [source.home / name for name in names if isinstance(name, str)]
    if same_settings(source.home / SETTINGS_NAME, source.root / SETTINGS_NAME):  # as `data split` leaves them
        paths.append(source.root / SETTINGS_NAME)
    return relative_names(paths, source.root)


def same_settings(first: Path, second: Path) -> bool:
    """True where two settings files say the same, but for the place of the images and the splits."""
    try:
        contents = [read_yaml(file) for file in (first, second)]
    except BlemishError:
        return False
    if not all(isinstance(content, dict) for content in contents):
        return False
    own, other = ({k: v for k, v in content.items() if k not in ("root", "splits")} for content in contents)
    return bool(own == other)


def used_files(samples: Iterable[Sample], root: Path) -> frozenset[str]:
    """Files below the root that samples refer to: images, references and masks."""
    paths = {sample.image for sample in samples}
    paths |= {sample.reference for sample in samples if sample.reference is not None}
    paths |= {a.mask.path for s in samples for a in s.annotations if isinstance(a.mask, MaskFile)}
    return relative_names(paths, root)


def relative_names(paths: Iterable[Path], root: Path) -> frozenset[str]:
    return frozenset(path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root))


def reason_of(file: str) -> str:
    """Reason why a file that no reader claimed is left out; "" for a note, which is no loss."""
    path = PurePosixPath(file)
    if path.name == SETTINGS_NAME:
        return OTHER_SETTINGS
    suffix, is_note = path.suffix.lower(), path.name.lower().startswith(NOTE_NAMES)
    if suffix in SUFFIXES:
        return NO_ANNOTATION
    for suffixes, reason in (
        (UNREAD_IMAGE_SUFFIXES, NOT_READ),
        (ARCHIVES, NOT_OPENED),
        (LABEL_SUFFIXES, NO_LABELS),
    ):
        if suffix in suffixes and not is_note:
            return reason
    return ""
