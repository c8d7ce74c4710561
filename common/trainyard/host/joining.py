"""`trainyard join` and `trainyard head`: this process becomes Ray's, once what it needs is there."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from trainyard.errors import ServiceError
from trainyard.host.cluster import become, heading, joining, own_address, resource_of
from trainyard.settings import Settings
from trainyard.supervisor.own_machine import there


def join(settings: Settings, service: str, extra: Sequence[str]) -> None:
    """Offer this host to the service. Does not return. Raises `ServiceError` for what is missing."""
    _check_ray()
    if not settings.ray_address:
        raise ServiceError("RAY_ADDRESS is not set: name the host:port of the cluster's head")
    offered = there(settings)
    command = joining(
        settings.ray_address,
        own_address(settings.ray_address, settings.node_address),
        {resource_of(service): offered.slots},
        cpus=offered.all_cpus,
    )
    os.environ.update(anchored(settings))
    become([*command, *extra])


def anchored(settings: Settings) -> dict[str, str]:
    """The settings' files and folders as they are called from anywhere: Ray may have another working directory."""
    named: dict[str, tuple[Path, ...]] = {
        "WORK_DIR": (settings.work_dir,),
        "DATA_DIR": (settings.data_dir,),
        "DATA_ROOTS": settings.data_roots,
        "OUTPUT_ROOTS": settings.output_roots,
        "MODELS_PATH": (settings.models_path,) if settings.models_path else (),
        "CONNECTIONS_FILE": (settings.connections_file,) if settings.connections_file else (),
    }
    return {
        f"TRAINYARD_{name}": os.pathsep.join(str(path.resolve()) for path in paths)
        for name, paths in named.items()
        if paths
    }


def lead(address: str, port: int, extra: Sequence[str]) -> None:
    """Be the cluster's head. Does not return. Raises `ServiceError` for what is missing."""
    _check_ray()
    become(heading(address, port, extra))


def _check_ray() -> None:
    if find_spec("ray") is None:
        raise ServiceError(
            "Ray is not installed here: take an image built with ENGINE=ray, or an environment of requirements-ray.lock"
        )
