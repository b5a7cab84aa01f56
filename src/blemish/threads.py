"""One place that says how many threads a process may use, and tells the libraries so.

Other processes may share the machine: threads that wait do so asleep, where the OpenMP behind torch would let
them spin, which makes two processes on two cores many times slower than one. Runtimes that take the number
when a session is made read `thread_count`.
"""

from __future__ import annotations

import os
import sys

from blemish.errors import BlemishError

COUNT, WAITING = "OMP_NUM_THREADS", "OMP_WAIT_POLICY"


def thread_count() -> int:
    """OMP_NUM_THREADS, else every core that this process may use.

    Raises BlemishError for an OMP_NUM_THREADS that is no number above 0.
    """
    given = os.environ.get(COUNT, "").split(",")[0].strip()  # a list is of nested levels, the outermost first
    if not given:
        return usable_cores()
    if not given.isdecimal() or not int(given):
        raise BlemishError(
            f"{COUNT} must be a whole number above 0. Received: '{given}'. Correct or unset it."
        )
    return int(given)


def set_threads(count: int | None = None) -> int:
    """Make `thread_count` what is given, and tell OpenCV and, where it is loaded, torch; returns it.

    OpenMP holds a number for each thread of Python: one that runs networks calls this itself. The environment
    tells what is loaded later, and processes that are started from here.
    """
    if count is not None:
        os.environ[COUNT] = str(count)
    chosen = thread_count()
    wait_asleep()
    import cv2

    cv2.setNumThreads(chosen)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(chosen)
    return chosen


def wait_asleep() -> None:
    """Threads of OpenMP that wait leave their core to others, unless the user chose otherwise.

    Of effect before torch is imported, as OpenMP asks once.
    """
    os.environ.setdefault(WAITING, "PASSIVE")


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
