"""Threads, allocator and precision of every process that runs torch."""

from __future__ import annotations

import ctypes

import torch

from blemish.threads import set_threads

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def prepare_runtime(threads: int | None = None) -> None:
    """Set the threads, see `set_threads`, keep freed memory, and turn TF32 off.

    Activations of 100 MB and more are otherwise mapped anew at every step, and on a virtual machine the page
    faults can cost more than the convolutions.
    """
    set_threads(threads)
    keep_freed_memory()
    # A GPU would otherwise round fp32 convolutions to TF32, and give other results than a CPU.
    torch.backends.cudnn.allow_tf32 = False


def keep_freed_memory() -> None:
    """Make glibc serve large blocks from a heap that it keeps; another C library is left alone."""
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, -1)
    library.mallopt(M_TOP_PAD, 64 << 20)
