from __future__ import annotations

import os
import threading

import cv2
import pytest
import torch

from blemish.errors import BlemishError
from blemish.threads import set_threads, thread_count, usable_cores


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.mark.parametrize(("given", "expected"), [("3", 3), (" 2 ", 2), ("4,2", 4), ("", None), (None, None)])
def test_the_count_is_the_environments_or_a_thread_a_core(
    monkeypatch: pytest.MonkeyPatch, given: str | None, expected: int | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert thread_count() == (expected or usable_cores())


def test_a_number_that_is_refused_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for number in (0, -1, 100_000, 10**30):
        with pytest.raises(BlemishError, match=rf"--threads must be from 1 to \d+\. Received: {number}\."):
            set_threads(number)
    assert set_threads() == 1


@pytest.mark.parametrize("given", ["many", "0", "-2", "1.5", "100000", "9" * 20])
def test_a_count_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    with pytest.raises(
        BlemishError, match=rf"OMP_NUM_THREADS must be a whole number from 1 to \d+\. Received: '{given}'"
    ):
        thread_count()


def test_every_library_and_every_child_is_told() -> None:
    assert set_threads(2) == 2
    assert (cv2.getNumThreads(), torch.get_num_threads()) == (2, 2)
    assert (os.environ["OMP_NUM_THREADS"], thread_count()) == ("2", 2)
    assert set_threads() == 2, "what was set stays"
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE", "what the user chose stays"


def test_a_thread_of_python_has_the_count_that_it_sets() -> None:
    """OpenMP keeps a number for each; convolutions read it without torch's help."""
    seen: list[int] = []

    def work() -> None:
        set_threads()
        seen.append(torch.get_num_threads())

    set_threads(3)
    torch.set_num_threads(1)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [3]
