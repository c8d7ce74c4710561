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
