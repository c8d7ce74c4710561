"""Trainyard from Python: `TrainyardClient`, and `AsyncTrainyardClient` for an event loop.

Importing this loads neither FastAPI nor MLflow nor pandas.
"""

from trainyard.client.calls import ForeignAnswer, Refused, Unreachable, may_pass
from trainyard.client.client import AsyncTrainyardClient, TrainyardClient

__all__ = [
    "AsyncTrainyardClient",
    "ForeignAnswer",
    "Refused",
    "TrainyardClient",
    "Unreachable",
    "may_pass",
]
