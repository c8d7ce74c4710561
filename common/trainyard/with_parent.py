"""Processes that end when the one that started them does, however that ended."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when its parent ends."""
PRCTL = ctypes.CDLL(None).prctl


def end_with_parent(number: signal.Signals) -> None:
    """Have this process get the signal once its parent has ended. Called between a fork and whatever comes then."""
    PRCTL(PR_SET_PDEATHSIG, number)
