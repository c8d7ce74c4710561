"""What makes an installed package a service."""

from dataclasses import dataclass
from importlib.metadata import entry_points

from trainyard.errors import ServiceError


@dataclass(frozen=True)
class Service:
    """A service's name, the package that holds its model files, and its usual port."""

    name: str
    package: str
    port: int
    shared_mb: int = 0
    """What the framework takes in memory once for all runs, in the process that they are forked from."""
    own_mb: int = 0
    """What each run takes beside that and its data: the most of a training of a small table."""


def installed_service() -> Service:
    """The one service installed in this environment. Raises `ServiceError` when there is none or more than one."""
    found = entry_points(group="trainyard.services")
    if len(found) != 1:
        names = ", ".join(sorted(entry.name for entry in found)) or "none"
        message = f"expected one service in this environment, found {names}; install one of Trainyard's services"
        raise ServiceError(message)
    service = next(iter(found)).load()
    if not isinstance(service, Service):
        message = f"{next(iter(found)).value} is not a trainyard.service.Service"
        raise ServiceError(message)
    return service
