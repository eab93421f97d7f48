"""Ctrl-C and termination end a training between two steps, so that its state can be saved."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "deferred", "passed_on"]


class Interrupt:
    """Whether the process was asked to stop."""

    asked = False


@contextmanager
def deferred() -> Iterator[Interrupt]:
    """Note the first SIGINT or SIGTERM instead of acting on it; a second one acts at once.

    Outside the main thread, where Python allows no handlers, nothing changes.
    """
    interrupt = Interrupt()

    def note(_number: int) -> None:
        interrupt.asked = True

    with _once(note):
        yield interrupt


@contextmanager
def passed_on() -> Iterator[None]:
    """Leave the first SIGINT or SIGTERM to the child processes; a second one acts at once.

    A terminal sends SIGINT to all of them by itself; SIGTERM is passed on.
    """

    def note(number: int) -> None:
        if number == signal.SIGTERM:
            for child in multiprocessing.active_children():
                if child.pid is not None:
                    os.kill(child.pid, number)

    with _once(note):
        yield


@contextmanager
def _once(act: Callable[[int], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        act(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
