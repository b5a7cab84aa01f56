"""The record of an inspection: which image, which bundle under which decision, run by what, and when.

With it, `blemish replay` says later whether the same bundle gives the same answer. Hashes are SHA-256 in
hexadecimal, as `sha256sum` prints them:

- `image_sha256` of the bytes of the image's file, of a video the whole file's (read once for all its frames);
  None for pixels that came from no single file, as the pieces of a line scan.
- `pixels_sha256` of the decoded pixels: numpy type and shape as text, then the array's bytes in C order (see
  `dataset.hashing.pixel_hash`). Of a video it is the frame's, of a line scan the piece's rows, in the
  channels that the bundle is given. None where nothing could be decoded.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from blemish.provenance import blemish_version

# Of a line of inspections.jsonl: 1 had no record; up to 2, findings under the limit were listed as defects.
SCHEMA_VERSION = 3
# Types of a line's keys, and of those of each of its bundles, for isinstance.
RECORD_TYPES: Mapping[str, Any] = {
    "id": str,
    "at": str,
    "image_sha256": str | None,
    "pixels_sha256": str | None,
    "software": str,
    "bundles": list,
}
BUNDLE_TYPES: Mapping[str, Any] = {
    "id": str,
    "digest": str,
    "path": str,
    "decision": int | None,
    "decision_sha256": str | None,
    "mm_per_px": float | int | None,
    "runtime": dict,
}


@dataclass(frozen=True)
class UsedBundle:
    """A bundle as it judged an image.

    digest: of the whole bundle, see `Bundle.digest`; path: its folder as the user gave it
    decision: revision that was followed, None without one; decision_sha256: of that YAML file's bytes
    mm_per_px: scale that sizes were measured in
    runtime: name and version of what ran the networks, device, precision, threads, processor, and versions of
        the libraries that the answer went through
    input_check: whether an image unlike those of the training was not OK but REVIEW
    """

    id: str
    digest: str
    path: str
    decision: int | None
    decision_sha256: str | None
    mm_per_px: float | None
    runtime: Mapping[str, str | int]
    input_check: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain values; the input check is named where it was off."""
        fields = asdict(self)
        return {key: fields[key] for key in fields if key != "input_check" or not self.input_check}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> UsedBundle:
        """Read a bundle of a line. Raises KeyError for a key that is missing, TypeError for a wrong type."""
        return cls(**checked(fields, BUNDLE_TYPES), input_check=fields.get("input_check") is not False)


@dataclass(frozen=True)
class ImageDigests:
    """SHA-256 of an image's file and of its decoded pixels, and the time it was read, ISO 8601 with zone."""

    image_sha256: str | None
    pixels_sha256: str | None
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))


@dataclass(frozen=True)
class InspectionRecord:
    """Everything that a replay of an inspection needs, and an id that tells it from all others.

    id: a UUID; bundles: one, or those of a chain in their order; software: version of blemish
    """

    digests: ImageDigests
    bundles: Sequence[UsedBundle]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    software: str = field(default_factory=blemish_version)

    def head(self) -> dict[str, Any]:
        """Keys of a line of inspections.jsonl that stand before the answer."""
        return {"schema_version": SCHEMA_VERSION, "id": self.id, "at": self.digests.at}

    def tail(self) -> dict[str, Any]:
        """Keys of a line of inspections.jsonl that stand behind the answer."""
        return {
            "image_sha256": self.digests.image_sha256,
            "pixels_sha256": self.digests.pixels_sha256,
            "software": self.software,
            "bundles": [bundle.to_json() for bundle in self.bundles],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> InspectionRecord | None:
        """Read the record of a line; None where blemish 0.1 wrote it, which kept none.

        Raises KeyError for a key that is missing, TypeError for a wrong type, ValueError for a newer schema.
        """
        version = fields.get("schema_version", 1)
        if version == 1:
            return None
        if version not in (2, SCHEMA_VERSION):
            raise ValueError(f"schema_version {version}, newer than {SCHEMA_VERSION}")
        checked(fields, RECORD_TYPES)
        return cls(
            ImageDigests(fields["image_sha256"], fields["pixels_sha256"], fields["at"]),
            tuple(UsedBundle.from_json(bundle) for bundle in fields["bundles"]),
            id=fields["id"],
            software=fields["software"],
        )


def checked(fields: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the keys in `types`. Raises KeyError for a missing key, TypeError for another type."""
    for key, expected in types.items():
        if not isinstance(fields[key], expected) or isinstance(fields[key], bool):
            raise TypeError(f"'{key}' of a wrong type, {fields[key]!r}")
    return {key: fields[key] for key in types}
