"""Locks on output folders: held by one process, told to the next, gone with the process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from blemish import folder_lock as module
from blemish.errors import BlemishError
from blemish.folder_lock import LOCK_NAME, FolderBusyError, folder_lock, is_empty_folder

HOLDER = """
import sys
from pathlib import Path
from blemish.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1]), beside=sys.argv[2:] == ["beside"]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.communicate(timeout=20)


@pytest.mark.parametrize("options", [(), ("beside",)])
def test_a_held_folder_is_refused_and_the_message_says_who_has_it(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    out, beside = tmp_path / "out", bool(options)
    with holder(out, *options) as process:
        with pytest.raises(FolderBusyError) as refused, folder_lock(out, beside=beside):
            pytest.fail("was locked twice")
        message = str(refused.value)
        assert f"{out} is being written by another process (PID {process.pid} on " in message
        assert "UTC: -c " in message and "choose another --out" in message
        assert "\n" not in message
    with folder_lock(out, beside=beside):
        assert process.returncode == 0


def test_other_names_of_the_folder_are_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    for beside in (False, True):
        with folder_lock(tmp_path / "out", beside=beside):
            for name in (tmp_path / "link", tmp_path / "out" / ".." / "out"):
                with pytest.raises(FolderBusyError), folder_lock(name, beside=beside):
                    pytest.fail("was locked twice")


def test_a_lock_is_gone_with_a_killed_process_though_its_file_is_not(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        assert (tmp_path / LOCK_NAME).is_file()
    with folder_lock(tmp_path):
        assert is_empty_folder(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_stays_empty_is_removed_with_those_made_for_it(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "a" / "b"):
        pass
    assert not list(tmp_path.iterdir())
    with folder_lock(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "answer").write_text("")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["answer"]
    (tmp_path / "kept").mkdir()
    with folder_lock(tmp_path / "kept"):
        pass
    assert (tmp_path / "kept").is_dir()


def test_a_lock_beside_leaves_the_folder_free_to_be_replaced(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with folder_lock(out, beside=True):
        assert not out.exists()
        (tmp_path / "draft").mkdir()
        (tmp_path / "draft").rename(out)
        with pytest.raises(FolderBusyError), folder_lock(out, beside=True):
            pytest.fail("was locked twice")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_the_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="work"), folder_lock(tmp_path / "out"):
        raise ValueError("work")
    with folder_lock(tmp_path / "out"):
        pass


def test_a_file_removed_by_the_holder_before_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first holder ends between the second one's opening and locking of the file."""
    lock = module.lock
    locked: list[int] = []

    def removed_first(handle: int) -> None:
        if not locked:
            (tmp_path / LOCK_NAME).unlink()
        locked.append(handle)
        lock(handle)

    monkeypatch.setattr(module, "lock", removed_first)
    with folder_lock(tmp_path):
        monkeypatch.setattr(module, "lock", lock)
        assert len(locked) == 2
        with pytest.raises(FolderBusyError), folder_lock(tmp_path):
            pytest.fail("was locked twice")


def test_a_link_in_place_of_the_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK_NAME).symlink_to(tmp_path / "precious")
    refusal = pytest.raises(BlemishError, match=r"out cannot be written: .*Choose another --out\.")
    with refusal, folder_lock(tmp_path / "out"):
        pytest.fail("was locked")
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_file_system_without_locks_is_said_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(handle: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(module, "lock", unsupported)
    notes: list[str] = []
    with folder_lock(tmp_path, note=notes.append):
        assert not list(tmp_path.iterdir())
    assert notes == [
        f"warning: {tmp_path} lies on a file system without locks. Let nothing else write there."
    ]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    refusal = pytest.raises(BlemishError, match=r"cannot be written: (File exists|Not a directory)")
    with refusal, folder_lock(tmp_path / place):
        pytest.fail("was locked")


@pytest.mark.parametrize("place", ["", "inside", "inside/deeper", "../link"])
def test_a_bundle_takes_no_files_of_other_work(tmp_path: Path, place: str) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text('{"schema_version": 1, "method": "tlsdd"}')
    (tmp_path / "link").symlink_to(bundle)
    with pytest.raises(BlemishError, match="must not lie in a bundle"), folder_lock(bundle / place):
        pass
    assert [path.name for path in bundle.iterdir()] == ["manifest.json"]
    with folder_lock(bundle, beside=True):  # which may be replaced as a whole
        pass


@pytest.mark.parametrize("content", ['{"name": "a web page"}', ""])
def test_a_folder_with_another_manifest_is_no_bundle(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with folder_lock(tmp_path):
        pass


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_manifest(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "manifest.json")
    with folder_lock(tmp_path):
        pass
