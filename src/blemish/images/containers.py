"""Video files by their first bytes: containers of pictures, and nothing that names other files.

FFmpeg goes by content, not by suffix: a playlist, a list of files to join or a description of a stream, under
the name of a video, would make it open other files or connections.
"""

from __future__ import annotations

import re
from pathlib import Path

from blemish.errors import BlemishError

CONTAINERS = re.compile(
    rb"RIFF.{4}AVI |\x1a\x45\xdf\xa3"  # AVI; Matroska and WebM
    rb"|.{4}(?:ftyp|moov|mdat|wide|free|skip|pnot|uuid|styp)"  # MP4 and QuickTime
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"  # ASF, as WMV is
    rb"|\x00\x00\x01[\xb0-\xbf\x00]|\x47.{187}\x47",  # MPEG program, elementary and transport streams
    re.DOTALL,
)


def refuse_other_content(path: Path) -> None:
    """Raise BlemishError for a file that does not begin as a container of video does."""
    try:
        with path.open("rb") as file:
            start = file.read(192)
    except OSError as error:
        raise BlemishError(f"{path} must be readable. Received: {error.strerror}. Check the path.") from error
    if not CONTAINERS.match(start):
        what = "something else, or a damaged file" if start else "an empty file"
        raise BlemishError(f"{path} must be a video. Received: {what}. Replace it.")
