"""Data specs to arrays and frames: what a caller names becomes `trainer.Data`, or an `InvalidData`.

`load` reads and splits, `inspect` finds at submit what can be known cheaply, `listing` says what there is.
"""

from trainyard.datasets.listing import listing
from trainyard.datasets.loading import inspect, load

__all__ = ["inspect", "listing", "load"]
