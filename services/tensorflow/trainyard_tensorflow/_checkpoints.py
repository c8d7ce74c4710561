"""One checkpoint, written anew after every epoch, whole or not at all: arrays without a pickle."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)
Arrays = Sequence[npt.NDArray[Any]]


def save(folder: Path, groups: Mapping[str, Arrays], **numbers: float) -> None:
    """Put it in the place of the one before."""
    unfinished = folder / "unfinished.npz"
    arrays: dict[str, Any] = {
        f"{name}/{at}": array for name, group in groups.items() for at, array in enumerate(group)
    }
    with unfinished.open("wb") as file:
        np.savez(file, **arrays, **numbers)  # type: ignore[arg-type]  # by name, of which one is savez's own
    os.replace(unfinished, folder / "epoch.npz")  # noqa: PTH105 - the atomic rename, by its own name


def newest(folder: Path) -> dict[str, Any] | None:
    """The one there is: each group as a list of arrays, each number; None where there is none that can be read."""
    path = folder / "epoch.npz"
    if not path.exists():
        return None
    found: dict[str, Any] = {}
    try:
        with np.load(path, allow_pickle=False) as saved:
            for key in saved.files:
                name, slash, _ = key.partition("/")
                if slash:
                    found.setdefault(name, []).append(saved[key])
                else:
                    found[name] = saved[key].item()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, beginning anew will do
        log.warning("checkpoint %s is ignored: %s", path.name, error)
        return None
    return found
