"""Sizes are known from the header: a small file that claims a huge picture takes neither memory nor time."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

SIDE = 60_000
MOST_WEBP = 16_383  # pixels of a side that the format can say
READ = """
import resource, sys, time
from pathlib import Path
from blemish.errors import BlemishError
from blemish.images.decode import image_size, page_count, read_image
free = 300 * 2**20
for line in Path("/proc/self/status").read_text().splitlines():
    if line.startswith("VmSize:"):
        resource.setrlimit(resource.RLIMIT_AS, (int(line.split()[1]) * 1024 + free,) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    start = time.process_time()
    try:
        page_count(path)
        read_image(path, max_pixels=10**7)
    except BlemishError as error:
        print(path.name, "refused" if "must have at most" in str(error) else error)
    assert time.process_time() - start < 2, path
"""


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(99))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes((1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1))
    return (
        b"\xff\xd8\xff\xc0" + frame + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00" + bytes(50)
    )


def bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 104, 0, 0, 54) + header + bytes(50)


def tiff(width: int, height: int) -> bytes:
    tags = [
        (256, width),
        (257, height),
        (258, 8),
        (259, 5),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, 4),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 12) + bytes(4) + struct.pack("<H", len(tags)) + entries + bytes(4)


def pnm(width: int, height: int) -> bytes:
    return f"P6\n{width} {height}\n255\n".encode() + bytes(50)


def plain_pnm(width: int, height: int) -> bytes:
    return f"P3\n{width} {height}\n255\n".encode() + b"1 " * 50


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data


def webp(*chunks: bytes) -> bytes:
    data = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(data)) + data


def webp_lossless(width: int, height: int) -> bytes:
    side = struct.pack("<I", (width - 1) | ((height - 1) << 14))
    return webp(webp_chunk(b"VP8L", b"\x2f" + side + bytes(9)))


def webp_lossy(width: int, height: int) -> bytes:
    return webp(
        webp_chunk(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(20))
    )


def webp_extended(width: int, height: int) -> bytes:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return webp(webp_chunk(b"VP8X", bytes(4) + size), webp_lossless(width, height)[12:])


WRITERS: dict[str, Callable[[int, int], bytes]] = {
    "a.png": png, "a.jpg": jpeg, "a.bmp": bmp, "a.tif": tiff, "a.ppm": pnm, "plain.ppm": plain_pnm,
    "lossless.webp": webp_lossless, "lossy.webp": webp_lossy, "extended.webp": webp_extended,
}  # fmt: skip


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, to know the memory in use")
def test_a_header_that_claims_a_huge_picture_takes_no_memory(tmp_path: Path) -> None:
    for name, content in WRITERS.items():
        side = MOST_WEBP if name.endswith("webp") else SIDE
        (tmp_path / name).write_bytes(content(side, side))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} refused" for name in sorted(WRITERS)]
