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

SCHEMA_VERSION = 2  # of a line of inspections.jsonl; 1 had no record


@dataclass(frozen=True)
class UsedBundle:
    """A bundle as it judged an image.

    digest: of the whole bundle, see `Bundle.digest`; path: its folder as the user gave it
    decision: revision that was followed, None without one; decision_sha256: of that YAML file's bytes
    mm_per_px: scale that sizes were measured in
    runtime: name and version of what ran the networks, device, precision, threads, processor, and versions of
        the libraries that the answer went through
    """

    id: str
    digest: str
    path: str
    decision: int | None
    decision_sha256: str | None
    mm_per_px: float | None
    runtime: Mapping[str, str | int]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> UsedBundle:
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class ImageDigests:
    """Hashes of an image, see this module's text, and the time at which it was read, ISO 8601 with zone."""

    image_sha256: str | None
    pixels_sha256: str | None
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))


@dataclass(frozen=True)
class InspectionRecord:
    """All that an inspection is replayed and told from others by.

    id: a UUID of this inspection alone; bundles: in the order in which they were asked; software: version
    """

    digests: ImageDigests
    bundles: Sequence[UsedBundle]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    software: str = field(default_factory=blemish_version)

    def head(self) -> dict[str, Any]:
        """Keys of a line that stand before the answer."""
        return {"schema_version": SCHEMA_VERSION, "id": self.id, "at": self.digests.at}

    def tail(self) -> dict[str, Any]:
        """Keys of a line that stand behind the answer."""
        return {
            "image_sha256": self.digests.image_sha256,
            "pixels_sha256": self.digests.pixels_sha256,
            "software": self.software,
            "bundles": [asdict(bundle) for bundle in self.bundles],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> InspectionRecord | None:
        """Read the record of a line; None of a line of schema 1, which has none.

        Raises KeyError for a key that is missing, ValueError for a newer schema.
        """
        version = fields.get("schema_version", 1)
        if version == 1:
            return None
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema_version {version}, newer than {SCHEMA_VERSION}")
        return cls(
            ImageDigests(fields["image_sha256"], fields["pixels_sha256"], fields["at"]),
            tuple(UsedBundle.from_json(bundle) for bundle in fields["bundles"]),
            id=fields["id"],
            software=fields["software"],
        )
