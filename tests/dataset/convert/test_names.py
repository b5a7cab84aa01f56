"""Names of output files: safe, unique wherever they are unpacked, and the samples' own where that can be."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.dataset.convert.names import flat_names, safe_name, safe_path, tree_names
from blemish.dataset.samples import Dataset, Sample

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
odd = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(
        ["..", ".", "NUL", "con.a", "COM1", "é", "e\u0301", "A", "a", " ", "a b", "x" * 300, "ß", "SS"]
    ),
    st.text("ab.\udcff/\\:\0", max_size=6),
)
paths = st.lists(odd, min_size=1, max_size=3).map(lambda parts: "/".join(parts) + ".png")


def dataset(ids: list[str], split: str | None = None) -> Dataset:
    return Dataset(Path("/in"), tuple(Sample(Path("/in/x"), each, split=split) for each in ids), ())


def key(name: str) -> str:
    """Name as a file system sees it that tells neither case nor the composition of letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_safe(name: str) -> bool:
    stem = name.partition(".")[0].lower().rstrip(" ")
    return (
        0 < len(name.encode()) <= 240
        and not set(name) & set('<>:"|?*\\/\0\n\r\t')
        and name.isprintable()
        and not name.startswith((".", " "))
        and not name.endswith((".", " "))
        and stem not in RESERVED
        and len(name.splitlines()) == 1
    )


@settings(deadline=None)
@given(st.lists(paths, min_size=1, max_size=8, unique=True))
def test_every_name_is_safe_and_another(ids: list[str]) -> None:
    trees, flat = tree_names(dataset(ids)), flat_names(dataset(ids), spaces=False)
    assert set(trees) == set(flat) == set(ids)
    assert all(is_safe(part) for name in trees.values() for part in name.split("/"))
    assert all(is_safe(name) and " " not in name and "/" not in name for name in flat.values())
    assert len({key(name) for name in trees.values()}) == len(ids)
    assert len({key(PurePosixPath(name).stem) for name in flat.values()}) == len(ids)
    folders = {key(str(parent)) for name in trees.values() for parent in PurePosixPath(name).parents}
    assert not folders & {key(name) for name in trees.values()}, "a file where another needs a folder"


def test_plain_names_stay() -> None:
    ids = ["lot 1/a.png", "lot 1/ü.JPG", "lot2/b.tar.png"]
    assert tree_names(dataset(ids)) == {name: name for name in ids}
    assert flat_names(dataset(ids)) == {name: name.rpartition("/")[2] for name in ids}
    twice = ["x/a.png", "y/a.png", "y/a.bmp"]
    assert list(flat_names(dataset(twice)).values()) == ["x__a_png.png", "y__a_png.png", "y__a_bmp.bmp"]


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/abs/a.png", "abs/a.png"),
        ("C:\\Windows\\a.png", "C_/Windows/a.png"),
        ("..", "_"),
        ("splits/a.png", "_splits/a.png"),
        ("a\nb.png", "a_b.png"),
        ("nul.png", "_nul.png"),
        (".hidden.png", "_.hidden.png"),
        ("__MACOSX/a.png", "___MACOSX/a.png"),
        ("a .png", "a.png"),
    ],
)
def test_paths_never_lead_out(path: str, safe: str) -> None:
    assert safe_path(path) == safe


def test_long_names_keep_their_suffix_and_differ() -> None:
    first, second = (safe_name("ü" * 300 + end + ".jpeg") for end in "ab")
    assert first != second and first.endswith(".jpeg") and len(first.encode()) <= 200


@pytest.mark.parametrize(
    ("split", "name"), [("train", "train/a.png"), ("val", "train__a.png"), (None, "train__a.png")]
)
def test_a_folder_of_another_split_would_be_read_as_that_split(split: str | None, name: str) -> None:
    assert tree_names(dataset(["train/a.png"], split)) == {"train/a.png": name}
