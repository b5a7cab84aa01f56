"""MATLAB files of other kinds than CrackForest's are refused in a line, within time and memory."""

from __future__ import annotations

import os
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from blemish.dataset.matlab import matlab_segments
from blemish.errors import BlemishError

SEGMENTS = np.arange(12, dtype=np.uint16).reshape(3, 4)


def truth(segments: Any, key: str = "Segmentation") -> Any:
    value = np.zeros((1, 1), [(key, "O")])
    value[0, 0] = (segments,)
    return value


def saved(path: Path, content: dict[str, Any], *, compressed: bool = False) -> Path:
    savemat(path, content, do_compression=compressed)
    return path


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float64])
def test_segments_are_read(tmp_path: Path, kind: type, compressed: bool) -> None:
    content = {"other": np.zeros((9, 9)), "groundTruth": truth(SEGMENTS.astype(kind))}
    found = matlab_segments(saved(tmp_path / "a.mat", content, compressed=compressed))
    assert np.array_equal(found, SEGMENTS) and found.dtype == np.int32


OTHER_KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "another variable": ({"mask": SEGMENTS}, r"mask \(uint16 3×4\)"),
    "nothing": ({}, "no variable"),
    "no struct": ({"groundTruth": SEGMENTS}, r"groundTruth \(uint16 3×4\)"),
    "a cell": ({"groundTruth": np.array([[SEGMENTS]], dtype=object)}, r"groundTruth \(cell"),
    "a struct array": ({"groundTruth": np.concatenate([truth(SEGMENTS)] * 2)}, r"groundTruth \(struct 2×1\)"),
    "another field": ({"groundTruth": truth(SEGMENTS, "Boundaries")}, "ValueError|no field"),
    "text": ({"groundTruth": truth("abc")}, "type <U3"),
    "three axes": ({"groundTruth": truth(np.zeros((2, 2, 2)))}, r"shape \(2, 2, 2\)"),
    "nothing inside": ({"groundTruth": truth(np.zeros((0, 4)))}, r"shape \(0, 4\)"),
    "not a number": ({"groundTruth": truth(np.array([[1, np.nan]]))}, "other values"),
    "fractions": ({"groundTruth": truth(np.array([[1, 1.5]]))}, "other values"),
    "negative numbers": ({"groundTruth": truth(np.array([[1, -1]]))}, "other values"),
    "huge numbers": ({"groundTruth": truth(np.array([[1, 2**40]]))}, "other values"),
    "complex numbers": ({"groundTruth": truth(np.array([[1j, 2]]))}, "type complex128"),
    "a cell inside": ({"groundTruth": truth(np.array([[SEGMENTS]], dtype=object))}, "type object"),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_other_kinds_are_one_line(tmp_path: Path, name: str) -> None:
    content, words = OTHER_KINDS[name]
    with pytest.raises(BlemishError, match=rf"a\.mat must be a MATLAB file .*({words})") as caught:
        matlab_segments(saved(tmp_path / "a.mat", content))
    assert "\n" not in str(caught.value)


def as_hdf5(path: Path) -> None:
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512, b" ") + b"\x89HDF\r\n\x1a\n" + bytes(100))


def as_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (as_hdf5, "save it with -v7"),
        (lambda path: path.write_bytes(b""), "must be a MATLAB file"),
        (lambda path: path.write_bytes(b"x" * 500), "must be a MATLAB file"),
        (as_folder, "a folder"),
        (os.mkfifo, "a FIFO"),
    ],
)
def test_other_files_are_one_line(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    make(tmp_path / "a.mat")
    with pytest.raises(BlemishError, match=words) as caught:
        matlab_segments(tmp_path / "a.mat")
    assert "\n" not in str(caught.value)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    packer, packed = zlib.compressobj(9), b""
    for _ in range(400):
        packed += packer.compress(bytes(2**20))
    packed += packer.flush()
    header = b"MATLAB 5.0 MAT-file".ljust(124, b" ") + struct.pack("<H", 0x0100) + b"IM"
    path = tmp_path / "a.mat"
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BlemishError, match="unpacks to more than"):
        matlab_segments(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("mat") / "a.mat"
    saved(path, {"groundTruth": truth(SEGMENTS)}, compressed=data.draw(st.booleans()))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        assert matlab_segments(path).ndim == 2
    except BlemishError as error:
        assert "\n" not in str(error)
