"""Writing one file so that nobody ever sees half of it; what bundles, checkpoints and results all rest on."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from blemish.errors import BlemishError
from blemish.files import write_atomically


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_text_and_bytes_are_written_to_new_folders(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b.txt", "Größe\n")
    write_atomically(tmp_path / "c.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "Größe\n"
    assert (tmp_path / "c.bin").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "tempfile.mkstemp"])
def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "result.json"
    write_atomically(file, "old")
    with monkeypatch.context() as patch:
        patch.setattr(call, full_disk)
        with pytest.raises(BlemishError, match=r"result\.json cannot be written: No space left on device\."):
            write_atomically(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_ctrl_c_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    file = tmp_path / "result.json"
    write_atomically(file, "old")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", pressed)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    """A temporary file is private to its maker; the result must follow the umask like any other."""
    plain = tmp_path / "plain"
    plain.write_text("x")
    write_atomically(tmp_path / "written", "x")
    assert (tmp_path / "written").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "ä" * 125 + ".json"])
def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, "whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_name_that_is_not_utf8_is_an_escape_in_json_and_refused_in_lists(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    write_atomically(tmp_path / "a.json", json.dumps({"image": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text()) == {"image": name}
    with pytest.raises(BlemishError, match=r"train\.txt holds UTF-8 alone\. Received: 'caf.*\.png'.*Rename"):
        write_atomically(tmp_path / "train.txt", f"fine.png\n{name}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
