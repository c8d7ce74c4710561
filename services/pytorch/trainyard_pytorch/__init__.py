"""PyTorch behind Trainyard's `/train`."""

import os

# How long threads that wait for each other spin before they sleep, in turns of a loop: OpenMP reads it once, when
# torch is imported. Its own default is a hundred times this, which stalls a processor that is shared with others,
# and not to spin at all nearly doubles the time of an epoch on one that is free (ADR 5).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
