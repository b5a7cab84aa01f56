"""`data describe`: a commented dataset.yaml, with the keys that hold for a dataset filled in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from blemish.dataset.layouts.split_files import SPLITS_FOLDER
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME, SPLIT_NAMES, DatasetSettings, Key, described_keys
from blemish.dataset.splits.split import carried_settings, relative_path
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.untrusted import read_yaml

END = "...\n"  # that YAML puts behind a value alone


def describe(dataset: Dataset, folder: Path | None = None) -> str:
    """Text of a dataset.yaml that gives this dataset; keys that are not needed are comments.

    folder: where it is to lie; None: the folder that the dataset was read from
    """
    known = known_settings(dataset, home_of(dataset) if folder is None else folder)
    parts = [
        f"# {len(dataset)} images, read as {dataset.layout}. Every key is optional; one that is not set is\n"
        "# a comment with an example. `blemish data check` shows what a change does.\n"
    ]
    parts += ["\n".join(lines_of(name, key, known)) + "\n" for name, key in described_keys().items()]
    return "\n".join(parts)


def lines_of(name: str, key: Key, known: dict[str, Any]) -> Iterator[str]:
    """Lines of a key: its meaning, its values and its default as comments, then its value or an example."""
    yield f"# {key.meaning}"
    yield f"# Values: {key.values}."
    yield f"# Without it: {key.default}."
    if name not in known:
        yield from (f"# {line}" for line in key.example.splitlines())
        return
    value = yaml.safe_dump(known[name], default_flow_style=True, allow_unicode=True, width=10**9)
    yield f"{name}: {value.removesuffix(END).strip()}"


def known_settings(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Settings that give the dataset from a dataset.yaml in the folder."""
    known = {"classes": list(dataset.class_names), **carried_settings(dataset, folder)}
    if folder.resolve() != dataset.root.resolve():
        known["root"] = relative_path(dataset.root, folder)
    splits = known_splits(dataset, folder)
    if splits:
        known["splits"] = splits
    return {name: value for name, value in known.items() if value not in (None, [], {})}


def known_splits(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Lists of the splits, where they would not be found from the folder or are set by name."""
    home = home_of(dataset)
    given = dataset.info.get("settings", {}).get("splits")
    if given is not None:
        return {
            split: relative_path(home / value, folder) if isinstance(value, str) else value
            for split, value in given.items()
        }
    if folder.resolve() == home.resolve():
        return {}
    files = {split: home / SPLITS_FOLDER / f"{split}.txt" for split in SPLIT_NAMES}
    return {split: relative_path(file, folder) for split, file in files.items() if file.is_file()}


def home_of(dataset: Dataset) -> Path:
    """Folder that the dataset was read from, or that of its dataset.yaml."""
    return Path(str(dataset.info.get("home", dataset.root)))


def write_description(dataset: Dataset, out: Path, *, force: bool = False) -> Path:
    """Write the text to a file, or to dataset.yaml in a folder; returns the file.

    Raises BlemishError where the file is there, unless `force` is set, and for one of another tool.
    """
    file = out / SETTINGS_NAME if out.is_dir() else out
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise BlemishError(
            f"--out must be a .yaml file, or a folder. Received: {out}. Name it {SETTINGS_NAME}."
        )
    if file.exists():
        refuse_foreign(file)
        if not force:
            raise BlemishError(
                f"{file} exists and is not overwritten. Add --force to replace it, or choose another --out."
            )
    write_atomically(file, describe(dataset, file.parent))
    return file


def refuse_foreign(file: Path) -> None:
    """Raise BlemishError for a file with other keys, such as YOLO's, which also names classes in one."""
    content = read_yaml(file, as_text=True)
    others = (
        [key for key in content if key not in DatasetSettings.model_fields]
        if isinstance(content, dict)
        else []
    )
    if others:
        raise BlemishError(
            f"{file} must be a {SETTINGS_NAME} of blemish to be replaced. Received: one with the key "
            f"'{others[0]}'. Choose another --out."
        )
