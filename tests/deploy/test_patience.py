"""A limit that ends what does not end by itself, and leaves alarms as they were."""

import contextlib
import signal
import threading
import time

import pytest

from torchskip.deploy.patience import OutOfPatience, at_most


def _hold_on():
    while True:
        with contextlib.suppress(Exception):  # what a stranger's code may do
            time.sleep(1)


def test_the_alarm_of_others_is_kept():
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        with pytest.raises(OutOfPatience, match=r"^0\.05 s have passed$"), at_most(0.05):
            _hold_on()
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
        with at_most(0.05):
            pass
        time.sleep(0.1)
    finally:
        signal.signal(signal.SIGALRM, before)


def _swallow_once():
    with contextlib.suppress(OutOfPatience):
        time.sleep(5)
    time.sleep(5)
    pytest.fail("it was told once")


def test_who_swallows_it_is_told_again(monkeypatch):
    monkeypatch.setattr("torchskip.deploy.patience._AGAIN", 0.05)
    with pytest.raises(OutOfPatience), at_most(0.05):
        _swallow_once()


def test_other_threads_have_no_limit():
    ended = []

    def work():
        with at_most(0.01):
            time.sleep(0.1)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]
