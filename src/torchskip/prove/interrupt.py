"""Ctrl-C and termination end a training between two steps, so that its state can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "deferred"]


class Interrupt:
    """Whether the process was asked to stop."""

    asked = False


@contextmanager
def deferred() -> Iterator[Interrupt]:
    """Note the first SIGINT or SIGTERM instead of acting on it; a second one acts at once.

    Outside the main thread, where Python allows no handlers, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def note(number: int, _frame: FrameType | None) -> None:
        interrupt.asked = True
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, note)
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
