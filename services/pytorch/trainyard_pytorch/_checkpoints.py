"""One checkpoint, written anew after every epoch, whole or not at all."""

import logging
import os
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)


def save(folder: Path, state: dict[str, Any]) -> None:
    """Put it in the place of the one before."""
    unfinished = folder / "unfinished.pt"
    torch.save(state, unfinished)
    os.replace(unfinished, folder / "epoch.pt")  # noqa: PTH105 - the atomic rename, by its own name


def newest(folder: Path, device: str) -> dict[str, Any] | None:
    """The one there is, on the device; None where there is none that can be read."""
    path = folder / "epoch.pt"
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, beginning anew will do
        log.warning("checkpoint %s is ignored: %s", path.name, error)
        return None
    return found
