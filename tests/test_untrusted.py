"""Reading text of unknown origin: what is read, and that everything else is refused in a line and soon."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blemish.errors import BlemishError
from blemish.untrusted import (
    inside,
    parse_yaml,
    read_json,
    read_text,
    read_xml,
    read_yaml,
    regular_file,
    timed_search,
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def file(folder: Path, content: bytes | str) -> Path:
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_of_every_mark_and_line_end(tmp_path: Path, encoding: str, end: str) -> None:
    path = file(tmp_path, f"Kratzer{end}Délle 擦伤{end}".encode(encoding))
    assert read_text(path) == "Kratzer\nDélle 擦伤\n"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x80abc", b"a\0b", b"\xef\xbb\xbf\xff"])
def test_other_bytes_are_no_text(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BlemishError, match=r"file must be text"):
        read_text(file(tmp_path, content))


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, "12345678")
    assert read_text(path, max_bytes=8) == "12345678"
    with pytest.raises(BlemishError, match="at most 7 bytes"):
        read_text(path, max_bytes=7)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to(file(tmp_path, "text"))
    refused = {
        tmp_path: "a folder",
        tmp_path / "fifo": "FIFO",
        Path("/dev/zero"): "device",
        tmp_path / "dangling": "a link to a file that is not there",
        tmp_path / "missing": "no such file",
        tmp_path / "a\0b": "NUL",
        tmp_path / ("a" * 300): "name too long",
        tmp_path / "loop": "symbolic links",
    }
    for path, reason in refused.items():
        with pytest.raises(BlemishError, match=f"(?i){reason}") as caught:
            regular_file(path)
        assert "\0" not in str(caught.value)
    assert read_text(tmp_path / "link") == "text"


@given(plain)
def test_yaml_reads_as_pyyaml_does(content: object) -> None:
    assert parse_yaml(yaml.safe_dump(content, allow_unicode=True), "x") == content


def test_words_that_yaml_1_1_takes_for_truth_values_are_text() -> None:
    text = "[on, off, yes, no, y, n, true, False, 12, 1.5, null]"
    assert parse_yaml(text, "x") == ["on", "off", "yes", "no", "y", "n", True, False, 12, 1.5, None]


def test_values_as_written() -> None:
    text = "names: {0: on, '1': 2024-01-01, 2: 012, 3: 1_000, 4: 'null', 5: null, 6: true}"
    names = ["on", "2024-01-01", "012", "1_000", "null", None, "true"]
    assert parse_yaml(text, "x", as_text=True)["names"] == {str(i): name for i, name in enumerate(names)}


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB, "an alias"),
        ("a: &a [*a]", "an alias"),
        ("- &x 1", "an alias"),
        ("[" * 10_000, "nesting"),
        ("- " * 10_000, "nesting"),
        ("{a: " * 1000, "nesting"),
        ("a: 1\na: 2", "the key 'a' twice"),
        ("? [a]\n: b", "no text"),
        ("? {a: 1}\n: b", "no text"),
        ("!!python/object/apply:os.system [ls]", "constructor"),
        ("a: " + "9" * 10_000, "digits"),
        ("a: 2024-99-99", "month"),
        ("a: b: c", "mapping values"),
        ("%YAML 9.0\n--- a", "version"),
        ("a: !!binary x", "base64"),
        ("a: !!int x", "invalid literal"),
        ("a: !!timestamp x", "no attribute"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    started = monotonic()
    with pytest.raises(BlemishError, match=f"must be a YAML file.*{reason}") as caught:
        read_yaml(file(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert monotonic() - started < 5


@given(st.text(alphabet="ab01:-?&*[]{},#|>'\"!%@ \n\t\\~.", max_size=60), st.booleans())
def test_any_text_is_yaml_or_refused(text: str, as_text: bool) -> None:
    try:
        parse_yaml(text, "x", as_text=as_text)
    except BlemishError as error:
        assert "\n" not in str(error)


@given(plain)
def test_json_reads_as_the_standard_library_does(content: object) -> None:
    with TemporaryDirectory() as folder:
        path = file(Path(folder), json.dumps(content))
        assert read_json(path) == json.loads(path.read_text())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[" * 100_000, "nesting without end"),
        ('{"images": [], "images": [1]}', "the key 'images' twice"),
        (r'{"a": "\ud800"}', "half a character"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ("{'a': 1}", "Expecting property name"),
        ("", "Expecting value"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(BlemishError, match=f"must be a JSON file.*{reason}"):
        read_json(file(tmp_path, content))


def test_json_keeps_names_that_are_not_utf8(tmp_path: Path) -> None:
    assert read_json(file(tmp_path, r'["a\udcff.png", "\ud83d\ude00", NaN]'))[:2] == ["a\udcff.png", "😀"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "a DOCTYPE"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"), "a DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "a DOCTYPE"),
        ("<a>" * 100_000, "nesting"),
        ("<a><b></a>", "mismatched"),
        ('<?xml version="1.0" encoding="utf-99"?><a/>', "utf-99"),
        ("", "no element"),
    ],
)
def test_xml_that_is_refused(tmp_path: Path, content: bytes | str, reason: str) -> None:
    with pytest.raises(BlemishError, match=f"must be an XML file.*{reason}"):
        read_xml(file(tmp_path, content))


def test_xml_of_every_encoding_it_may_name(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        content = f'<?xml version="1.0" encoding="{encoding}"?><a>é</a>'.encode(encoding)
        assert read_xml(file(tmp_path, content)).text == "é"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("a:\n\t- b", "line 2, column 1"),
        ("a: 1\nb: [2\n", "line 3, column 1"),
        ("a: 1\na: 2\n", "line 2, column 1"),
    ],
)
def test_a_fault_of_yaml_names_its_line_in_a_plain_sentence(tmp_path: Path, content: str, place: str) -> None:
    with pytest.raises(BlemishError, match=rf"\({place}\)\. Correct or remove it\.$") as caught:
        read_yaml(file(tmp_path, content))
    assert "unicode string" not in str(caught.value)
    assert "^" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "../a", "a/../../b", "..\\a", "out/a", 3, None, "", " ", "a\0b", ["a"]]
)
def test_paths_that_leave_the_folder(tmp_path: Path, text: object) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    with pytest.raises(BlemishError, match=r"^here must (be a path|lie in)"):
        inside(tmp_path / "root", text, "here")


@pytest.mark.parametrize(
    ("text", "path"), [("a.png", "a.png"), ("a/../b.png", "b.png"), ("a\\b.png", "a/b.png"), ("./a/.", "a")]
)
def test_paths_in_the_folder(tmp_path: Path, text: str, path: str) -> None:
    assert inside(tmp_path, text, "here") == tmp_path / path


def test_a_path_in_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BlemishError):
        regular_file(inside(tmp_path, "loop/a.png", "here"))


def test_a_search_that_backtracks_is_ended() -> None:
    started = monotonic()
    with pytest.raises(BlemishError, match=r"^'group' must be a simple expression"):
        timed_search("(a|aa)+$", ["a" * 60 + "b"] * 5, "'group'")
    assert monotonic() - started < 5
    assert [match and match[1] for match in timed_search("^(.)-", ["a-1", "bb"], "'group'")] == ["a", None]
