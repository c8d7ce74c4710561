"""PyTorch behind Trainyard's `/train`."""

import os

# Threads that wait for each other sleep rather than spin: OpenMP reads this once, when torch is imported. On a
# processor that is shared with others spinning made a step up to 30 times slower, alone it saves a fifth (ADR 5).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
