"""How many threads networks are run with, without torch."""

from __future__ import annotations

import os


def thread_count() -> int:
    """OMP_NUM_THREADS where it is set, else every core that this process may use."""
    return int(os.environ.get("OMP_NUM_THREADS", "0")) or usable_cores()


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
