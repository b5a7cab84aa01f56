"""Number of threads of a process, set for all libraries in one place.

Other processes may share the machine: waiting threads sleep, where the OpenMP behind torch would let them
spin, which makes two processes on two cores many times slower than one. Runtimes that take the number when a
session is made read `thread_count`.
"""

from __future__ import annotations

import os
import sys

from blemish.errors import BlemishError

COUNT, WAITING = "OMP_NUM_THREADS", "OMP_WAIT_POLICY"
MOST = 256  # threads, where there are not more cores; each takes memory, and too many end the process


def thread_count() -> int:
    """Number of threads to use: OMP_NUM_THREADS, else every core that this process may use.

    Raises BlemishError for an OMP_NUM_THREADS that is no number above 0, or too great.
    """
    text = os.environ.get(COUNT, "").split(",")[0].strip()  # a list is of nested levels, the outermost first
    if not text:
        return usable_cores()
    if not text.isdecimal() or len(text) > 9 or not 0 < int(text) <= most_threads():
        raise BlemishError(
            f"{COUNT} must be a whole number from 1 to {most_threads()}. Received: '{text[:20]}'. Correct or "
            "unset it."
        )
    return int(text)


def set_threads(count: int | None = None) -> int:
    """Set the number of threads of OpenCV and, where it is loaded, of torch; returns the number.

    count: None takes `thread_count`
    OpenMP holds a number for each thread of Python: a thread that runs networks calls this itself. Libraries
    loaded later, and processes started from here, read the environment.
    Raises BlemishError for a number below 1, or one too great.
    """
    if count is not None:
        if not 1 <= count <= most_threads():  # before it is written, or every later call would read it
            raise BlemishError(
                f"--threads must be from 1 to {most_threads()}. Received: {count}. "
                "Leave it out for all cores."
            )
        os.environ[COUNT] = str(count)
    chosen = thread_count()
    set_passive_wait()
    import cv2

    cv2.setNumThreads(chosen)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(chosen)
    return chosen


def set_passive_wait() -> None:
    """Let waiting threads of OpenMP sleep, unless the user chose otherwise.

    Call it before torch is imported, as OpenMP reads the environment once.
    """
    os.environ.setdefault(WAITING, "PASSIVE")


def most_threads() -> int:
    """Greatest number of threads that may be asked for."""
    return max(MOST, usable_cores())


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
