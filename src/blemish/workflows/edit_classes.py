"""Removing a class that was added to a bundle, and renaming one: a new bundle beside the old one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blemish.bundle.manifest import Manifest, known_images
from blemish.bundle.store import CERTIFICATE, DECISION, Bundle, load_bundle, save_bundle
from blemish.errors import BlemishError, WrongUseError, nearest_name
from blemish.folder_lock import folder_lock
from blemish.inspector.loading import method_of
from blemish.methods.capabilities import AddsClasses
from blemish.progress import Reporter
from blemish.provenance import provenance

IMAGES_OF_CLASS = "images"  # of an added class: digests of the images that came with it


def remove_class(bundle: Path, name: str, out: Path, *, quiet: bool = False) -> Path:
    """Write the bundle as it was before class `name` was added; returns its path.

    Raises BlemishError for a class that the bundle does not have, or that training taught.
    """
    reporter = Reporter(quiet=quiet)
    with folder_lock(out, beside=True, note=reporter.line):
        parent, method = opened(bundle, name, out)
        networks, memory = method.remove_class(parent.networks, parent.manifest, name)
        manifest = parent.manifest.model_copy(
            update={
                "class_names": tuple(other for other in parent.manifest.class_names if other != name),
                "memory": dict(memory),
                "data": data_without(parent.manifest, name),
            }
        )
        return written(parent, manifest, networks, f"'{name}' was removed.", out, reporter)


def rename_class(bundle: Path, name: str, new: str, out: Path, *, quiet: bool = False) -> Path:
    """Write the bundle with class `name` called `new`; returns its path.

    Raises BlemishError for a class that the bundle does not have, and for a name that it has.
    """
    reporter = Reporter(quiet=quiet)
    with folder_lock(out, beside=True, note=reporter.line):
        refuse_odd_name(new, "--to")
        parent, method = opened(bundle, name, out)
        if new in parent.manifest.class_names:
            raise BlemishError(f"{bundle} already has a class '{new}'. Choose another --to.")
        manifest = method.rename_class(parent.manifest, name, new)
        added = parent.manifest.data.get("added", {})
        if name in added:
            added = {new if each == name else each: value for each, value in added.items()}
            manifest = manifest.model_copy(update={"data": {**manifest.data, "added": added}})
        return written(parent, manifest, parent.networks, f"'{name}' is called '{new}' now.", out, reporter)


def refuse_odd_name(name: str, option: str) -> None:
    """Raise WrongUseError for a name that is no words with single spaces between."""
    if not name or name != " ".join(name.split()):
        raise WrongUseError(f"{option} must be words with single spaces between. Received: {name!r}.")


def opened(path: Path, name: str, out: Path) -> tuple[Bundle, AddsClasses]:
    """Bundle and its method. Raises BlemishError where they do not have class `name`, or `out` exists."""
    if out.exists():
        raise BlemishError(f"{out} already exists. Choose another --out.")
    bundle = load_bundle(path)
    method, _ = method_of(bundle)
    if not isinstance(method, AddsClasses):
        raise BlemishError(
            f"{path}: method {method.name} learns its classes in training. Train it again on data with the "
            "classes that you want."
        )
    names = bundle.manifest.class_names
    if name not in names:
        raise BlemishError(
            f"{path} has no class '{name}'.{nearest_name(name, names)} It has {', '.join(names)}."
        )
    return bundle, method


def written(
    parent: Bundle,
    manifest: Manifest,
    networks: Mapping[str, Any],
    sentence: str,
    out: Path,
    reporter: Reporter,
) -> Path:
    """Write a changed bundle. The certificate stays behind: it was given to answers with other names."""
    made = {**provenance(), "seed": parent.manifest.provenance.get("seed"), "parent": parent.id}
    changed = manifest.model_copy(
        update={"metrics": {}, "notes": (*manifest.notes, sentence), "provenance": made}
    )
    graphs = {name: file for name, file in parent.other_files.items() if name != CERTIFICATE}
    saved = save_bundle(out, changed, networks, other_files=graphs)
    reporter.line(sentence)
    if (parent.path / DECISION).is_file():
        reporter.line(
            f"warning: the decision of {parent.path} holds for that bundle alone. Decide again: "
            f"blemish decide {out} --data CALIB."
        )
    return saved.path


def own_images(manifest: Manifest) -> set[str]:
    """Digests of the images that a bundle knows from its own training, not from a class added to it."""
    added = manifest.data.get("added", {}).values()
    of_classes = {digest for source in added for digest in source.get(IMAGES_OF_CLASS, ())}
    return {*known_images(manifest.data)} - of_classes


def data_without(manifest: Manifest, name: str) -> dict[str, Any]:
    """Data entry without an added class, and without the images that came with it alone."""
    added = {**manifest.data.get("added", {})}
    removed = added.pop(name, {})
    others = {digest for source in added.values() for digest in source.get(IMAGES_OF_CLASS, ())}
    gone = {*removed.get(IMAGES_OF_CLASS, ())} - others
    data = {**manifest.data, "trained_on": sorted({*manifest.data.get("trained_on", ())} - gone)}
    data.pop("added", None)
    return {**data, **({"added": added} if added else {})}
