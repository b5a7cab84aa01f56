"""One place that sets threads, the allocator and determinism for every process that runs networks."""

from __future__ import annotations

import ctypes
import os

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def prepare_runtime(threads: int | None = None) -> None:
    """Set the CPU threads (None: OMP_NUM_THREADS, else every core this process may use); keep freed memory.

    Activations of 100 MB and more are otherwise mapped anew at every step, and on a virtual machine the page
    faults can cost more than the convolutions.
    """
    torch.set_num_threads(threads or int(os.environ.get("OMP_NUM_THREADS", "0")) or usable_cores())
    keep_freed_memory()
    # fp32 means fp32: a GPU would otherwise round convolutions to TF32, and answer otherwise than a CPU.
    torch.backends.cudnn.allow_tf32 = False


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Tell glibc to serve large blocks from a heap it does not hand back. Nothing happens with another C
    library.
    """
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, -1)
    library.mallopt(M_TOP_PAD, 64 << 20)
