"""What this machine, or this container, has that runs can be given."""

import os
from collections.abc import Sequence

from trainyard.errors import ServiceError

NO_GPU = "none"


def cpus_there() -> int:
    """CPUs that this process may use, by its affinity and its container's quota; one of 2.5 CPUs counts as 3."""
    from joblib import cpu_count  # takes 0.2 s, and only services divide CPUs

    return int(cpu_count())


def cores_there() -> tuple[int, ...]:
    """The numbers of the cores that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0)))


def interface_of(address: str) -> str | None:
    """The network interface that has this address; None where none has."""
    from psutil import net_if_addrs

    found = net_if_addrs().items()
    return next((name for name, its in found if address in {each.address for each in its}), None)


def gpus_there(named: Sequence[str]) -> tuple[str, ...]:
    """The GPUs, each as `CUDA_VISIBLE_DEVICES` would name it.

    Those that are `named`, and none where that is `none`; else those of this process's own `CUDA_VISIBLE_DEVICES`;
    else all that NVIDIA's driver tells, by their UUIDs, because it and CUDA number them differently.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named:
        return () if tuple(named) == (NO_GPU,) else tuple(named)
    return _told_by_the_driver() if visible is None else _of_cuda(visible)


def _of_cuda(visible: str) -> tuple[str, ...]:
    """CUDA reads the list up to the first that is no device."""
    found = []
    for each in (part.strip() for part in visible.split(",")):
        if not each or each.startswith("-"):
            break
        found.append(each)
    return tuple(found)


def _told_by_the_driver() -> tuple[str, ...]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver, or no GPU
        return ()
    try:
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return tuple(map(pynvml.nvmlDeviceGetUUID, handles))
    except pynvml.NVMLError as error:
        message = f"NVIDIA's driver does not say which GPUs there are ({error}): name them in TRAINYARD_GPUS, or set it to none"
        raise ServiceError(message) from error
    finally:
        pynvml.nvmlShutdown()
