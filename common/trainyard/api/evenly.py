"""What a process does before it begins to answer, so that no answer waits for what runs beside it."""

import gc
import sys

SECONDS_OF_A_TURN = 0.0005
"""For which a thread may keep Python's lock from the one that answers, such as one that asks MLflow; Python's own is ten times that."""


def answer_evenly() -> None:
    """Take what is imported by now out of the garbage collector's rounds, and have threads take short turns.

    It stays, two hundred thousand objects in a service. To look through them for garbage takes 0.1 to 0.3 s, again and
    again while many ask, and nobody is answered meanwhile.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SECONDS_OF_A_TURN)
