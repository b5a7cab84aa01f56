"""Signals that end a command as Ctrl-C does: SIGTERM of a service or container, SIGHUP of a closed terminal.

The first raises KeyboardInterrupt, so that finished work is kept; a later one ends the process at once. A
signal that was ignored from the start, as by nohup, stays ignored.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last is Ctrl-Break of Windows
SAME_STOP_SECONDS = 0.5  # a closed terminal or a service manager sends several signals for one stop


class Received:
    """The signal that ends the command; None before one came. since: by the monotonic clock"""

    number: int | None = None
    since = 0.0


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Inside, each of the signals raises KeyboardInterrupt in the main thread, where this must be called."""
    Received.number = None
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # Python has no handlers elsewhere
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or end the process where one was raised before."""
    if Received.number is None:
        Received.number, Received.since = number, monotonic()
        raise KeyboardInterrupt
    if monotonic() - Received.since >= SAME_STOP_SECONDS:
        os._exit(128 + number)  # also as process 1 of a container, which no signal ends by itself


def stop_code() -> int:
    """Exit code of a stopped command, as shells give it: 128 and the signal's number; 130 for Ctrl-C."""
    return 128 + (Received.number or signal.SIGINT)


def stopped_by() -> str:
    """How a command was stopped, in words: "stopped", or "stopped by SIGTERM"."""
    number = Received.number or signal.SIGINT
    return "stopped" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
