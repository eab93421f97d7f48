"""A limit on the time that somebody else's code takes."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["OutOfPatience", "at_most"]

# Seconds after which it is said again: C++ in between may turn the first into its own error.
_AGAIN = 5.0


class OutOfPatience(BaseException):
    """Raised in the midst of what takes too long; no ``except Exception`` there holds it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `OutOfPatience` in what runs inside after `seconds` of wall time.

    An infinite limit is none; a thread that is not the main one, and a system without alarms, get
    none either.

    >>> import time
    >>> with at_most(0.01):
    ...     time.sleep(60)
    Traceback (most recent call last):
    torchskip.deploy.patience.OutOfPatience: 0.01 s have passed
    """
    alarms = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGALRM")
    if not alarms or math.isinf(seconds):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfPatience(f"{seconds:g} s have passed")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
