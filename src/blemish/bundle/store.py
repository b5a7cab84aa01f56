"""Saving and loading of bundles: manifest.json and a .safetensors file per network; of exported bundles also
the graphs and the certificate. No pickle, no import paths.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from safetensors import SafetensorError

from blemish.bundle.manifest import Manifest, manifest_json, parse_manifest
from blemish.errors import BlemishError
from blemish.untrusted import read_bytes, regular_file

if TYPE_CHECKING:  # a station's server reads bundles now and then; NumPy would be a tenth of its memory
    import numpy as np
    from numpy.typing import NDArray

Tensors = Mapping[str, "NDArray[np.generic]"]
MANIFEST, CERTIFICATE = "manifest.json", "certificate.json"
TENSOR_SUFFIX = ".safetensors"
GRAPH_SUFFIXES = {"onnx": (".onnx",), "openvino": (".xml", ".bin")}
CREATED = "created"  # in the manifest's provenance
DECISION, USAGE = "decision.yaml", "usage.json"
# Files that may change while weights and manifest stay: the decision, its older revisions, the usage count.
CHANGEABLE = re.compile(r"decision(-\d{1,9})?\.yaml|usage\.json")
# While one of them is being written, see `files.write_atomically`. Never read.
DRAFT = re.compile(rf"\.({CHANGEABLE.pattern})\.[a-z0-9_]{{8}}")
MAX_MANIFEST_BYTES = 2**28


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle. networks: name of each network to its tensors by parameter name.

    stored: the manifest as loaded and its digest as stored, which an upgrade of the manifest must not change
    """

    path: Path
    manifest: Manifest
    networks: Mapping[str, Tensors]
    stored: tuple[Manifest, str] | None = field(default=None, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which covers the hash of every file, in hexadecimal.

        When it was made is left out: two trainings that gave the same give the same digest.
        """
        if self.stored is not None and self.stored[0] is self.manifest:
            return self.stored[1]
        return digest_of(json.loads(self.manifest.to_json()))

    @property
    def id(self) -> str:
        """Method and the first 12 digits of `digest`."""
        return f"{self.manifest.method}-{self.digest[:12]}"

    @property
    def other_files(self) -> dict[str, Path]:
        """Paths of an exported bundle's graphs and certificate by name; their content is not loaded."""
        return {name: self.path / name for name in self.manifest.files if not name.endswith(TENSOR_SUFFIX)}


def save_bundle(
    path: Path,
    manifest: Manifest,
    networks: Mapping[str, Tensors],
    *,
    other_files: Mapping[str, Path] | None = None,
) -> Bundle:
    """Write a whole bundle beside `path`, then swap it in; a failure leaves the bundle at `path` intact.

    Where the same bundle is there already, its decision and its count of test-set evaluations stay.
    networks: name of each network to its tensors; other_files: copied into it, see `Bundle.other_files`
    Raises BlemishError when the disk is full or not writable.
    """
    from safetensors.numpy import save

    others = other_files or {}
    contents = {f"{name}{TENSOR_SUFFIX}": save(dict(tensors)) for name, tensors in networks.items()}
    digests = {name: sha256(data) for name, data in contents.items()}
    digests |= {name: sha256_of(file) for name, file in others.items()}
    whole = manifest.model_copy(update={"files": digests})
    contents[MANIFEST] = whole.to_json().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise BlemishError(f"{path} cannot be written: {error.strerror}. Choose another folder.") from error
    try:
        fill(draft, contents | changeable_of(path, Bundle(path, whole, networks).id), others)
        replace_folder(draft, path)
    except OSError as error:
        raise BlemishError(
            f"{path} cannot be written: {error.strerror}. The old bundle is untouched."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Bundle(path, whole, networks)


def load_bundle(path: Path, *, method: str | None = None, finite: bool = True) -> Bundle:
    """Bundle in folder `path`; every file's hash is checked before any is parsed.

    method: a bundle of any other method is refused; finite: and one with weights that are not
    Raises BlemishError for a missing or foreign file, a wrong hash, an unknown key, another schema, or a file
    that is not safetensors data.
    """
    file = path / MANIFEST
    if not os.path.lexists(file):
        of_run = path / "bundle"
        remedy = (
            f"Give the one in it, {of_run}."
            if (of_run / MANIFEST).is_file()
            else "Give the folder that `train` named at its end, such as run/bundle."
        )
        raise BlemishError(f"{path} is not a bundle: it has no {MANIFEST}. {remedy}")
    text = read_bytes(file, max_bytes=MAX_MANIFEST_BYTES)
    manifest = parse_manifest(text, file)
    if method is not None and manifest.method != method:
        raise BlemishError(f"{path} must be a bundle of method '{method}'. Received: '{manifest.method}'.")
    refuse_unlisted(path, manifest)
    bundle = Bundle(path, manifest, {}, stored=(manifest, digest_of(json.loads(text))))
    for name, file in bundle.other_files.items():
        refuse_other_digest(file, sha256_of(existing(file)), manifest.files[name])
    tensors = {name for name in manifest.files if name not in bundle.other_files}
    data = {name: existing(path / name).read_bytes() for name in sorted(tensors)}
    for name, content in data.items():
        refuse_other_digest(path / name, sha256(content), manifest.files[name])
    networks = {
        name.removesuffix(TENSOR_SUFFIX): parse_tensors(path / name, content)
        for name, content in data.items()
    }
    if finite:
        refuse_not_finite(path, networks)
    return replace(bundle, networks=networks)


def digest_of(fields: Mapping[str, Any]) -> str:
    """Digest of a bundle from the fields of its manifest.json, see `Bundle.digest`."""
    provenance = fields.get("provenance", {})
    timeless = {**fields, "provenance": {key: v for key, v in provenance.items() if key != CREATED}}
    return sha256(manifest_json(timeless).encode())


def refuse_unlisted(path: Path, manifest: Manifest) -> None:
    """Raises BlemishError for a file of a foreign name or kind, and one that the manifest does not list."""
    others = other_names(manifest)
    for name in manifest.files:
        if Path(name).name != name or not (name.endswith(TENSOR_SUFFIX) or name in others):
            beside = f", or {', '.join(sorted(others))}" if others else ""
            raise BlemishError(
                f"{path / MANIFEST}: files must be names ending in {TENSOR_SUFFIX}{beside}. "
                f"Received: '{name}'."
            )
    refuse_unhashed_graphs(path, manifest)
    listed = {*manifest.files, MANIFEST}
    for found in sorted(path.iterdir()):
        if CHANGEABLE.fullmatch(found.name):
            regular_file(found)  # one that cannot be read is no missing one
        elif found.name not in listed and not DRAFT.fullmatch(found.name):
            raise BlemishError(f"{found} is not listed in {MANIFEST}. Remove it, or copy the bundle again.")


def refuse_unhashed_graphs(path: Path, manifest: Manifest) -> None:
    """Raises BlemishError for a graph without a file, or whose file is of another kind or is not listed."""
    runtime = manifest.runtime
    for graph, stored in runtime.graphs.items() if runtime else ():
        listed = set(stored.files) & other_names(manifest) & set(manifest.files)
        if not stored.files or listed != set(stored.files):
            raise BlemishError(
                f"{path / MANIFEST}: runtime: graph '{graph}' must name files that 'files' lists. "
                f"Received: {', '.join(stored.files) or 'none'}. Export the bundle again."
            )


def other_names(manifest: Manifest) -> set[str]:
    """Names that an exported bundle may list beside tensors: its graphs' files, and the certificate."""
    runtime = manifest.runtime
    if runtime is None:
        return set()
    named = {name for graph in runtime.graphs.values() for name in graph.files}
    return {name for name in named if name.endswith(GRAPH_SUFFIXES[runtime.kind])} | {CERTIFICATE}


def existing(file: Path) -> Path:
    """Return the path of a bundle's file. Raises BlemishError where it is missing."""
    if not file.is_file():
        raise BlemishError(f"{file} is missing. Copy the whole bundle again.")
    return file


def refuse_other_digest(file: Path, digest: str, expected: str) -> None:
    """Raises BlemishError where a file's SHA-256 is not the manifest's."""
    if digest != expected:
        raise BlemishError(
            f"{file} was changed or damaged: its SHA-256 is not the manifest's. Copy the bundle again."
        )


def parse_tensors(file: Path, data: bytes) -> Tensors:
    """Tensors in a file's content. Raises BlemishError for anything but safetensors data."""
    from safetensors.numpy import load

    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise BlemishError(f"{file} holds no safetensors data. Train or copy the bundle again.") from error


def refuse_not_finite(path: Path, networks: Mapping[str, Tensors]) -> None:
    """Raise BlemishError for a tensor with numbers that are not finite. path: of the bundle"""
    import numpy as np

    for network, tensors in networks.items():
        for name, tensor in tensors.items():
            if tensor.dtype.kind in "fc" and not np.isfinite(tensor).all():
                file = path / f"{network}{TENSOR_SUFFIX}"
                raise BlemishError(f"{file}: tensor '{name}' must be finite. Train or copy the bundle again.")


def changeable_of(path: Path, bundle: str) -> dict[str, bytes]:
    """Content of decision files and usage.json in folder `path`, where it holds the bundle of that id."""
    try:
        text = (path / MANIFEST).read_bytes()
        there = parse_manifest(text, path / MANIFEST)
    except (OSError, BlemishError):
        return {}
    # By its id as stored, which is the one that its decision and its count name.
    if Bundle(path, there, {}, stored=(there, digest_of(json.loads(text)))).id != bundle:
        return {}
    files = (file for file in path.iterdir() if CHANGEABLE.fullmatch(file.name))
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def fill(folder: Path, contents: Mapping[str, bytes], files: Mapping[str, Path]) -> None:
    """Write contents, and copies of files, under their names into a folder, and flush them to disk."""
    with ExitStack() as opened:
        streams: dict[str, BinaryIO] = {name: BytesIO(data) for name, data in contents.items()}
        streams |= {name: opened.enter_context(file.open("rb")) for name, file in files.items()}
        for name, stream in streams.items():
            with (folder / name).open("wb") as written:
                shutil.copyfileobj(stream, written)
                written.flush()
                os.fsync(written.fileno())
    folder.chmod(0o755)


def replace_folder(draft: Path, path: Path) -> None:
    """Rename `draft` to `path`; a folder there stays beside it until the new one is in place.

    Whatever interrupts this, Ctrl-C included, one of the two is at `path` afterwards.
    """
    retired = path.with_name(f".{path.name}.old")
    try:
        if path.exists():  # if not, a kill may have left the only good bundle in `retired`
            shutil.rmtree(retired, ignore_errors=True)
            path.rename(retired)
        draft.rename(path)
    except BaseException:
        if retired.exists() and not path.exists():
            retired.rename(path)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def sha256(data: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, which is read piece by piece."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
