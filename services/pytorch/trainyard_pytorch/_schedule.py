"""How the learning rate changes over a training."""

import math

WARM_UP = 0.2
"""Share of a one-cycle schedule in which the learning rate rises, from a 25th."""


def share(schedule: str, done: float) -> float:
    """What part of the highest learning rate is due when `done` of 0 to 1 of the training is over.

    `one_cycle` as in Smith and Topin, https://arxiv.org/abs/1708.07120, with cosines for lines: it depends on nothing
    but `done`, so a training goes on after a restart, or with another batch size, where it was.
    """
    if schedule == "one_cycle" and done < WARM_UP:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / WARM_UP)) / 2
    if schedule == "one_cycle":
        return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
    return (1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1.0
