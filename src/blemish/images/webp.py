"""WebP chunks, searched for lost blocks, as the format has no checksum.

Source: RFC 9649, section 2.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from blemish.images.lost_blocks import refuse_zeros_in_codes

_HEADER_BYTES = 12
_WITH_CODES = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANMF"})


def check_webp(file: BinaryIO) -> None:
    """Raises ValueError for a long run of zeros in the codes of a picture."""
    file.seek(0)
    data = file.read()
    place = _HEADER_BYTES
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if kind in _WITH_CODES:
            refuse_zeros_in_codes(data[place + 8 : place + 8 + length])
        place += 8 + length + length % 2
